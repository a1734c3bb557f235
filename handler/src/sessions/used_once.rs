//! Identifiers that are good once: the `jti` of a logout token.
//!
//! A small item beside the sessions', until the identifier could not be accepted any more anyway.

use sha2::{Digest, Sha256};

use super::record::WriteId;
use super::records::Records;
use super::store::StoreError;
use crate::clock::Timestamp;
use crate::crypto::base64url;

/// The store's name for an identifier: an unkeyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UseKey(String);

/// An identifier that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedOnce {
    /// The store's name for it.
    pub key: UseKey,
    /// The write that noted it.
    pub by: WriteId,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl UseKey {
    /// The `jti` of a logout token of `issuer` for `client_id`.
    #[must_use]
    pub fn of_logout_token(issuer: &str, client_id: &str, jti: &str) -> Self {
        let mut hash = Sha256::new().chain_update(b"used/v1");
        for field in ["jti", issuer, client_id, jti] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(base64url(&hash.finalize()))
    }

    /// The key as text, 43 characters of the base64url alphabet.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Records {
    /// The store's name for the `jti` of a logout token.
    pub(super) fn logout_token(&self, jti: &str) -> UseKey {
        UseKey::of_logout_token(&self.issuer, &self.client_id, jti)
    }

    pub(super) async fn is_used(&self, key: &UseKey, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.store.load_use(key, now).await?.is_some())
    }

    /// Notes a use until `expires_at`. False if there was one before.
    pub(super) async fn use_once(
        &self,
        key: UseKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let used = UsedOnce { key, by: WriteId::random(), expires_at };
        let Err(failure) = self.store.create_use(&used, now).await else { return Ok(true) };
        // The reply may be lost, or the store's client has repeated the write and found its own: that is a conflict.
        match self.store.load_use(&used.key, now).await? {
            Some(found) => Ok(found.by == used.by),
            None => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_of_one_client_at_one_issuer() {
        let key = UseKey::of_logout_token;

        let all = [key("a", "b", "c"), key("a", "c", "b"), key("ab", "", "c"), key("", "ab", "c"), key("a", "b", "")];

        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        assert_eq!(all[0], key("a", "b", "c"));
    }

    #[test]
    fn the_key_of_a_use_is_frozen() {
        let key = UseKey::of_logout_token("https://op.example", "client", "jti-1");

        assert_eq!(key.as_str(), "9pmXsl-IZhtA7_fTOQUt3LSaVo_rAS5w3sOiKyKUt2M");
    }
}
