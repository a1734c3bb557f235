//! The lease of a record: its holder is the one who asks the Provider for this generation's next token.
//!
//! Acquired and released by conditional writes, so that of many instances one holds it. Asks the Provider nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::freshness::Freshness;
use super::parts::RefreshPart;
use super::record::{LeasePurpose, RefreshLease, SessionRecord};
use super::records::Records;
use super::store::{StoreError, StoredRecord};
use super::ticket::SessionTicket;
use super::timing::{LEASE, MAX_PAUSE, MAX_PROVIDER_BACKOFF, MIN_PAUSE, PROVIDER_BACKOFF, REFRESH_WAIT};
use crate::clock::{Clock, Timestamp};
use crate::oidc::RefreshToken;
use crate::random;
use crate::telemetry::metrics;

/// A refresh token is sent at most so often; a Provider that saw it may have spent it.
const MAX_ATTEMPTS: u8 = 2;

/// Acquires and releases the leases of records.
#[derive(Clone)]
pub(super) struct Leases {
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Result of trying to acquire a lease.
pub(super) enum LeaseAttempt {
    /// The lease is ours.
    Acquired(Box<HeldLease>),
    /// The session is over.
    Ended,
    /// The token was refreshed meanwhile.
    Refreshed,
    /// Another instance holds the lease for longer than a request waits, or the Provider rests.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The Provider may have seen the token twice without a response: it is not sent a third time.
    Exhausted,
}

/// A lease that this instance holds.
pub(super) struct HeldLease {
    /// The record with our lease in it.
    pub(super) record: StoredRecord,
    /// Its refresh part, opened.
    pub(super) part: RefreshPart,
    /// The token to send.
    pub(super) refresh_token: RefreshToken,
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

impl Leases {
    /// Acquires the lease of the record's generation, or reports that the session ended, was refreshed meanwhile, or
    /// must wait. `from` is how fresh a token may be and still be refreshed.
    pub(super) async fn acquire(&self, ticket: &SessionTicket, from: Freshness) -> Result<LeaseAttempt, StoreError> {
        let deadline = Instant::now() + REFRESH_WAIT;
        let mut pause = MIN_PAUSE;
        let mut wait = LeaseWait(None);
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
            match stored.record.lease.clone().filter(|lease| now < lease.lapses_at) {
                None => {
                    if let Some(attempt) = self.take((*stored).clone(), ticket, freshness, now).await? {
                        return Ok(attempt);
                    }
                }
                Some(lease) if lease.purpose == LeasePurpose::Resting || Instant::now() >= deadline => {
                    let retry_after = lease.lapses_at.since(now).max(Duration::from_secs(1));
                    return Ok(LeaseAttempt::Unavailable { retry_after });
                }
                Some(_) => {
                    wait.0.get_or_insert_with(Instant::now);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    /// Writes the lease; `None` when another write came first.
    async fn take(
        &self,
        stored: StoredRecord,
        ticket: &SessionTicket,
        freshness: Freshness,
        now: Timestamp,
    ) -> Result<Option<LeaseAttempt>, StoreError> {
        let attempt = stored.record.lease.as_ref().map_or(0, |lease| lease.attempt) + 1;
        if attempt > MAX_ATTEMPTS {
            if freshness == Freshness::Lapsed {
                return Ok(Some(LeaseAttempt::Exhausted));
            }
            let expires_at = stored.record.access_token_expires_at.unwrap_or(now);
            let retry_after = expires_at.since(now).max(PROVIDER_BACKOFF);
            return Ok(Some(LeaseAttempt::Unavailable { retry_after }));
        }
        let Some(part) = self.records.open_refresh_part(&stored, ticket).await? else {
            return Ok(Some(LeaseAttempt::Ended)); // sealed under a key that is gone
        };
        let Some(refresh_token) = part.refresh_token.clone() else {
            return Ok(Some(LeaseAttempt::Unavailable { retry_after: MAX_PROVIDER_BACKOFF }));
        };
        let holder = random::guid_pair();
        let now = self.clock.now(); // keys may have been waited for meanwhile
        let purpose = LeasePurpose::Refreshing;
        let lease = RefreshLease { lapses_at: now.plus(LEASE), attempt, purpose, holder: holder.clone() };
        let claimed = SessionRecord { lease: Some(lease), ..stored.record };
        let taken = match self.records.replace(claimed, &stored.etag, now).await {
            Ok(record) => Some(record),
            // Another write came first, or this one happened and its reply was lost: only another read can tell.
            Err(error) => {
                let found = self.records.read(&ticket.sid.key(), now).await?;
                let is_ours = |lease: &RefreshLease| lease.holder == holder;
                let found = found.filter(|found| found.record.lease.as_ref().is_some_and(is_ours));
                match (found, error) {
                    (Some(found), _) => Some((*found).clone()),
                    (None, StoreError::Conflict | StoreError::Missing) => None,
                    (None, error @ StoreError::Unavailable(_)) => return Err(error),
                }
            }
        };
        Ok(taken.map(|record| LeaseAttempt::Acquired(Box::new(HeldLease { record, part, refresh_token }))))
    }

    /// Leaves the Provider alone for a while. An attempt it cannot have seen does not count.
    pub(super) async fn rest(&self, held: StoredRecord, is_ambiguous: bool, rest: Duration) -> Result<(), StoreError> {
        let attempt = held.record.lease.as_ref().map_or(0, |lease| lease.attempt);
        let attempt = if is_ambiguous { attempt } else { attempt.saturating_sub(1) };
        let lapses_at = self.clock.now().plus(rest);
        let lease = RefreshLease { lapses_at, attempt, purpose: LeasePurpose::Resting, holder: String::new() };
        let StoredRecord { record, etag } = held;
        let record = SessionRecord { lease: Some(lease), ..record };
        match self.records.replace(record, &etag, self.clock.now()).await {
            // Another write ended the session or took the lapsed lease; both are for its writer to report.
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing) => Ok(()),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }
}
