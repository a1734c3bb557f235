//! Queue of writers per index within this process: they wait here instead of conflicting in the store.
//!
//! A writer also enters the sessions of those who wait behind it, so that many sign-ins of one person cost few writes.
//! An index without a writer takes no memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::index::{IndexKey, IndexedSession};
use crate::clock::Timestamp;

/// Indexes being written. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct IndexWriters(Arc<Mutex<HashMap<IndexKey, Queue>>>);

#[derive(Default)]
struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    entries: Vec<Arc<PendingEntry>>,
}

/// Session waiting to be entered.
pub(super) struct PendingEntry {
    /// The session.
    pub(super) session: IndexedSession,
    /// Begin of its sign-in.
    pub(super) began_at: Timestamp,
    is_entered: AtomicBool,
}

/// Entry that the current writer may write. Withdrawn when dropped.
pub(super) struct Announcement {
    writers: IndexWriters,
    key: IndexKey,
    entry: Arc<PendingEntry>,
}

/// Exclusive right to write an index in this process, until it is dropped.
pub(super) struct IndexWriter {
    writers: IndexWriters,
    key: IndexKey,
    turn: Option<OwnedMutexGuard<()>>,
}

impl PendingEntry {
    /// Marks the entry as stored.
    pub(super) fn mark_entered(&self) {
        self.is_entered.store(true, Ordering::Relaxed);
    }
}

impl Announcement {
    /// True once another writer has entered the session.
    pub(super) fn is_entered(&self) -> bool {
        self.entry.is_entered.load(Ordering::Relaxed)
    }
}

impl IndexWriters {
    /// Offers this session to every writer of the index.
    pub(super) fn announce(&self, key: &IndexKey, session: IndexedSession, began_at: Timestamp) -> Announcement {
        let entry = Arc::new(PendingEntry { session, began_at, is_entered: AtomicBool::new(false) });
        self.locked().entry(key.clone()).or_default().entries.push(Arc::clone(&entry));
        Announcement { writers: self.clone(), key: key.clone(), entry }
    }

    /// Sessions waiting to be entered.
    pub(super) fn pending(&self, key: &IndexKey) -> Vec<Arc<PendingEntry>> {
        self.locked().get(key).map(|queue| queue.entries.clone()).unwrap_or_default()
    }

    /// Waits for earlier writers; `None` if they took until `deadline`.
    pub(super) async fn acquire(&self, key: &IndexKey, deadline: Instant) -> Option<IndexWriter> {
        let turn = Arc::clone(&self.locked().entry(key.clone()).or_default().turn);
        let mut writer = IndexWriter { writers: self.clone(), key: key.clone(), turn: None };
        writer.turn = Some(timeout_at(deadline, turn.lock_owned()).await.ok()?);
        Some(writer)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IndexKey, Queue>> {
        // No code panics while the map is locked, so a poisoned map is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes an unused queue. Its turn is cloned only under the map's lock, so the last clone in the map has no other
/// user.
fn forget_if_unused(queues: &mut HashMap<IndexKey, Queue>, key: &IndexKey) {
    if queues.get(key).is_some_and(|queue| queue.entries.is_empty() && Arc::strong_count(&queue.turn) == 1) {
        queues.remove(key);
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let mut queues = self.writers.locked();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        }
        forget_if_unused(&mut queues, &self.key);
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        let mut queues = self.writers.locked();
        self.turn = None;
        forget_if_unused(&mut queues, &self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sessions::{IndexKind, SessionTicket};

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

    fn entry(seed: u8) -> IndexedSession {
        let now = Timestamp::from_unix(0);
        let key = SessionTicket::from_seed(&[seed; 32], "code", now, now).id.key();
        IndexedSession { key, expires_at: now, has_sid: false }
    }

    #[test]
    fn a_writer_sees_the_sessions_of_those_who_wait_and_tells_them_that_they_are_in() {
        let writers = IndexWriters::default();
        let [one, two] = [1, 2].map(|seed| writers.announce(&key(), entry(seed), Timestamp::from_unix(0)));

        let batch = writers.pending(&key());
        batch.iter().for_each(|entry| entry.mark_entered());

        assert_eq!(batch.len(), 2);
        assert!(one.is_entered() && two.is_entered());
        drop([one, two]);
        assert!(writers.pending(&key()).is_empty() && writers.locked().is_empty());
    }
}
