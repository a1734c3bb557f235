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
    Etag, IndexKey, LeasePurpose, MemoryStore, RecordState, RefreshLease, SessionIndex, SessionKey, SessionRecord,
    SessionStore, StoreError, StoredIndex, StoredRecord, TargetKey, UseKey, UsedOnce,
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
    /// Forgets that calls had no response.
    ForgetsUnanswered,
    /// Says of every call that it had no response.
    CountsAnswered,
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
    /// Records by their refresh parts, which a write stored.
    written: HashMap<Salt, SessionRecord>,
    /// The same for those whose write failed, or seemed to; with the beginning of the first attempt and the last failure.
    unwritten: HashMap<Salt, (SessionRecord, Instant, Instant)>,
    generations: Vec<Generation>,
    /// Targets of the tokens of routes, and the records that were the first to contain them.
    with_route_token: HashMap<Salt, (TargetKey, SessionRecord)>,
    /// Versions in which calls are counted, though nobody holds the lease, by their time.
    in_doubt: Vec<(SessionKey, Instant)>,
    /// True while every write fails.
    refuses_writes: bool,
    outcomes: HashMap<CallOutcome, usize>,
}

/// Salt of a sealed part, one of its own for each sealing.
type Salt = [u8; 32];

/// Written generation.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) key: SessionKey,
    pub(crate) number: u64,
    pub(crate) written_at: Instant,
    /// Expiry of its access token.
    pub(crate) lapse: Option<Timestamp>,
    /// Time from which its refresh is due.
    pub(crate) due: Option<Timestamp>,
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
            written: HashMap::new(),
            unwritten: HashMap::new(),
            generations: Vec::new(),
            with_route_token: HashMap::new(),
            in_doubt: Vec::new(),
            refuses_writes: false,
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

    /// Makes every write fail, or not.
    pub(crate) fn refuse_writes(&self, refuses_writes: bool) {
        self.script().refuses_writes = refuses_writes;
    }

    /// Records of a session that contained different refresh parts.
    pub(crate) fn written(&self, key: &SessionKey) -> Vec<SessionRecord> {
        self.script().written.values().filter(|record| record.key == *key).cloned().collect()
    }

    /// Records of a session with refresh parts that were never stored, though it was tried for `long`.
    pub(crate) fn refused_for(&self, key: &SessionKey, long: Duration) -> Vec<SessionRecord> {
        let script = self.script();
        let refused = script.unwritten.iter().filter(|(salt, (record, first, last))| {
            record.key == *key && *last - *first >= long && !script.written.contains_key(*salt)
        });
        refused.map(|(_, (record, ..))| record.clone()).collect()
    }

    /// Generations of a session after the first.
    pub(crate) fn generations(&self, key: &SessionKey) -> Vec<Generation> {
        self.script().generations.iter().filter(|generation| generation.key == *key).cloned().collect()
    }

    /// Records of a session that were the first to contain a route's token, each with its target.
    pub(crate) fn with_route_token(&self, key: &SessionKey) -> Vec<(TargetKey, SessionRecord)> {
        self.script().with_route_token.values().filter(|(_, record)| record.key == *key).cloned().collect()
    }

    /// Time at which a version of a session first counted a call without a response, and nobody held its lease.
    pub(crate) fn in_doubt_since(&self, key: &SessionKey) -> Option<Instant> {
        self.script().in_doubt.iter().find(|(session, _)| session == key).map(|(_, at)| *at)
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
        let call = self.script().draw(false);
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
        let call = self.script().draw(true);
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

    fn note_unwritten(&self, record: &SessionRecord, begun: Instant) {
        let Some(salt) = refresh_salt(record) else { return };
        let attempts = &mut self.script().unwritten;
        attempts.entry(salt).or_insert_with(|| (record.clone(), begun, begun)).2 = Instant::now();
    }

    /// Notes the refresh part of a stored record.
    pub(crate) fn note_written(&self, record: &SessionRecord) {
        self.script().note_written(record);
    }
}

impl Script {
    fn draw(&mut self, is_write: bool) -> Call {
        self.calls += 1;
        let roll = self.seeded.below(100);
        let outcome = match (self.health, roll) {
            _ if self.refuses_writes && is_write => CallOutcome::Failed,
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
    fn note_written(&mut self, record: &SessionRecord) {
        if let Some(salt) = refresh_salt(record) {
            self.written.entry(salt).or_insert_with(|| record.clone());
        }
        if let RecordState::Active { routes, .. } = &record.state {
            for route in routes {
                let Some(token) = &route.token else { continue };
                self.with_route_token.entry(token.part.salt).or_insert_with(|| (route.target, record.clone()));
            }
        }
        let is_counted = |lease: &RefreshLease| lease.purpose != LeasePurpose::Refreshing && lease.unanswered > 0;
        if record.lease.as_ref().is_some_and(is_counted) {
            self.in_doubt.push((record.key.clone(), Instant::now()));
        }
    }

    fn note_generation(&mut self, record: &SessionRecord) {
        let is_known = |known: &Generation| known.key == record.key && known.number >= record.generation;
        if record.generation > 1 && !self.generations.iter().any(is_known) {
            self.generations.push(Generation {
                key: record.key.clone(),
                number: record.generation,
                written_at: Instant::now(),
                lapse: record.access_token_expires_at,
                due: record.refresh_at,
            });
        }
    }
}

/// Salt of a live record's refresh part.
fn refresh_salt(record: &SessionRecord) -> Option<Salt> {
    match &record.state {
        RecordState::Active { refresh, .. } => Some(refresh.salt),
        RecordState::Ended { .. } => None,
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("scripted".into())
}

#[async_trait]
impl SessionStore for VirtualStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        let record = record.clone();
        let script = Arc::clone(&self.script);
        self.write(move |inner| {
            let record = record.clone();
            let script = Arc::clone(&script);
            async move {
                let created = inner.create(&record, now).await;
                if created.is_ok() {
                    script.lock().unwrap().note_written(&record);
                }
                created
            }
        })
        .await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.read(self.inner.load(key, now)).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        let begun = Instant::now();
        let wanted = record;
        let mut record = record.clone();
        let defect = self.defect();
        let is_backoff = record.lease.as_ref().is_some_and(|lease| lease.purpose == LeasePurpose::BackingOff);
        if defect == Some(StoreDefect::ForgetsBackoffs) && is_backoff {
            record.lease = None;
        }
        if let Some(lease) = record.lease.as_mut().filter(|_| defect == Some(StoreDefect::ForgetsUnanswered)) {
            lease.unanswered = 0;
        }
        if let Some(lease) = record.lease.as_mut().filter(|_| defect == Some(StoreDefect::CountsAnswered)) {
            lease.unanswered = lease.unanswered.max(1);
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
                        let mut script = script.lock().unwrap();
                        script.note_generation(&record);
                        script.note_written(&record);
                    }
                    written
                }
            })
            .await;
        if written.is_err() {
            self.note_unwritten(wanted, begun);
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
