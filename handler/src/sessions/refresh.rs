//! Refresh: one call to the Provider per token generation, whoever asks, and never a changed cookie.
//!
//! A [lease](super::lease) keeps instances apart; inside a process requests share one flight. What the Provider gave is
//! written only over the record that was claimed, so a sign-out meanwhile wins and the new token is revoked instead.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::flights::Flight;
use super::lease::{Claim, LEASE};
use super::parts::Parts;
use super::{ColdPart, Etag, Freshness, LiveSession, SessionRecord, SessionTicket, Sessions, StoreError, StoredRecord};
use crate::clock::Timestamp;
use crate::oidc::{CompletedRefresh, ProviderError, RefreshError, RefreshToken, RelyingParty};
use crate::telemetry::metrics;

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

/// How long the Provider is left alone after it gave no usable answer, unless it asks for longer.
pub(super) const REST: Duration = Duration::from_secs(5);
pub(super) const LONGEST_REST: Duration = Duration::from_secs(60);

/// How long a request waits for a refresh, its own instance's or another's, before it is told to come again.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
            RefreshError::Unavailable { is_ambiguous: true, retry_after: None, source: ProviderError::NoResponse };
        match asked.unwrap_or(Err(no_answer)) {
            Ok(refreshed) => self.commit(refreshed, record, cold, ticket, relying_party).await,
            Err(RefreshError::Unavailable { is_ambiguous, retry_after, source }) => {
                let retry_after = retry_after.unwrap_or(REST).clamp(REST, LONGEST_REST);
                audit(ticket, "refresh_unavailable", Some(&source));
                self.rest(record, is_ambiguous, retry_after).await?;
                Ok(RefreshOutcome::Unavailable { retry_after })
            }
            Err(error @ (RefreshError::ClientRefused { .. } | RefreshError::RequestRefused { .. })) => {
                audit(ticket, error.code(), Some(&error));
                self.rest(record, false, REST).await?;
                Ok(RefreshOutcome::Unavailable { retry_after: REST })
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

pub(super) fn audit(ticket: &SessionTicket, code: &str, source: Option<&dyn std::error::Error>) {
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
