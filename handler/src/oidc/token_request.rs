//! Token request (RFC 6749 4.1.3 and 6): a form to the token endpoint, and the classification of its response.

use super::client_authentication::AuthenticatedForm;
use super::http::{Http, Response};
use super::token_request_error::TokenRequestError;
use super::{ProviderError, ProviderMetadata, RelyingParty, RelyingPartySettings, TokenError, TokenResponse};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Posts a token request, unless `may_send` returns false at the last moment: an assertion may have taken seconds.
    pub(super) async fn request_tokens(
        &self,
        http: &Http,
        form: &[(&str, &str)],
        may_send: &dyn Fn() -> bool,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<TokenResponse, TokenRequestError> {
        let form = self.authenticate(form, metadata, now).await?;
        if !may_send() {
            return Err(ProviderError::Withheld.into());
        }
        let response = http.post(metadata.token_endpoint.as_str(), form).await?;
        tokens(&response, now)
    }

    /// Adds our client authentication to a form.
    pub(super) async fn authenticate(
        &self,
        form: &[(&str, &str)],
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<AuthenticatedForm, ProviderError> {
        let RelyingPartySettings { authentication, registration, .. } = self.settings();
        Ok(authentication.authenticate(form, &registration.client_id, &metadata.token_endpoint, now).await?)
    }
}

fn tokens(response: &Response, now: Timestamp) -> Result<TokenResponse, TokenRequestError> {
    match response.status {
        // Some Providers send their errors with status 200.
        200 => TokenResponse::parse(&response.body, now)
            .map_err(|error| refusal(response).unwrap_or(TokenRequestError::Response(error))),
        // RFC 6585 4: too many requests, whatever the body says.
        429 => Err(unavailable(response, ProviderError::Status(429))),
        400..=499 => Err(refusal(response).unwrap_or(unavailable(response, ProviderError::Status(response.status)))),
        status => Err(unavailable(response, ProviderError::Status(status))),
    }
}

/// The OAuth error in a body, if any.
fn refusal(response: &Response) -> Option<TokenRequestError> {
    Some(match TokenError::parse(&response.body)? {
        later @ TokenError::Later { .. } => unavailable(response, ProviderError::Refused(later)),
        error => TokenRequestError::Refused(error),
    })
}

fn unavailable(response: &Response, error: ProviderError) -> TokenRequestError {
    TokenRequestError::Provider { error, retry_after: response.retry_after }
}
