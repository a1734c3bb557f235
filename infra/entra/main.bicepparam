// Values come from the azd environment: `azd env set NAME value`. docs/operations.md has the table.

using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'oauth-proxy')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param createEntraApp = bool(readEnvironmentVariable('CREATE_ENTRA_APP', 'true'))
param publicHostName = readEnvironmentVariable('PUBLIC_HOST_NAME', '')
// The handler's own setting, so that the registered addresses are those that it serves.
param authPrefix = json(readEnvironmentVariable('ADDITIONAL_SETTINGS', '{}')).?AUTH_PREFIX ?? '/oauth'
