//! Token revocation (RFC 7009).

use super::{ProviderError, RefreshToken, RelyingParty, TokenError};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Revokes a refresh token, and with it the tokens issued from it (RFC 7009 2.1). `Ok` for a Provider without such
    /// an endpoint: nothing more can be done there.
    ///
    /// # Errors
    /// If the Provider does not respond, or refuses; the token may still be valid then.
    pub async fn revoke(&self, refresh_token: &RefreshToken, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(()) };
        let form = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
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
