// One private endpoint and one private DNS zone for each service that the handler or the gateway calls.

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('The network whose names the private DNS zones resolve.')
param networkId string

@description('The subnet, empty for none.')
param subnetId string

@description('The storage account.')
param storageId string

@description('The Cosmos DB account.')
param cosmosId string

@description('The vault.')
param keyVaultId string

@description('The Function App.')
param functionAppId string

var endpoints = [
  { name: 'storage', group: 'blob', service: storageId, zone: 'privatelink.blob.${environment().suffixes.storage}' }
  { name: 'cosmos', group: 'Sql', service: cosmosId, zone: 'privatelink.documents.azure.com' }
  { name: 'key-vault', group: 'vault', service: keyVaultId, zone: 'privatelink.vaultcore.azure.net' }
  { name: 'function-app', group: 'sites', service: functionAppId, zone: 'privatelink.azurewebsites.net' }
]

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for endpoint in endpoints: {
    name: endpoint.zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (endpoint, i) in endpoints: {
    parent: zones[i]
    name: endpoint.name
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-07-01' = [
  for endpoint in endpoints: {
    name: 'pe-${endpoint.name}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        { name: endpoint.name, properties: { privateLinkServiceId: endpoint.service, groupIds: [endpoint.group] } }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [
  for (endpoint, i) in endpoints: {
    parent: privateEndpoints[i]
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: endpoint.name, properties: { privateDnsZoneId: zones[i].id } }] }
  }
]
