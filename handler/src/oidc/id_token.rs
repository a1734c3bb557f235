//! The ID token and its validation (OIDC Core 3.1.3.7, and 12.2 for a refreshed one).

use std::time::Duration;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::pkce::base64url;
use super::{Claims, JwksError, PendingLogin, VerificationKeys};
use crate::clock::Timestamp;

/// What we accept: asymmetric signatures only, whatever a token or its key asks for (RFC 8725 3.1).
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::RS384,
    Algorithm::PS384,
    Algorithm::ES384,
    Algorithm::RS512,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// How far the Provider's clock may be from ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Which rule an ID token breaks.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// Not a signed token, or its payload is no JSON object.
    #[error("the ID token cannot be read")]
    Malformed,
    /// Signed by an algorithm that we never accept, or by none.
    #[error("the ID token is not signed by an accepted algorithm")]
    Algorithm,
    /// The signature's key is not the Provider's, as far as we know.
    #[error("the ID token's key is unknown")]
    Key(#[source] JwksError),
    /// The signature is not the key's.
    #[error("the ID token's signature is not valid")]
    Signature,
    /// `iss` is another.
    #[error("the ID token is from another issuer")]
    Issuer,
    /// `sub` is missing, or at a refresh another.
    #[error("the ID token is about another subject")]
    Subject,
    /// `aud` or `azp` names another client.
    #[error("the ID token is for another client")]
    Audience,
    /// `exp` is missing or past.
    #[error("the ID token has expired")]
    Expired,
    /// `iat` is missing or in the future, or `nbf` is.
    #[error("the ID token is not valid yet")]
    NotYetValid,
    /// `nonce` is not that of this sign-in.
    #[error("the ID token belongs to another sign-in")]
    Nonce,
    /// `at_hash` is not that of the access token.
    #[error("the ID token belongs to another access token")]
    AccessTokenHash,
    /// `auth_time` is missing or older than the asked `max_age`.
    #[error("the person signed in too long ago")]
    AuthenticationTime,
}

impl IdTokenError {
    /// A stable name for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "id_token_malformed",
            Self::Algorithm => "id_token_algorithm",
            Self::Key(_) => "id_token_key",
            Self::Signature => "id_token_signature",
            Self::Issuer => "id_token_issuer",
            Self::Subject => "id_token_subject",
            Self::Audience => "id_token_audience",
            Self::Expired => "id_token_expired",
            Self::NotYetValid => "id_token_not_yet_valid",
            Self::Nonce => "id_token_nonce",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::AuthenticationTime => "id_token_auth_time",
        }
    }
}

/// Verifies the ID tokens of one Provider for one client.
#[derive(Clone, Copy, Debug)]
pub struct IdTokenVerifier<'a> {
    /// The Provider's keys.
    pub keys: &'a VerificationKeys,
    /// The issuer, exactly.
    pub issuer: &'a str,
    /// Us.
    pub client_id: &'a str,
}

impl IdTokenVerifier<'_> {
    /// Accepts the ID token of a sign-in, or says which rule of OIDC Core 3.1.3.7 it breaks.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub fn verify(
        &self,
        id_token: &str,
        access_token: &str,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_token(id_token, access_token, now)?;
        check_nonce(&claims, pending.nonce())?; // 11
        check_authentication_time(&claims, pending.max_age(), now)?; // 13
        Ok(claims)
    }

    /// Accepts the ID token of a refresh, or says which rule of OIDC Core 12.2 it breaks.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub fn verify_refreshed(
        &self,
        id_token: &str,
        access_token: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_token(id_token, access_token, now)?;
        if claims.subject() != subject {
            return Err(IdTokenError::Subject);
        }
        Ok(claims)
    }

    fn verify_token(&self, id_token: &str, access_token: &str, now: Timestamp) -> Result<Claims, IdTokenError> {
        let (claims, algorithm) = self.verify_signature(id_token)?; // 6-8
        self.check_issuer(&claims)?; // 2
        self.check_audience(&claims)?; // 3-5
        check_times(&claims, now)?; // 9-10
        check_access_token_hash(&claims, access_token, algorithm)?; // 3.1.3.8
        if claims.subject().is_empty() {
            return Err(IdTokenError::Subject);
        }
        Ok(claims)
    }

    fn verify_signature(&self, id_token: &str) -> Result<(Claims, Algorithm), IdTokenError> {
        let algorithm = accepted_algorithm(id_token)?;
        let header = decode_header(id_token).map_err(|_| IdTokenError::Malformed)?;
        let key = self.keys.find(header.kid.as_deref(), algorithm).map_err(IdTokenError::Key)?;
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear(); // the claims are checked here, in the specification's order
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = decode::<Map<String, Value>>(id_token, &key, &validation).map_err(|_| IdTokenError::Signature)?;
        Ok((Claims::new(token.claims), algorithm))
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), IdTokenError> {
        if claims.text("iss") == Some(self.issuer) { Ok(()) } else { Err(IdTokenError::Issuer) }
    }

    /// `aud` names us; with several audiences `azp` must, and if present it must.
    fn check_audience(&self, claims: &Claims) -> Result<(), IdTokenError> {
        let audiences: Vec<&str> = match claims.as_map().get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let is_authorized = match claims.as_map().get("azp") {
            Some(azp) => azp.as_str() == Some(self.client_id),
            None => audiences.len() == 1,
        };
        if audiences.contains(&self.client_id) && is_authorized { Ok(()) } else { Err(IdTokenError::Audience) }
    }
}

/// Reads `alg` before the library does, so that `none` and unknown names have a refusal of their own.
fn accepted_algorithm(id_token: &str) -> Result<Algorithm, IdTokenError> {
    use base64::Engine as _;
    let header = id_token.split('.').next().unwrap_or_default();
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).map_err(|_| IdTokenError::Malformed)?;
    let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| IdTokenError::Malformed)?;
    if header.contains_key("crit") {
        return Err(IdTokenError::Malformed); // RFC 7515 4.1.11: we understand no extension
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(IdTokenError::Algorithm)?;
    ALGORITHMS.into_iter().find(|accepted| format!("{accepted:?}") == name).ok_or(IdTokenError::Algorithm)
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), IdTokenError> {
    let expires_at = numeric_date(claims, "exp").ok_or(IdTokenError::Expired)?;
    if now >= expires_at.plus(CLOCK_SKEW) {
        return Err(IdTokenError::Expired);
    }
    let issued_at = numeric_date(claims, "iat").ok_or(IdTokenError::NotYetValid)?;
    let not_before = numeric_date(claims, "nbf").unwrap_or(issued_at);
    if issued_at.max(not_before) > now.plus(CLOCK_SKEW) {
        return Err(IdTokenError::NotYetValid);
    }
    Ok(())
}

fn check_nonce(claims: &Claims, expected: &str) -> Result<(), IdTokenError> {
    let given = claims.text("nonce").unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) { Ok(()) } else { Err(IdTokenError::Nonce) }
}

/// `at_hash`: the left half of the access token's hash, by the hash of the token's own algorithm.
fn check_access_token_hash(claims: &Claims, access_token: &str, algorithm: Algorithm) -> Result<(), IdTokenError> {
    let Some(at_hash) = claims.as_map().get("at_hash") else { return Ok(()) };
    let bytes = access_token.as_bytes();
    let digest = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(bytes).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(bytes).to_vec(),
        _ => Sha256::digest(bytes).to_vec(),
    };
    let expected = base64url(&digest[..digest.len() / 2]);
    if at_hash.as_str() == Some(&expected) { Ok(()) } else { Err(IdTokenError::AccessTokenHash) }
}

fn check_authentication_time(claims: &Claims, max_age: Option<u64>, now: Timestamp) -> Result<(), IdTokenError> {
    let Some(max_age) = max_age else { return Ok(()) };
    let auth_time = numeric_date(claims, "auth_time").ok_or(IdTokenError::AuthenticationTime)?;
    if now > auth_time.plus(Duration::from_secs(max_age)).plus(CLOCK_SKEW) {
        return Err(IdTokenError::AuthenticationTime);
    }
    Ok(())
}

/// RFC 7519 section 2: a NumericDate may have a fraction; we count whole seconds.
fn numeric_date(claims: &Claims, name: &str) -> Option<Timestamp> {
    let value = claims.as_map().get(name)?;
    #[allow(clippy::cast_possible_truncation, reason = "a date beyond i64 saturates, and a fraction is dropped")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
    Some(Timestamp::from_unix(seconds))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    struct Provider {
        signing: EncodingKey,
        keys: VerificationKeys,
    }

    fn provider() -> Provider {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let set = json!({"keys": [
            {"kty": "quantum", "kid": "k"},
            {"kty": "EC", "crv": "P-256", "kid": "k", "x": base64url(x), "y": base64url(y)},
        ]});
        let keys = VerificationKeys::parse(set.to_string().as_bytes()).unwrap();
        Provider { signing: EncodingKey::from_ec_der(document.as_ref()), keys }
    }

    impl Provider {
        fn sign(&self, claims: &Value, kid: &str) -> String {
            let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
            encode(&header, claims, &self.signing).unwrap()
        }

        fn verifier(&self) -> IdTokenVerifier<'_> {
            IdTokenVerifier { keys: &self.keys, issuer: "https://op.example", client_id: "client" }
        }
    }

    fn claims(pending: &PendingLogin, change: Value) -> Value {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": "https://op.example", "sub": "ada", "aud": "client",
            "exp": now + 300, "iat": now, "nonce": pending.nonce(),
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn verdict(change: Value, max_age: Option<u64>) -> Result<(), &'static str> {
        let (provider, pending) = (provider(), PendingLogin::begin("/", max_age, NOW));
        let token = provider.sign(&claims(&pending, change), "k");
        let verified = provider.verifier().verify(&token, "access", &pending, NOW);
        verified.map(drop).map_err(|error| error.code())
    }

    #[test]
    fn an_id_token_that_keeps_every_rule_is_accepted() {
        let now = NOW.as_unix();
        let at_hash = base64url(&Sha256::digest(b"access")[..16]);
        let accepted = [
            json!({}),
            json!({"aud": ["client"]}),
            json!({"aud": ["client", "api"], "azp": "client"}),
            json!({"exp": now - 59, "iat": now - 300}),
            json!({"iat": now + 60}),
            json!({"exp": 1_800_000_300.5}),
            json!({ "at_hash": at_hash }),
        ];
        for change in accepted {
            assert_eq!(verdict(change.clone(), None), Ok(()), "{change}");
        }
        assert_eq!(verdict(json!({"auth_time": now - 60}), Some(60)), Ok(()));
    }

    #[test]
    fn an_id_token_that_breaks_a_rule_is_refused_by_its_name() {
        let now = NOW.as_unix();
        let table = [
            (json!({"iss": "https://evil.example"}), "id_token_issuer"),
            (json!({"iss": "https://op.example/"}), "id_token_issuer"),
            (json!({"iss": null}), "id_token_issuer"),
            (json!({"iss": ["https://op.example"]}), "id_token_issuer"),
            (json!({"sub": null}), "id_token_subject"),
            (json!({"sub": ""}), "id_token_subject"),
            (json!({"sub": 7}), "id_token_subject"),
            (json!({"aud": "another-client"}), "id_token_audience"),
            (json!({"aud": null}), "id_token_audience"),
            (json!({"aud": []}), "id_token_audience"),
            (json!({"aud": {"client": true}}), "id_token_audience"),
            (json!({"aud": ["client", "api"]}), "id_token_audience"),
            (json!({"aud": ["client", "api"], "azp": "api"}), "id_token_audience"),
            (json!({"azp": "another-client"}), "id_token_audience"),
            (json!({"azp": 1}), "id_token_audience"),
            (json!({"exp": now - 60}), "id_token_expired"),
            (json!({"exp": null}), "id_token_expired"),
            (json!({"exp": "never"}), "id_token_expired"),
            (json!({"iat": now + 61}), "id_token_not_yet_valid"),
            (json!({"iat": null}), "id_token_not_yet_valid"),
            (json!({"nbf": now + 61}), "id_token_not_yet_valid"),
            (json!({"nonce": "another"}), "id_token_nonce"),
            (json!({"nonce": null}), "id_token_nonce"),
            (json!({"nonce": 5}), "id_token_nonce"),
            (json!({"at_hash": "another"}), "id_token_at_hash"),
            (json!({"at_hash": 5}), "id_token_at_hash"),
        ];
        for (change, code) in table {
            assert_eq!(verdict(change.clone(), None), Err(code), "{change}");
        }
    }

    #[test]
    fn a_sign_in_older_than_the_asked_max_age_is_refused() {
        let too_old = json!({"auth_time": NOW.as_unix() - 121});

        assert_eq!(verdict(too_old, Some(60)), Err("id_token_auth_time"));
        assert_eq!(verdict(json!({}), Some(60)), Err("id_token_auth_time"));
    }

    #[test]
    fn a_token_signed_by_another_key_is_refused() {
        let (ours, theirs) = (provider(), provider());
        let pending = PendingLogin::begin("/", None, NOW);

        let forged = theirs.sign(&claims(&pending, json!({})), "k");
        let unknown = ours.sign(&claims(&pending, json!({})), "k2");

        let code = |token: &str| ours.verifier().verify(token, "access", &pending, NOW).unwrap_err().code();
        assert_eq!((code(&forged), code(&unknown)), ("id_token_signature", "id_token_key"));
    }

    #[test]
    fn a_token_of_an_algorithm_we_never_accept_is_refused() {
        let (provider, pending) = (provider(), PendingLogin::begin("/", None, NOW));
        let payload = base64url(claims(&pending, json!({})).to_string().as_bytes());
        for alg in ["none", "None", "NONE", "HS256", "HS512", "ES256K", "es256", ""] {
            let token = format!("{}.{payload}.AAAA", base64url(json!({"alg": alg, "kid": "k"}).to_string().as_bytes()));
            let refused = provider.verifier().verify(&token, "access", &pending, NOW).unwrap_err();
            assert!(matches!(refused, IdTokenError::Algorithm), "{alg}: {refused}");
        }
    }

    #[test]
    fn what_is_no_signed_token_is_refused() {
        let (provider, pending) = (provider(), PendingLogin::begin("/", None, NOW));
        let critical = base64url(br#"{"alg":"ES256","crit":["b64"]}"#);
        for token in ["", ".", "..", "a.b.c", "e30", &format!("{critical}.e30.AAAA")] {
            assert!(provider.verifier().verify(token, "access", &pending, NOW).is_err(), "{token}");
        }
    }

    #[test]
    fn a_refreshed_id_token_needs_no_nonce_but_the_same_subject() {
        let (provider, pending) = (provider(), PendingLogin::begin("/", None, NOW));
        let token = provider.sign(&claims(&pending, json!({"nonce": null})), "k");

        assert!(provider.verifier().verify_refreshed(&token, "access", "ada", NOW).is_ok());
        let refused = provider.verifier().verify_refreshed(&token, "access", "eve", NOW).unwrap_err();
        assert_eq!(refused.code(), "id_token_subject");
    }

    #[test]
    fn a_document_that_is_no_jwk_set_is_refused() {
        for document in ["", "<html>", "{}", r#"{"keys":{}}"#] {
            assert!(matches!(VerificationKeys::parse(document.as_bytes()), Err(JwksError::Malformed(_))), "{document}");
        }
    }
}
