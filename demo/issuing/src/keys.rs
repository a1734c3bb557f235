//! The key that signs every token, made anew at each start, and the JWK Set that publishes it.
//!
//! Knows the claims as JSON only.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KEY_ID: &str = "k1";

/// An ES256 key pair (RFC 7518 section 3.4) that lives as long as the process.
pub struct SigningKey {
    private: EncodingKey,
    x: String,
    y: String,
}

impl SigningKey {
    /// A new key pair.
    ///
    /// # Errors
    /// The random source gives none.
    pub fn generate() -> Result<Self, String> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| "no signing key could be made".to_owned())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())
            .map_err(|cause| format!("the new signing key cannot be read: {cause}"))?;
        let point = pair.public_key().as_ref(); // 0x04 || x || y, SEC 1 section 2.3.3
        Ok(Self {
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            x: URL_SAFE_NO_PAD.encode(&point[1..33]),
            y: URL_SAFE_NO_PAD.encode(&point[33..65]),
        })
    }

    /// The JWK Set (RFC 7517 section 5).
    #[must_use]
    pub fn jwk_set(&self) -> Value {
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": self.x, "y": self.y,
        }]})
    }

    /// Signs `claims` as a JWT of the given `typ`.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(KEY_ID.to_owned());
        header.typ = Some(typ.to_owned());
        jsonwebtoken::encode(&header, claims, &self.private)
    }

    /// The claims of a token of this `typ` that we signed; an expired one only with `Expired::Accepted`.
    #[must_use]
    pub fn verify(&self, typ: &str, token: &str, expired: Expired) -> Option<Value> {
        let key = DecodingKey::from_ec_components(&self.x, &self.y).ok()?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.validate_aud = false;
        rules.validate_exp = expired == Expired::Refused;
        rules.leeway = 0;
        let token = jsonwebtoken::decode::<Value>(token, &key, &rules).ok()?;
        (token.header.typ.as_deref() == Some(typ)).then_some(token.claims)
    }
}

/// Treatment of an expired token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// It may still say whom it was for: an `id_token_hint` (RP-Initiated Logout 1.0 section 2).
    Accepted,
    /// It opens nothing any more.
    Refused,
}

/// `BASE64URL(SHA-256(text))`, the S256 of RFC 7636 section 4.2.
#[must_use]
pub fn s256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// The left half of the hash of an access token (OIDC Core 3.1.3.6, `at_hash`).
#[must_use]
pub fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16])
}
