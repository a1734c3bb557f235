//! The lease of a record: its holder is the one who asks the Provider for this generation's next token.
//!
//! Acquired, renewed and released by conditional writes, so that of many instances one holds it. A holder that died is
//! recognised by a record that stays unchanged, not by the time in it. Asks the Provider nothing.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::background::Background;
use super::freshness::Freshness;
use super::parts::RefreshPart;
use super::record::{LeasePurpose, RefreshLease, SessionRecord};
use super::records::Records;
use super::store::{Etag, StoreError, StoredRecord};
use super::ticket::SessionTicket;
use super::timing::{self, LEASE, LEASE_WAIT, MAX_PAUSE, MAX_UNANSWERED, MIN_PAUSE, RENEW_EVERY, SEND_WITHIN};
use crate::clock::{Clock, Timestamp};
use crate::oidc::RefreshToken;
use crate::random;
use crate::telemetry::metrics;

/// Acquires, renews and releases the leases of records.
#[derive(Clone)]
pub(super) struct Leases {
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) background: Background,
}

/// Result of trying to acquire a lease.
pub(super) enum LeaseAttempt {
    /// The lease is ours.
    Acquired(Box<HeldLease>),
    /// The session is over.
    Ended,
    /// The token was refreshed meanwhile.
    Refreshed,
    /// The Provider rests, or another instance is at work for longer than we wait.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The Provider has refused the last request, and rests.
    Refused,
    /// The session has no refresh token.
    NoRefreshToken,
}

/// A lease that this instance holds.
pub(super) struct HeldLease {
    /// The refresh part, opened.
    pub(super) part: RefreshPart,
    /// The token to send.
    pub(super) refresh_token: RefreshToken,
    /// The leased record, as it was written last.
    pub(super) record: StoredRecord,
    /// When the last write that certainly succeeded was begun.
    renewed_at: Cell<Instant>,
}

/// The response of the Provider to a call under the lease.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The Provider has not acted on the call.
    NotActedOn,
    /// Nobody knows.
    Unknown,
    /// An error for this client or this request.
    Refused,
}

/// Measures the time spent waiting for another's lease, and reports it when dropped.
struct LeaseWait(Option<Instant>);

impl Drop for LeaseWait {
    fn drop(&mut self) {
        if let Some(since) = self.0 {
            metrics::lease_wait(since.elapsed());
        }
    }
}

/// The version of a record that another instance has leased, and when it was first seen here.
#[derive(Default)]
struct Observation(Option<(Etag, Instant)>);

impl Observation {
    /// True once `etag` has been the record's version for the life of a lease.
    fn is_dead(&mut self, etag: &Etag) -> bool {
        match &self.0 {
            Some((seen, since)) if seen == etag => since.elapsed() >= LEASE,
            _ => {
                self.0 = Some((etag.clone(), Instant::now()));
                false
            }
        }
    }
}

impl HeldLease {
    /// True while no other instance can have taken the lease for dead.
    pub(super) fn may_send(&self) -> bool {
        self.renewed_at.get().elapsed() < SEND_WITHIN
    }
}

impl Leases {
    /// Acquires the lease of the record's generation, or reports that the session ended, was refreshed meanwhile, or
    /// must wait. `from` is how fresh a token may be and still be refreshed.
    pub(super) async fn acquire(&self, ticket: &SessionTicket, from: Freshness) -> Result<LeaseAttempt, StoreError> {
        let deadline = Instant::now() + LEASE_WAIT;
        let mut pause = MIN_PAUSE;
        let mut wait = LeaseWait(None);
        let mut observation = Observation::default();
        loop {
            let now = self.clock.now();
            let Some(stored) = self.records.read(&ticket.sid.key(), now).await? else {
                return Ok(LeaseAttempt::Ended);
            };
            if stored.record.is_ended() {
                return Ok(LeaseAttempt::Ended);
            }
            let freshness = Freshness::of(&stored.record, now);
            if freshness == Freshness::Fresh && from != Freshness::Fresh {
                return Ok(LeaseAttempt::Refreshed);
            }
            let is_free = match &stored.record.lease {
                None => true,
                Some(lease) => match lease.purpose {
                    LeasePurpose::Resting if now < lease.lapses_at => {
                        return Ok(LeaseAttempt::Unavailable { retry_after: until(lease.lapses_at, now) });
                    }
                    LeasePurpose::Refused if now < lease.lapses_at => return Ok(LeaseAttempt::Refused),
                    LeasePurpose::Resting | LeasePurpose::Refused => true,
                    LeasePurpose::Refreshing => observation.is_dead(&stored.etag),
                },
            };
            if is_free {
                if let Some(attempt) = self.take((*stored).clone(), ticket, freshness).await? {
                    return Ok(attempt);
                }
                continue; // another write came first
            }
            if Instant::now() >= deadline || self.background.is_draining() {
                return Ok(LeaseAttempt::Unavailable { retry_after: timing::rest(0, None) });
            }
            wait.0.get_or_insert_with(Instant::now);
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Writes the lease; `None` when another write came first.
    async fn take(
        &self,
        stored: StoredRecord,
        ticket: &SessionTicket,
        freshness: Freshness,
    ) -> Result<Option<LeaseAttempt>, StoreError> {
        let (unanswered, rests) = stored.record.lease.as_ref().map_or((0, 0), |lease| (lease.unanswered, lease.rests));
        let has_lapse_ahead = freshness != Freshness::Lapsed && stored.record.access_token_expires_at.is_some();
        if unanswered >= MAX_UNANSWERED && has_lapse_ahead {
            // The last holder died, or the person asks for a refresh while the token lives.
            let retry_after = self.rest(stored, Unusable::Unknown, None).await?;
            return Ok(Some(LeaseAttempt::Unavailable { retry_after }));
        }
        let Some(part) = self.records.open_refresh_part(&stored, ticket).await? else {
            return Ok(Some(LeaseAttempt::Ended)); // sealed under a key that is gone
        };
        let Some(refresh_token) = part.refresh_token.clone() else {
            return Ok(Some(LeaseAttempt::NoRefreshToken));
        };
        let holder = random::guid_pair();
        let renewed_at = Instant::now();
        let now = self.clock.now(); // keys may have been waited for meanwhile
        let lease = RefreshLease {
            purpose: LeasePurpose::Refreshing,
            holder: holder.clone(),
            lapses_at: now.plus(LEASE),
            unanswered: unanswered.saturating_add(1),
            rests,
        };
        let leased = SessionRecord { lease: Some(lease), ..stored.record };
        let record = match self.records.replace(leased, &stored.etag, now).await {
            Ok(record) => Some(record),
            // Another write came first, or this one happened and its reply was lost: only another read can tell.
            Err(error) => match (self.find_ours(ticket, &holder, now).await?, error) {
                (Some(found), _) => Some(found),
                (None, StoreError::Conflict | StoreError::Missing) => None,
                (None, error @ StoreError::Unavailable(_)) => return Err(error),
            },
        };
        let held = |record| HeldLease { part, refresh_token, record, renewed_at: Cell::new(renewed_at) };
        Ok(record.map(|record| LeaseAttempt::Acquired(Box::new(held(record)))))
    }

    /// Runs `call` to its end and renews the lease meanwhile. A renewal that fails interrupts nothing: the write of the
    /// call's result is conditional and finds out.
    pub(super) async fn hold<T>(
        &self,
        held: &HeldLease,
        ticket: &SessionTicket,
        call: impl Future<Output = T>,
    ) -> (T, StoredRecord) {
        let mut record = held.record.clone();
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                result = &mut call => return (result, record),
                () = sleep(RENEW_EVERY) => {}
            }
            let begun = Instant::now();
            let mut finished = None;
            let renewed = {
                let mut renewal = pin!(self.renew(&record, ticket));
                loop {
                    tokio::select! {
                        biased;
                        result = &mut call, if finished.is_none() => finished = Some(result),
                        renewed = &mut renewal => break renewed,
                    }
                }
            };
            if let Some(renewed) = renewed {
                record = renewed;
                held.renewed_at.set(begun);
            }
            if let Some(result) = finished {
                return (result, record);
            }
        }
    }

    /// Writes the lease again; `None` when it could not be written, or is no longer ours.
    async fn renew(&self, leased: &StoredRecord, ticket: &SessionTicket) -> Option<StoredRecord> {
        let now = self.clock.now();
        let lease = RefreshLease { lapses_at: now.plus(LEASE), ..leased.record.lease.clone()? };
        let holder = lease.holder.clone();
        let renewed = SessionRecord { lease: Some(lease), ..leased.record.clone() };
        match self.records.replace(renewed, &leased.etag, now).await {
            Ok(record) => Some(record),
            Err(_) => self.find_ours(ticket, &holder, now).await.ok().flatten(), // perhaps only its reply was lost
        }
    }

    /// The record, if this holder's lease is in it.
    async fn find_ours(
        &self,
        ticket: &SessionTicket,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<StoredRecord>, StoreError> {
        let found = self.records.read(&ticket.sid.key(), now).await?;
        let is_ours = |lease: &RefreshLease| lease.purpose == LeasePurpose::Refreshing && lease.holder == holder;
        Ok(found.filter(|found| found.record.lease.as_ref().is_some_and(is_ours)).map(|found| (*found).clone()))
    }

    /// Lets the Provider rest: until the access token lapses after a refusal or after [`MAX_UNANSWERED`] calls without a
    /// response, otherwise for a pause that grows. Returns when to try again.
    pub(super) async fn rest(
        &self,
        leased: StoredRecord,
        response: Unusable,
        retry_after: Option<Duration>,
    ) -> Result<Duration, StoreError> {
        let now = self.clock.now();
        let (unanswered, rests) = leased.record.lease.as_ref().map_or((0, 0), |lease| (lease.unanswered, lease.rests));
        let unanswered = if response == Unusable::Unknown { unanswered } else { unanswered.saturating_sub(1) };
        let pause = timing::rest(rests, retry_after);
        let waits_for_lapse = response == Unusable::Refused || unanswered >= MAX_UNANSWERED;
        let lapse = leased.record.access_token_expires_at.filter(|lapse| waits_for_lapse && *lapse > now);
        let lapses_at = lapse.map_or_else(|| now.plus(pause), |lapse| lapse.max(now.plus(pause)));
        let purpose = if response == Unusable::Refused { LeasePurpose::Refused } else { LeasePurpose::Resting };
        let rests = rests.saturating_add(1);
        let lease = RefreshLease { purpose, holder: String::new(), lapses_at, unanswered, rests };
        let StoredRecord { record, etag } = leased;
        let record = SessionRecord { lease: Some(lease), ..record };
        match self.records.replace(record, &etag, now).await {
            // Another write ended the session or took the lease; both are for its writer to report.
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing) => Ok(until(lapses_at, now)),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }
}

/// Time from `now` to `then`, at least a second.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    then.since(now).max(Duration::from_secs(1))
}
