//! Tokens of the routes that have their own: one call to the Provider per target and generation, across all instances.
//!
//! Obtained when a request first needs one, under the session's [lease](super::lease), and written beside the session's
//! own parts. A failure here concerns the requests of these routes alone; only a refresh ends the session.
//!
//! The refresh token is one for all targets, so its calls without a response are counted in the lease. After one, the
//! next call is the session's own refresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::background::Background;
use super::freshness::RefreshBefore;
use super::lease::{HeldLease, LeaseAttempt, Leases, Trigger};
use super::record::{RecordState, RefreshLease, SessionRecord};
use super::records::Records;
use super::refresher::{RefreshOutcome, Refresher, revoke, revoke_access_token};
use super::route_token::{RoutePause, RouteToken, TargetKey, TargetState};
use super::single_flight::{Flight, SingleFlight};
use super::store::{StoreError, StoredRecord};
use super::ticket::{SessionKey, SessionTicket};
use super::timing::{self, DRAIN_RETRY, MIN_BACKOFF, PROVIDER_BUDGET, PollPause, REFRESH_WAIT, WRITE_BUDGET};
use crate::clock::{Clock, Timestamp};
use crate::crypto::SealedPart;
use crate::oidc::{
    AccessToken, OAuthError, OAuthErrorFields, ProviderError, RefreshToken, RelyingParty, TargetGrant, TargetRefusal,
    TargetedToken, TargetedTokenError,
};
use crate::telemetry::metrics;
use crate::token_target::TokenTarget;

/// Reason why a route has no token of its own now.
#[derive(Debug, thiserror::Error)]
pub enum RouteTokenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Provider does not respond, or a backoff is in force.
    #[error("the provider issues no token for this route now")]
    Unavailable {
        /// Time until the next attempt.
        retry_after: Duration,
    },
    /// The Provider refuses a token for this target.
    #[error("the provider refuses a token for this route")]
    Refused(TargetRefusal),
}

/// Obtains the tokens of routes. A clone shares the requests in progress.
#[derive(Clone)]
pub(super) struct RouteTokens {
    pub(super) records: Arc<Records>,
    pub(super) leases: Leases,
    pub(super) refresher: Refresher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) refresh_before: RefreshBefore,
    pub(super) flights: SingleFlight<(SessionKey, TargetKey), Outcome>,
    pub(super) background: Background,
}

/// Result of a request, shared by every request that waited for it.
#[derive(Clone)]
pub(super) enum Outcome {
    /// The token; it is in the record.
    Issued(AccessToken),
    /// The session is over.
    Ended,
    /// No token yet.
    Unavailable { retry_after: Duration },
    /// A refusal for this target.
    Refused(TargetRefusal),
}

/// Request for the token of one target of one session.
struct Request<'a> {
    target: &'a TokenTarget,
    key: TargetKey,
    grant: TargetGrant,
    /// Salt of the stored token, if it opens with no key.
    unreadable: Option<[u8; 32]>,
    ticket: &'a SessionTicket,
    relying_party: &'a RelyingParty,
}

/// Change of a record after a request for a target.
struct Change {
    route: RouteToken,
    /// The refresh part with a rotated refresh token.
    rotated: Option<SealedPart>,
    lease: Option<RefreshLease>,
}

/// Result of a write.
enum Written {
    Done,
    /// The session has a newer generation, whose tokens are its own. A rotated refresh token is not revoked: the Provider
    /// may revoke the whole grant with it (RFC 7009 2.1).
    Superseded,
    Ended,
}

impl RouteTokens {
    /// The usable token of `target`; it is renewed in the background if that is due. Requested if there is none; waits
    /// at most [`REFRESH_WAIT`]. `None` if the session is over.
    pub(super) async fn token(
        &self,
        stored: &StoredRecord,
        target: &TokenTarget,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, RouteTokenError> {
        let key = TargetKey::of(target);
        let route = stored.record.route(key);
        let state = route.map_or(TargetState::Wanted, |route| route.state(None, now));
        let mut unreadable = None;
        match state {
            TargetState::Paused { refusal: Some(refusal), .. } => return Err(RouteTokenError::Refused(refusal)),
            TargetState::Paused { retry_after, refusal: None } => {
                return Err(RouteTokenError::Unavailable { retry_after });
            }
            TargetState::Fresh | TargetState::Due => {
                if let Some(token) = self.records.open_route_token(&stored.record, key, ticket).await? {
                    if state == TargetState::Due {
                        self.join_or_start(target, None, ticket, relying_party);
                    }
                    return Ok(Some(token));
                }
                unreadable = route.and_then(|route| route.token.as_ref()).map(|token| token.part.salt);
            }
            TargetState::Wanted => {}
        }
        let Some(flight) = self.join_or_start(target, unreadable, ticket, relying_party) else {
            return Err(RouteTokenError::Unavailable { retry_after: DRAIN_RETRY });
        };
        match timeout(REFRESH_WAIT, flight.wait()).await.ok().flatten() {
            Some(Outcome::Issued(token)) => Ok(Some(token)),
            Some(Outcome::Ended) => Ok(None),
            Some(Outcome::Unavailable { retry_after }) => Err(RouteTokenError::Unavailable { retry_after }),
            Some(Outcome::Refused(refusal)) => Err(RouteTokenError::Refused(refusal)),
            None => Err(RouteTokenError::Unavailable { retry_after: MIN_BACKOFF }),
        }
    }

    /// Joins the request in progress or starts one; while the process drains, none is started.
    fn join_or_start(
        &self,
        target: &TokenTarget,
        unreadable: Option<[u8; 32]>,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
    ) -> Option<Flight<Outcome>> {
        let key = (ticket.id.key(), TargetKey::of(target));
        if self.background.is_draining() {
            return self.flights.join(&key);
        }
        Some(self.flights.join_or_start(key, || {
            let this = self.clone();
            let target = target.clone();
            let ticket = ticket.clone();
            let relying_party = relying_party.clone();
            async move {
                let key = TargetKey::of(&target);
                let grant = relying_party.target_grant(&target);
                let relying_party = &relying_party;
                let request = Request { target: &target, key, grant, unreadable, ticket: &ticket, relying_party };
                this.run(&request).await.unwrap_or_else(|error| {
                    log_unwritten(&request, &error);
                    Outcome::Unavailable { retry_after: MIN_BACKOFF }
                })
            }
        }))
    }

    async fn run(&self, request: &Request<'_>) -> Result<Outcome, StoreError> {
        let held = match self.acquire(request).await? {
            LeaseAttempt::Acquired(held) => *held,
            LeaseAttempt::Ended => return Ok(Outcome::Ended),
            LeaseAttempt::Refreshed => return self.obtained_meanwhile(request).await,
            LeaseAttempt::Unavailable { retry_after } => return Ok(Outcome::Unavailable { retry_after }),
            LeaseAttempt::RefreshFirst => return Ok(Outcome::Unavailable { retry_after: MIN_BACKOFF }),
            LeaseAttempt::RouteRefused(refusal) => return Ok(Outcome::Refused(refusal)),
            LeaseAttempt::Refused => {
                log_without_call(request, "refresh_refused", "its refresh was refused");
                return Ok(Outcome::Refused(TargetRefusal::Refused));
            }
            LeaseAttempt::NoRefreshToken => {
                log_without_call(request, "refresh_token_missing", "it has no refresh token");
                return Ok(Outcome::Refused(TargetRefusal::Refused));
            }
        };
        let started = Instant::now();
        let outcome = self.send(request, held).await;
        metrics::route_token(outcome_label(&outcome), started.elapsed());
        outcome
    }

    /// Acquires the lease. If the refresh token is in doubt, or the access token has lapsed, the session is refreshed first,
    /// once.
    async fn acquire(&self, request: &Request<'_>) -> Result<LeaseAttempt, StoreError> {
        let Request { key: target, grant, unreadable, ticket, relying_party, .. } = *request;
        let trigger = Trigger::ForRoute { target, grant, unreadable };
        let attempt = self.leases.acquire(ticket, trigger).await?;
        if !matches!(attempt, LeaseAttempt::RefreshFirst) {
            return Ok(attempt);
        }
        let refresh = match grant {
            TargetGrant::Refresh => Trigger::InDoubt,
            TargetGrant::TokenExchange => Trigger::WhenDue,
        };
        match self.refresher.refresh(ticket, relying_party, refresh).await {
            RefreshOutcome::Refreshed => self.leases.acquire(ticket, trigger).await,
            RefreshOutcome::Ended => Ok(LeaseAttempt::Ended),
            RefreshOutcome::Unavailable { retry_after } => Ok(LeaseAttempt::Unavailable { retry_after }),
            // Without a live access token and a way to one the person signs in, as at every other route.
            RefreshOutcome::NoRefreshToken | RefreshOutcome::ClientRefused(_) | RefreshOutcome::RequestRefused
                if matches!(grant, TargetGrant::TokenExchange) =>
            {
                Ok(LeaseAttempt::Ended)
            }
            RefreshOutcome::NoRefreshToken => Ok(LeaseAttempt::NoRefreshToken),
            RefreshOutcome::ClientRefused(_) | RefreshOutcome::RequestRefused => Ok(LeaseAttempt::Refused),
        }
    }

    /// Token that another instance has written.
    async fn obtained_meanwhile(&self, request: &Request<'_>) -> Result<Outcome, StoreError> {
        let found = self.records.find(&request.ticket.id.key(), self.clock.now()).await?;
        let Some(found) = found else { return Ok(Outcome::Ended) };
        let opened = self.records.open_route_token(&found.record, request.key, request.ticket).await?;
        Ok(opened.map_or(Outcome::Unavailable { retry_after: MIN_BACKOFF }, Outcome::Issued))
    }

    /// Calls the Provider, and writes its response over the leased record.
    async fn send(&self, request: &Request<'_>, held: HeldLease) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        let call = timeout(PROVIDER_BUDGET, self.call(request, &held, now));
        let (response, leased) = self.leases.hold(&held, request.ticket, call).await;
        let no_response = TargetedTokenError::Unavailable {
            is_ambiguous: true,
            retry_after: None,
            source: ProviderError::NoResponse,
        };
        match response.unwrap_or(Err(no_response)) {
            Ok(token) => self.commit(request, token, &held, leased).await,
            Err(error) => self.handle_failure(request, error, &held, leased).await,
        }
    }

    async fn call(
        &self,
        request: &Request<'_>,
        held: &HeldLease,
        now: Timestamp,
    ) -> Result<TargetedToken, TargetedTokenError> {
        let Request { target, ticket, relying_party, .. } = request;
        let subject = held.part.claims.subject();
        match request.grant {
            TargetGrant::Refresh => {
                relying_party.refresh_for(target, held.refresh_token(), subject, &|| held.may_send(), now).await
            }
            TargetGrant::TokenExchange => match self.records.open_request_part(&held.record, ticket).await {
                Ok(Some(part)) => relying_party.exchange_for(target, &part.access_token, subject, now).await,
                Ok(None) | Err(_) => Err(TargetedTokenError::Unavailable {
                    is_ambiguous: false,
                    retry_after: None,
                    source: ProviderError::Withheld,
                }),
            },
        }
    }

    /// Writes the new token, and a refresh token that was rotated with it.
    async fn commit(
        &self,
        request: &Request<'_>,
        token: TargetedToken,
        held: &HeldLease,
        leased: StoredRecord,
    ) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        let TargetedToken { access_token, expires_at, refresh_token } = token;
        let times = (expires_at, expires_at.map(|expires_at| self.refresh_before.refresh_at(expires_at, now)));
        let (key, ticket) = (request.key, request.ticket);
        let sealed = self.records.seal_route_token(access_token.clone(), key, leased.record.generation, times, ticket);
        let change = Change {
            route: RouteToken { target: key, token: Some(sealed), pause: None },
            rotated: self.rotated(refresh_token.as_ref(), held, &leased.record, ticket),
            // A refresh token that was accepted is good, whatever became of earlier calls.
            lease: held.lease_before(now).filter(|_| request.grant != TargetGrant::Refresh),
        };
        match self.write(&change, leased, now).await? {
            Written::Done | Written::Superseded => Ok(Outcome::Issued(access_token)),
            Written::Ended => {
                revoke_access_token(&access_token, &ticket.id.key(), request.relying_party, now).await;
                revoke(refresh_token.as_ref(), &ticket.id.key(), request.relying_party, now).await;
                Ok(Outcome::Ended)
            }
        }
    }

    /// Writes the consequence of a failed call: a backoff of this target, and nothing else.
    async fn handle_failure(
        &self,
        request: &Request<'_>,
        error: TargetedTokenError,
        held: &HeldLease,
        leased: StoredRecord,
    ) -> Result<Outcome, StoreError> {
        log_failure(request, &error);
        let now = self.clock.now();
        let known = leased.record.route(request.key).cloned().unwrap_or_else(|| RouteToken::wanted(request.key));
        let may_have_spent = error.is_ambiguous() && request.grant == TargetGrant::Refresh;
        let pause = next_pause(known.pause.as_ref(), &error, may_have_spent, now);
        let retry_after = timing::until(pause.until, now);
        let was_refused = known.pause.as_ref().is_some_and(|last| last.refusal == Some(TargetRefusal::Refused));
        let change = Change {
            route: RouteToken { pause: Some(pause), ..known }, // a token that is still good stays
            rotated: self.rotated(error.refresh_token(), held, &leased.record, request.ticket),
            lease: if may_have_spent { held.lease_in_doubt(now) } else { held.lease_before(now) },
        };
        if let Written::Ended = self.write(&change, leased, now).await? {
            revoke(error.refresh_token(), &request.ticket.id.key(), request.relying_party, now).await;
        }
        match error {
            TargetedTokenError::Unavailable { .. } => Ok(Outcome::Unavailable { retry_after }),
            TargetedTokenError::Refused { refusal, .. } => Ok(Outcome::Refused(refusal)),
            // The session's token is refused: whether its grant is over is for its own refresh to find out, once.
            TargetedTokenError::GrantRefused { .. } if was_refused => Ok(Outcome::Refused(TargetRefusal::Refused)),
            TargetedTokenError::GrantRefused { .. } => {
                match self.refresher.refresh(request.ticket, request.relying_party, Trigger::Now).await {
                    RefreshOutcome::Ended => Ok(Outcome::Ended),
                    RefreshOutcome::Refreshed
                    | RefreshOutcome::Unavailable { .. }
                    | RefreshOutcome::NoRefreshToken
                    | RefreshOutcome::ClientRefused(_)
                    | RefreshOutcome::RequestRefused => Ok(Outcome::Refused(TargetRefusal::Refused)),
                }
            }
        }
    }

    /// The refresh part with a new refresh token, which must not be lost.
    fn rotated(
        &self,
        refresh_token: Option<&RefreshToken>,
        held: &HeldLease,
        record: &SessionRecord,
        ticket: &SessionTicket,
    ) -> Option<SealedPart> {
        Some(self.records.seal_rotated(refresh_token?, &held.part, record, ticket))
    }

    /// Writes a change over the leased version, or over a later one of the same generation; an error if the store stays
    /// unavailable for [`WRITE_BUDGET`].
    async fn write(&self, change: &Change, leased: StoredRecord, now: Timestamp) -> Result<Written, StoreError> {
        let deadline = Instant::now() + WRITE_BUDGET;
        let mut base = leased.clone();
        let mut pause = PollPause::start();
        loop {
            let changed = change.applied_to(&base.record, &leased.record);
            let Err(failure) = self.records.replace(changed, &base.etag, now).await else { return Ok(Written::Done) };
            // Another write came first, or ours succeeded and its reply was lost: only another read can tell.
            match self.records.read(&leased.record.key, now).await {
                Ok(None) => return Ok(Written::Ended),
                Ok(Some(found)) if found.record.is_ended() => return Ok(Written::Ended),
                Ok(Some(found)) if found.record.generation != leased.record.generation => {
                    return Ok(Written::Superseded);
                }
                Ok(Some(found)) if found.record.route(change.route.target) == Some(&change.route) => {
                    return Ok(Written::Done);
                }
                // Our lease was declared dead: what was written since stays, beside ours.
                Ok(Some(found)) => base = (*found).clone(),
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
}

impl Change {
    /// The record `base`, which may be later than the `leased` one, with this change.
    fn applied_to(&self, base: &SessionRecord, leased: &SessionRecord) -> SessionRecord {
        let mut changed = base.clone();
        if base.lease_holder() == leased.lease_holder() {
            changed.lease.clone_from(&self.lease);
        }
        // A failure does not replace what another wrote for this target meanwhile.
        let target = self.route.target;
        if self.route.pause.is_none() || base.route(target) == leased.route(target) {
            changed.set_route(self.route.clone());
        }
        if let (RecordState::Active { refresh, .. }, RecordState::Active { refresh: leased_refresh, .. }) =
            (&mut changed.state, &leased.state)
        {
            // Another rotation that was written first counts: ours idles at the Provider, as in a newer generation.
            if let Some(rotated) = self.rotated.as_ref().filter(|_| refresh == leased_refresh) {
                refresh.clone_from(rotated);
            }
        }
        changed
    }
}

/// Backoff of a target after the one before: longer with each in a row, and longer still without a response.
fn next_pause(
    last: Option<&RoutePause>,
    error: &TargetedTokenError,
    may_have_spent: bool,
    now: Timestamp,
) -> RoutePause {
    let (backoffs, unanswered) = last.map_or((0, 0), |last| (last.backoffs, last.unanswered));
    let (retry_after, refusal) = match error {
        TargetedTokenError::Unavailable { retry_after, .. } => (*retry_after, None),
        TargetedTokenError::Refused { refusal, .. } => (None, Some(*refusal)),
        TargetedTokenError::GrantRefused { .. } => (None, Some(TargetRefusal::Refused)),
    };
    let (length, unanswered) = if may_have_spent {
        (timing::target_backoff(unanswered, retry_after), unanswered.saturating_add(1))
    } else {
        (timing::backoff(backoffs, retry_after), 0)
    };
    RoutePause { until: now.plus(length), backoffs: backoffs.saturating_add(1), unanswered, refusal }
}

/// Metric label of an outcome.
fn outcome_label(outcome: &Result<Outcome, StoreError>) -> &'static str {
    match outcome {
        Ok(Outcome::Issued(_)) => "ok",
        Ok(Outcome::Ended) => "session_ended",
        Ok(Outcome::Unavailable { .. }) => "provider_unavailable",
        Ok(Outcome::Refused(TargetRefusal::Refused)) => "refused",
        Ok(Outcome::Refused(TargetRefusal::ConsentRequired)) => "consent_required",
        Ok(Outcome::Refused(TargetRefusal::InteractionRequired)) => "interaction_required",
        Err(_) => "store_unavailable",
    }
}

/// Logs a failed request for a target.
fn log_failure(request: &Request<'_>, failure: &TargetedTokenError) {
    let response = failure.oauth_error();
    let OAuthErrorFields { error, suberror, error_codes, trace_id, correlation_id } = OAuthError::fields(response);
    tracing::warn!(
        target: "audit",
        event = "route_token_failed",
        session.key = request.ticket.id.key().as_str(),
        token.target = %request.target,
        code = failure.code(),
        cause = %failure,
        provider.error = error,
        provider.suberror = suberror,
        provider.error_codes = error_codes,
        provider.trace_id = trace_id,
        provider.correlation_id = correlation_id,
        "no token for a route"
    );
}

/// Logs a request that could not be sent, because of the session's own refresh token.
fn log_without_call(request: &Request<'_>, code: &str, why: &str) {
    tracing::warn!(
        target: "audit",
        event = "route_token_failed",
        session.key = request.ticket.id.key().as_str(),
        token.target = %request.target,
        code,
        "no token for a route: session not refreshable, {why}"
    );
}

/// Logs a request that failed because of the store.
fn log_unwritten(request: &Request<'_>, error: &StoreError) {
    tracing::warn!(
        target: "audit",
        event = "route_token_failed",
        session.key = request.ticket.id.key().as_str(),
        token.target = %request.target,
        code = "store_unavailable",
        %error,
        "no token for a route: session store unavailable"
    );
}

#[cfg(test)]
mod tests;
