// The network, when nothing but API Management may be reached from outside.

@description('Its name.')
param name string

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('Address space, a /22 or larger.')
param addressSpace string

resource gatewaySecurity 'Microsoft.Network/networkSecurityGroups@2024-07-01' = {
  name: '${name}-gateway'
  location: location
  tags: tags
  properties: {}
}

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: [
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 24, 0)
          privateEndpointNetworkPolicies: 'Disabled'
          defaultOutboundAccess: false
        }
      }
      {
        name: 'functions'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 24, 1)
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'gateway'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 24, 2)
          networkSecurityGroup: { id: gatewaySecurity.id }
          delegations: [{ name: 'apim', properties: { serviceName: 'Microsoft.Web/serverFarms' } }]
        }
      }
    ]
  }

  resource endpoints 'subnets' existing = { name: 'endpoints' }
  resource functions 'subnets' existing = { name: 'functions' }
  resource gateway 'subnets' existing = { name: 'gateway' }
}

output id string = network.id
output endpointSubnetId string = network::endpoints.id
output functionSubnetId string = network::functions.id
output gatewaySubnetId string = network::gateway.id
