// The page that answers: are people signing in, who fails and why, how long do refreshes take, what does it cost, when do keys expire.

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('The Log Analytics workspace that gets its logs.')
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
