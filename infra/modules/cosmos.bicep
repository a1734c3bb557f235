// Where sessions are kept: sealed records that end by themselves (TTL). Strong consistency in one region, so that a sign-out is seen
// by the next read anywhere; nothing is indexed, because everything is read by its id.

@description('Its name.')
param name string

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('How it is paid: by request, or by a reserved throughput.')
@allowed(['serverless', 'autoscale'])
param throughput string

@description('The most request units per second, with autoscale.')
param maximumThroughput int

@description('Whether it is reached by its private endpoint only.')
param isPrivate bool

@description('Whether it survives the loss of a zone.')
param zoneRedundant bool

@description('The Log Analytics workspace that gets its logs.')
param workspaceId string

var isServerless = throughput == 'serverless'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: zoneRedundant }]
    capabilities: isServerless ? [{ name: 'EnableServerless' }] : []
    consistencyPolicy: { defaultConsistencyLevel: 'Strong' }
    backupPolicy: { type: 'Continuous', continuousModeProperties: { tier: 'Continuous7Days' } }
    disableKeyBasedMetadataWriteAccess: true
    disableLocalAuth: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }

  resource database 'sqlDatabases' = {
    name: 'oauth-proxy'
    properties: { resource: { id: 'oauth-proxy' } }

    resource container 'containers' = {
      name: 'sessions'
      properties: {
        resource: {
          id: 'sessions'
          partitionKey: { paths: ['/id'], kind: 'Hash', version: 2 }
          defaultTtl: -1
          indexingPolicy: {
            indexingMode: 'consistent'
            automatic: true
            includedPaths: []
            excludedPaths: [{ path: '/*' }]
          }
        }
        options: isServerless ? {} : { autoscaleSettings: { maxThroughput: maximumThroughput } }
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'workspace'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ category: 'ControlPlaneRequests', enabled: true }]
  }
}

output id string = account.id
output name string = account.name
output endpoint string = account.properties.documentEndpoint
output databaseName string = account::database.name
output containerName string = account::database::container.name
