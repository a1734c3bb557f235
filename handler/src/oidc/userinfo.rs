//! UserInfo: claims of the person beyond the ID token (OIDC Core 5.3).

use super::http::Http;
use super::jwt::{self, JwtError};
use super::provider_cache::RefetchCause;
use super::{AccessToken, Claims, ProviderError, ProviderMetadata, RelyingParty, UserInfoError, json};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Requests UserInfo of `subject`. A signed response is verified like an ID token of this Provider.
    pub(super) async fn userinfo(
        &self,
        http: &Http,
        subject: &str,
        access_token: &AccessToken,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Claims, UserInfoError> {
        let endpoint = metadata.userinfo_endpoint.as_ref();
        let endpoint =
            endpoint.ok_or(UserInfoError::Unavailable(ProviderError::EndpointMissing("userinfo_endpoint")))?;
        let response = http.get(endpoint.as_str(), Some(access_token.expose())).await;
        let body = response.and_then(|response| response.ok()).map_err(UserInfoError::Unavailable)?;
        let claims = match signed(&body) {
            Some(token) => self.verify_userinfo(token, metadata, now).await?,
            None => Claims::new(json::parse(&body).map_err(|_| UserInfoError::Malformed)?),
        };
        check_subject(&claims, subject)?;
        Ok(claims)
    }

    /// Verifies a signed response (OIDC Core 5.3.2). Issuer and audience are checked if present: the connection
    /// authenticates a response without them, as it does for plain JSON.
    async fn verify_userinfo(
        &self,
        token: &str,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Claims, UserInfoError> {
        let verified = self.issuer.verify_with_current_keys(token, None, RefetchCause::Response, metadata, now).await;
        let claims = verified.map_err(UserInfoError::Unavailable)?.map_err(refused)?.claims;
        let has = |name| jwt::given(&claims, name).is_some();
        let settings = self.settings();
        if has("iss") {
            jwt::check_issuer(&claims, &settings.issuer).map_err(refused)?;
        }
        if has("aud") {
            jwt::check_audience(&claims, &settings.registration.client_id).map_err(refused)?;
        }
        if has("exp") {
            jwt::check_expiry(&claims, now).map_err(refused)?;
        }
        Ok(claims)
    }
}

/// The body, if it is a token: it begins with no brace. Providers that sign use more than one content type.
fn signed(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (text.split('.').count() == SIGNED_PARTS && !text.starts_with('{')).then_some(text)
}

/// Parts of a signed token (RFC 7515 7.1): header, payload and signature. An encrypted token has five.
const SIGNED_PARTS: usize = 3;

fn refused(error: JwtError) -> UserInfoError {
    match error {
        JwtError::Malformed => UserInfoError::Malformed,
        error => UserInfoError::Token(error),
    }
}

/// Checks `sub`, which is required and equal to that of the ID token (OIDC Core 5.3.2).
fn check_subject(claims: &Claims, subject: &str) -> Result<(), UserInfoError> {
    let sub = claims.text("sub").ok_or(UserInfoError::Malformed)?;
    if sub == subject { Ok(()) } else { Err(UserInfoError::Subject) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &str) -> Result<(), &'static str> {
        check_subject(&serde_json::from_str(claims).unwrap(), "ada").map_err(|error| error.code())
    }

    #[test]
    fn userinfo_of_another_subject_or_of_none_is_refused() {
        for sub in ["eve", "", "ADA", "ada "] {
            let claims = serde_json::json!({"sub": sub, "email": "ada@example.com"}).to_string();
            assert_eq!(check(&claims), Err("userinfo_subject"), "{sub}");
        }
        for claims in ["{}", r#"{"sub":1}"#, r#"{"sub":null}"#] {
            assert_eq!(check(claims), Err("userinfo_malformed"), "{claims}");
        }
        assert_eq!(check(r#"{"sub":"ada"}"#), Ok(()));
    }

    #[test]
    fn only_three_parts_without_a_brace_are_a_signed_response() {
        let table = [
            ("e30.e30.AA", true, "a token"),
            (" e30.e30.AA\r\n", true, "a token with a line end"),
            (r#"{"sub":"a.b.c"}"#, false, "an object with two dots"),
            (r#"  {"sub":"a.b.c"}"#, false, "the same behind blanks"),
            ("<html>a.b.c</html>", true, "a page with two dots: no token, and refused as one"),
            ("e30.e30.e30.e30.e30", false, "an encrypted token"),
            ("", false, "nothing"),
        ];
        for (body, expected, reason) in table {
            assert_eq!(signed(body.as_bytes()).is_some(), expected, "{reason}");
        }
    }
}
