// API Management, where there is none yet. Its own identity proves to the handler that a request came through it.

@description('Its name.')
param name string

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('Its tier.')
param sku string

@description('How many units of it.')
param units int

@description('Whom it writes to.')
param publisherEmail string

@description('The organisation it belongs to.')
param publisherName string

@description('The host name that people type; empty for its own.')
param hostName string

@description('Key Vault\'s address of the certificate of that host name; empty binds none.')
param certificateId string

@description('A user-assigned identity besides its own, for its questions to the handler; empty for none.')
param checkIdentityId string

@description('The subnet, empty for none.')
param subnetId string

@description('The Log Analytics workspace that gets its logs.')
param workspaceId string

// The v2 tiers speak TLS 1.2 and later only, and refuse these.
var oldProtocolsOff = {
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Protocols.Tls10': 'false'
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Protocols.Tls11': 'false'
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Protocols.Ssl30': 'false'
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Backend.Protocols.Tls10': 'false'
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Backend.Protocols.Tls11': 'false'
  'Microsoft.WindowsAzure.ApiManagement.Gateway.Security.Backend.Protocols.Ssl30': 'false'
}

resource apim 'Microsoft.ApiManagement/service@2024-05-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku, capacity: units }
  identity: empty(checkIdentityId)
    ? { type: 'SystemAssigned' }
    : { type: 'SystemAssigned, UserAssigned', userAssignedIdentities: { '${checkIdentityId}': {} } }
  properties: {
    publisherEmail: publisherEmail
    publisherName: publisherName
    customProperties: sku == 'Developer' ? oldProtocolsOff : null
    virtualNetworkType: empty(subnetId) ? 'None' : 'External'
    virtualNetworkConfiguration: empty(subnetId) ? null : { subnetResourceId: subnetId }
    hostnameConfigurations: empty(hostName) || empty(certificateId)
      ? []
      : [
          {
            type: 'Proxy'
            hostName: hostName
            certificateSource: 'KeyVault'
            keyVaultId: certificateId
            defaultSslBinding: true
          }
        ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: apim
  name: 'workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ category: 'GatewayLogs', enabled: true }]
  }
}

output name string = apim.name
output principalId string = apim.identity.principalId
output hostName string = replace(apim.properties.gatewayUrl, 'https://', '')
