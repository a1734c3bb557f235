//! Why a token request yields no tokens. Apart from the request, so that errors name no relying party.

use std::time::Duration;

use super::{ProviderError, TokenError, TokenResponseError};

/// Why a token request yields no tokens.
#[derive(Debug)]
pub(super) enum TokenRequestError {
    /// An OAuth error.
    Refused(TokenError),
    /// A success that cannot be used.
    Response(TokenResponseError),
    /// No usable response.
    Provider { error: ProviderError, retry_after: Option<Duration> },
}

impl From<ProviderError> for TokenRequestError {
    fn from(error: ProviderError) -> Self {
        Self::Provider { error, retry_after: None }
    }
}
