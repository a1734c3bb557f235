// Who may do what, on one page. The handler's identity has these rights and no other.

@description('Object id of the handler\'s identity.')
param principalId string

@description('The storage account.')
param storageName string

@description('The Cosmos DB account.')
param cosmosName string

@description('Its database.')
param cosmosDatabaseName string

@description('The container of that database.')
param cosmosContainerName string

@description('The vault.')
param keyVaultName string

@description('Name of the Application Insights resource.')
param componentName string

@description('Whether the handler signs with a key of the vault.')
param signsClientAssertions bool

@description('Object id of whoever deploys; empty gives nobody the right to create keys.')
param deployerPrincipalId string

@description('Kind of that principal.')
param deployerPrincipalType string

var roles = {
  // The Functions host reads its package and keeps its locks there.
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  // The handler lists the versions of the two keys and reads them; the host reads the client secret.
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  // The handler signs client assertions with a key that never leaves the vault.
  keyVaultCryptoUser: '12338af0-0e69-4776-bea7-57ae8d297424'
  // Host and handler send telemetry.
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  // Whoever deploys creates and rotates the keys.
  keyVaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: storageName }
resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = { name: keyVaultName }
resource component 'Microsoft.Insights/components@2020-02-02' existing = { name: componentName }
resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = { name: cosmosName }

resource hostStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, principalId, roles.storageBlobDataOwner)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
  }
}

resource readKeys 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, principalId, roles.keyVaultSecretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}

resource signAssertions 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (signsClientAssertions) {
  scope: vault
  name: guid(vault.id, principalId, roles.keyVaultCryptoUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultCryptoUser)
  }
}

resource sendTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: component
  name: guid(component.id, principalId, roles.monitoringMetricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
  }
}

resource createKeys 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  scope: vault
  name: guid(vault.id, deployerPrincipalId, roles.keyVaultSecretsOfficer)
  properties: {
    principalId: deployerPrincipalId
    principalType: deployerPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsOfficer)
  }
}

// The SDK reads the account's metadata before anything else, which a role on a container may not allow.
resource readMetadata 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-04-15' = {
  parent: cosmos
  name: guid(cosmos.id, 'read-metadata')
  properties: {
    roleName: 'oauth-proxy metadata reader'
    type: 'CustomRole'
    assignableScopes: [cosmos.id]
    permissions: [{ dataActions: ['Microsoft.DocumentDB/databaseAccounts/readMetadata'] }]
  }
}

resource findContainer 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: cosmos
  name: guid(cosmos.id, principalId, 'read-metadata')
  properties: {
    principalId: principalId
    roleDefinitionId: readMetadata.id
    scope: cosmos.id
  }
}

// Cosmos DB Built-in Data Contributor, on the one container. Data-plane rights are the account's own resources.
resource keepSessions 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: cosmos
  name: guid(cosmos.id, principalId, cosmosContainerName)
  properties: {
    principalId: principalId
    roleDefinitionId: '${cosmos.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002'
    scope: '${cosmos.id}/dbs/${cosmosDatabaseName}/colls/${cosmosContainerName}'
  }
  // The account takes one change of its rights at a time.
  dependsOn: [findContainer]
}
