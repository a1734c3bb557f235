//! The lease of a record: whoever holds it is the one who asks the Provider for this generation's next token.
//!
//! Taken and given back under conditions of the store, so that of many instances one holds it. Asks the Provider nothing:
//! that is [`super::refresh`], whose tests cover both.

use std::time::Duration;

use tokio::time::Instant;

use super::refresh::{FIRST_PAUSE, LONGEST_PAUSE, LONGEST_REST, PATIENCE, REST, RefreshOutcome, audit};
use super::{
    ColdPart, Freshness, LeasePurpose, RefreshLease, SessionRecord, SessionTicket, Sessions, StoreError, StoredRecord,
};
use crate::clock::Timestamp;
use crate::oidc::RefreshToken;
use crate::random;
use crate::telemetry::metrics;

/// Longer than everything that happens under it, with ten seconds to spare for a slow machine.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// A refresh token is sent at most so often; a Provider that saw it may have spent it.
const MOST_ATTEMPTS: u8 = 2;

/// What came of trying to take the lease.
pub(super) enum Claim {
    /// It is ours, and so is what it was taken for.
    Taken { record: Box<StoredRecord>, cold: ColdPart, refresh_token: RefreshToken },
    /// There is nothing to ask for, or nobody to ask.
    Over(RefreshOutcome),
}

/// Since when another's lease is waited for; told when the waiting ends, however it ends.
struct LeaseWait(Option<Instant>);

impl Drop for LeaseWait {
    fn drop(&mut self) {
        if let Some(since) = self.0 {
            metrics::lease_wait(since.elapsed());
        }
    }
}

impl Sessions {
    /// Takes the lease of the record's generation, or finds that there is nothing to do or nobody to do it for.
    pub(super) async fn claim(&self, ticket: &SessionTicket, from: Freshness) -> Result<Claim, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        let mut wait = LeaseWait(None);
        loop {
            let now = self.now();
            let Some(stored) = self.read(&ticket.sid.key(), now).await? else {
                return Ok(Claim::Over(RefreshOutcome::Ended));
            };
            if stored.record.is_ended() {
                return Ok(Claim::Over(RefreshOutcome::Ended));
            }
            let freshness = Freshness::of(&stored.record, now);
            if freshness == Freshness::Fresh && from != Freshness::Fresh {
                return Ok(Claim::Over(RefreshOutcome::Refreshed));
            }
            match stored.record.lease.clone().filter(|lease| now < lease.lapses_at) {
                None => {
                    if let Some(claim) = self.take((*stored).clone(), ticket, freshness, now).await? {
                        return Ok(claim);
                    }
                }
                Some(lease) if lease.purpose == LeasePurpose::Resting || Instant::now() >= deadline => {
                    let retry_after = lease.lapses_at.since(now).max(Duration::from_secs(1));
                    return Ok(Claim::Over(RefreshOutcome::Unavailable { retry_after }));
                }
                Some(_) => {
                    wait.0.get_or_insert_with(Instant::now);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
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
    ) -> Result<Option<Claim>, StoreError> {
        let attempt = stored.record.lease.as_ref().map_or(0, |lease| lease.attempt) + 1;
        if attempt > MOST_ATTEMPTS {
            return self.give_up(ticket, freshness, &stored, now).await.map(Some);
        }
        let Some(cold) = self.open_cold(&stored, ticket).await? else {
            return Ok(Some(Claim::Over(RefreshOutcome::Ended))); // sealed under a key that is gone
        };
        let Some(refresh_token) = cold.refresh_token.clone() else {
            return Ok(Some(Claim::Over(RefreshOutcome::Unavailable { retry_after: LONGEST_REST })));
        };
        let (holder, now) = (random::guid_pair(), self.now()); // keys may have been waited for meanwhile
        let purpose = LeasePurpose::Refreshing;
        let lease = RefreshLease { lapses_at: now.plus(LEASE), attempt, purpose, holder: holder.clone() };
        let claimed = SessionRecord { lease: Some(lease), ..stored.record };
        let taken = match self.replace(claimed, &stored.etag, now).await {
            Ok(record) => Some(record),
            // Another write came first, or this one happened and its reply was lost: only another read can tell.
            Err(error) => {
                let found = self.read(&ticket.sid.key(), now).await?;
                let is_ours = |lease: &RefreshLease| lease.holder == holder;
                let found = found.filter(|found| found.record.lease.as_ref().is_some_and(is_ours));
                match (found, error) {
                    (Some(found), _) => Some((*found).clone()),
                    (None, StoreError::Conflict | StoreError::Missing) => None,
                    (None, error @ StoreError::Unavailable(_)) => return Err(error),
                }
            }
        };
        Ok(taken.map(|record| Claim::Taken { record: Box::new(record), cold, refresh_token }))
    }

    /// The Provider may have seen the token twice and told nothing: it is not sent a third time.
    async fn give_up(
        &self,
        ticket: &SessionTicket,
        freshness: Freshness,
        stored: &StoredRecord,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        if freshness != Freshness::Lapsed {
            let expires_at = stored.record.access_token_expires_at.unwrap_or(now);
            return Ok(Claim::Over(RefreshOutcome::Unavailable { retry_after: expires_at.since(now).max(REST) }));
        }
        audit(ticket, "refresh_attempts_exhausted", None);
        self.end(ticket, now).await?;
        Ok(Claim::Over(RefreshOutcome::Ended))
    }

    /// Leaves the Provider alone for a while. An attempt it can't have seen doesn't count.
    pub(super) async fn rest(
        &self,
        claimed: StoredRecord,
        is_ambiguous: bool,
        rest: Duration,
    ) -> Result<(), StoreError> {
        let attempt = claimed.record.lease.as_ref().map_or(0, |lease| lease.attempt);
        let attempt = if is_ambiguous { attempt } else { attempt.saturating_sub(1) };
        let lapses_at = self.now().plus(rest);
        let lease = RefreshLease { lapses_at, attempt, purpose: LeasePurpose::Resting, holder: String::new() };
        let StoredRecord { record, etag } = claimed;
        let record = SessionRecord { lease: Some(lease), ..record };
        match self.replace(record, &etag, self.now()).await {
            // Whoever wrote meanwhile ended the session or took the lapsed lease; both are theirs to say.
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing) => Ok(()),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }
}
