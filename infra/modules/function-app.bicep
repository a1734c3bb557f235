// The Function App on Flex Consumption: the Functions host, and the handler behind it.

@description('Its name.')
param name string

@description('Name of its plan.')
param planName string

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('The identity of the handler.')
param identityId string

@description('What that identity is known by.')
param identityClientId string

@description('The blob endpoint of the storage that the host uses.')
param storageBlobEndpoint string

@description('The container of the package.')
param packageContainerUrl string

@description('Name of the Application Insights resource.')
param componentName string

@description('Whether it is reached by its private endpoint only.')
param isPrivate bool

@description('The subnet, empty for none.')
param subnetId string

@description('Whether whoever calls must show a certificate; the handler checks which.')
param requiresClientCertificate bool

@description('Instances that are always there.')
param alwaysReadyInstances int

@description('Instances at most.')
param maximumInstances int

@description('Memory of an instance, in MB.')
param instanceMemoryMB int

@description('Whether it survives the loss of a zone.')
param zoneRedundant bool

@description('The handler\'s settings (docs/configuration.md).')
param settings object

resource component 'Microsoft.Insights/components@2020-02-02' existing = { name: componentName }

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'handler' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    clientCertEnabled: requiresClientCertificate
    clientCertMode: requiresClientCertificate ? 'Required' : 'Optional'
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: isPrivate ? subnetId : null
    siteConfig: { minTlsVersion: '1.2', scmMinTlsVersion: '1.2', http20Enabled: true }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'http', instanceCount: alwaysReadyInstances }] : []
        triggers: { http: { perInstanceConcurrency: 500 } }
      }
    }
  }

  // Replaces the whole collection: a setting that was made by hand is gone after the next deployment.
  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(settings, {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: storageBlobEndpoint
      AzureWebJobsDisableHomepage: 'true'
      APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      AZURE_CLIENT_ID: identityClientId
    })
  }

  resource noFtpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noDeploymentPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

// No diagnostic setting: FunctionAppLogs would repeat, and bill again, what AppTraces has.

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
