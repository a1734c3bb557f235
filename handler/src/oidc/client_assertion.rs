//! Client assertions (RFC 7523 2.2, OIDC Core 9): a signed statement of our identity in place of a secret.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jsonwebtoken::Algorithm;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::pkce::base64url;
use super::signing_key::{PrivateKeyError, SigningKey};
use crate::clock::Timestamp;
use crate::random;

/// Lifetime in seconds; the request with the assertion follows at once.
const LIFETIME: i64 = 120;

/// Issues client assertions; chosen at start-up.
#[async_trait]
pub trait ClientAssertion: Send + Sync {
    /// An assertion for the Provider with this token endpoint.
    async fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &Url,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, ClientAssertionError>;
}

/// Failure to create an assertion: nothing was sent to the Provider.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no client assertion")]
pub struct ClientAssertionError(#[source] pub Arc<dyn std::error::Error + Send + Sync>);

/// Signing input of an assertion (RFC 7515 5.1): header and payload of RFC 7523 3.
#[must_use]
pub fn assertion_to_sign(
    algorithm: Algorithm,
    key_id: Option<&str>,
    client_id: &str,
    token_endpoint: &Url,
    now: Timestamp,
) -> String {
    let mut header = json!({ "alg": format!("{algorithm:?}"), "typ": "JWT" });
    if let Some(key_id) = key_id {
        header["kid"] = key_id.into();
    }
    let issued_at = now.as_unix();
    let payload = json!({
        "iss": client_id, "sub": client_id, "aud": token_endpoint.as_str(), "jti": random::guid_pair(),
        "iat": issued_at, "nbf": issued_at, "exp": issued_at + LIFETIME,
    });
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(payload.to_string().as_bytes()))
}

/// `private_key_jwt` with a key of our own.
pub struct PrivateKeyJwt {
    key: SigningKey,
    key_id: Option<String>,
}

impl PrivateKeyJwt {
    /// Reads a private key in PEM; `key_id` names its public half at the Provider.
    ///
    /// # Errors
    /// For anything but an RSA key of at least 2048 bits (RS256) or one on P-256 (ES256), in PKCS #8.
    pub fn from_pem(pem: &str, key_id: Option<String>) -> Result<Self, PrivateKeyError> {
        Ok(Self { key: SigningKey::from_pem(pem)?, key_id })
    }
}

#[async_trait]
impl ClientAssertion for PrivateKeyJwt {
    async fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &Url,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, ClientAssertionError> {
        let signed = assertion_to_sign(self.key.algorithm(), self.key_id.as_deref(), client_id, token_endpoint, now);
        let signature = self.key.sign(&signed).map_err(|error| ClientAssertionError(Arc::new(error)))?;
        Ok(Zeroizing::new(format!("{signed}.{signature}")))
    }
}

impl fmt::Debug for PrivateKeyJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKeyJwt({:?})", self.key)
    }
}
