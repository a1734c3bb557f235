//! Session store in memory, for local use: everything is lost when the process ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::index::{IndexKey, SessionIndex};
use super::record::SessionRecord;
use super::store::{Etag, SessionStore, StoreError, StoredIndex, StoredRecord};
use super::ticket::SessionKey;
use super::used_once::{UseKey, UsedOnce};
use crate::clock::Timestamp;
use crate::random;

/// Writes between two removals of expired records.
const SWEEP_EVERY: u32 = 256;

/// Session store in this process's memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    by_key: HashMap<SessionKey, StoredRecord>,
    indexes: HashMap<IndexKey, StoredIndex>,
    uses: HashMap<UseKey, UsedOnce>,
    writes: u32,
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        let mut records = self.records();
        if records.live(&record.key, now).is_some() {
            return Err(StoreError::Conflict);
        }
        Ok(records.write(record, now))
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.records().live(key, now).cloned())
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        let mut records = self.records();
        match records.live(&record.key, now) {
            None => Err(StoreError::Missing),
            Some(stored) if stored.etag != *read => Err(StoreError::Conflict),
            Some(_) => Ok(records.write(record, now)),
        }
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        Ok(self.records().live_index(key, now).cloned())
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        let mut records = self.records();
        match (records.live_index(&index.key, now), read) {
            (None, Some(_)) => Err(StoreError::Missing),
            (Some(_), None) => Err(StoreError::Conflict),
            (Some(stored), Some(read)) if stored.etag != *read => Err(StoreError::Conflict),
            (None, None) | (Some(_), Some(_)) => Ok(records.write_index(index, now)),
        }
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        let mut records = self.records();
        if records.live_use(&used.key, now).is_some() {
            return Err(StoreError::Conflict);
        }
        records.sweep(now);
        records.uses.insert(used.key.clone(), used.clone());
        Ok(())
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        Ok(self.records().live_use(key, now).cloned())
    }
}

impl MemoryStore {
    fn records(&self) -> MutexGuard<'_, Records> {
        // No code panics between two halves of a change, so a poisoned map is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn live(&self, key: &SessionKey, now: Timestamp) -> Option<&StoredRecord> {
        self.by_key.get(key).filter(|stored| now < stored.record.expires_at)
    }

    fn live_index(&self, key: &IndexKey, now: Timestamp) -> Option<&StoredIndex> {
        self.indexes.get(key).filter(|stored| now < stored.index.expires_at)
    }

    fn live_use(&self, key: &UseKey, now: Timestamp) -> Option<&UsedOnce> {
        self.uses.get(key).filter(|used| now < used.expires_at)
    }

    fn write_index(&mut self, index: &SessionIndex, now: Timestamp) -> Etag {
        self.sweep(now);
        let etag = Etag(random::guid_pair());
        self.indexes.insert(index.key.clone(), StoredIndex { index: index.clone(), etag: etag.clone() });
        etag
    }

    fn sweep(&mut self, now: Timestamp) {
        self.writes = self.writes.wrapping_add(1);
        if self.writes.is_multiple_of(SWEEP_EVERY) {
            self.by_key.retain(|_, stored| now < stored.record.expires_at);
            self.indexes.retain(|_, stored| now < stored.index.expires_at);
            self.uses.retain(|_, used| now < used.expires_at);
        }
    }

    fn write(&mut self, record: &SessionRecord, now: Timestamp) -> Etag {
        self.sweep(now);
        let etag = Etag(random::guid_pair());
        let stored = StoredRecord { record: record.clone(), etag: etag.clone() };
        self.by_key.insert(record.key.clone(), stored);
        etag
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::crypto::SealedPart;
    use crate::sessions::{RecordState, SessionTicket};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const END: Timestamp = Timestamp::from_unix(1_800_000_100);

    fn record() -> SessionRecord {
        let part = SealedPart { kid: "k".to_owned(), salt: [0; 32], ciphertext: vec![1] };
        SessionRecord {
            key: SessionTicket::from_seed(&crate::random::bytes(), "", NOW, END).id.key(),
            generation: 1,
            access_token_expires_at: None,
            refresh_at: None,
            expires_at: END,
            lease: None,
            state: RecordState::Active { request: part.clone(), refresh: part, routes: Vec::new() },
        }
    }

    #[actix_web::test]
    async fn expired_records_leave_the_memory() {
        let store = MemoryStore::default();
        for _ in 1..SWEEP_EVERY {
            store.create(&record(), NOW).await.unwrap();
        }

        let late = SessionRecord { expires_at: END.plus(Duration::from_secs(1)), ..record() };
        store.create(&late, END).await.unwrap();

        assert_eq!(store.records().by_key.len(), 1);
    }
}
