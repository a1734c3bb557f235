//! Why a sign-in did not finish.

use super::token_request_error::TokenRequestError;
use super::{AuthorizationResponseError, IdTokenError, ProviderError, TokenError, TokenResponseError, UserInfoError};

/// Why a sign-in did not finish.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The authorization response breaks a rule, or is a refusal.
    #[error(transparent)]
    Response(#[from] AuthorizationResponseError),
    /// The token endpoint refused the code: it was used before, or is too old. Another sign-in helps.
    #[error("the provider refused the code")]
    CodeRefused,
    /// The token endpoint refused us. No sign-in works until an operator has mended the registration or the secret.
    #[error("the provider refused this client ({error})")]
    ClientRefused {
        /// The Provider's error code.
        error: String,
    },
    /// The token endpoint refused the request for another reason.
    #[error("the provider refused the token request ({error})")]
    TokenRequestRefused {
        /// The Provider's error code.
        error: String,
    },
    /// The token response cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenResponseError),
    /// The ID token breaks a rule.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// UserInfo was asked for by setting, and cannot be used.
    #[error(transparent)]
    UserInfo(#[from] UserInfoError),
    /// The Provider is not there.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl LoginError {
    /// A stable name for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Response(error) => error.code(),
            Self::CodeRefused => "code_refused",
            Self::ClientRefused { .. } => "client_refused",
            Self::TokenRequestRefused { .. } => "token_request_refused",
            Self::Tokens(_) => "token_response_invalid",
            Self::IdToken(error) => error.code(),
            Self::UserInfo(error) => error.code(),
            Self::Provider(_) => "provider_unavailable",
        }
    }
}

impl From<TokenRequestError> for LoginError {
    fn from(error: TokenRequestError) -> Self {
        match error {
            TokenRequestError::Refused(TokenError::Grant { .. }) => Self::CodeRefused,
            TokenRequestError::Refused(TokenError::Client { error }) => Self::ClientRefused { error },
            TokenRequestError::Refused(TokenError::Other { error }) => Self::TokenRequestRefused { error },
            TokenRequestError::Refused(error @ TokenError::Later { .. }) => Self::Provider(error.into()),
            TokenRequestError::Response(error) => Self::Tokens(error),
            TokenRequestError::Provider { error, .. } => Self::Provider(error),
        }
    }
}
