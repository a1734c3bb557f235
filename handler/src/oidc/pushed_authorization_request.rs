//! Pushed authorization request (RFC 9126): its parameters go to the Provider directly, a reference to them through
//! the browser.

use serde::Deserialize;

use super::{AuthorizationRequest, ProviderError, ProviderMetadata, RelyingParty, TokenError};
use crate::clock::Timestamp;

/// Response body (RFC 9126 2.2). `expires_in` is ignored: the browser follows at once.
#[derive(Deserialize)]
struct Body {
    request_uri: String,
}

/// Maximum length of a reference; intermediaries refuse longer URLs.
const MAX_REQUEST_URI_LENGTH: usize = 2 * 1024;

impl RelyingParty {
    /// Pushes a request, and returns the request by reference for the browser.
    pub(super) async fn push(
        &self,
        request: AuthorizationRequest,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, ProviderError> {
        let missing = ProviderError::EndpointMissing("pushed_authorization_request_endpoint");
        let endpoint = metadata.pushed_authorization_request_endpoint.as_ref().ok_or(missing)?;
        let settings = self.settings();
        // RFC 9126 2.1: client authentication as at the token endpoint; `client_id` is there once.
        let is_ours = |name: &str| name == "client_id" && settings.authentication.adds_client_id();
        let form: Vec<_> = request.parameters().filter(|(name, _)| !is_ours(name)).collect();
        let form = self.authenticate(&form, metadata, now).await?;
        let response = self.connections.sign_in.post(endpoint.as_str(), form).await?;
        match response.status {
            // 201 by RFC 9126 2.2; some Providers respond 200.
            200 | 201 => {
                let request_uri = request_uri(&response.body).ok_or(ProviderError::PushedResponse)?;
                Ok(request.by_reference(&request_uri, &settings.registration.client_id, metadata))
            }
            429 => Err(ProviderError::Status(429)),
            status @ 400..=499 => {
                Err(TokenError::parse(&response.body).map_or(ProviderError::Status(status), ProviderError::Refused))
            }
            status => Err(ProviderError::Status(status)),
        }
    }
}

fn request_uri(body: &[u8]) -> Option<String> {
    let Body { request_uri } = serde_json::from_slice(body).ok()?;
    let is_usable = (1..=MAX_REQUEST_URI_LENGTH).contains(&request_uri.len())
        && request_uri.bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then_some(request_uri)
}
