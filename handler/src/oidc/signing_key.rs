//! A private key that signs JWTs for us: an assertion for the Provider, or for an application.

use std::fmt;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

/// A private key and the one algorithm that it signs with.
#[derive(Clone)]
pub struct SigningKey {
    key: EncodingKey,
    algorithm: Algorithm,
}

/// The key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key in PEM: PKCS #8, RSA of at least 2048 bits or EC on P-256")]
pub struct PrivateKeyError;

impl SigningKey {
    /// Reads a private key in PEM.
    ///
    /// # Errors
    /// For anything but an RSA key of at least 2048 bits (RS256) or one on P-256 (ES256), in PKCS #8.
    pub fn from_pem(pem: &str) -> Result<Self, PrivateKeyError> {
        let rsa = EncodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (key, Algorithm::RS256));
        let ec = || EncodingKey::from_ec_pem(pem.as_bytes()).map(|key| (key, Algorithm::ES256));
        let (key, algorithm) = rsa.or_else(|_| ec()).map_err(|_| PrivateKeyError)?;
        // A key that doesn't fit its algorithm fails only when it signs.
        crypto::sign(b"", &key, algorithm).map_err(|_| PrivateKeyError)?;
        Ok(Self { key, algorithm })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature of `input`, in base64url.
    pub(super) fn sign(&self, input: &str) -> Result<String, jsonwebtoken::errors::Error> {
        crypto::sign(input.as_bytes(), &self.key, self.algorithm)
    }

    /// The public half.
    pub(super) fn public_jwk(&self) -> Result<Jwk, PrivateKeyError> {
        Jwk::from_encoding_key(&self.key, self.algorithm).map_err(|_| PrivateKeyError)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.algorithm)
    }
}
