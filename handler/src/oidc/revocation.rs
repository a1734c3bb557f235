//! Token revocation (RFC 7009).

use super::{ProviderError, RefreshToken, RelyingParty, TokenError};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Revokes a refresh token, and with it what the Provider issued by it (RFC 7009 2.1). A Provider without
    /// such an endpoint is no error: nothing more can be done there.
    ///
    /// # Errors
    /// When the Provider gives no response, or refuses; the token may then live on.
    pub async fn revoke(&self, refresh_token: &RefreshToken, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(()) };
        let form = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
        let form = self.authenticate(&form, &metadata, now).await?;
        let response = self.connections.revocation.post(endpoint.as_str(), form).await?;
        match response.status {
            // RFC 7009 2.2: 200 for a token that was not known, too. Some say it with 204.
            200 | 204 => Ok(()),
            status => {
                Err(TokenError::parse(&response.body).map_or(ProviderError::Status(status), ProviderError::Refused))
            }
        }
    }
}
