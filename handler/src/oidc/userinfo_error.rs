//! Why UserInfo's response is not used.

use super::ProviderError;
use super::jwt::JwtError;

/// Why UserInfo's response is not used.
#[derive(Debug, thiserror::Error)]
pub enum UserInfoError {
    /// Neither a JSON object nor a signed one, or one without a `sub`. We have no key for an encrypted one.
    #[error("UserInfo cannot be read")]
    Malformed,
    /// OIDC Core 5.3.2: the response is about someone else, and must not be used.
    #[error("UserInfo is about another subject")]
    Subject,
    /// A signed response that is not signed by the Provider, not for us, or that has expired.
    #[error("the signed UserInfo breaks a rule of all tokens")]
    Token(#[source] JwtError),
    /// No response, a refusal, or no such endpoint.
    #[error("UserInfo cannot be had")]
    Unavailable(#[source] ProviderError),
}

impl UserInfoError {
    /// A stable name for pages and logs.
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
