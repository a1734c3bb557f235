//! Why the Provider gave no usable response.

use std::sync::Arc;

use super::{ClientAssertionError, DiscoveryError, JwksError, OAuthError, TokenError, TokenResponseError};

/// A failed request to the Provider. Holds nothing of a body, and can be kept and reported again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// No connection: the request was not sent.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The request was sent, but no response came in time.
    #[error("the provider does not respond")]
    NoResponse,
    /// A response came that HTTP does not let us read: cut, too large, encoded.
    #[error("the provider's response cannot be read: {0}")]
    Unreadable(&'static str),
    /// A status that means no success here.
    #[error("the provider responded with status {0}")]
    Status(u16),
    /// An error of OAuth's own.
    #[error(transparent)]
    Refused(#[from] TokenError),
    /// A success of the token endpoint that cannot be used.
    #[error(transparent)]
    TokenResponse(#[from] TokenResponseError),
    /// A response to a pushed authorization request without a usable reference.
    #[error("the provider's response to a pushed authorization request cannot be used")]
    PushedResponse,
    /// Not its metadata.
    #[error(transparent)]
    Metadata(#[from] DiscoveryError),
    /// A status that means that the metadata is elsewhere, such as that of an unknown tenant.
    #[error("the provider has no metadata there: it responded with status {0}")]
    MetadataMissing(u16),
    /// Not its keys.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// We can't say who we are; nothing was sent.
    #[error(transparent)]
    Assertion(#[from] ClientAssertionError),
    /// The caller withdrew the request at the last moment; nothing was sent.
    #[error("the request was withheld")]
    Withheld,
    /// The configuration asks for an endpoint that the Provider does not have.
    #[error("the provider has no {0}")]
    EndpointMissing(&'static str),
}

impl ProviderError {
    /// True if the Provider may have acted on the request: spent a code, rotated a refresh token. A 500 may follow the
    /// rotation's commit, 502 and 504 are a gateway's, and a success of another kind is one. RFC 9110 15.6.4: a 503 was
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

    /// True if a retry cannot succeed before an operator has mended the settings, the registration or the Provider.
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

    /// A stable name for pages and logs.
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

    /// The Provider's error response, if there was one.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        if let Self::Refused(error) = self { Some(error.error()) } else { None }
    }
}
