//! UserInfo: claims of the person beyond the ID token (OIDC Core 5.3).

use serde_json::{Map, Value};

use super::http::Http;
use super::{AccessToken, Claims, ProviderError, ProviderMetadata};

/// Why UserInfo's response is not used.
#[derive(Debug, thiserror::Error)]
pub enum UserInfoError {
    /// No JSON object with a `sub` (a signed or encrypted response isn't one either; we never ask for it).
    #[error("UserInfo cannot be read")]
    Malformed,
    /// OIDC Core 5.3.2: the response is about someone else, and must not be used.
    #[error("UserInfo is about another subject")]
    Subject,
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
            Self::Unavailable(_) => "userinfo_unavailable",
        }
    }
}

/// Requests UserInfo of `subject`.
pub(super) async fn request_userinfo(
    http: &Http,
    subject: &str,
    access_token: &AccessToken,
    metadata: &ProviderMetadata,
) -> Result<Claims, UserInfoError> {
    let endpoint = metadata.userinfo_endpoint.as_ref();
    let endpoint = endpoint.ok_or(UserInfoError::Unavailable(ProviderError::EndpointMissing("userinfo_endpoint")))?;
    let response = http.get(endpoint.as_str(), Some(access_token.expose())).await;
    let body = response.and_then(|response| response.ok()).map_err(UserInfoError::Unavailable)?;
    parse(&body, subject)
}

fn parse(body: &[u8], subject: &str) -> Result<Claims, UserInfoError> {
    let claims: Map<String, Value> = serde_json::from_slice(body).map_err(|_| UserInfoError::Malformed)?;
    let sub = claims.get("sub").and_then(Value::as_str).ok_or(UserInfoError::Malformed)?;
    if sub == subject { Ok(Claims::new(claims)) } else { Err(UserInfoError::Subject) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_of_another_subject_is_refused() {
        for sub in ["eve", "", "ADA", "ada "] {
            let body = serde_json::json!({"sub": sub, "email": "ada@example.com"}).to_string();
            assert!(matches!(parse(body.as_bytes(), "ada"), Err(UserInfoError::Subject)), "{sub}");
        }
    }

    #[test]
    fn what_is_no_object_with_a_subject_is_refused() {
        for body in ["", "<html>", "[]", "\"ada\"", "{}", r#"{"sub":1}"#, r#"{"sub":null}"#, "eyJ.eyJ.sig"] {
            assert!(matches!(parse(body.as_bytes(), "ada"), Err(UserInfoError::Malformed)), "{body}");
        }
    }
}
