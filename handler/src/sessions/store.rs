//! Session store: create, load, conditional replace. One contract for every store.

use async_trait::async_trait;

use super::index::{IndexKey, SessionIndex};
use super::record::SessionRecord;
use super::ticket::SessionKey;
use super::used_once::{UseKey, UsedOnce};
use crate::clock::Timestamp;

/// Stores [`SessionRecord`]s, the indexes for logout, and the identifiers that were used. Chosen at start-up.
///
/// There is no unconditional write: a writer must have read the record, so a sign-out is never overwritten. An expired
/// record is absent to every call. Records arrive sealed: a store never sees a token. The crate `contract` in `tests` is
/// the suite that every store must pass, and [`MemoryStore`](super::MemoryStore) the shortest one that does.
///
/// # Frequency
/// - A request reads its session once in each `SESSION_CACHE_TTL`, and an open stream twice.
/// - A sign-in reads and writes up to two indexes and creates the record. A refresh writes the lease, renews it every 2 s
///   while the provider is silent, and writes the tokens. A sign-out writes once. Sliding writes nothing.
///
/// # Duration
/// A request waits for its read, so a slow store is a slow application. A call should end within 3 s: the budgets of a
/// refresh (`sessions/timing.rs`) count on it.
///
/// # Failure
/// - [`StoreError::Conflict`] is normal: the caller reads again and decides anew.
/// - [`StoreError::Unavailable`] may hide a write that succeeded: the caller reads again before it repeats one. A failed
///   read is 503 `store_unavailable` for that request and signs nobody out.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new record; a conflict if it exists.
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError>;

    /// Loads a record and its version; a tombstone is a record.
    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError>;

    /// Replaces the version that was read.
    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError>;

    /// Loads an index and its version.
    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError>;

    /// Stores an index over the version that was read, or as a new one if `read` is `None`.
    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError>;

    /// Stores a new use; a conflict if it exists.
    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError>;

    /// Loads a use.
    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError>;
}

/// Index as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIndex {
    /// Its content.
    pub index: SessionIndex,
    /// Its version.
    pub etag: Etag,
}

/// Version of an item (RFC 9110 section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

/// Record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its content.
    pub record: SessionRecord,
    /// Its version.
    pub etag: Etag,
}

/// Error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The record already exists, or is no longer the version that was read.
    #[error("another write to the session came first")]
    Conflict,
    /// No record to replace.
    #[error("the session is not in the store")]
    Missing,
    /// The store is unreachable, or its response is invalid; the write may have succeeded.
    #[error("the session store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
