//! Where records are kept: create, load, replace under a condition. One contract, every store.

use async_trait::async_trait;

use super::index::{IndexKey, SessionIndex};
use super::record::SessionRecord;
use super::ticket::SessionKey;
use super::used_once::{UseKey, UsedOnce};
use crate::clock::Timestamp;

/// Keeps [`SessionRecord`]s, the indexes by which the Provider ends them, and what was used once. One of the traits chosen at start-up.
///
/// There is no unconditional write: whoever changes a record must have read it, so a sign-out is
/// never overwritten. An expired record is absent to every call.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a record that must not exist yet.
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError>;

    /// The record and its version, if there is one; a tombstone is one.
    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError>;

    /// Replaces the version that was read.
    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError>;

    /// The index and its version, if there is one.
    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError>;

    /// Stores an index in place of the version that was read; one that must not exist yet, if none was.
    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError>;

    /// Stores a use that must not exist yet.
    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError>;

    /// The use, if there was one.
    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError>;
}

/// An index as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIndex {
    /// Its content.
    pub index: SessionIndex,
    /// Its version.
    pub etag: Etag,
}

/// One version of a record (RFC 9110 section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its content.
    pub record: SessionRecord,
    /// Its version.
    pub etag: Etag,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The record exists already, or is no longer the version that was read.
    #[error("another write to the session came first")]
    Conflict,
    /// There is no record to replace.
    #[error("the session is not in the store")]
    Missing,
    /// The store cannot be reached, or its response makes no sense; the write may or may not have happened.
    #[error("the session store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
