//! Gateway's proof by token: a signed access token of its managed identity (RFC 9068) with us as audience.
//!
//! Knows no header and no gateway's name.

use super::jwt::{self, JwtError, numeric_date};
use super::provider_cache::RefetchCause;
use super::{Claims, Issuer, ProviderError};
use crate::clock::Timestamp;

/// Verifies tokens of the identities that may act as gateway.
#[derive(Clone, Debug)]
pub struct GatewayTokenVerifier {
    /// The issuer.
    pub issuer: Issuer,
    /// The required audience (`aud`).
    pub audience: String,
    /// The accepted identities (`oid`).
    pub object_ids: Vec<String>,
}

/// Reason why a token is no proof.
#[derive(Debug, thiserror::Error)]
pub enum GatewayTokenError {
    /// Invalid token.
    #[error(transparent)]
    Invalid(#[from] JwtError),
    /// Token of another identity.
    #[error("the token is of an identity that may not speak for the gateway")]
    Identity,
    /// The keys to verify it cannot be fetched.
    #[error("the keys of the gateway's issuer cannot be had")]
    Unavailable(#[from] ProviderError),
}

impl GatewayTokenVerifier {
    /// Verifies a token and returns its expiry.
    ///
    /// # Errors
    /// See [`GatewayTokenError`].
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Timestamp, GatewayTokenError> {
        // Claims first: a token that fails them costs no signature check and no fetch of a key that it invented.
        self.check_claims(&jwt::unverified_claims(token)?, now)?;
        let metadata = self.issuer.metadata(now).await?;
        let explicit_type = Some("at+jwt"); // RFC 9068 2.1
        let claims = self
            .issuer
            .verify_with_current_keys(token, explicit_type, RefetchCause::Request, &metadata, now)
            .await??
            .claims;
        self.check_claims(&claims, now)?;
        Ok(numeric_date(&claims, "exp").unwrap_or(now))
    }

    /// Checks issuer, audience and times (RFC 9068 4), and the identity.
    fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<(), GatewayTokenError> {
        jwt::check_issuer(claims, self.issuer.name())?;
        jwt::check_audience(claims, &self.audience)?;
        jwt::check_times(claims, now)?;
        self.check_identity(claims)
    }

    fn check_identity(&self, claims: &Claims) -> Result<(), GatewayTokenError> {
        let oid = claims.text("oid").ok_or(GatewayTokenError::Identity)?;
        let is_allowed = self.object_ids.iter().any(|allowed| allowed.eq_ignore_ascii_case(oid));
        if is_allowed { Ok(()) } else { Err(GatewayTokenError::Identity) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn fixture() -> (ScriptedProvider, SigningKey, GatewayTokenVerifier) {
        let (provider, key) = ScriptedProvider::start();
        let issuer = Issuer::new(&provider.origin, Arc::default(), &no_trust());
        let issuer = issuer.with_timeout(Duration::from_millis(500));
        let object_ids = vec!["another".to_owned(), "0BB1".to_owned()];
        let verifier = GatewayTokenVerifier { issuer, audience: "api://us".to_owned(), object_ids };
        (provider, key, verifier)
    }

    fn claims(provider: &ScriptedProvider, changes: Value) -> Value {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": provider.origin, "aud": "api://us", "oid": "0bb1", "iat": now, "nbf": now, "exp": now + 300,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    #[actix_web::test]
    async fn a_token_of_an_allowed_identity_proves_the_gateway_until_it_expires() {
        let (provider, key, verifier) = fixture();

        let expires_at = verifier.verify(&key.sign(&claims(&provider, json!({}))), NOW).await.unwrap();

        assert_eq!(expires_at, NOW.plus(Duration::from_secs(300)));
        let endless = key.sign(&claims(&provider, json!({"exp": 1e300})));
        assert_eq!(verifier.verify(&endless, NOW).await.unwrap(), Timestamp::from_unix(i64::MAX));
    }

    #[actix_web::test]
    async fn a_token_that_breaks_a_rule_proves_nothing() {
        let (provider, key, verifier) = fixture();
        let past = NOW.as_unix() - 61;
        for (changes, reason) in [
            (json!({"iss": "https://evil.example"}), "another issuer"),
            (json!({"aud": "api://another"}), "meant for another"),
            (json!({"aud": null}), "meant for nobody"),
            (json!({"oid": "0bb2"}), "another identity"),
            (json!({"oid": null}), "no identity"),
            (json!({"oid": ["0bb1"]}), "an identity of another type"),
            (json!({"exp": past}), "expired"),
            (json!({"exp": null}), "without an end"),
            (json!({"nbf": NOW.as_unix() + 61}), "not yet valid"),
        ] {
            let refused = verifier.verify(&key.sign(&claims(&provider, changes)), NOW).await;

            assert!(matches!(refused, Err(GatewayTokenError::Invalid(_) | GatewayTokenError::Identity)), "{reason}");
        }
        let other = SigningKey::es256("k1").sign(&claims(&provider, json!({})));
        // Valid claims; only the header is wrong.
        let payload = claims(&provider, json!({})).to_string();
        let logout_token = key.sign_raw(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#, &payload);
        let unsigned = key.sign_raw(r#"{"alg":"none","kid":"k1"}"#, &payload);
        for token in [other, logout_token, unsigned, String::new(), "a.b.c".to_owned()] {
            assert!(matches!(verifier.verify(&token, NOW).await, Err(GatewayTokenError::Invalid(_))), "{token}");
        }
    }

    #[actix_web::test]
    async fn a_stranger_makes_the_keys_be_fetched_for_no_key_that_it_made_up() {
        let (provider, key, verifier) = fixture();
        verifier.verify(&key.sign(&claims(&provider, json!({}))), NOW).await.unwrap();
        let fetches = provider.received("/jwks_uri").len();

        for oid in [json!("0bb2"), json!(null)] {
            let made_up = SigningKey::es256("made-up").sign(&claims(&provider, json!({ "oid": oid })));
            verifier.verify(&made_up, NOW).await.unwrap_err();
        }

        assert_eq!(provider.received("/jwks_uri").len(), fetches);
    }

    #[actix_web::test]
    async fn an_access_token_may_say_that_it_is_one() {
        let (provider, key, verifier) = fixture();
        let payload = claims(&provider, json!({})).to_string();

        for typ in ["at+jwt", "JWT"] {
            let token = key.sign_raw(&format!(r#"{{"alg":"ES256","kid":"k1","typ":"{typ}"}}"#), &payload);
            assert!(verifier.verify(&token, NOW).await.is_ok(), "{typ}");
        }
    }

    #[actix_web::test]
    async fn keys_that_cannot_be_had_are_no_verdict() {
        let (provider, key, verifier) = fixture();
        provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

        let refused = verifier.verify(&key.sign(&claims(&provider, json!({}))), NOW).await;

        assert!(matches!(refused, Err(GatewayTokenError::Unavailable(_))));
    }
}
