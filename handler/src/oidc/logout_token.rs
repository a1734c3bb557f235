//! Logout token validation (OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6).

use std::time::Duration;

use serde_json::Value;

use super::jwt::{self, JwtError, numeric_date};
use super::provider_cache::RefetchCause;
use super::{Claims, ProviderError, RelyingParty};
use crate::clock::Timestamp;

/// Event type of a back-channel logout.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Maximum age of a logout token: a Provider sends it at once and retries for a while.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Reason why a logout token is refused.
#[derive(Debug, thiserror::Error)]
pub enum LogoutTokenError {
    /// A rule shared with ID and gateway tokens.
    #[error("the logout token breaks a rule of all tokens")]
    Token(#[from] JwtError),
    /// `events` names no back-channel logout.
    #[error("the token tells of no logout")]
    Event,
    /// A `nonce` is present: it may be an ID token.
    #[error("the logout token has a nonce")]
    Nonce,
    /// Neither `sid` nor `sub`.
    #[error("the logout token names neither a session nor a person")]
    Subject,
    /// No `jti`.
    #[error("the logout token has no identifier")]
    Identifier,
    /// The keys to verify it can't be fetched.
    #[error(transparent)]
    Unavailable(#[from] ProviderError),
}

/// A verified logout token.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// Identifier of the session at the Provider.
    pub sid: Option<String>,
    /// Identifier of the person.
    pub sub: Option<String>,
    /// Identifier of this token; it is accepted once.
    pub jti: String,
    /// End of replay protection for this token.
    pub expires_at: Timestamp,
}

impl RelyingParty {
    /// Verifies a logout token of the Provider. Replay is not checked here.
    ///
    /// # Errors
    /// See [`LogoutTokenError`].
    pub async fn verify_logout_token(&self, token: &str, now: Timestamp) -> Result<LogoutToken, LogoutTokenError> {
        // Claims first: a token that fails them costs no signature check and no fetch of a key that it invented.
        self.check_logout_claims(&jwt::unverified_claims(token)?, now)?;
        let metadata = self.issuer.metadata(now).await?;
        let explicit_type = Some("logout+jwt"); // 2.4
        let verified = self.verify_for_client(token, explicit_type, RefetchCause::Request, &metadata, now).await??; // 2.6: 1-3
        self.check_logout_claims(&verified.claims, now)
    }

    fn check_logout_claims(&self, claims: &Claims, now: Timestamp) -> Result<LogoutToken, LogoutTokenError> {
        let settings = self.settings();
        jwt::check_issuer(claims, &settings.issuer)?; // 4
        jwt::check_trusted_audience(claims, &settings.registration.client_id, &settings.trusted_audiences)?;
        jwt::check_times(claims, now)?;
        let issued_at = numeric_date(claims, "iat").unwrap_or(now);
        if now > issued_at.plus(MAX_AGE) {
            return Err(JwtError::Expired.into()); // 2.6: an old token is a replayed one
        }
        let (sid, sub) = (named(claims, "sid"), named(claims, "sub"));
        if sid.is_none() && sub.is_none() {
            return Err(LogoutTokenError::Subject); // 5
        }
        let event = claims.as_map().get("events").and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(LogoutTokenError::Event); // 6
        }
        if claims.as_map().contains_key("nonce") {
            return Err(LogoutTokenError::Nonce); // 7
        }
        let jti = named(claims, "jti").ok_or(LogoutTokenError::Identifier)?;
        Ok(LogoutToken { sid, sub, jti, expires_at: issued_at.plus(MAX_AGE + MAX_AGE) })
    }
}

fn named(claims: &Claims, name: &str) -> Option<String> {
    claims.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl std::fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogoutToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::oidc::ClientAuthentication;
    use crate::oidc::relying_party::tests::party;
    use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn fixture() -> (ScriptedProvider, SigningKey, RelyingParty) {
        let (provider, key) = ScriptedProvider::start();
        let party = party(&provider.origin, ClientAuthentication::None, false, &Arc::default());
        (provider, key, party)
    }

    fn claims(provider: &ScriptedProvider, changes: Value) -> Value {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": provider.origin, "aud": "client:1", "iat": now, "exp": now + 120, "jti": "j", "sid": "s",
            "sub": "ada", "events": { EVENT: {} },
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    #[actix_web::test]
    async fn a_logout_token_names_a_session_a_person_or_both() {
        let (provider, key, party) = fixture();
        let verify =
            async |changes| party.verify_logout_token(&key.sign(&claims(&provider, changes)), NOW).await.unwrap();

        let both = verify(json!({})).await;
        let (sid, sub) = (verify(json!({"sub": null})).await, verify(json!({"sid": null})).await);

        assert_eq!((both.sid.as_deref(), both.sub.as_deref(), both.jti.as_str()), (Some("s"), Some("ada"), "j"));
        assert_eq!((sid.sub, sub.sid), (None, None));
        let typed =
            key.sign_raw(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#, &claims(&provider, json!({})).to_string());
        assert!(party.verify_logout_token(&typed, NOW).await.is_ok());
    }

    #[actix_web::test]
    async fn a_logout_token_may_name_a_trusted_audience_beside_us_and_write_its_dates_as_text() {
        let (provider, key, party) = fixture();
        let party = party.trusting(&["api"]);
        let now = NOW.as_unix();
        for changes in [
            json!({"aud": ["client:1", "api"]}),
            json!({"aud": ["client:1", "client:1"]}),
            json!({"iat": now.to_string(), "exp": (now + 120).to_string()}),
        ] {
            let verified = party.verify_logout_token(&key.sign(&claims(&provider, changes.clone())), NOW).await;
            assert!(verified.is_ok(), "{changes}: {verified:?}");
        }
    }

    #[actix_web::test]
    async fn a_logout_token_is_remembered_by_its_age_whatever_its_exp() {
        let (provider, key, party) = fixture();
        for exp in [json!(NOW.as_unix() + 120), json!(u64::MAX), json!(1e300)] {
            let token = key.sign(&claims(&provider, json!({ "exp": exp })));

            let verified = party.verify_logout_token(&token, NOW).await.unwrap();

            assert_eq!(verified.expires_at, NOW.plus(Duration::from_secs(1200)), "{exp}");
        }
    }

    #[actix_web::test]
    async fn a_logout_token_that_breaks_a_rule_ends_nothing() {
        let (provider, key, party) = fixture();
        for (changes, reason) in [
            (json!({"iss": "https://evil.example"}), "another issuer"),
            (json!({"aud": "another"}), "another client"),
            (json!({"aud": ["client:1", "another"]}), "a client beside us that nobody trusts"),
            (json!({"aud": ["client:1", "api"], "azp": "client:1"}), "the same, with us as authorized party"),
            (json!({"aud": ["client:1", 5]}), "an audience that is no text"),
            (json!({"iat": null}), "no beginning"),
            (json!({"iat": NOW.as_unix() - 601}), "too old"),
            (json!({"iat": NOW.as_unix() + 61}), "from the future"),
            (json!({"iat": -1e300}), "older than any integer"),
            (json!({"iat": 1e300}), "later than any integer"),
            (json!({"exp": null}), "no end"),
            (json!({"exp": NOW.as_unix() - 61}), "expired"),
            (json!({"sid": null, "sub": null}), "about nobody"),
            (json!({"sid": "", "sub": 5}), "about nobody either"),
            (json!({"events": null}), "no events"),
            (json!({"events": {"other": {}}}), "another event"),
            (json!({"events": [EVENT]}), "events that are no object"),
            (json!({"events": {EVENT: "yes"}}), "an event that is no object"),
            (json!({"nonce": "n"}), "an ID token's nonce"),
            (json!({"jti": null}), "no identifier"),
        ] {
            let refused = party.verify_logout_token(&key.sign(&claims(&provider, changes)), NOW).await;

            assert!(refused.is_err_and(|error| !matches!(error, LogoutTokenError::Unavailable(_))), "{reason}");
        }
        let unsigned = key.sign_raw(r#"{"alg":"none","kid":"k1"}"#, &claims(&provider, json!({})).to_string());
        let access =
            key.sign_raw(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, &claims(&provider, json!({})).to_string());
        let forged = SigningKey::es256("k1").sign(&claims(&provider, json!({})));
        for token in [unsigned, access, forged, String::new()] {
            assert!(matches!(party.verify_logout_token(&token, NOW).await, Err(LogoutTokenError::Token(_))), "{token}");
        }
    }

    #[actix_web::test]
    async fn keys_that_cannot_be_had_are_no_verdict() {
        let (provider, key, party) = fixture();
        provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

        let refused = party.verify_logout_token(&key.sign(&claims(&provider, json!({}))), NOW).await;

        assert!(matches!(refused, Err(LogoutTokenError::Unavailable(_))));
    }
}
