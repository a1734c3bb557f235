//! Token revocation (RFC 7009).

use super::{AccessToken, ProviderError, RefreshToken, RelyingParty, TokenError};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Revokes a refresh token, and with it the tokens issued from it (RFC 7009 2.1). `Ok` for a Provider without such
    /// an endpoint: nothing more can be done there.
    ///
    /// # Errors
    /// If the Provider does not respond, or refuses; the token may still be valid then.
    pub async fn revoke(&self, refresh_token: &RefreshToken, now: Timestamp) -> Result<(), ProviderError> {
        self.revoke_token(refresh_token.expose(), "refresh_token", now).await
    }

    /// Revokes an access token. `Ok` also for a Provider that revokes none (RFC 7009 2.2.1): it lapses by itself.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub async fn revoke_access_token(&self, access_token: &AccessToken, now: Timestamp) -> Result<(), ProviderError> {
        match self.revoke_token(access_token.expose(), "access_token", now).await {
            Err(error) if error.oauth_error().is_some_and(|error| error.error() == "unsupported_token_type") => Ok(()),
            revoked => revoked,
        }
    }

    async fn revoke_token(&self, token: &str, hint: &str, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(()) };
        let form = [("token", token), ("token_type_hint", hint)];
        let form = self.authenticate(&form, &metadata, now).await?;
        let response = self.connections.revocation.post(endpoint.as_str(), form).await?;
        match response.status {
            // RFC 7009 2.2: 200 for an unknown token, too. Some Providers send 204.
            200 | 204 => Ok(()),
            status => {
                Err(TokenError::parse(&response.body).map_or(ProviderError::Status(status), ProviderError::Refused))
            }
        }
    }
}
