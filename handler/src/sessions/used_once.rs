//! Identifiers that are good once: the `jti` of a logout token.

use super::index::{IndexKey, IndexKind, SessionIndex};
use super::records::Records;
use super::store::StoreError;
use crate::clock::Timestamp;

impl Records {
    /// The store's name for the `jti` of a logout token.
    pub(super) fn logout_token(&self, jti: &str) -> IndexKey {
        IndexKey::of(IndexKind::LogoutToken, &self.issuer, jti)
    }

    pub(super) async fn is_used(&self, key: &IndexKey, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.store.load_index(key, now).await?.is_some())
    }

    /// Notes a use until `expires_at`. False if there was one before.
    pub(super) async fn use_once(
        &self,
        key: IndexKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match self.store.write_index(&SessionIndex::empty(key, expires_at), None, now).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error @ (StoreError::Missing | StoreError::Unavailable(_))) => Err(error),
        }
    }
}
