//! Error of a UserInfo request.

use super::ProviderError;
use super::jwt::JwtError;

/// Error of a UserInfo request.
#[derive(Debug, thiserror::Error)]
pub enum UserInfoError {
    /// Neither a JSON object nor a signed one, or one without a `sub`. We have no key for an encrypted one.
    #[error("UserInfo cannot be read")]
    Malformed,
    /// A response about another person, which must not be used (OIDC Core 5.3.2).
    #[error("UserInfo is about another subject")]
    Subject,
    /// A signed response with an invalid signature, audience or time.
    #[error("the signed UserInfo breaks a rule of all tokens")]
    Token(#[source] JwtError),
    /// No response, an error status, or no such endpoint.
    #[error("UserInfo cannot be had")]
    Unavailable(#[source] ProviderError),
}

impl UserInfoError {
    /// Stable code for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "userinfo_malformed",
            Self::Subject => "userinfo_subject",
            Self::Token(_) => "userinfo_invalid",
            Self::Unavailable(_) => "userinfo_unavailable",
        }
    }
}
