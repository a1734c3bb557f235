//! Single-use identifiers: the `jti` of a logout token.
//!
//! A small item beside the records, kept until the logout token has expired.

use sha2::{Digest, Sha256};

use super::record::WriteId;
use crate::clock::Timestamp;
use crate::crypto::base64url;

/// Key of an identifier in the store: an unkeyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UseKey(String);

/// Used identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedOnce {
    /// Key in the store.
    pub key: UseKey,
    /// Identifier of the write.
    pub by: WriteId,
    /// Expiry of the item.
    pub expires_at: Timestamp,
}

impl UseKey {
    /// Key for the `jti` of a logout token of `issuer` for `client_id`.
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
    fn the_frozen_key_of_a_use_never_changes() {
        let key = UseKey::of_logout_token("https://op.example", "client", "jti-1");

        assert_eq!(key.as_str(), "9pmXsl-IZhtA7_fTOQUt3LSaVo_rAS5w3sOiKyKUt2M");
    }
}
