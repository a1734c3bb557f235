//! Error of a request to the Provider.

use std::sync::Arc;

use super::{ClientAssertionError, DiscoveryError, JwksError, OAuthError, TokenError, TokenResponseError};

/// Failed request to the Provider. Contains nothing of a body, and can be cloned and reported again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// No connection: nothing was sent.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The request was sent, but no response came before the timeout.
    #[error("the provider does not respond")]
    NoResponse,
    /// Unreadable response: cut, too large, or in an unknown encoding.
    #[error("the provider's response cannot be read: {0}")]
    Unreadable(&'static str),
    /// Unexpected status.
    #[error("the provider responded with status {0}")]
    Status(u16),
    /// OAuth error response.
    #[error(transparent)]
    Refused(#[from] TokenError),
    /// Unusable token response.
    #[error(transparent)]
    TokenResponse(#[from] TokenResponseError),
    /// A response to a pushed authorization request without a usable reference.
    #[error("the provider's response to a pushed authorization request cannot be used")]
    PushedResponse,
    /// Invalid metadata.
    #[error(transparent)]
    Metadata(#[from] DiscoveryError),
    /// Status of a wrong metadata URL, such as that of an unknown tenant.
    #[error("the provider has no metadata there: it responded with status {0}")]
    MetadataMissing(u16),
    /// Invalid keys.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// No client assertion; nothing was sent.
    #[error(transparent)]
    Assertion(#[from] ClientAssertionError),
    /// Cancelled by the caller before anything was sent.
    #[error("the request was withheld")]
    Withheld,
    /// The configuration needs an endpoint that the Provider does not have.
    #[error("the provider has no {0}")]
    EndpointMissing(&'static str),
}

impl ProviderError {
    /// True if the Provider may have acted on the request: used a code, rotated a refresh token. A 500 may follow the
    /// rotation's commit, 502 and 504 are a gateway's, and another 2xx is a success. RFC 9110 15.6.4: a 503 was
    /// not handled.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        match self {
            Self::NoResponse
            | Self::Unreadable(_)
            | Self::TokenResponse(_)
            | Self::Status(..=299 | 500..=502 | 504..) => true,
            Self::Unreachable(_)
            | Self::Status(_)
            | Self::Refused(_)
            | Self::PushedResponse
            | Self::Metadata(_)
            | Self::MetadataMissing(_)
            | Self::Keys(_)
            | Self::Assertion(_)
            | Self::Withheld
            | Self::EndpointMissing(_) => false,
        }
    }

    /// True if retries fail until an operator fixes the settings, the registration or the Provider.
    #[must_use]
    pub const fn needs_operator(&self) -> bool {
        match self {
            Self::Metadata(_)
            | Self::EndpointMissing(_)
            | Self::MetadataMissing(_)
            | Self::PushedResponse
            | Self::Refused(TokenError::Client { .. } | TokenError::Grant { .. } | TokenError::Other { .. }) => true,
            Self::Unreachable(_)
            | Self::NoResponse
            | Self::Unreadable(_)
            | Self::Status(_)
            | Self::Refused(TokenError::Later { .. })
            | Self::TokenResponse(_)
            | Self::Keys(_)
            | Self::Assertion(_)
            | Self::Withheld => false,
        }
    }

    /// Stable code for pages and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            // A sign-in that cannot begin: the pushed authorization request was refused (RFC 9126 2.3).
            Self::Refused(TokenError::Client { error }) => error.client_reason().code(),
            Self::Refused(TokenError::Grant { .. } | TokenError::Other { .. }) => "authorization_request_refused",
            Self::PushedResponse => "pushed_response_invalid",
            _ if self.needs_operator() => "provider_misconfigured",
            _ => "provider_unavailable",
        }
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        if let Self::Refused(error) = self { Some(error.error()) } else { None }
    }
}
