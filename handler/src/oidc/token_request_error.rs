//! Error of a token request, in a file of its own so that errors depend on no relying party.

use std::time::Duration;

use super::{ProviderError, TokenError, TokenResponseError};

/// Error of a token request.
#[derive(Debug)]
pub(super) enum TokenRequestError {
    /// An OAuth error.
    Refused(TokenError),
    /// Unusable success.
    Response(TokenResponseError),
    /// No usable response.
    Provider { error: ProviderError, retry_after: Option<Duration> },
}

impl From<ProviderError> for TokenRequestError {
    fn from(error: ProviderError) -> Self {
        Self::Provider { error, retry_after: None }
    }
}
