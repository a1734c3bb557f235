//! Store in memory with write conflicts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::sessions::{
    Etag, IndexKey, MemoryStore, SessionIndex, SessionKey, SessionRecord, SessionStore, StoreError, StoredIndex,
    StoredRecord, UseKey, UsedOnce,
};

/// Store in memory whose every call yields to the scheduler, so that writers really conflict. Fails the first writes
/// with the conflicts that a test asks for.
#[derive(Default)]
pub(crate) struct ContendedStore {
    inner: MemoryStore,
    conflicts: AtomicI64,
}

impl ContendedStore {
    /// Fails this many writes of records with a conflict.
    pub(crate) fn overtake(&self, times: i64) {
        self.conflicts.store(times, Ordering::SeqCst);
    }

    async fn turn(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn record_turn(&self) -> Result<(), StoreError> {
        self.turn().await;
        match self.conflicts.fetch_sub(1, Ordering::SeqCst) {
            1.. => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl SessionStore for ContendedStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        self.turn().await;
        self.inner.create(record, now).await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.turn().await;
        self.inner.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        self.record_turn().await?;
        self.inner.replace(record, read, now).await
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.turn().await;
        self.inner.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        self.turn().await;
        self.inner.write_index(index, read, now).await
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        self.turn().await;
        self.inner.create_use(used, now).await
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.turn().await;
        self.inner.load_use(key, now).await
    }
}
