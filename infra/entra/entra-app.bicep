// The application registration, with a federated credential instead of a secret: the handler's managed identity speaks for it.

extension microsoftGraphV1

@description('What Microsoft Graph knows the application by.')
param uniqueName string

@description('What people see at sign-in.')
param displayName string

@description('The origin that browsers see.')
param publicBaseUrl string

@description('Prefix of the handler\'s own URLs.')
param authPrefix string

@description('Object id of the handler\'s identity.')
param principalId string

var audience = 'api://${tenant().tenantId}/${uniqueName}'
var prefix = '${publicBaseUrl}${authPrefix}'

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  identifierUris: [audience]
  // A scope of its own, so that the access token is the application's and not Microsoft Graph's.
  api: {
    requestedAccessTokenVersion: 2
    oauth2PermissionScopes: [
      {
        id: guid(uniqueName, 'access')
        value: 'access'
        type: 'User'
        isEnabled: true
        adminConsentDisplayName: 'Use ${displayName}'
        adminConsentDescription: 'Lets the application act for whoever is signed in.'
        userConsentDisplayName: 'Use ${displayName}'
        userConsentDescription: 'Lets the application act for you.'
      }
    ]
  }
  // An ID token names the sign-in at the provider (sid), so that front-channel logout finds the session.
  optionalClaims: { idToken: [{ name: 'sid', essential: false }, { name: 'email', essential: false }] }
  web: {
    redirectUris: ['${prefix}/callback', '${prefix}/signedout']
    logoutUrl: '${prefix}/frontchannel-logout'
    implicitGrantSettings: { enableAccessTokenIssuance: false, enableIdTokenIssuance: false }
  }

  resource federation 'federatedIdentityCredentials@v1.0' = {
    name: '${application.uniqueName}/handler'
    audiences: ['api://AzureADTokenExchange']
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: principalId
  }
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = application.appId
// By the client id: Entra refuses a token that an application requests for itself by any other name (AADSTS90009).
output scope string = '${application.appId}/access'
