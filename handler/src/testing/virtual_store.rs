//! Store in virtual time: every call takes a while, and fails in every way seen with a remote store.
//!
//! Wraps [`MemoryStore`], whose contract it keeps unless a test asks for a defect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::seeded::Seeded;
use crate::clock::Timestamp;
use crate::sessions::{
    Etag, IndexKey, LeasePurpose, MemoryStore, SessionIndex, SessionKey, SessionRecord, SessionStore, StoreError,
    StoredIndex, StoredRecord, UseKey, UsedOnce,
};

/// Frequency of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreHealth {
    /// No call fails.
    Well,
    /// One call in twenty fails.
    Flaky,
    /// Two calls in five fail.
    Ill,
}

/// Defect of the store that a rule must detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreDefect {
    /// Replaces a record without comparing its version.
    Overwrites,
    /// Forgets the time at which an index was closed.
    ForgetsClosings,
    /// Forgets a record's backoff.
    ForgetsBackoffs,
    /// Never responds to the twenty-first call.
    Hangs,
}

/// Outcome of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallOutcome {
    /// Success.
    Done,
    /// Failure before the call acts.
    Failed,
    /// The call acts, and its reply is lost.
    ReplyLost,
    /// The call acts, its reply is lost, and the SDK repeats it.
    Repeated,
}

struct Call {
    outcome: CallOutcome,
    /// Delay before the call acts, and before its repetition.
    before: Duration,
    after: Duration,
}

struct Script {
    seeded: Seeded,
    health: StoreHealth,
    defect: Option<StoreDefect>,
    calls: u64,
    /// First and last time at which a write of this generation failed, or seemed to.
    unwritten: HashMap<(SessionKey, u64), (Instant, Instant)>,
    generations: Vec<Generation>,
    outcomes: HashMap<CallOutcome, usize>,
}

/// Written generation.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) key: SessionKey,
    pub(crate) number: u64,
    pub(crate) written_at: Instant,
    /// Expiry of its access token.
    pub(crate) lapse: Option<Timestamp>,
}

/// Virtual store, shared by instances.
pub(crate) struct VirtualStore {
    inner: Arc<MemoryStore>,
    script: Arc<Mutex<Script>>,
}

impl VirtualStore {
    pub(crate) fn new(seeded: Seeded, health: StoreHealth, defect: Option<StoreDefect>) -> Self {
        let script = Script {
            seeded,
            health,
            defect,
            calls: 0,
            unwritten: HashMap::new(),
            generations: Vec::new(),
            outcomes: HashMap::new(),
        };
        Self { inner: Arc::default(), script: Arc::new(Mutex::new(script)) }
    }

    /// Ends all failures.
    pub(crate) fn heal(&self) {
        self.script().health = StoreHealth::Well;
    }

    /// The contents, without latency or failure.
    pub(crate) fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    /// True if writes of this generation failed for `long`.
    pub(crate) fn refused_for(&self, key: &SessionKey, generation: u64, long: Duration) -> bool {
        let script = self.script();
        script.unwritten.get(&(key.clone(), generation)).is_some_and(|(first, last)| *last - *first >= long)
    }

    /// Generations of a session after the first.
    pub(crate) fn generations(&self, key: &SessionKey) -> Vec<Generation> {
        self.script().generations.iter().filter(|generation| generation.key == *key).cloned().collect()
    }

    /// Number of calls with this outcome.
    pub(crate) fn count(&self, outcome: CallOutcome) -> usize {
        self.script().outcomes.get(&outcome).copied().unwrap_or(0)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn defect(&self) -> Option<StoreDefect> {
        self.script().defect
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let call = self.script().draw();
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        sleep(call.before).await;
        let result = if call.outcome == CallOutcome::Failed { Err(lost()) } else { read.await };
        sleep(call.after).await;
        result
    }

    /// Performs a write. A sent request arrives even if its sender dies.
    async fn write<W, T>(&self, write: impl Fn(Arc<MemoryStore>) -> W + Send + 'static) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, StoreError>> + Send,
        T: Send + 'static,
    {
        let call = self.script().draw();
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        let inner = Arc::clone(&self.inner);
        let arrival = tokio::spawn(async move {
            sleep(call.before).await;
            match call.outcome {
                CallOutcome::Done => write(inner).await,
                CallOutcome::Failed => Err(lost()),
                CallOutcome::ReplyLost => {
                    let _ = write(inner).await;
                    Err(lost())
                }
                CallOutcome::Repeated => {
                    let _ = write(Arc::clone(&inner)).await;
                    sleep(call.before).await;
                    write(inner).await // finds its own first write, and reports a conflict
                }
            }
        });
        let result = arrival.await.unwrap();
        sleep(call.after).await;
        result
    }

    fn hangs(&self) -> bool {
        let script = self.script();
        script.defect == Some(StoreDefect::Hangs) && script.calls > 20
    }

    fn note_unwritten(&self, record: &SessionRecord) {
        let now = Instant::now();
        let mut script = self.script();
        script.unwritten.entry((record.key.clone(), record.generation)).or_insert((now, now)).1 = now;
    }
}

impl Script {
    fn draw(&mut self) -> Call {
        self.calls += 1;
        let roll = self.seeded.below(100);
        let outcome = match (self.health, roll) {
            (StoreHealth::Flaky, 0..2) | (StoreHealth::Ill, 0..16) => CallOutcome::Failed,
            (StoreHealth::Flaky, 2..4) | (StoreHealth::Ill, 16..28) => CallOutcome::ReplyLost,
            (StoreHealth::Flaky, 4..6) | (StoreHealth::Ill, 28..40) => CallOutcome::Repeated,
            _ => CallOutcome::Done,
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        // Within the three seconds of a call with its repetitions.
        let total = if self.seeded.one_in(20) { self.seeded.millis(1_000, 3_000) } else { self.seeded.millis(1, 50) };
        let repetitions = if outcome == CallOutcome::Repeated { 2 } else { 1 };
        let before = total * u32::try_from(self.seeded.below(101)).unwrap() / 100 / repetitions;
        Call { outcome, before, after: total - before * repetitions }
    }
}

impl Script {
    fn note_generation(&mut self, record: &SessionRecord) {
        let is_known = |known: &Generation| known.key == record.key && known.number >= record.generation;
        if record.generation > 1 && !self.generations.iter().any(is_known) {
            self.generations.push(Generation {
                key: record.key.clone(),
                number: record.generation,
                written_at: Instant::now(),
                lapse: record.access_token_expires_at,
            });
        }
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("scripted".into())
}

#[async_trait]
impl SessionStore for VirtualStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        let record = record.clone();
        self.write(move |inner| {
            let record = record.clone();
            async move { inner.create(&record, now).await }
        })
        .await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.read(self.inner.load(key, now)).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        let begun = record.clone();
        let mut record = record.clone();
        let defect = self.defect();
        let is_backoff = record.lease.as_ref().is_some_and(|lease| lease.purpose == LeasePurpose::BackingOff);
        if defect == Some(StoreDefect::ForgetsBackoffs) && is_backoff {
            record.lease = None;
        }
        let read = read.clone();
        let script = Arc::clone(&self.script);
        let written = self
            .write(move |inner| {
                let record = record.clone();
                let mut read = read.clone();
                let script = Arc::clone(&script);
                async move {
                    if defect == Some(StoreDefect::Overwrites) {
                        read = inner.load(&record.key, now).await?.ok_or(StoreError::Missing)?.etag;
                    }
                    let written = inner.replace(&record, &read, now).await;
                    if written.is_ok() {
                        script.lock().unwrap().note_generation(&record);
                    }
                    written
                }
            })
            .await;
        if written.is_err() {
            self.note_unwritten(&begun);
        }
        written
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.read(self.inner.load_index(key, now)).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        let mut index = index.clone();
        if self.defect() == Some(StoreDefect::ForgetsClosings) {
            index = SessionIndex { closed_at: None, closed_without_sid_at: None, ..index };
        }
        let read = read.cloned();
        self.write(move |inner| {
            let index = index.clone();
            let read = read.clone();
            async move { inner.write_index(&index, read.as_ref(), now).await }
        })
        .await
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        let used = used.clone();
        self.write(move |inner| {
            let used = used.clone();
            async move { inner.create_use(&used, now).await }
        })
        .await
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.read(self.inner.load_use(key, now)).await
    }
}
