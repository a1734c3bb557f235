//! The Provider's verification keys (RFC 7517): which may verify what, and under which algorithm.
//!
//! Signatures themselves are the library's work.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys of one JWKS document that can verify an ID token.
#[derive(Clone, Debug, Default)]
pub struct VerificationKeys(Vec<Jwk>);

/// Why there is no key for a token.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// Not a JWK Set.
    #[error("the provider's keys cannot be read")]
    Malformed(#[source] serde_json::Error),
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
        let set: JwkSet = serde_json::from_slice(document).map_err(JwksError::Malformed)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let is_for_signatures = |key: &Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        Ok(Self(keys.filter(is_for_signatures).collect()))
    }

    /// The key that a token names. A token without `kid` may use the only candidate, never one of several.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, JwksError> {
        let mut candidates = self.0.iter().filter(|key| {
            let has_name = kid.is_none() || key.common.key_id.as_deref() == kid;
            has_name && can_verify(key, algorithm)
        });
        let key = match (candidates.next(), candidates.next()) {
            (Some(key), None) => key,
            (Some(key), Some(_)) if kid.is_some() => key,
            _ => return Err(JwksError::UnknownKey),
        };
        DecodingKey::from_jwk(key).map_err(|_| JwksError::UnknownKey)
    }
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
