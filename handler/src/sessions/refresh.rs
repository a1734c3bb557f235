//! Refresh: one call to the Provider per token generation, whoever asks, and never a changed cookie.
//!
//! A lease in the record, taken and given back under conditions, keeps instances apart; inside a process
//! requests share one flight. What the Provider gave is written only over the record that was claimed, so a
//! sign-out meanwhile wins and the new token is revoked instead.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::flights::Flight;
use super::parts::Parts;
use super::{
    ColdPart, Etag, Freshness, LeasePurpose, LiveSession, RefreshLease, SessionRecord, SessionTicket, Sessions,
    StoreError, StoredRecord,
};
use crate::clock::Timestamp;
use crate::oidc::{CompletedRefresh, ProviderError, RefreshError, RefreshToken, RelyingParty};
use crate::random;
use crate::telemetry::metrics;

/// Longer than everything that happens under it, with ten seconds to spare for a slow machine.
const LEASE: Duration = Duration::from_secs(60);

/// What a store may take for one call.
const STORE_CALL: Duration = Duration::from_secs(3);

// The lease's own write and its re-read, the Provider, the write of what it gave; a deadline is only looked at between
// two tries, so the last one comes on top.
const _: () = assert!(
    LEASE.as_secs()
        >= 10 + 4 * STORE_CALL.as_secs() + PROVIDER_BUDGET.as_secs() + WRITE_BUDGET.as_secs() + LONGEST_PAUSE.as_secs()
);

/// For everything a refresh asks of the Provider: assertion, metadata, tokens, keys, UserInfo.
const PROVIDER_BUDGET: Duration = Duration::from_secs(25);

/// A refresh token is sent at most so often; a Provider that saw it may have spent it.
const MOST_ATTEMPTS: u8 = 2;

/// How long the Provider is left alone after it gave no usable answer, unless it asks for longer.
const REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How long a request waits for a refresh, its own instance's or another's, before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(12);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long what the Provider gave is tried to be written. The lease that protects it is still held then.
const WRITE_BUDGET: Duration = Duration::from_secs(12);

/// How a refresh ended, for everyone who waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The record holds a newer token now.
    Refreshed,
    /// The session is over.
    Ended,
    /// There is no newer token yet; the session lives.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

/// The session has no token that can be used now, and the Provider gives none at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token has lapsed and cannot be refreshed now")]
pub struct NoFreshToken {
    /// When to try again.
    pub retry_after: Duration,
}

/// Why a session cannot be used now though it may live.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Provider failed, and the token has lapsed.
    #[error(transparent)]
    NoFreshToken(#[from] NoFreshToken),
}

enum Claim {
    Taken { record: Box<StoredRecord>, cold: ColdPart, refresh_token: RefreshToken },
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
    /// The session with a token that hasn't lapsed. A token that is due is used while its refresh is on the way.
    ///
    /// # Errors
    /// See [`SessionError`]; neither is a reason to sign anyone out.
    pub async fn load_fresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<LiveSession>, SessionError> {
        let Some(session) = self.load(ticket, now).await? else { return Ok(None) };
        match session.freshness {
            Freshness::Fresh => return Ok(Some(session)),
            Freshness::Due if session.is_leased => return Ok(Some(session)),
            Freshness::Due => {
                self.launch_refresh(ticket, relying_party, Freshness::Due);
                return Ok(Some(session));
            }
            Freshness::Lapsed => {}
        }
        drop(session);
        match self.await_refresh(ticket, relying_party, Freshness::Due).await {
            RefreshOutcome::Refreshed => Ok(self.load(ticket, self.now()).await?),
            RefreshOutcome::Ended => Ok(None),
            RefreshOutcome::Unavailable { retry_after } => Err(NoFreshToken { retry_after }.into()),
        }
    }

    /// Refreshes now, due or not.
    pub async fn refresh(&self, ticket: &SessionTicket, relying_party: &RelyingParty) -> RefreshOutcome {
        self.await_refresh(ticket, relying_party, Freshness::Fresh).await
    }

    /// Waits for the refresh, but not for ever: it goes on without us.
    async fn await_refresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        from: Freshness,
    ) -> RefreshOutcome {
        let flight = self.launch_refresh(ticket, relying_party, from);
        let landed = timeout(PATIENCE, flight.land()).await;
        landed.ok().flatten().unwrap_or(RefreshOutcome::Unavailable { retry_after: REST })
    }

    /// `from` is how fresh a token may be and still be refreshed.
    fn launch_refresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        from: Freshness,
    ) -> Flight<RefreshOutcome> {
        let (sessions, owned, relying_party) = (self.clone(), ticket.clone(), relying_party.clone());
        self.0.refreshes.launch(ticket.sid.key(), move || async move {
            sessions.run_refresh(&owned, &relying_party, from).await.unwrap_or_else(|error| {
                tracing::warn!(session.key = owned.sid.key().as_str(), %error, "a refresh met a store that failed");
                RefreshOutcome::Unavailable { retry_after: REST }
            })
        })
    }

    async fn run_refresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        from: Freshness,
    ) -> Result<RefreshOutcome, StoreError> {
        let (record, cold, refresh_token) = match self.claim(ticket, from).await? {
            Claim::Taken { record, cold, refresh_token } => (*record, cold, refresh_token),
            Claim::Over(outcome) => return Ok(outcome),
        };
        let started = Instant::now();
        let outcome = self.exchange(ticket, relying_party, record, cold, &refresh_token).await;
        metrics::refresh(told(&outcome), started.elapsed());
        outcome
    }

    /// Asks the Provider, and writes what it says over what was claimed.
    async fn exchange(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        record: StoredRecord,
        cold: ColdPart,
        refresh_token: &RefreshToken,
    ) -> Result<RefreshOutcome, StoreError> {
        let asked = timeout(PROVIDER_BUDGET, relying_party.refresh(refresh_token, &cold.claims, self.now())).await;
        let no_answer =
            RefreshError::Unavailable { is_ambiguous: true, retry_after: None, source: ProviderError::NoAnswer };
        match asked.unwrap_or(Err(no_answer)) {
            Ok(refreshed) => self.commit(refreshed, record, cold, ticket, relying_party).await,
            Err(RefreshError::Unavailable { is_ambiguous, retry_after, source }) => {
                let retry_after = retry_after.unwrap_or(REST).clamp(REST, LONGEST_REST);
                audit(ticket, "refresh_unavailable", Some(&source));
                self.rest(record, is_ambiguous, retry_after).await?;
                Ok(RefreshOutcome::Unavailable { retry_after })
            }
            Err(error @ RefreshError::Refused { .. }) => {
                audit(ticket, error.code(), None);
                self.end_unless_renewed(ticket, &record).await
            }
            Err(RefreshError::Invalid { code, refresh_token }) => {
                audit(ticket, code, None);
                revoke(refresh_token.as_ref(), relying_party, self.now()).await;
                self.end(ticket, self.now()).await?;
                Ok(RefreshOutcome::Ended)
            }
        }
    }

    /// Takes the lease of the record's generation, or finds that there is nothing to do or nobody to do it for.
    async fn claim(&self, ticket: &SessionTicket, from: Freshness) -> Result<Claim, StoreError> {
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

    /// Writes what the Provider gave, over what was claimed and nothing else.
    async fn commit(
        &self,
        refreshed: CompletedRefresh,
        claimed: StoredRecord,
        cold: ColdPart,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
    ) -> Result<RefreshOutcome, StoreError> {
        let now = self.now();
        let settings = &self.0.settings;
        let CompletedRefresh { tokens, claims } = refreshed;
        let parts = Parts::divide(tokens, claims, Some(cold), settings.header_needs, settings.refresh_before, now);
        let mut renewed = self.record(&parts, claimed.record.generation + 1, ticket);
        renewed.expires_at = claimed.record.expires_at;
        let written = self.write(&renewed, claimed.etag, now).await;
        // Not revoked: where the Provider doesn't rotate, it is the token that the record still holds.
        let outcome = written.inspect_err(|error| audit(ticket, "refresh_unwritten", Some(error)))?;
        if outcome == RefreshOutcome::Ended {
            revoke(parts.cold.refresh_token.as_ref(), relying_party, now).await;
        }
        Ok(outcome)
    }

    /// Writes `renewed` over what was claimed; an error when the store can't be reached for too long.
    async fn write(
        &self,
        renewed: &SessionRecord,
        claimed: Etag,
        now: Timestamp,
    ) -> Result<RefreshOutcome, StoreError> {
        let deadline = Instant::now() + WRITE_BUDGET;
        let (mut etag, mut pause) = (claimed, FIRST_PAUSE);
        loop {
            let Err(failure) = self.replace(renewed.clone(), &etag, now).await else {
                return Ok(RefreshOutcome::Refreshed);
            };
            // Another write came first, or this one happened and its reply was lost: only another read can tell.
            match self.read(&renewed.key, now).await {
                Ok(None) => return Ok(RefreshOutcome::Ended),
                Ok(Some(found)) if found.record.is_ended() => return Ok(RefreshOutcome::Ended),
                Ok(Some(found)) if found.record.generation >= renewed.generation => {
                    return Ok(RefreshOutcome::Refreshed);
                }
                // Our lease lapsed and was taken: ours is newer all the same.
                Ok(Some(found)) => etag = found.etag.clone(),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
            if matches!(failure, StoreError::Unavailable(_)) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// After a refusal: another instance may have won meanwhile; if not, the session is over.
    async fn end_unless_renewed(
        &self,
        ticket: &SessionTicket,
        claimed: &StoredRecord,
    ) -> Result<RefreshOutcome, StoreError> {
        let now = self.now();
        let found = self.read(&claimed.record.key, now).await?;
        if found.is_some_and(|found| !found.record.is_ended() && found.record.generation > claimed.record.generation) {
            return Ok(RefreshOutcome::Refreshed);
        }
        self.end(ticket, now).await?;
        Ok(RefreshOutcome::Ended)
    }

    /// Leaves the Provider alone for a while. An attempt it can't have seen doesn't count.
    async fn rest(&self, claimed: StoredRecord, is_ambiguous: bool, rest: Duration) -> Result<(), StoreError> {
        let attempt = claimed.record.lease.as_ref().map_or(0, |lease| lease.attempt);
        let attempt = if is_ambiguous { attempt } else { attempt.saturating_sub(1) };
        let lapses_at = self.now().plus(rest);
        let lease = RefreshLease { lapses_at, attempt, purpose: LeasePurpose::Resting, holder: String::new() };
        self.give_back(claimed, lease).await
    }

    async fn give_back(&self, claimed: StoredRecord, lease: RefreshLease) -> Result<(), StoreError> {
        let StoredRecord { record, etag } = claimed;
        let record = SessionRecord { lease: Some(lease), ..record };
        match self.replace(record, &etag, self.now()).await {
            // Whoever wrote meanwhile ended the session or took the lapsed lease; both are theirs to say.
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing) => Ok(()),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }
}

/// What metrics call it.
fn told(outcome: &Result<RefreshOutcome, StoreError>) -> &'static str {
    match outcome {
        Ok(RefreshOutcome::Refreshed) => "ok",
        Ok(RefreshOutcome::Ended) => "session_ended",
        Ok(RefreshOutcome::Unavailable { .. }) => "provider_unavailable",
        Err(_) => "store_unavailable",
    }
}

pub(super) async fn revoke(refresh_token: Option<&RefreshToken>, relying_party: &RelyingParty, now: Timestamp) {
    let Some(refresh_token) = refresh_token else { return };
    if let Err(error) = relying_party.revoke(refresh_token, now).await {
        tracing::warn!(%error, "a refresh token could not be revoked");
    }
}

fn audit(ticket: &SessionTicket, code: &str, source: Option<&dyn std::error::Error>) {
    let cause = source.map(ToString::to_string);
    tracing::warn!(
        target: "audit",
        event = "refresh_failed",
        session.key = ticket.sid.key().as_str(),
        code,
        cause,
        "a session could not be refreshed"
    );
}

#[cfg(test)]
mod tests;
