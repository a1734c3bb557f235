//! Error of a sign-in that the browser came back from.

use super::token_request_error::TokenRequestError;
use super::{
    AuthorizationResponseError, IdTokenError, OAuthError, ProviderError, RefusalReason, Remedy, TokenError,
    TokenResponseError, UserInfoError,
};

/// Error of a sign-in that the browser came back from.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The authorization response breaks a rule, or is an error response.
    #[error(transparent)]
    Response(#[from] AuthorizationResponseError),
    /// The token endpoint refused the code: it was used before, or is too old. Another sign-in helps.
    #[error("the provider refused the code ({error})")]
    CodeRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// The token endpoint refused our client. Every sign-in fails until an operator fixes the registration or the
    /// secret.
    #[error("the provider refused this client ({error})")]
    ClientRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// The token endpoint refused the request for another reason.
    #[error("the provider refused the token request ({error})")]
    TokenRequestRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// Unusable token response.
    #[error(transparent)]
    Tokens(#[from] TokenResponseError),
    /// Invalid ID token.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// UserInfo is enabled, and its response is unusable.
    #[error(transparent)]
    UserInfo(#[from] UserInfoError),
    /// The Provider cannot be reached or its response is unusable.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl LoginError {
    /// Stable code for pages and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if let Some(reason) = self.reason() {
            return reason.code();
        }
        match self {
            Self::Response(error) => error.code(),
            Self::CodeRefused { .. } => "code_refused",
            Self::ClientRefused { .. } => RefusalReason::Client.code(),
            Self::TokenRequestRefused { .. } => "token_request_refused",
            Self::Tokens(_) => "token_response_invalid",
            Self::IdToken(error) => error.code(),
            Self::UserInfo(error) => error.code(),
            Self::Provider(error) => error.code(),
        }
    }

    /// The reason of the refusal, if the Provider names one.
    #[must_use]
    pub fn reason(&self) -> Option<RefusalReason> {
        match self {
            Self::Response(AuthorizationResponseError::Refused { error }) => Some(error.authorization_reason()),
            Self::CodeRefused { error } => error.numbered_reason().or_else(|| interaction(error)),
            Self::ClientRefused { error } => Some(error.client_reason()),
            Self::TokenRequestRefused { error } => error.numbered_reason(),
            Self::Response(_) | Self::Tokens(_) | Self::IdToken(_) | Self::UserInfo(_) | Self::Provider(_) => None,
        }
    }

    /// True if every sign-in fails until an operator fixes something.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        match (self, self.reason()) {
            (_, Some(reason)) => reason.remedy() == Remedy::Operator,
            (Self::TokenRequestRefused { .. }, None) => true,
            (Self::Provider(error), None) => error.needs_operator(),
            (_, None) => false,
        }
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        match self {
            Self::Response(AuthorizationResponseError::Refused { error })
            | Self::CodeRefused { error }
            | Self::ClientRefused { error }
            | Self::TokenRequestRefused { error } => Some(error),
            Self::Provider(error) | Self::UserInfo(UserInfoError::Unavailable(error)) => error.oauth_error(),
            Self::Response(_) | Self::Tokens(_) | Self::IdToken(_) | Self::UserInfo(_) => None,
        }
    }
}

impl From<TokenRequestError> for LoginError {
    fn from(error: TokenRequestError) -> Self {
        match error {
            TokenRequestError::Refused(TokenError::Grant { error }) => Self::CodeRefused { error },
            TokenRequestError::Refused(TokenError::Client { error }) => Self::ClientRefused { error },
            TokenRequestError::Refused(TokenError::Other { error }) => Self::TokenRequestRefused { error },
            TokenRequestError::Refused(error @ TokenError::Later { .. }) => Self::Provider(error.into()),
            TokenRequestError::Response(error) => Self::Tokens(error),
            TokenRequestError::Provider { error, .. } => Self::Provider(error),
        }
    }
}

/// Reason of an interaction error (OIDC Core 3.1.2.6), which some Providers send at their token endpoint.
fn interaction(error: &OAuthError) -> Option<RefusalReason> {
    let asks_for_person = matches!(error.error(), "interaction_required" | "login_required" | "consent_required");
    asks_for_person.then_some(RefusalReason::Interaction)
}
