// Values come from the azd environment: `azd env set NAME value`. docs/operations.md has the table.

using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'oauth-proxy')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')

param upstreamUrl = readEnvironmentVariable('UPSTREAM_URL')
param publicHostName = readEnvironmentVariable('PUBLIC_HOST_NAME', '')
param publisherEmail = readEnvironmentVariable('PUBLISHER_EMAIL')

param oidcIssuerUrl = readEnvironmentVariable('OIDC_ISSUER_URL', '')
param clientId = readEnvironmentVariable('CLIENT_ID', readEnvironmentVariable('ENTRA_CLIENT_ID', ''))
param accessScope = readEnvironmentVariable('ENTRA_SCOPE', '')
param additionalSettings = json(readEnvironmentVariable('ADDITIONAL_SETTINGS', '{}'))
param clientAuthMethod = readEnvironmentVariable('CLIENT_AUTH_METHOD', 'managed_identity')

param existingApimName = readEnvironmentVariable('APIM_NAME', '')
param existingApimResourceGroup = readEnvironmentVariable(
  'APIM_RESOURCE_GROUP',
  readEnvironmentVariable('AZURE_RESOURCE_GROUP', '')
)
param apimSku = empty(readEnvironmentVariable('APIM_SKU', ''))
  ? (bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false')) ? 'StandardV2' : 'BasicV2')
  : readEnvironmentVariable('APIM_SKU', '')
param rateLimitCalls = int(readEnvironmentVariable('RATE_LIMIT_CALLS', '60000'))
param additionalMethods = json(readEnvironmentVariable('ADDITIONAL_METHODS', '[]'))
param gatewayTokenResource = readEnvironmentVariable('GATEWAY_TOKEN_RESOURCE', '')
param gatewayTokenAudience = readEnvironmentVariable('GATEWAY_TOKEN_AUDIENCE', '')
param gatewayTokenIssuer = readEnvironmentVariable('GATEWAY_TOKEN_ISSUER', '')
param gatewayCertificateId = readEnvironmentVariable('GATEWAY_CERTIFICATE_ID', '')
param gatewayCertificateFingerprint = readEnvironmentVariable('GATEWAY_CERTIFICATE_FINGERPRINT', '')
param webSocketPaths = empty(readEnvironmentVariable('WEBSOCKET_PATHS', ''))
  ? []
  : split(readEnvironmentVariable('WEBSOCKET_PATHS', ''), ',')
param directPaths = empty(readEnvironmentVariable('DIRECT_PATHS', ''))
  ? []
  : split(readEnvironmentVariable('DIRECT_PATHS', ''), ',')
param gatewayCheckIdentityId = readEnvironmentVariable('GATEWAY_CHECK_IDENTITY_ID', '')
param publicCertificateId = readEnvironmentVariable('PUBLIC_CERTIFICATE_ID', '')

param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param addressSpace = readEnvironmentVariable('ADDRESS_SPACE', '10.90.0.0/22')
param purgeProtection = bool(readEnvironmentVariable('PURGE_PROTECTION', 'true'))
param alwaysReadyInstances = int(readEnvironmentVariable('ALWAYS_READY_INSTANCES', '1'))
param cosmosThroughput = readEnvironmentVariable('COSMOS_THROUGHPUT', 'serverless')
param zoneRedundant = bool(readEnvironmentVariable('ZONE_REDUNDANT', 'false'))
param logRetentionDays = int(readEnvironmentVariable('LOG_RETENTION_DAYS', '30'))
param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')

param deployerPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
