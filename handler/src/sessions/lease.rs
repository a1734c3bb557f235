//! Lease of a record: its holder alone may call the Provider with this generation's tokens.
//!
//! Acquired, renewed and released by conditional writes, so only one of many instances holds it. A dead holder is
//! recognised by a record that stays unchanged, not by the time in it. Sends the Provider nothing.

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
use super::route_token::{TargetKey, TargetState};
use super::store::{Etag, StoreError, StoredRecord};
use super::ticket::SessionTicket;
use super::timing::{self, LEASE, LEASE_WAIT, MAX_UNANSWERED, PollPause, RENEW_EVERY, SEND_WITHIN};
use crate::clock::{Clock, Timestamp};
use crate::oidc::{RefreshToken, TargetGrant, TargetRefusal};
use crate::random;
use crate::telemetry::metrics;

/// Acquires, renews and releases the leases of records.
#[derive(Clone)]
pub(super) struct Leases {
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) background: Background,
}

/// Purpose of a lease, and its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// If the access token is due or has lapsed.
    WhenDue,
    /// Unconditionally, now.
    Now,
    /// If the refresh token is in doubt: a call that sent it had no response.
    InDoubt,
    /// Not a refresh of the session: a request for the token of a route, if it is wanted or due.
    ForRoute {
        /// The token's target.
        target: TargetKey,
        /// The way of the request, which decides if it needs the refresh token.
        grant: TargetGrant,
        /// Salt of a stored token that opens with no key: it counts as none.
        unreadable: Option<[u8; 32]>,
    },
}

impl Trigger {
    /// True if the holder sends the refresh token.
    fn needs_refresh_token(self) -> bool {
        match self {
            Self::WhenDue | Self::Now | Self::InDoubt => true,
            Self::ForRoute { grant, .. } => grant == TargetGrant::Refresh,
        }
    }
}

/// Result of trying to acquire a lease.
pub(super) enum LeaseAttempt {
    /// The lease is ours.
    Acquired(Box<HeldLease>),
    /// The session is over.
    Ended,
    /// The token was refreshed or obtained meanwhile.
    Refreshed,
    /// A backoff is in force, or another instance has held the lease for longer than we wait.
    Unavailable {
        /// Time until the next attempt.
        retry_after: Duration,
    },
    /// The Provider has refused the last refresh, and a backoff is in force.
    Refused,
    /// The Provider has refused the token of this route, and a backoff is in force.
    RouteRefused(TargetRefusal),
    /// A route needs the session's refresh first. Either a call that sent the refresh token had no response: the other
    /// call that [`MAX_UNANSWERED`] allows is the session's own, whose response clears the doubt for every route. Or the
    /// access token that would be exchanged has lapsed.
    RefreshFirst,
    /// The session has no refresh token.
    NoRefreshToken,
}

/// Lease held by this instance.
pub(super) struct HeldLease {
    /// The refresh part, opened.
    pub(super) part: RefreshPart,
    /// The lease that was in the record before, no longer in force.
    pub(super) before: Option<RefreshLease>,
    /// The leased record, as last written.
    pub(super) record: StoredRecord,
    /// Start of the last write that certainly succeeded.
    renewed_at: Cell<Instant>,
}

/// Failure of a refresh call, by its effect at the Provider.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedCall {
    /// The Provider has certainly not acted on the call.
    NotActedOn,
    /// The Provider may have acted on it.
    Unknown,
    /// An error for this client or this request.
    Refused,
}

/// Measures the wait for another's lease, and records it when dropped.
struct LeaseWait(Option<Instant>);

impl Drop for LeaseWait {
    fn drop(&mut self) {
        if let Some(since) = self.0 {
            metrics::lease_wait(since.elapsed());
        }
    }
}

/// Version of a record that another instance has leased, and the time when it was first seen here.
#[derive(Default)]
struct Observation(Option<(Etag, Instant)>);

impl Observation {
    /// True once `etag` has been the record's version for the duration of a lease.
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
    /// The token to send, for a holder that sends it.
    pub(super) fn refresh_token(&self) -> &RefreshToken {
        self.part.refresh_token.as_ref().expect("a holder that sends it takes no lease without one")
    }

    /// The lease to leave behind after a request for a route that had no response: the call counts, and delays no refresh.
    pub(super) fn lease_in_doubt(&self, now: Timestamp) -> Option<RefreshLease> {
        self.record.record.lease.clone().map(|lease| released(lease, now))
    }

    /// The lease to leave behind after a request for a route: that of before. What a dead holder's call did is unknown.
    pub(super) fn lease_before(&self, now: Timestamp) -> Option<RefreshLease> {
        let lease = self.before.clone()?;
        match lease.purpose {
            LeasePurpose::BackingOff | LeasePurpose::Refused => Some(lease),
            LeasePurpose::Refreshing => Some(released(lease, now)),
        }
    }

    /// True while no other instance can have declared the lease dead.
    pub(super) fn may_send(&self) -> bool {
        self.renewed_at.get().elapsed() < SEND_WITHIN
    }
}

impl Leases {
    /// Acquires the lease of the record's generation, or reports that the session ended, was refreshed meanwhile, or
    /// must wait.
    pub(super) async fn acquire(&self, ticket: &SessionTicket, trigger: Trigger) -> Result<LeaseAttempt, StoreError> {
        let deadline = Instant::now() + LEASE_WAIT;
        let mut pause = PollPause::start();
        let mut wait = LeaseWait(None);
        let mut observation = Observation::default();
        loop {
            let now = self.clock.now();
            let Some(stored) = self.records.read(&ticket.id.key(), now).await? else {
                return Ok(LeaseAttempt::Ended);
            };
            if let Some(attempt) = needs_no_lease(&stored.record, trigger, now) {
                return Ok(attempt);
            }
            let lease = stored.record.lease.as_ref();
            let is_leased = lease.is_some_and(|lease| lease.purpose == LeasePurpose::Refreshing);
            if !is_leased || observation.is_dead(&stored.etag) {
                if let Some(attempt) = self.take((*stored).clone(), ticket, trigger, now).await? {
                    return Ok(attempt);
                }
                continue; // another write came first
            }
            if Instant::now() >= deadline || self.background.is_draining() {
                return Ok(LeaseAttempt::Unavailable { retry_after: timing::backoff(0, None) });
            }
            wait.0.get_or_insert_with(Instant::now);
            pause.wait().await;
        }
    }

    /// Takes a free lease; `None` if another write came first.
    async fn take(
        &self,
        stored: StoredRecord,
        ticket: &SessionTicket,
        trigger: Trigger,
        now: Timestamp,
    ) -> Result<Option<LeaseAttempt>, StoreError> {
        let is_for_route = matches!(trigger, Trigger::ForRoute { .. });
        let freshness = Freshness::of(&stored.record, now);
        if is_for_route && trigger.needs_refresh_token() && stored.record.unanswered_calls() > 0 {
            return self.leave_to_refresh(stored, now).await;
        }
        if is_for_route && !trigger.needs_refresh_token() {
            match freshness {
                Freshness::Fresh | Freshness::Due => {}
                // The last holder's refresh failed, or it died: the Provider would refuse the access token.
                Freshness::Lapsed => return self.leave_to_refresh(stored, now).await,
                Freshness::Spent => return Ok(Some(LeaseAttempt::Ended)),
            }
        }
        let has_lapse_ahead = freshness != Freshness::Lapsed && stored.record.access_token_expires_at.is_some();
        if !is_for_route && stored.record.unanswered_calls() >= MAX_UNANSWERED && has_lapse_ahead {
            // The last holder died, or the person asked for a refresh before the token lapsed.
            let retry_after = self.back_off(stored, FailedCall::Unknown, None).await?;
            return Ok(Some(LeaseAttempt::Unavailable { retry_after }));
        }
        let Some(part) = self.records.open_refresh_part(&stored, ticket).await? else {
            return Ok(Some(LeaseAttempt::Ended)); // sealed under a key that is gone
        };
        if trigger.needs_refresh_token() && part.refresh_token.is_none() {
            return Ok(Some(LeaseAttempt::NoRefreshToken));
        }
        let before = stored.record.lease.clone();
        let renewed_at = Instant::now();
        let Some(record) = self.write_lease(stored, ticket, trigger).await? else { return Ok(None) };
        let held = HeldLease { part, before, record, renewed_at: Cell::new(renewed_at) };
        Ok(Some(LeaseAttempt::Acquired(Box::new(held))))
    }

    /// Leaves a refresh token in doubt, or an access token that lapsed, to the session's own refresh. The lease of a holder
    /// that died is released for it: it would have to observe it again. `None` if another write came first.
    async fn leave_to_refresh(&self, stored: StoredRecord, now: Timestamp) -> Result<Option<LeaseAttempt>, StoreError> {
        let StoredRecord { record, etag } = stored;
        let Some(dead) = record.lease.clone().filter(|lease| lease.purpose == LeasePurpose::Refreshing) else {
            return Ok(Some(LeaseAttempt::RefreshFirst));
        };
        let record = SessionRecord { lease: Some(released(dead, now)), ..record };
        match self.records.replace(record, &etag, now).await {
            Ok(_) => Ok(Some(LeaseAttempt::RefreshFirst)),
            Err(StoreError::Conflict | StoreError::Missing) => Ok(None),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }

    /// Writes our lease over the version that was read; `None` if another write came first.
    async fn write_lease(
        &self,
        stored: StoredRecord,
        ticket: &SessionTicket,
        trigger: Trigger,
    ) -> Result<Option<StoredRecord>, StoreError> {
        let now = self.clock.now(); // keys may have been waited for meanwhile
        let holder = random::guid_pair();
        let lease = RefreshLease {
            purpose: LeasePurpose::Refreshing,
            holder: holder.clone(),
            lapses_at: now.plus(LEASE),
            unanswered: stored.record.unanswered_calls().saturating_add(u8::from(trigger.needs_refresh_token())),
            backoffs: stored.record.backoffs(),
        };
        let leased = SessionRecord { lease: Some(lease), ..stored.record };
        let failure = match self.records.replace(leased, &stored.etag, now).await {
            Ok(record) => return Ok(Some(record)),
            Err(failure) => failure,
        };
        // Another write came first, or ours succeeded and its reply was lost: only another read can tell.
        match (self.find_ours(ticket, &holder, now).await?, failure) {
            (Some(found), _) => Ok(Some(found)),
            (None, StoreError::Conflict | StoreError::Missing) => Ok(None),
            (None, failure @ StoreError::Unavailable(_)) => Err(failure),
        }
    }

    /// Runs `call` to its end and renews the lease meanwhile. A failed renewal interrupts nothing: the write of the
    /// call's result is conditional and detects a lost lease.
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

    /// Renews the lease; `None` if the write failed, or the lease is no longer ours.
    async fn renew(&self, leased: &StoredRecord, ticket: &SessionTicket) -> Option<StoredRecord> {
        let now = self.clock.now();
        let lease = RefreshLease { lapses_at: now.plus(LEASE), ..leased.record.lease.clone()? };
        let holder = lease.holder.clone();
        let renewed = SessionRecord { lease: Some(lease), ..leased.record.clone() };
        match self.records.replace(renewed, &leased.etag, now).await {
            Ok(record) => Some(record),
            // Perhaps only its reply was lost. The version from before was not renewed: others go on observing it.
            Err(_) => {
                let found = self.find_ours(ticket, &holder, now).await.ok().flatten();
                found.filter(|found| found.etag != leased.etag)
            }
        }
    }

    /// Finds the record if it contains this holder's lease.
    async fn find_ours(
        &self,
        ticket: &SessionTicket,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<StoredRecord>, StoreError> {
        let found = self.records.read(&ticket.id.key(), now).await?;
        let is_ours = |lease: &RefreshLease| lease.purpose == LeasePurpose::Refreshing && lease.holder == holder;
        Ok(found.filter(|found| found.record.lease.as_ref().is_some_and(is_ours)).map(|found| (*found).clone()))
    }

    /// Starts a backoff: until the access token lapses after a refusal or after [`MAX_UNANSWERED`] calls without a
    /// response, otherwise for a growing pause. Returns the time to retry after.
    pub(super) async fn back_off(
        &self,
        leased: StoredRecord,
        failure: FailedCall,
        retry_after: Option<Duration>,
    ) -> Result<Duration, StoreError> {
        let now = self.clock.now();
        let StoredRecord { record, etag } = leased;
        let unanswered = match failure {
            FailedCall::Unknown => record.unanswered_calls(),
            FailedCall::NotActedOn | FailedCall::Refused => record.unanswered_calls().saturating_sub(1),
        };
        let pause = timing::backoff(record.backoffs(), retry_after);
        let waits_for_lapse = failure == FailedCall::Refused || unanswered >= MAX_UNANSWERED;
        let lapse = record.access_token_expires_at.filter(|lapse| waits_for_lapse && *lapse > now);
        let lapses_at = lapse.map_or_else(|| now.plus(pause), |lapse| lapse.max(now.plus(pause)));
        let purpose = if failure == FailedCall::Refused { LeasePurpose::Refused } else { LeasePurpose::BackingOff };
        let backoffs = record.backoffs().saturating_add(1);
        let lease = RefreshLease { purpose, holder: String::new(), lapses_at, unanswered, backoffs };
        let record = SessionRecord { lease: Some(lease), ..record };
        match self.records.replace(record, &etag, now).await {
            // Another write ended the session or took the lease; its writer reports that.
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing) => Ok(timing::until(lapses_at, now)),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }
}

/// A lease that nobody holds, without a backoff. Its counts stay.
fn released(lease: RefreshLease, now: Timestamp) -> RefreshLease {
    RefreshLease { purpose: LeasePurpose::BackingOff, holder: String::new(), lapses_at: now, ..lease }
}

/// Result for a record whose lease needs not, or must not, be acquired now.
fn needs_no_lease(record: &SessionRecord, trigger: Trigger, now: Timestamp) -> Option<LeaseAttempt> {
    if record.is_ended() {
        return Some(LeaseAttempt::Ended);
    }
    if trigger == Trigger::WhenDue && Freshness::of(record, now) == Freshness::Fresh {
        return Some(LeaseAttempt::Refreshed);
    }
    if trigger == Trigger::InDoubt && record.unanswered_calls() == 0 {
        return Some(LeaseAttempt::Refreshed);
    }
    if let Trigger::ForRoute { target, unreadable, .. } = trigger
        && let Some(route) = record.route(target)
    {
        match route.state(unreadable, now) {
            TargetState::Fresh => return Some(LeaseAttempt::Refreshed),
            TargetState::Paused { refusal: Some(refusal), .. } => return Some(LeaseAttempt::RouteRefused(refusal)),
            TargetState::Paused { retry_after, refusal: None } => {
                return Some(LeaseAttempt::Unavailable { retry_after });
            }
            TargetState::Due | TargetState::Wanted => {}
        }
    }
    if !trigger.needs_refresh_token() {
        return None; // backoffs and refusals are those of the refresh token
    }
    let lease = record.lease.as_ref().filter(|lease| now < lease.lapses_at)?;
    match lease.purpose {
        LeasePurpose::BackingOff => {
            Some(LeaseAttempt::Unavailable { retry_after: timing::until(lease.lapses_at, now) })
        }
        LeasePurpose::Refused => Some(LeaseAttempt::Refused),
        LeasePurpose::Refreshing => None, // its time decides nothing
    }
}
