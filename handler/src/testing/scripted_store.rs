//! Store in memory whose next writes have scripted outcomes.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::sessions::{
    Etag, IndexKey, MemoryStore, SessionIndex, SessionKey, SessionRecord, SessionStore, StoreError, StoredIndex,
    StoredRecord, UseKey, UsedOnce,
};

/// Scripted outcome of one write.
#[derive(Clone, Debug)]
pub(crate) enum WriteOutcome {
    /// The write succeeds.
    Written,
    /// The store fails before the write.
    Failed,
    /// The write succeeds, and its reply is lost.
    ReplyLost,
    /// The write succeeds, its reply is lost, and the client library repeats it, which conflicts with the first.
    Repeated,
    /// Another instance writes first.
    Overtaken(Box<SessionRecord>),
}

/// Store in memory whose next writes have scripted outcomes.
#[derive(Default)]
pub(crate) struct ScriptedStore {
    inner: MemoryStore,
    outcomes: Mutex<VecDeque<WriteOutcome>>,
}

impl ScriptedStore {
    pub(crate) fn script(&self, outcomes: impl IntoIterator<Item = WriteOutcome>) {
        self.outcomes.lock().unwrap().extend(outcomes);
    }

    /// Overwrites the record, as another instance would after its own read.
    pub(crate) async fn overwrite(&self, record: &SessionRecord, now: Timestamp) {
        let read = self.inner.load(&record.key, now).await.unwrap().unwrap();
        self.inner.replace(record, &read.etag, now).await.unwrap();
    }

    /// Performs one write, with the next outcome of the script.
    async fn write<T>(
        &self,
        now: Timestamp,
        write: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let outcome = self.outcomes.lock().unwrap().pop_front().unwrap_or(WriteOutcome::Written);
        match outcome {
            WriteOutcome::Written => write.await,
            WriteOutcome::Failed => Err(unavailable()),
            WriteOutcome::ReplyLost => write.await.and(Err(unavailable())),
            WriteOutcome::Repeated => write.await.and(Err(StoreError::Conflict)),
            WriteOutcome::Overtaken(record) => {
                self.overwrite(&record, now).await;
                write.await
            }
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("scripted".into())
}

#[async_trait]
impl SessionStore for ScriptedStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        self.write(now, self.inner.create(record, now)).await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        self.write(now, self.inner.replace(record, read, now)).await
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.inner.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        self.write(now, self.inner.write_index(index, read, now)).await
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        self.write(now, self.inner.create_use(used, now)).await
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.inner.load_use(key, now).await
    }
}
