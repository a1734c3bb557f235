// The identity that the handler has towards Azure and, with Entra ID, towards the provider.

@description('Its name.')
param name string

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
