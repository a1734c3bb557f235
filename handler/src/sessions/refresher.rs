//! Refreshes tokens: one call to the Provider per token generation, across all instances.
//!
//! A [lease](super::lease) coordinates instances; inside a process requests share one flight. New tokens are written
//! only over the record that was leased, so a concurrent sign-out wins and the new token is revoked instead.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::background::Background;
use super::lease::{FailedCall, HeldLease, LeaseAttempt, Leases, Trigger};
use super::parts::{RefreshPart, TokenParts, TokenPolicy};
use super::provider_logout::ProviderLogout;
use super::record::{RecordState, SessionRecord};
use super::records::Records;
use super::single_flight::{Flight, SingleFlight};
use super::store::{Etag, StoreError, StoredRecord};
use super::ticket::{SessionKey, SessionTicket};
use super::timing::{DRAIN_RETRY, MIN_BACKOFF, PROVIDER_BUDGET, PollPause, REFRESH_WAIT, WRITE_BUDGET};
use super::write_retry::WriteRetry;
use crate::clock::{Clock, Timestamp};
use crate::oidc::{
    AccessToken, Claims, CompletedRefresh, OAuthError, OAuthErrorFields, ProviderError, RefreshError, RefreshToken,
    RefusalReason, RelyingParty,
};
use crate::telemetry::metrics;

/// Result of a refresh, shared by every request that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The record has a newer token.
    Refreshed,
    /// The session is over.
    Ended,
    /// No newer token yet; the session lives.
    Unavailable {
        /// Time until the next attempt.
        retry_after: Duration,
    },
    /// The session has no refresh token.
    NoRefreshToken,
    /// The Provider refused our client: an operator must act. Once the token has lapsed the person must sign in.
    ClientRefused(RefusalReason),
    /// The Provider refused the request, though not the grant. Once the token has lapsed only a sign-in helps.
    RequestRefused,
}

/// Refreshes the tokens of sessions. A clone shares the refreshes in progress.
#[derive(Clone)]
pub(super) struct Refresher {
    pub(super) records: Arc<Records>,
    pub(super) leases: Leases,
    pub(super) provider_logout: ProviderLogout,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: TokenPolicy,
    pub(super) flights: SingleFlight<SessionKey, RefreshOutcome>,
    pub(super) background: Background,
}

/// Successful token response, and the record it belongs to.
struct CompletedCall {
    refreshed: CompletedRefresh,
    started_at: Timestamp,
    /// True for a refresh before its time, which only clears a doubt.
    is_in_doubt: bool,
    leased: StoredRecord,
    /// The refresh part of the leased record.
    part: RefreshPart,
}

/// Store failure that left a refresh without a result.
#[derive(Debug, thiserror::Error)]
enum UnwrittenError {
    /// A lease, backoff or end was not written, or a record not read.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The Provider's new tokens were not written.
    #[error(transparent)]
    Tokens(StoreError),
}

impl UnwrittenError {
    /// Code for the log.
    fn code(&self) -> &'static str {
        match self {
            Self::Record(_) => "store_unavailable",
            Self::Tokens(_) => "refresh_unwritten",
        }
    }
}

impl Refresher {
    /// Waits for the refresh, at most [`REFRESH_WAIT`]: it continues without the caller.
    pub(super) async fn refresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        trigger: Trigger,
    ) -> RefreshOutcome {
        let Some(flight) = self.join_or_start(ticket, relying_party, trigger) else {
            return RefreshOutcome::Unavailable { retry_after: DRAIN_RETRY };
        };
        let outcome = timeout(REFRESH_WAIT, flight.wait()).await;
        outcome.ok().flatten().unwrap_or(RefreshOutcome::Unavailable { retry_after: MIN_BACKOFF })
    }

    /// Joins the refresh in progress or starts one; while the process drains, none is started.
    pub(super) fn join_or_start(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        trigger: Trigger,
    ) -> Option<Flight<RefreshOutcome>> {
        if self.background.is_draining() {
            return self.flights.join(&ticket.id.key());
        }
        Some(self.flights.join_or_start(ticket.id.key(), || {
            let refresher = self.clone();
            let ticket = ticket.clone();
            let relying_party = relying_party.clone();
            async move {
                refresher.run(&ticket, &relying_party, trigger).await.unwrap_or_else(|error| {
                    log_unwritten(&ticket, &error);
                    RefreshOutcome::Unavailable { retry_after: MIN_BACKOFF }
                })
            }
        }))
    }

    async fn run(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        trigger: Trigger,
    ) -> Result<RefreshOutcome, UnwrittenError> {
        let held = match self.leases.acquire(ticket, trigger).await? {
            LeaseAttempt::Acquired(held) => *held,
            LeaseAttempt::Ended => return Ok(RefreshOutcome::Ended),
            LeaseAttempt::Refreshed => return Ok(RefreshOutcome::Refreshed),
            LeaseAttempt::Unavailable { retry_after } => return Ok(RefreshOutcome::Unavailable { retry_after }),
            LeaseAttempt::RefreshFirst => return Ok(RefreshOutcome::Unavailable { retry_after: MIN_BACKOFF }),
            LeaseAttempt::NoRefreshToken => return Ok(RefreshOutcome::NoRefreshToken),
            LeaseAttempt::Refused | LeaseAttempt::RouteRefused(_) => return Ok(RefreshOutcome::RequestRefused),
        };
        let started = Instant::now();
        let outcome = self.send(ticket, relying_party, held, trigger).await;
        metrics::refresh(outcome_label(&outcome), started.elapsed());
        outcome
    }

    /// Calls the Provider, and writes its response over the leased record.
    async fn send(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        held: HeldLease,
        trigger: Trigger,
    ) -> Result<RefreshOutcome, UnwrittenError> {
        let started_at = self.clock.now();
        let may_send = || held.may_send();
        let (token, part) = (held.refresh_token(), &held.part);
        let call = relying_party.refresh(token, part.scope.as_ref(), &part.claims, &may_send, started_at);
        let (response, record) = self.leases.hold(&held, ticket, timeout(PROVIDER_BUDGET, call)).await;
        let no_response =
            RefreshError::Unavailable { is_ambiguous: true, retry_after: None, source: ProviderError::NoResponse };
        match response.unwrap_or(Err(no_response)) {
            Ok(refreshed) => {
                let is_in_doubt = trigger == Trigger::InDoubt;
                let call = CompletedCall { refreshed, started_at, is_in_doubt, leased: record, part: held.part };
                self.commit(call, ticket, relying_party).await
            }
            Err(error) => Ok(self.handle_failure(error, record, &held, ticket, relying_party).await?),
        }
    }

    /// Writes the consequence of a failed call: a backoff, or the session's end.
    async fn handle_failure(
        &self,
        error: RefreshError,
        mut leased: StoredRecord,
        held: &HeldLease,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
    ) -> Result<RefreshOutcome, StoreError> {
        match error {
            RefreshError::Unavailable { is_ambiguous, retry_after, ref source } => {
                audit(ticket, "refresh_unavailable", Some(source), source.oauth_error());
                let rotated = error.rotated(held.part.claims.subject());
                if let Some(rotated) = rotated {
                    self.keep_rotated(rotated, &held.part, &mut leased.record, ticket);
                }
                let is_in_doubt = is_ambiguous && rotated.is_none();
                let failure = if is_in_doubt { FailedCall::Unknown } else { FailedCall::NotActedOn };
                let retry_after = self.leases.back_off(leased, failure, retry_after).await?;
                if let Some(rotated) = rotated {
                    let now = self.clock.now();
                    let found = self.records.read(&ticket.id.key(), now).await?;
                    if found.is_none_or(|found| found.record.is_ended()) {
                        revoke(Some(rotated), &ticket.id.key(), relying_party, now).await;
                        return Ok(RefreshOutcome::Ended);
                    }
                }
                Ok(RefreshOutcome::Unavailable { retry_after })
            }
            RefreshError::ClientRefused { .. } => {
                log_client_refused(ticket, &error);
                self.leases.back_off(leased, FailedCall::Refused, None).await?;
                let reason = error.oauth_error().map_or(RefusalReason::Client, OAuthError::client_reason);
                Ok(RefreshOutcome::ClientRefused(reason))
            }
            RefreshError::RequestRefused { .. } => {
                audit(ticket, error.code(), Some(&error), error.oauth_error());
                self.leases.back_off(leased, FailedCall::Refused, None).await?;
                Ok(RefreshOutcome::RequestRefused)
            }
            RefreshError::Refused { .. } => {
                audit(ticket, error.code(), Some(&error), error.oauth_error());
                self.end_unless_renewed(&held.record).await
            }
            RefreshError::Invalid { code, refresh_token } => {
                audit(ticket, code, None, None);
                revoke(refresh_token.as_ref(), &ticket.id.key(), relying_party, self.clock.now()).await;
                self.records.end(ticket, self.clock.now()).await.confirmed?;
                Ok(RefreshOutcome::Ended)
            }
        }
    }

    /// Seals a rotated refresh token into the leased record, which a backoff then writes.
    fn keep_rotated(
        &self,
        rotated: &RefreshToken,
        part: &RefreshPart,
        leased: &mut SessionRecord,
        ticket: &SessionTicket,
    ) {
        let sealed = self.records.seal_rotated(rotated, part, leased, ticket);
        if let RecordState::Active { refresh, .. } = &mut leased.state {
            *refresh = sealed;
        }
    }

    /// Writes the new tokens, only over the leased record.
    async fn commit(
        &self,
        call: CompletedCall,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
    ) -> Result<RefreshOutcome, UnwrittenError> {
        let now = self.clock.now();
        let CompletedCall { refreshed, started_at, is_in_doubt, leased, part } = call;
        let CompletedRefresh { tokens, claims } = refreshed;
        let has_new_sid = claims.text("sid") != part.claims.text("sid");
        let parts = TokenParts::divide(tokens, claims, Some(part), &self.policy, now);
        if has_new_sid && !self.enter_new_sid(&parts.refresh.claims, ticket, started_at, now).await {
            revoke(parts.refresh.refresh_token.as_ref(), &ticket.id.key(), relying_party, now).await;
            self.records.end(ticket, now).await.confirmed?;
            return Ok(RefreshOutcome::Ended);
        }
        let mut renewed = self.records.seal(&parts, leased.record.generation + 1, ticket);
        renewed.expires_at = leased.record.expires_at;
        renewed.remember_backoffs(&leased.record);
        if is_in_doubt {
            self.records.carry_route_tokens(&leased.record, &mut renewed, ticket);
        }
        // On failure the old token is not revoked: if the Provider does not rotate, the record still holds it.
        let outcome = self.write(&renewed, leased.etag, now).await.map_err(UnwrittenError::Tokens)?;
        if outcome == RefreshOutcome::Ended {
            revoke(parts.refresh.refresh_token.as_ref(), &ticket.id.key(), relying_party, now).await;
        }
        Ok(outcome)
    }

    /// Indexes the session under the `sid` of the new ID token. False if that `sid` was ended since `started_at`.
    async fn enter_new_sid(
        &self,
        claims: &Claims,
        ticket: &SessionTicket,
        started_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let entered = self.provider_logout.enter_indexes(claims, ticket, started_at, now).await;
        entered.unwrap_or_else(|error| {
            // Not fatal: the new tokens must not be lost for this.
            tracing::warn!(session.key = ticket.id.key().as_str(), %error, "sid not indexed: logout by sid won't find it");
            true
        })
    }

    /// Writes `renewed` over the leased version; an error if the store stays unavailable for [`WRITE_BUDGET`].
    async fn write(&self, renewed: &SessionRecord, leased: Etag, now: Timestamp) -> Result<RefreshOutcome, StoreError> {
        let deadline = Instant::now() + WRITE_BUDGET;
        let mut etag = leased;
        let mut pause = PollPause::start();
        loop {
            let Err(failure) = self.records.replace(renewed.clone(), &etag, now).await else {
                return Ok(RefreshOutcome::Refreshed);
            };
            // Another write came first, or ours succeeded and its reply was lost: only another read can tell.
            match self.records.read(&renewed.key, now).await {
                Ok(None) => return Ok(RefreshOutcome::Ended),
                Ok(Some(found)) if found.record.is_ended() => return Ok(RefreshOutcome::Ended),
                Ok(Some(found)) if found.record.generation >= renewed.generation => {
                    return Ok(RefreshOutcome::Refreshed);
                }
                // Our lease was declared dead, but our tokens are newer.
                Ok(Some(found)) => etag = found.etag.clone(),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
            if matches!(failure, StoreError::Unavailable(_)) {
                pause.wait().await;
            }
        }
    }

    /// Ends the session after a refusal, unless another instance has refreshed it meanwhile, or has rotated its refresh
    /// token by a call for a route.
    async fn end_unless_renewed(&self, sent: &StoredRecord) -> Result<RefreshOutcome, StoreError> {
        let now = self.clock.now();
        let mut retry = WriteRetry::start();
        loop {
            let found = self.records.read(&sent.record.key, now).await?;
            let Some(found) = found.filter(|found| !found.record.is_ended()) else {
                return Ok(RefreshOutcome::Ended);
            };
            if found.record.generation > sent.record.generation {
                return Ok(RefreshOutcome::Refreshed);
            }
            // The holder whose lease we took has written after all: the token that was refused is the one before.
            if found.record.refresh_part() != sent.record.refresh_part() {
                let retry_after = self.give_back(&found, sent).await?;
                return Ok(RefreshOutcome::Unavailable { retry_after });
            }
            // Over this version alone: the next one may have another refresh token.
            let Err(failure) = self.records.end_version(&found, now).await else { return Ok(RefreshOutcome::Ended) };
            retry.pause_after(failure).await?;
        }
    }

    /// Backs off in a record that was written meanwhile, if the lease in it is still ours. Returns the time to retry after.
    async fn give_back(&self, found: &StoredRecord, sent: &StoredRecord) -> Result<Duration, StoreError> {
        if found.record.lease_holder() != sent.record.lease_holder() {
            return Ok(MIN_BACKOFF);
        }
        self.leases.back_off(found.clone(), FailedCall::NotActedOn, None).await
    }
}

/// Metric label of an outcome.
fn outcome_label(outcome: &Result<RefreshOutcome, UnwrittenError>) -> &'static str {
    match outcome {
        Ok(RefreshOutcome::Refreshed) => "ok",
        Ok(RefreshOutcome::Ended) => "session_ended",
        Ok(RefreshOutcome::Unavailable { .. }) => "provider_unavailable",
        Ok(RefreshOutcome::NoRefreshToken) => "no_refresh_token",
        Ok(RefreshOutcome::ClientRefused(reason)) => reason.code(),
        Ok(RefreshOutcome::RequestRefused) => "request_refused",
        Err(_) => "store_unavailable",
    }
}

/// Revokes a refresh token of a session that no record contains (RFC 7009).
pub(super) async fn revoke(
    refresh_token: Option<&RefreshToken>,
    key: &SessionKey,
    relying_party: &RelyingParty,
    now: Timestamp,
) {
    let Some(refresh_token) = refresh_token else { return };
    if let Err(error) = relying_party.revoke(refresh_token, now).await {
        let OAuthErrorFields { error: code, suberror, error_codes, trace_id, correlation_id } =
            OAuthError::fields(error.oauth_error());
        tracing::warn!(session.key = key.as_str(), %error, provider.error = code, provider.suberror = suberror,
            provider.error_codes = error_codes, provider.trace_id = trace_id, provider.correlation_id = correlation_id,
            "revocation failed: refresh token stays valid at the provider");
    }
}

/// Revokes an access token of a route (RFC 7009). A Provider that cannot revoke access tokens lets it lapse.
pub(super) async fn revoke_access_token(
    access_token: &AccessToken,
    key: &SessionKey,
    relying_party: &RelyingParty,
    now: Timestamp,
) {
    let Err(error) = relying_party.revoke_access_token(access_token, now).await else { return };
    let OAuthErrorFields { error: code, .. } = OAuthError::fields(error.oauth_error());
    tracing::warn!(session.key = key.as_str(), %error, provider.error = code,
        "revocation failed: access token of a route is valid until it lapses");
}

/// Logs a refusal of our client: an operator must act.
fn log_client_refused(ticket: &SessionTicket, error: &RefreshError) {
    let OAuthErrorFields { error: provider_error, suberror, error_codes, trace_id, correlation_id } =
        OAuthError::fields(error.oauth_error());
    tracing::error!(
        target: "audit",
        event = "refresh_failed",
        session.key = ticket.id.key().as_str(),
        code = error.code(),
        cause = %error,
        provider.error = provider_error,
        provider.suberror = suberror,
        provider.error_codes = error_codes,
        provider.trace_id = trace_id,
        provider.correlation_id = correlation_id,
        "refresh failed: client refused, check its secret and registration"
    );
}

/// Logs a refresh that failed because of the store.
fn log_unwritten(ticket: &SessionTicket, error: &UnwrittenError) {
    tracing::warn!(
        target: "audit",
        event = "refresh_failed",
        session.key = ticket.id.key().as_str(),
        code = error.code(),
        %error,
        "refresh failed: session store unavailable"
    );
}

fn audit(ticket: &SessionTicket, code: &str, source: Option<&dyn std::error::Error>, response: Option<&OAuthError>) {
    let cause = source.map(ToString::to_string);
    let OAuthErrorFields { error, suberror, error_codes, trace_id, correlation_id } = OAuthError::fields(response);
    tracing::warn!(
        target: "audit",
        event = "refresh_failed",
        session.key = ticket.id.key().as_str(),
        code,
        cause,
        provider.error = error,
        provider.suberror = suberror,
        provider.error_codes = error_codes,
        provider.trace_id = trace_id,
        provider.correlation_id = correlation_id,
        "refresh failed"
    );
}

#[cfg(test)]
mod tests;
