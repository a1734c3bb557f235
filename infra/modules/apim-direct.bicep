// Paths whose requests API Management takes to the application itself, once the handler has checked them: WebSockets, and
// bodies and responses that the Functions host would end.

@description('Name of the API Management service.')
param apimName string

@description('Where the application is, for the gateway.')
param upstreamUrl string

@description('The handler\'s address for the gateway\'s questions.')
param checkUrl string

@description('Client id of the identity that asks them.')
param checkClientId string

@description('The certificate that the gateway shows to the Function App; empty for none.')
param gatewayCertificateId string

@description('First segments of the paths of WebSockets.')
param webSocketPaths string[]

@description('First segments of the paths of large or slow requests.')
param directPaths string[]

// One operation each: the v2 tiers have none for all methods.
var methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
var operations = flatten(map(directPaths, path => map(methods, method => { path: path, method: method })))
// Without the slash that it may end with.
var baseUrl = replace(replace('${upstreamUrl}\n', '/\n', ''), '\n', '')
var certificate = empty(gatewayCertificateId)
  ? ''
  : '<authentication-certificate certificate-id="${last(split(gatewayCertificateId, '/'))}" />'
var values = {
  'oauth-proxy-check-url': checkUrl
  'oauth-proxy-check-client-id': checkClientId
}

resource apim 'Microsoft.ApiManagement/service@2024-05-01' existing = { name: apimName }

resource namedValues 'Microsoft.ApiManagement/service/namedValues@2024-05-01' = [
  for value in items(values): {
    parent: apim
    name: value.key
    properties: { displayName: value.key, value: value.value }
  }
]

resource fragment 'Microsoft.ApiManagement/service/policyFragments@2024-05-01' = {
  parent: apim
  name: 'oauth-proxy-check'
  properties: {
    format: 'xml'
    value: replace(loadTextContent('../apim-check-fragment.xml'), '<!-- certificate -->', certificate)
  }
  dependsOn: [namedValues]
}

resource webSocketApis 'Microsoft.ApiManagement/service/apis@2024-05-01' = [
  for path in webSocketPaths: {
    parent: apim
    name: 'oauth-proxy-ws-${path}'
    properties: {
      displayName: 'oauth-proxy sockets of /${path}'
      path: path
      protocols: ['wss']
      apiType: 'websocket'
      type: 'websocket'
      serviceUrl: 'ws${substring(baseUrl, 4)}/${path}'
      subscriptionRequired: false
    }
  }
]

// API Management makes this operation itself; no other carries a policy.
resource handshakes 'Microsoft.ApiManagement/service/apis/operations@2024-05-01' existing = [
  for (path, at) in webSocketPaths: { parent: webSocketApis[at], name: 'onHandshake' }
]

resource webSocketPolicies 'Microsoft.ApiManagement/service/apis/operations/policies@2024-05-01' = [
  for (path, at) in webSocketPaths: {
    parent: handshakes[at]
    name: 'policy'
    properties: { format: 'xml', value: loadTextContent('../apim-websocket-policy.xml') }
    dependsOn: [fragment]
  }
]

resource directApis 'Microsoft.ApiManagement/service/apis@2024-05-01' = [
  for path in directPaths: {
    parent: apim
    name: 'oauth-proxy-direct-${path}'
    properties: {
      displayName: 'oauth-proxy large and slow requests of /${path}'
      path: path
      protocols: ['https']
      apiType: 'http'
      type: 'http'
      serviceUrl: '${baseUrl}/${path}'
      subscriptionRequired: false
    }
  }
]

@batchSize(1)
resource directOperations 'Microsoft.ApiManagement/service/apis/operations@2024-05-01' = [
  for operation in operations: {
    name: '${apimName}/oauth-proxy-direct-${operation.path}/${toLower(operation.method)}'
    properties: { displayName: '${operation.method} /*', method: operation.method, urlTemplate: '/*' }
    dependsOn: [directApis]
  }
]

resource directPolicies 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = [
  for (path, at) in directPaths: {
    parent: directApis[at]
    name: 'policy'
    properties: { format: 'xml', value: loadTextContent('../apim-direct-policy.xml') }
    dependsOn: [fragment]
  }
]
