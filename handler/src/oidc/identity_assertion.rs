//! Identity assertions: short-lived JWTs (RFC 7519) by which an application verifies the person, with the key at
//! `{prefix}/jwks`.
//!
//! Knows nothing of routes and headers; the caller says which claims and for whom.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse, ThumbprintHash};
use quick_cache::sync::Cache;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::pkce::base64url;
use super::signing_key::{PrivateKeyError, SigningKey};
use crate::clock::Timestamp;
use crate::random;

/// Seconds until an assertion expires.
const LIFETIME: i64 = 120;

/// An assertion is sent again until it is this old, so that a page with many requests costs one signature.
const REUSE: i64 = 60;

/// Assertions that are kept for that, 1 to 2 KiB each.
const CAPACITY: usize = 4096;

/// Keys that are published at once: one that signs, and one before or after it in a rotation.
const MAX_KEYS: usize = 2;

/// Signs assertions, and publishes the keys that verify them.
pub struct IdentityAssertions {
    key: SigningKey,
    header: String,
    issuer: String,
    key_set: String,
    signed: Cache<[u8; 32], (Timestamp, Arc<str>)>,
}

/// The keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionKeysError {
    /// One is no key.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// There is none, or there are more than a rotation needs.
    #[error("not one or two private keys in PEM")]
    Number,
    /// Both are one key.
    #[error("the same key twice")]
    Twice,
}

#[derive(Serialize)]
struct KeySet<'a> {
    keys: &'a [Jwk],
}

impl IdentityAssertions {
    /// Reads one or two private keys in PEM, one behind the other. The first signs; both are published.
    ///
    /// # Errors
    /// For anything else, and for anything but RSA keys of at least 2048 bits and keys on P-256, in PKCS #8.
    pub fn from_pem(pem: &str, issuer: &str) -> Result<Self, AssertionKeysError> {
        let blocks: Vec<&str> = pem.split_inclusive(END).filter(|block| !block.trim().is_empty()).collect();
        if blocks.is_empty() || blocks.len() > MAX_KEYS {
            return Err(AssertionKeysError::Number);
        }
        let mut signing = None;
        let mut published: Vec<Jwk> = Vec::with_capacity(MAX_KEYS);
        for block in blocks {
            let key = SigningKey::from_pem(block)?;
            let mut public = key.public_jwk()?;
            // RFC 7638: a name that both sides can compute, and that a new key changes.
            let id = public.thumbprint(ThumbprintHash::SHA256).map_err(|_| PrivateKeyError)?;
            if published.iter().any(|other| other.common.key_id.as_deref() == Some(&id)) {
                return Err(AssertionKeysError::Twice);
            }
            public.common.key_id = Some(id.clone());
            public.common.public_key_use = Some(PublicKeyUse::Signature);
            public.common.key_operations = Some(vec![KeyOperations::Verify]);
            published.push(public);
            signing.get_or_insert((key, id));
        }
        let (key, id) = signing.ok_or(AssertionKeysError::Number)?;
        let header = json!({ "alg": format!("{:?}", key.algorithm()), "typ": "JWT", "kid": id });
        let key_set = serde_json::to_string(&KeySet { keys: &published }).map_err(|_| PrivateKeyError)?;
        Ok(Self {
            key,
            header: base64url(header.to_string().as_bytes()),
            issuer: issuer.to_owned(),
            key_set,
            signed: Cache::new(CAPACITY),
        })
    }

    /// The JWK Set (RFC 7517 5) with the public half of every key.
    #[must_use]
    pub fn key_set(&self) -> &str {
        &self.key_set
    }

    /// An assertion of these claims for `audience`, at most 60 s old and good for at least as long.
    #[must_use]
    pub fn assertion(&self, audience: &str, subject: AssertedSubject<'_>, now: Timestamp) -> Arc<str> {
        let identity = Identity { audience, subject };
        let digest: [u8; 32] =
            Sha256::digest(serde_json::to_vec(&identity).expect("text and claims have a form in JSON")).into();
        if let Some((signed_at, assertion)) = self.signed.get(&digest)
            && (0..REUSE).contains(&(now.as_unix() - signed_at.as_unix()))
        {
            return assertion;
        }
        let assertion: Arc<str> = self.sign(&identity, now).into();
        self.signed.insert(digest, (now, Arc::clone(&assertion)));
        assertion
    }

    fn sign(&self, identity: &Identity<'_>, now: Timestamp) -> String {
        let issued_at = now.as_unix();
        let AssertedSubject { issuer, claims } = identity.subject;
        let mut payload = claims.clone();
        payload.retain(|name, _| !OF_ANOTHER_TOKEN.contains(&name.as_str()));
        for (name, value) in [
            ("iss", Value::from(self.issuer.as_str())),
            ("aud", identity.audience.into()),
            ("iat", issued_at.into()),
            ("nbf", issued_at.into()),
            ("exp", (issued_at + LIFETIME).into()),
            ("jti", random::guid_pair().into()),
        ] {
            payload.insert(name.to_owned(), value);
        }
        if let Some(sub) = claims.get("sub") {
            // RFC 9493 3.2.2: a `sub` is one person only beside the issuer that gave it.
            payload.insert("sub_id".to_owned(), json!({ "format": "iss_sub", "iss": issuer, "sub": sub }));
        }
        let input = format!("{}.{}", self.header, base64url(Value::Object(payload).to_string().as_bytes()));
        let signature = self.key.sign(&input).expect("a key that signed when it was read signs again");
        format!("{input}.{signature}")
    }
}

/// The last line of a key.
const END: &str = "-----END PRIVATE KEY-----";

/// Claims of the Provider's token that say nothing of this one.
const OF_ANOTHER_TOKEN: [&str; 6] = ["azp", "nonce", "at_hash", "c_hash", "s_hash", "sub_id"];

/// The person or client that an assertion is about.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AssertedSubject<'a> {
    /// Issuer of the token that names the subject: the Provider, or one of API clients.
    pub issuer: &'a str,
    /// Claims of that token.
    pub claims: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Identity<'a> {
    audience: &'a str,
    subject: AssertedSubject<'a>,
}

impl fmt::Debug for IdentityAssertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityAssertions({:?})", self.key)
    }
}

#[cfg(test)]
mod tests;
