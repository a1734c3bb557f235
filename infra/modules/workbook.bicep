// The page that answers: are people signing in, who fails and why, how long do refreshes take, what does it cost, when do keys expire.

param location string
param tags object
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'oauth-proxy')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'oauth-proxy'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}
