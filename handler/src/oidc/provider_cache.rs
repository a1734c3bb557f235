//! Cache of the Provider's metadata and keys, fetched once per process however many workers need them.
//!
//! Knows no HTTP: the fetch is an argument, and so is the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{ProviderError, ProviderMetadata, VerificationKeys};
use crate::clock::Timestamp;

/// Age at which a document is fetched again: Providers announce changes longer before.
const FRESH: Duration = Duration::from_secs(3600);

/// Age until which the last good document is used while the Provider is down, even with a withdrawn key.
const USABLE: Duration = Duration::from_secs(24 * 3600);

/// Backoff after a failed fetch without a usable document.
const FETCH_BACKOFF: Duration = Duration::from_secs(5);

/// Backoff while the last good document is usable, and between two fetches for an unknown key.
const REFETCH_BACKOFF: Duration = Duration::from_secs(60);

/// Minimum interval between fetches for an unknown key in an unauthenticated request. A valid token of a new key may
/// have to wait this long behind invented ones, and the Provider gets no more requests than this.
const STRANGERS_BACKOFF: Duration = Duration::from_secs(5);

/// Metadata and keys of the Provider, shared by all workers.
#[derive(Debug, Default)]
pub struct ProviderCache {
    pub(super) metadata: Cached<ProviderMetadata>,
    pub(super) keys: Cached<VerificationKeys>,
}

/// One cached document, with the lock of its single fetch.
#[derive(Debug)]
pub(super) struct Cached<T> {
    state: Mutex<State<T>>,
    fetching: tokio::sync::Mutex<()>,
}

/// Source of a token with an unknown key. Each has a budget of its own, so strangers exhaust only theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefetchCause {
    /// The Provider's response to our request.
    Response,
    /// A request by anyone.
    Request,
}

impl RefetchCause {
    const fn backoff(self) -> Duration {
        match self {
            Self::Response => REFETCH_BACKOFF,
            Self::Request => STRANGERS_BACKOFF,
        }
    }
}

#[derive(Debug)]
struct State<T> {
    document: Option<(Arc<T>, Timestamp)>,
    failure: Option<(ProviderError, Timestamp)>,
    refetched_at: [Option<Timestamp>; 2],
    fetches: u64,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        let state = State { document: None, failure: None, refetched_at: [None; 2], fetches: 0 };
        Self { state: Mutex::new(state), fetching: tokio::sync::Mutex::default() }
    }
}

impl<T> Cached<T> {
    /// The cached document, or the last failure, while no fetch is due.
    pub(super) fn cached(&self, now: Timestamp) -> Option<Result<Arc<T>, ProviderError>> {
        let state = self.state();
        let backoff = if state.usable(now).is_some() { REFETCH_BACKOFF } else { FETCH_BACKOFF };
        let is_fresh = state.document.as_ref().is_some_and(|(_, fetched_at)| is_within(FRESH, *fetched_at, now));
        let has_just_failed = state.failure.as_ref().is_some_and(|(_, failed_at)| is_within(backoff, *failed_at, now));
        (is_fresh || has_just_failed).then(|| state.outcome(now))
    }

    /// Fetches the document, or waits for the fetch in progress. While the last good one is usable, nobody waits for
    /// another's fetch.
    pub(super) async fn load(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<T>, ProviderError> {
        let (fetches, usable) = {
            let state = self.state();
            (state.fetches, state.usable(now))
        };
        let _fetching = match (self.fetching.try_lock(), usable) {
            (Ok(guard), _) => guard,
            (Err(_), Some(document)) => return Ok(document),
            (Err(_), None) => self.fetching.lock().await,
        };
        if self.state().fetches != fetches {
            return self.state().outcome(now); // the fetch we waited for ended, either way
        }
        if let Some(outcome) = self.cached(now) {
            return outcome;
        }
        self.keep(fetch.await, now)
    }

    /// Fetches the document because `known` lacks a key, no more often than its cause allows. `None` if the fetch
    /// failed or was not due.
    pub(super) async fn refetch(
        &self,
        known: &Arc<T>,
        cause: RefetchCause,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Option<Arc<T>> {
        let _fetching = self.fetching.lock().await;
        {
            let mut state = self.state();
            let newer = state.document.as_ref().filter(|(document, _)| !Arc::ptr_eq(document, known));
            if let Some((document, _)) = newer {
                return Some(Arc::clone(document));
            }
            let refetched_at = &mut state.refetched_at[cause as usize];
            if refetched_at.is_some_and(|refetched_at| is_within(cause.backoff(), refetched_at, now)) {
                return None;
            }
            *refetched_at = Some(now);
        }
        self.keep(Ok(fetch.await.ok()?), now).ok()
    }

    fn keep(&self, fetched: Result<T, ProviderError>, now: Timestamp) -> Result<Arc<T>, ProviderError> {
        let mut state = self.state();
        state.fetches += 1;
        match fetched {
            Ok(document) => {
                state.document = Some((Arc::new(document), now));
                state.failure = None;
            }
            Err(error) => state.failure = Some((error, now)),
        }
        state.outcome(now)
    }

    /// Locks the state. Every change under the lock is a plain assignment, so a panic leaves it consistent.
    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn usable(&self, now: Timestamp) -> Option<Arc<T>> {
        let (document, fetched_at) = self.document.as_ref()?;
        is_within(USABLE, *fetched_at, now).then(|| Arc::clone(document))
    }

    fn outcome(&self, now: Timestamp) -> Result<Arc<T>, ProviderError> {
        let unasked = || ProviderError::Unreachable("it was not asked yet".into());
        let failure = || self.failure.as_ref().map_or_else(unasked, |(error, _)| error.clone());
        self.usable(now).ok_or_else(failure)
    }
}

/// True from `since` for `span`. A `since` further ahead means that the clock was set back, and counts as past.
fn is_within(span: Duration, since: Timestamp, now: Timestamp) -> bool {
    now < since.plus(span) && since <= now.plus(span)
}

#[cfg(test)]
mod tests;
