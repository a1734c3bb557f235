// Everything that stands between a browser and an application: API Management, the Function App with the handler, and what both need.
// The parameters are described in docs/operations.md.

targetScope = 'resourceGroup'

@description('Name of the environment, for tags. Names of resources come from a hash of it, so its length does not matter.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything that is made here.')
param location string = resourceGroup().location

// ---- the four questions ----

@description('Where the application is: an address that the Function App reaches. Not used when additionalSettings has ROUTES.')
param upstreamUrl string

@description('The host name that people type. Empty takes the one that a new API Management brings.')
param publicHostName string = ''

@description('The OpenID Provider\'s issuer, exactly as its metadata names it. Empty takes Entra ID of this tenant.')
param oidcIssuerUrl string = ''

@description('What the provider knows the application by.')
@minLength(1)
param clientId string

// ---- the provider ----

@description('How the application proves itself to the provider. managed_identity needs Entra ID and no secret at all.')
@allowed(['managed_identity', 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
param clientAuthMethod string = 'managed_identity'

@description('Name of the vault\'s secret with the client secret, which the operator puts there. Used with client_secret_basic and client_secret_post.')
param clientSecretName string = 'client-secret'

@description('Name of the vault\'s key that signs client assertions. Used with private_key_jwt.')
param clientKeyName string = 'client-key'

@description('A scope of an API besides those of OpenID Connect: whose access token the application gets.')
param accessScope string = ''

@description('Further settings of the handler, by the names in docs/configuration.md. No secrets: a deployment is remembered.')
param additionalSettings object = {}

// ---- the gateway ----

@description('Name of an API Management service that is there already. Empty makes one.')
param existingApimName string = ''

@description('Resource group of that service.')
param existingApimResourceGroup string = resourceGroup().name

@description('SKU of a service that is made here. Private networking needs StandardV2.')
@allowed(['BasicV2', 'StandardV2', 'Developer'])
param apimSku string = privateNetworking ? 'StandardV2' : 'BasicV2'

@description('Units of a service that is made here. The Developer tier has one.')
@minValue(1)
@maxValue(10)
param apimUnits int = 1

@description('Whom API Management writes to.')
param publisherEmail string

@description('Name of the organisation, for API Management.')
param publisherName string = 'oauth-proxy'

@description('Key Vault\'s address of the certificate of publicHostName, without a version. Empty binds no host name.')
param publicCertificateId string = ''

@description('What API Management asks its token for. Empty takes a resource that every tenant has.')
param gatewayTokenResource string = ''

@description('The aud of that token.')
param gatewayTokenAudience string = ''

@description('The iss of that token.')
param gatewayTokenIssuer string = ''

@description('Requests that one client address may send in rateLimitSeconds. A whole office may share one address.')
@minValue(1)
param rateLimitCalls int = 60000

@description('The period of rateLimitCalls.')
@minValue(1)
@maxValue(300)
param rateLimitSeconds int = 60

@description('Largest request that announces its length. The Functions host ends any larger than 104857600.')
@minValue(1)
@maxValue(104857600)
param maxRequestBytes int = 104857600

@description('Methods that the application knows besides GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, such as those of WebDAV.')
param additionalMethods array = []

@description('Id of a certificate in API Management that it shows to the Function App. Empty asks for none.')
param gatewayCertificateId string = ''

@description('SHA-256 fingerprint of that certificate, in 64 hex digits.')
param gatewayCertificateFingerprint string = ''

@description('First segments of paths whose WebSockets API Management takes to the application itself, once the handler has checked the handshake: the Functions host passes none. Empty makes nothing.')
param webSocketPaths string[] = []

@description('First segments of paths whose requests it takes there itself, too: bodies over 100 MB, responses that take longer than 230 s. Empty makes nothing.')
param directPaths string[] = []

@description('Id of a user-assigned identity that an API Management which is there already has, and that proves nothing but its own questions to the handler. Needed there with webSocketPaths or directPaths.')
param gatewayCheckIdentityId string = ''

// ---- where it runs ----

@description('Whether vault, database, storage and Function App are reached by private endpoints only.')
param privateNetworking bool = false

@description('Address space of the network, a /22 or larger. Used with private networking.')
param addressSpace string = '10.90.0.0/22'

@description('Instances that are always there. 0 costs nothing while nobody comes, and the first then waits for a start.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 1

@description('Instances at most.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 100

@description('Memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('How Cosmos DB is paid: by request, or by a reserved throughput that grows and shrinks.')
@allowed(['serverless', 'autoscale'])
param cosmosThroughput string = 'serverless'

@description('The most request units per second, in thousands. Used with autoscale.')
@minValue(1000)
param cosmosMaximumThroughput int = 1000

@description('Whether plan, database and storage survive the loss of a zone, where the region has zones.')
param zoneRedundant bool = false

@description('Whether a deleted vault can never be purged before its time. Only a throw-away environment turns it off.')
param purgeProtection bool = true

@description('How long logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Whom alerts write to. Empty writes to nobody; the alerts are seen in the portal all the same.')
param alertEmail string = ''

@description('Object id of whoever deploys, who creates the keys. Empty gives nobody that right.')
param deployerPrincipalId string = ''

@description('Kind of that principal.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param deployerPrincipalType string = 'User'

var token = uniqueString(subscription().id, resourceGroup().id, environmentName)
var tags = { 'azd-env-name': environmentName }
var checkedApimSku = privateNetworking && empty(existingApimName) && apimSku != 'StandardV2'
  ? fail('private networking needs apimSku StandardV2: no other that is made here can reach a private Function App')
  : apimSku

var checkedPublicHostName = empty(publicHostName) && !empty(existingApimName)
  ? fail('an API Management that is there already has host names of its own: say in publicHostName which one people type')
  : publicHostName

var checkedFingerprint = empty(gatewayCertificateId) != empty(gatewayCertificateFingerprint)
  ? fail('gatewayCertificateId and gatewayCertificateFingerprint belong together: App Service takes any certificate, and only the handler knows which')
  : gatewayCertificateFingerprint

var checkedCertificateId = empty(publicHostName) && !empty(publicCertificateId)
  ? fail('publicCertificateId is the certificate of publicHostName, which is empty')
  : publicCertificateId

var isDirect = !empty(webSocketPaths) || !empty(directPaths)
var checkedCheckIdentityId = isDirect && !empty(existingApimName) && empty(gatewayCheckIdentityId)
  ? fail('with an API Management that is there already, webSocketPaths and directPaths need gatewayCheckIdentityId: a user-assigned identity that it has')
  : gatewayCheckIdentityId
var checkIdentityParts = split(checkedCheckIdentityId, '/')

var checkedUnits = apimSku == 'Developer' && apimUnits != 1
  ? fail('the Developer tier of API Management has one unit: apimUnits must be 1')
  : apimUnits

var checkedMaximumThroughput = cosmosMaximumThroughput % 1000 != 0
  ? fail('Cosmos DB takes autoscale limits in thousands: cosmosMaximumThroughput must be 1000, 2000, …')
  : cosmosMaximumThroughput

var entraIssuer = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
var issuerUrl = empty(oidcIssuerUrl) ? entraIssuer : oidcIssuerUrl
// The application that every tenant has for exchanging tokens: no right of anyone's goes with a token for it.
var tokenExchange = { resource: 'api://AzureADTokenExchange', audience: 'fb60f99c-7a34-4190-8149-302f77469936' }

// The host overrides host.json by this app setting, and the handler strips it: the application has all paths of the public origin.
var routePrefix = additionalSettings.?AzureFunctionsJobHost__extensions__http__routePrefix ?? 'app'

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: { name: 'id-${token}', location: location, tags: tags }
}

// Its own, so that nothing that a client sends through the gateway can pass for the gateway's own question.
module newCheckIdentity 'modules/identity.bicep' = if (isDirect && empty(existingApimName)) {
  name: 'check-identity'
  params: { name: 'id-check-${token}', location: location, tags: tags }
}

resource existingCheckIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (isDirect && !empty(existingApimName)) {
  name: empty(checkedCheckIdentityId) ? 'none' : last(checkIdentityParts)
  scope: resourceGroup(
    empty(checkedCheckIdentityId) ? subscription().subscriptionId : checkIdentityParts[2],
    empty(checkedCheckIdentityId) ? 'none' : checkIdentityParts[4]
  )
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    workspaceName: 'log-${token}'
    componentName: 'appi-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  params: { name: 'vnet-${token}', location: location, tags: tags, addressSpace: addressSpace }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    isPrivate: privateNetworking
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  params: {
    name: 'cosmos-${token}'
    location: location
    tags: tags
    throughput: cosmosThroughput
    maximumThroughput: checkedMaximumThroughput
    isPrivate: privateNetworking
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module keyVault 'modules/key-vault.bicep' = {
  name: 'key-vault'
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    isPrivate: privateNetworking
    purgeProtection: purgeProtection
    workspaceId: monitoring.outputs.workspaceId
  }
}

module newApim 'modules/apim.bicep' = if (empty(existingApimName)) {
  name: 'apim'
  params: {
    name: 'apim-${token}'
    location: location
    tags: tags
    sku: checkedApimSku
    units: checkedUnits
    publisherEmail: publisherEmail
    publisherName: publisherName
    hostName: publicHostName
    certificateId: checkedCertificateId
    checkIdentityId: isDirect ? newCheckIdentity!.outputs.id : ''
    subnetId: privateNetworking ? network!.outputs.gatewaySubnetId : ''
    workspaceId: monitoring.outputs.workspaceId
  }
}

resource existingApim 'Microsoft.ApiManagement/service@2024-05-01' existing = if (!empty(existingApimName)) {
  name: empty(existingApimName) ? 'none' : existingApimName
  scope: resourceGroup(existingApimResourceGroup)
}

var apimName = empty(existingApimName) ? newApim!.outputs.name : existingApimName
var apimPrincipalId = empty(existingApimName) ? newApim!.outputs.principalId : existingApim!.identity.principalId
var checkPrincipalId = !isDirect
  ? ''
  : (empty(existingApimName) ? newCheckIdentity!.outputs.principalId : existingCheckIdentity!.properties.principalId)
var checkClientId = !isDirect
  ? ''
  : (empty(existingApimName) ? newCheckIdentity!.outputs.clientId : existingCheckIdentity!.properties.clientId)
var publicBaseUrl = 'https://${empty(checkedPublicHostName) ? newApim!.outputs.hostName : checkedPublicHostName}'

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageBlobEndpoint: storage.outputs.blobEndpoint
    packageContainerUrl: storage.outputs.packageContainerUrl
    componentName: monitoring.outputs.componentName
    isPrivate: privateNetworking
    subnetId: privateNetworking ? network!.outputs.functionSubnetId : ''
    requiresClientCertificate: !empty(gatewayCertificateId)
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
    instanceMemoryMB: instanceMemoryMB
    zoneRedundant: zoneRedundant
    settings: union(
      {
        PUBLIC_BASE_URL: publicBaseUrl
        OIDC_ISSUER_URL: issuerUrl
        CLIENT_ID: clientId
        CLIENT_AUTH_METHOD: clientAuthMethod
        SESSION_STORE: 'cosmos'
        COSMOS_ENDPOINT: cosmos.outputs.endpoint
        COSMOS_DATABASE: cosmos.outputs.databaseName
        COSMOS_CONTAINER: cosmos.outputs.containerName
        KEY_VAULT_URL: keyVault.outputs.url
        AzureFunctionsJobHost__extensions__http__routePrefix: routePrefix
        GATEWAY_PROOF: 'managed_identity'
        GATEWAY_PROOF_ISSUER: empty(gatewayTokenIssuer) ? entraIssuer : gatewayTokenIssuer
        GATEWAY_PROOF_AUDIENCE: empty(gatewayTokenAudience) ? tokenExchange.audience : gatewayTokenAudience
        GATEWAY_PROOF_OBJECT_IDS: apimPrincipalId
      },
      startsWith(clientAuthMethod, 'client_secret_')
        ? { CLIENT_SECRET: '@Microsoft.KeyVault(VaultName=${keyVault.outputs.name};SecretName=${clientSecretName})' }
        : {},
      contains(additionalSettings, 'ROUTES') ? {} : { UPSTREAM_URL: upstreamUrl },
      empty(oidcIssuerUrl) ? { PROVIDER: 'entra' } : {},
      empty(accessScope) ? {} : { SCOPES: 'openid profile email offline_access ${accessScope}' },
      clientAuthMethod == 'private_key_jwt' ? { CLIENT_KEY_NAME: clientKeyName } : {},
      empty(checkedFingerprint) ? {} : { GATEWAY_CERTIFICATE_FINGERPRINTS: checkedFingerprint },
      isDirect ? { GATEWAY_CHECK_OBJECT_IDS: checkPrincipalId } : {},
      additionalSettings
    )
  }
}

module apimApi 'modules/apim-api.bicep' = {
  name: 'apim-api'
  scope: resourceGroup(empty(existingApimName) ? resourceGroup().name : existingApimResourceGroup)
  params: {
    apimName: apimName
    functionAppHostName: functionApp.outputs.hostName
    routePrefix: routePrefix
    functionAppId: functionApp.outputs.id
    gatewayTokenResource: empty(gatewayTokenResource) ? tokenExchange.resource : gatewayTokenResource
    gatewayCertificateId: gatewayCertificateId
    rateLimitCalls: rateLimitCalls
    rateLimitSeconds: rateLimitSeconds
    maxRequestBytes: maxRequestBytes
    additionalMethods: additionalMethods
  }
}

module apimDirect 'modules/apim-direct.bicep' = if (isDirect) {
  name: 'apim-direct'
  scope: resourceGroup(empty(existingApimName) ? resourceGroup().name : existingApimResourceGroup)
  params: {
    apimName: apimName
    upstreamUrl: upstreamUrl
    checkUrl: 'https://${functionApp.outputs.hostName}${empty(routePrefix) ? '' : '/${routePrefix}'}${additionalSettings.?AUTH_PREFIX ?? '/oauth'}/check'
    checkClientId: checkClientId
    gatewayCertificateId: gatewayCertificateId
    webSocketPaths: webSocketPaths
    directPaths: directPaths
  }
  dependsOn: [apimApi] // its named values
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  name: 'private-endpoints'
  params: {
    location: location
    tags: tags
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
    storageId: storage.outputs.id
    cosmosId: cosmos.outputs.id
    keyVaultId: keyVault.outputs.id
    functionAppId: functionApp.outputs.id
  }
}

module roleAssignments 'modules/role-assignments.bicep' = {
  name: 'role-assignments'
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    cosmosName: cosmos.outputs.name
    cosmosDatabaseName: cosmos.outputs.databaseName
    cosmosContainerName: cosmos.outputs.containerName
    keyVaultName: keyVault.outputs.name
    componentName: monitoring.outputs.componentName
    signsClientAssertions: clientAuthMethod == 'private_key_jwt'
    deployerPrincipalId: deployerPrincipalId
    deployerPrincipalType: deployerPrincipalType
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: { location: location, tags: tags, workspaceId: monitoring.outputs.workspaceId }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    cosmosId: cosmos.outputs.id
    email: alertEmail
  }
}

@description('Where people go.')
output PUBLIC_BASE_URL string = publicBaseUrl

@description('The vault, for the scripts that create and rotate keys.')
output KEY_VAULT_NAME string = keyVault.outputs.name

@description('The Function App, for azd deploy.')
output FUNCTION_APP_NAME string = functionApp.outputs.name

@description('The addresses that azd shows for the service: the Function App\'s own lets nobody in but the gateway.')
output SERVICE_HANDLER_ENDPOINTS array = [publicBaseUrl]

@description('The address to register at the provider as redirect URI.')
output REDIRECT_URI string = '${publicBaseUrl}${additionalSettings.?AUTH_PREFIX ?? '/oauth'}/callback'

@description('Object id of the handler\'s identity, the subject of a federated credential.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
