//! Cache of recently read records, still sealed: a burst of requests on one session reads the store once.
//!
//! Holds no secret: only the browser's cookie opens a record. A tombstone or a newer generation is never replaced by an
//! older read that was still in progress.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::store::StoredRecord;
use super::ticket::SessionKey;
use crate::clock::Timestamp;

/// Maximum sessions in the cache; a record is two to four kilobytes.
const CAPACITY: usize = 2_048;

/// Cache of sealed records, each for the cache time.
pub(super) struct RecordCache {
    records: Cache<SessionKey, Cached>,
    ttl: Duration,
}

#[derive(Clone)]
struct Cached {
    stored: Arc<StoredRecord>,
    read_at: Timestamp,
}

impl RecordCache {
    /// Cache with a lifetime of `ttl` (`SESSION_CACHE_TTL`); zero caches nothing.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { records: Cache::new(CAPACITY), ttl }
    }

    /// The record, if it was read within the cache time.
    pub(super) fn find(&self, key: &SessionKey, now: Timestamp) -> Option<Arc<StoredRecord>> {
        self.find_younger(self.ttl, key, now)
    }

    /// The record, if it was read within [`Self::poll_interval`].
    pub(super) fn find_recent(&self, key: &SessionKey, now: Timestamp) -> Option<Arc<StoredRecord>> {
        self.find_younger(self.poll_interval(), key, now)
    }

    /// Half of the cache time, at least half a second: a reader that polls at this interval, and accepts records no
    /// older, sees a change within the cache time.
    pub(super) fn poll_interval(&self) -> Duration {
        (self.ttl / 2).max(Duration::from_millis(500))
    }

    fn find_younger(&self, age: Duration, key: &SessionKey, now: Timestamp) -> Option<Arc<StoredRecord>> {
        let cached = self.records.get(key)?;
        let is_recent = now >= cached.read_at && now.since(cached.read_at) < age;
        (is_recent && now < cached.stored.record.expires_at).then_some(cached.stored)
    }

    /// Caches a record read or written at `now`, unless a newer one is cached.
    pub(super) fn keep(&self, stored: &Arc<StoredRecord>, now: Timestamp) {
        if self.ttl.is_zero() {
            return;
        }
        let fresh = Cached { stored: Arc::clone(stored), read_at: now };
        let replace = |_: &SessionKey, known: &mut Cached| {
            if !supersedes(known, &fresh) {
                *known = fresh.clone();
            }
            EntryAction::Retain(())
        };
        match self.records.entry(&stored.record.key, None, replace) {
            EntryResult::Vacant(place) => drop(place.insert(fresh)),
            EntryResult::Retained(()) | EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
            }
        }
    }
}

/// True if the cached version must not be replaced by the one that was read.
fn supersedes(known: &Cached, read: &Cached) -> bool {
    let known = &known.stored.record;
    let read = &read.stored.record;
    known.is_ended() || (!read.is_ended() && known.generation > read.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SealedPart;
    use crate::sessions::{Etag, RecordState, SessionRecord, SessionTicket, WriteId};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn record(generation: u64) -> SessionRecord {
        let part = || SealedPart { kid: "k".to_owned(), salt: [0; 32], ciphertext: vec![] };
        SessionRecord {
            key: SessionTicket::from_seed(&[7; 32], "", NOW, NOW).id.key(),
            generation,
            access_token_expires_at: None,
            refresh_at: None,
            expires_at: NOW.plus(Duration::from_secs(60)),
            lease: None,
            state: RecordState::Active { request: part(), refresh: part(), routes: Vec::new() },
        }
    }

    fn stored(record: SessionRecord) -> Arc<StoredRecord> {
        Arc::new(StoredRecord { record, etag: Etag("e".to_owned()) })
    }

    fn generation(cache: &RecordCache, now: Timestamp) -> Option<u64> {
        cache.find(&record(1).key, now).map(|stored| stored.record.generation)
    }

    #[test]
    fn a_record_is_believed_for_the_given_time() {
        let cache = RecordCache::new(Duration::from_secs(5));
        cache.keep(&stored(record(1)), NOW);

        assert_eq!(generation(&cache, NOW.plus(Duration::from_secs(4))), Some(1));
        assert_eq!(generation(&cache, NOW.plus(Duration::from_secs(5))), None);
    }

    #[test]
    fn a_cache_of_no_time_keeps_nothing() {
        let cache = RecordCache::new(Duration::ZERO);
        cache.keep(&stored(record(1)), NOW);

        assert_eq!(generation(&cache, NOW), None);
    }

    #[test]
    fn an_older_read_never_replaces_a_newer_generation() {
        let cache = RecordCache::new(Duration::from_secs(5));
        cache.keep(&stored(record(2)), NOW);
        cache.keep(&stored(record(1)), NOW);

        assert_eq!(generation(&cache, NOW), Some(2));
    }

    #[test]
    fn an_older_read_never_replaces_a_tombstone() {
        let cache = RecordCache::new(Duration::from_secs(5));
        cache.keep(&stored(record(1).tombstone(WriteId::random(), NOW)), NOW);
        cache.keep(&stored(record(2)), NOW);

        assert!(cache.find(&record(1).key, NOW).unwrap().record.is_ended());
    }

    #[test]
    fn an_expired_record_is_not_found() {
        let cache = RecordCache::new(Duration::from_secs(600));
        cache.keep(&stored(record(1)), NOW);

        assert_eq!(generation(&cache, NOW.plus(Duration::from_secs(60))), None);
    }
}
