// The application registration, with a federated credential instead of a secret: the handler's managed identity speaks for it.

extension microsoftGraphV1

param uniqueName string
param displayName string
param publicBaseUrl string
param authPrefix string
param principalId string

var prefix = '${publicBaseUrl}${authPrefix}'

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  api: { requestedAccessTokenVersion: 2 }
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
