//! The Provider's verification keys (RFC 7517): which may verify what, and under which algorithm.
//!
//! Signatures themselves are the library's work.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The members of a key that decide anything; a certificate chain that cannot be read spoils no key.
const MEMBERS: [&str; 10] = ["kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y"];

/// So many keys are tried for one token. A Provider has two or three; a set of hundreds must not cost a second.
const MAX_CANDIDATES: usize = 16;

/// The keys of one JWKS document that can verify an ID token.
#[derive(Clone, Debug, Default)]
pub struct VerificationKeys(Vec<Jwk>);

/// Why there is no key for a token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JwksError {
    /// Not a JWK Set.
    #[error("the provider's keys cannot be read")]
    Malformed(#[source] Arc<serde_json::Error>),
    /// No key of this identifier and algorithm: the Provider may have rotated, a reload may help.
    #[error("the provider has no key for this token")]
    UnknownKey,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl VerificationKeys {
    /// Reads a JWK Set and keeps what we can use.
    ///
    /// RFC 7517 section 5: keys of unknown types, or with members missing, are ignored.
    ///
    /// # Errors
    /// When the document as a whole is no JWK Set.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let set: JwkSet = serde_json::from_slice(document).map_err(|error| JwksError::Malformed(Arc::new(error)))?;
        Ok(Self(set.keys.into_iter().filter_map(key).filter(is_for_verification).collect()))
    }

    /// The keys that a token may be signed by: those of its `kid`, or all of its algorithm if it names none.
    ///
    /// Two keys may share a `kid`, and a Provider that rotates may have two without one (OIDC Core 10.1 forbids that, and
    /// it happens). All of them are the Provider's, so to try each is no weakness.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<DecodingKey>, JwksError> {
        let is_named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let fitting = self.0.iter().filter(is_named).filter(|key| can_verify(key, algorithm));
        let keys: Vec<_> = fitting.filter_map(|key| DecodingKey::from_jwk(key).ok()).take(MAX_CANDIDATES).collect();
        if keys.is_empty() { Err(JwksError::UnknownKey) } else { Ok(keys) }
    }
}

fn key(key: Value) -> Option<Jwk> {
    let Value::Object(members) = key else { return None };
    let members: Map<_, _> = members.into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).collect();
    serde_json::from_value(Value::Object(members)).ok()
}

/// RFC 7517 4.2 and 4.3: both members are optional, and each is a promise of the Provider's if it is there.
fn is_for_verification(key: &Jwk) -> bool {
    let has_use = key.common.public_key_use.as_ref().is_none_or(|given| *given == PublicKeyUse::Signature);
    let operations = key.common.key_operations.as_ref();
    has_use && operations.is_none_or(|given| given.contains(&KeyOperations::Verify))
}

/// The key's type and its own `alg`, if it has one, must fit the token's algorithm (RFC 8725 3.1).
fn can_verify(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let fits_type = match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => algorithm == ES256,
            EllipticCurve::P384 => algorithm == ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
        _ => false,
    };
    let declared = key.common.key_algorithm.map(|declared| declared.to_string());
    fits_type && declared.is_none_or(|declared| declared == format!("{algorithm:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn count(keys: &Value, kid: Option<&str>, algorithm: Algorithm) -> usize {
        let keys = VerificationKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        keys.candidates(kid, algorithm).map_or(0, |candidates| candidates.len())
    }

    fn rsa(change: Value) -> Value {
        let mut key = json!({"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"});
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key
    }

    #[test]
    fn a_key_serves_what_it_declares_and_nothing_else() {
        let table = [
            (rsa(json!({})), Algorithm::RS256, 1, "nothing declared"),
            (rsa(json!({"use": "sig", "alg": "RS256"})), Algorithm::RS256, 1, "both declared"),
            (rsa(json!({"key_ops": ["verify"]})), Algorithm::RS256, 1, "verification among the operations"),
            (rsa(json!({"x5c": 5, "x5t": [], "extra": {}})), Algorithm::RS256, 1, "certificates that can't be read"),
            (rsa(json!({"alg": "RS256"})), Algorithm::PS256, 0, "another algorithm"),
            (rsa(json!({"alg": "unknown"})), Algorithm::RS256, 0, "an unknown algorithm"),
            (rsa(json!({"use": "enc"})), Algorithm::RS256, 0, "for encryption"),
            (rsa(json!({"use": "other"})), Algorithm::RS256, 0, "for something else"),
            (rsa(json!({"key_ops": ["encrypt"]})), Algorithm::RS256, 0, "no verification among the operations"),
            (rsa(json!({})), Algorithm::ES256, 0, "RSA is no elliptic curve"),
            (rsa(json!({})), Algorithm::HS256, 0, "a public key is no shared secret"),
            (rsa(json!({"n": 5})), Algorithm::RS256, 0, "a modulus of another type"),
            (rsa(json!({"kid": 5})), Algorithm::RS256, 0, "a name of another type"),
            (json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}), Algorithm::HS256, 0, "a shared secret in the open"),
            (json!({"kty": "OKP", "kid": "k", "crv": "X25519", "x": "AA"}), Algorithm::EdDSA, 0, "for key agreement"),
            (
                json!({"kty": "EC", "kid": "k", "crv": "P-521", "x": "AA", "y": "AA"}),
                Algorithm::ES256,
                0,
                "other curve",
            ),
            (json!({"kty": "AKP", "kid": "k", "alg": "ML-DSA-44"}), Algorithm::RS256, 0, "a type of the future"),
            (json!("text"), Algorithm::RS256, 0, "no object"),
        ];
        for (key, algorithm, expected, reason) in table {
            // What cannot be used spoils nothing next to it.
            let keys = json!([key, rsa(json!({"kid": "other"}))]);
            assert_eq!(count(&keys, Some("k"), algorithm), expected, "{reason}");
            assert_eq!(count(&keys, Some("other"), Algorithm::RS256), 1, "{reason}");
        }
    }

    #[test]
    fn keys_of_one_name_are_all_candidates_and_so_are_all_for_a_token_without_a_name() {
        let keys = json!([rsa(json!({})), rsa(json!({})), rsa(json!({"kid": "other"})), {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]);

        assert_eq!(count(&keys, Some("k"), Algorithm::RS256), 2);
        assert_eq!(count(&keys, None, Algorithm::RS256), 4);
        assert_eq!(count(&keys, Some("unknown"), Algorithm::RS256), 0);
    }

    #[test]
    fn a_set_of_hundreds_is_not_tried_to_its_end() {
        let keys = Value::Array(vec![rsa(json!({})); 300]);

        assert_eq!(count(&keys, None, Algorithm::RS256), MAX_CANDIDATES);
    }

    #[test]
    fn a_document_that_is_no_jwk_set_is_refused() {
        for document in ["", "<html>", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(matches!(VerificationKeys::parse(document.as_bytes()), Err(JwksError::Malformed(_))), "{document}");
        }
    }
}
