// What Entra ID has to know, before everything else: the identity of the handler and the application that it speaks for.
// Needs the Microsoft Graph extension from its registry, which is why it is a deployment of its own.

targetScope = 'resourceGroup'

@description('Name of the environment, for tags.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Its region.')
param location string = resourceGroup().location

@description('Whether the application is made here. Off for another provider, or for an application that is there already.')
param createEntraApp bool = true

@description('The host name that people type. Empty for the one that API Management brings.')
param publicHostName string = ''

@description('Prefix of the handler\'s own URLs.')
param authPrefix string = '/oauth'

var token = uniqueString(subscription().id, resourceGroup().id, environmentName)

module identity '../modules/identity.bicep' = {
  name: 'identity'
  params: { name: 'id-${token}', location: location, tags: { 'azd-env-name': environmentName } }
}

module application 'entra-app.bicep' = if (createEntraApp) {
  name: 'entra-app'
  params: {
    uniqueName: 'oauth-proxy-${token}'
    displayName: 'oauth-proxy (${environmentName})'
    publicBaseUrl: 'https://${empty(publicHostName) ? 'apim-${token}.azure-api.net' : publicHostName}'
    authPrefix: authPrefix
    principalId: identity.outputs.principalId
  }
}

@description('What the application is known by; empty when none was made.')
output ENTRA_CLIENT_ID string = createEntraApp ? application!.outputs.clientId : ''

@description('The scope whose access token the application behind gets; empty when none was made.')
output ENTRA_SCOPE string = createEntraApp ? application!.outputs.scope : ''
