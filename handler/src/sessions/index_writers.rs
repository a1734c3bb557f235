//! One writer of an index at a time in this process: the others wait here instead of overtaking each other in the store.
//!
//! Knows nothing of what is written. An index that nobody writes takes no memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::index::IndexKey;

/// The indexes that are being written. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct IndexWriters(Arc<Mutex<HashMap<IndexKey, Arc<tokio::sync::Mutex<()>>>>>);

/// The only writer of an index in this process, until it is dropped.
pub(super) struct IndexWriter {
    writers: IndexWriters,
    key: IndexKey,
    turn: Option<OwnedMutexGuard<()>>,
}

impl IndexWriters {
    /// Waits for the writers that came before; `None` when they took until `deadline`.
    pub(super) async fn acquire(&self, key: &IndexKey, deadline: Instant) -> Option<IndexWriter> {
        let turn = Arc::clone(self.locked().entry(key.clone()).or_default());
        let mut writer = IndexWriter { writers: self.clone(), key: key.clone(), turn: None };
        writer.turn = Some(timeout_at(deadline, turn.lock_owned()).await.ok()?);
        Some(writer)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IndexKey, Arc<tokio::sync::Mutex<()>>>> {
        // No code panics while the map is locked, so a poisoned one is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        let mut turns = self.writers.locked();
        self.turn = None;
        // Clones are made under this lock only, so the last one in the map belongs to nobody.
        if turns.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sessions::IndexKind;

    fn key() -> IndexKey {
        IndexKey::of(IndexKind::Subject, "https://op.example", "client", "ada")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_waits_for_the_one_before_and_no_longer_than_its_deadline() {
        let writers = IndexWriters::default();
        let first = writers.acquire(&key(), soon()).await.unwrap();

        assert!(writers.acquire(&key(), soon()).await.is_none());
        drop(first);

        assert!(writers.acquire(&key(), soon()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_that_nobody_writes_takes_no_memory() {
        let writers = IndexWriters::default();
        let first = writers.acquire(&key(), soon()).await.unwrap();
        assert!(writers.acquire(&key(), soon()).await.is_none());
        let abandoned = tokio::time::timeout(Duration::from_millis(1), writers.acquire(&key(), soon())).await;
        assert!(abandoned.is_err());

        drop(first);

        assert!(writers.locked().is_empty());
    }
}
