// What API Management does with a request: every method of every path goes to the handler, by the policy beside this folder.

@description('Name of the API Management service.')
param apimName string

@description('Host name of the Function App.')
param functionAppHostName string

@description('The path below which the Functions host has its functions; empty for none.')
param routePrefix string

@description('The Function App.')
param functionAppId string

@description('What the gateway asks its token for.')
param gatewayTokenResource string

@description('The certificate that it shows to the Function App; empty for none.')
param gatewayCertificateId string

@description('Requests that one client address may send in a period.')
param rateLimitCalls int

@description('The period, in seconds.')
param rateLimitSeconds int

@description('Largest request that announces its length, in bytes.')
param maxRequestBytes int

@description('Methods of the application besides the common ones.')
param additionalMethods array

// One operation each: the v2 tiers have none for all methods.
var methods = union(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], additionalMethods)
var values = {
  'oauth-proxy-token-resource': gatewayTokenResource
  'oauth-proxy-rate-limit-calls': string(rateLimitCalls)
  'oauth-proxy-rate-limit-seconds': string(rateLimitSeconds)
  'oauth-proxy-max-request-bytes': string(maxRequestBytes)
}

resource apim 'Microsoft.ApiManagement/service@2024-05-01' existing = { name: apimName }

resource namedValues 'Microsoft.ApiManagement/service/namedValues@2024-05-01' = [
  for value in items(values): {
    parent: apim
    name: value.key
    properties: { displayName: value.key, value: value.value }
  }
]

resource backend 'Microsoft.ApiManagement/service/backends@2024-05-01' = {
  parent: apim
  name: 'oauth-proxy'
  properties: {
    protocol: 'http'
    // Below it are the functions alone: what the host and the platform respond to themselves is not published.
    url: 'https://${functionAppHostName}${empty(routePrefix) ? '' : '/${routePrefix}'}'
    resourceId: uri(environment().resourceManager, functionAppId)
    credentials: empty(gatewayCertificateId) ? null : { certificateIds: [gatewayCertificateId] }
    tls: { validateCertificateChain: true, validateCertificateName: true }
  }
}

resource api 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: apim
  name: 'oauth-proxy'
  properties: {
    displayName: 'oauth-proxy'
    path: ''
    protocols: ['https']
    apiType: 'http'
    type: 'http'
    subscriptionRequired: false
  }
}

@batchSize(1)
resource operations 'Microsoft.ApiManagement/service/apis/operations@2024-05-01' = [
  for method in methods: {
    parent: api
    name: toLower(method)
    properties: { displayName: '${method} /*', method: method, urlTemplate: '/*' }
  }
]

resource policy 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = {
  parent: api
  name: 'policy'
  properties: { format: 'xml', value: loadTextContent('../apim-policy.xml') }
  // After the operations: API Management refuses two writes of one API at a time.
  dependsOn: [backend, namedValues, operations]
}
