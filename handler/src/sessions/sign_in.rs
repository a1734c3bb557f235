//! Completion of a sign-in: a code becomes one session, however often its callback is delivered.
//!
//! The Functions host sends a request again when its handler dies, and a browser may do the same. The session's
//! identifier follows from the pending login and the code, so a second delivery finds the first one's session instead
//! of spending the code again (RFC 6749 4.1.2 lets a Provider revoke everything then). That lasts for a moment: a callback
//! that is kept for later revives nothing.

use std::sync::Arc;
use std::time::Duration;

use super::lifetime::SessionLifetime;
use super::login_exchanges::LoginExchanges;
use super::parts::{TokenParts, TokenPolicy};
use super::provider_logout::ProviderLogout;
use super::record::SessionRecord;
use super::records::Records;
use super::refresher::revoke;
use super::single_flight::SingleFlight;
use super::store::StoreError;
use super::ticket::{SessionKey, SessionTicket};
use crate::clock::{Clock, Timestamp};
use crate::oidc::{AuthorizationResponse, LoginError, PendingLogin, RelyingParty};

/// Reason why a callback started no session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// The Provider refused, or its response breaks a rule.
    #[error(transparent)]
    Login(Arc<LoginError>),
    /// The session could not be written or read.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The session of this callback has ended since.
    #[error("this sign-in is over")]
    Over,
    /// The login already sent its code, or its callback is too late.
    #[error("this sign-in was used")]
    Used,
    /// The person's sessions were ended during this sign-in, by the person, the Provider or an operator.
    #[error("logged out while the sign-in was under way")]
    LoggedOut,
    /// The work ended without a result.
    #[error("the sign-in was interrupted")]
    Interrupted,
}

/// Time after a session's begin during which its repeated callback returns the session. A retry comes within seconds.
const CALLBACK_MOMENT: Duration = Duration::from_secs(60);

/// Begin of the session, or the reason why there is none.
pub(super) type SignInOutcome = Result<Timestamp, SignInError>;

/// Converts authorization responses into sessions. A clone shares the sign-ins in progress.
#[derive(Clone)]
pub(super) struct SignIns {
    pub(super) records: Arc<Records>,
    pub(super) provider_logout: ProviderLogout,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifetime: SessionLifetime,
    pub(super) policy: TokenPolicy,
    pub(super) flights: SingleFlight<SessionKey, SignInOutcome>,
    pub(super) exchanges: LoginExchanges,
}

impl SignIns {
    /// Completes a sign-in and starts its session. Continues if the caller disconnects.
    pub(super) async fn sign_in(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: RelyingParty,
    ) -> Result<SessionTicket, SignInError> {
        let code = response.code().unwrap_or_default();
        let ticket = self.lifetime.issue(pending.session_seed(), code, self.clock.now());
        let flight = self.flights.join_or_start(ticket.id.key(), || {
            let this = self.clone();
            let ticket = ticket.clone();
            async move { this.complete(response, pending, &relying_party, &ticket).await }
        });
        let began_at = flight.wait().await.unwrap_or(Err(SignInError::Interrupted))?;
        let expires_at = began_at.plus(self.lifetime.absolute);
        Ok(SessionTicket { issued_at: began_at, last_seen: began_at, expires_at, ..ticket })
    }

    async fn complete(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: &RelyingParty,
        ticket: &SessionTicket,
    ) -> SignInOutcome {
        let now = self.clock.now();
        // Only a response that belongs to this login may query its session, or use the login up.
        let is_ours = pending.has_state(response.state()) && !pending.is_expired(now) && response.code().is_some();
        if is_ours && let Some(began_at) = self.earlier_delivery(&pending, &ticket.id.key(), now).await? {
            return Ok(began_at);
        }
        let login = relying_party.complete_login(response, &pending, now).await.inspect_err(|error| {
            // The code was not sent, or it got no response.
            if is_ours && matches!(error, LoginError::Response(_) | LoginError::Provider(_)) {
                self.exchanges.forget(&pending);
            }
        })?;

        let now = self.clock.now();
        let parts = TokenParts::divide(login.tokens, login.claims, None, &self.policy, now);
        let Err(error) = self.begin(&parts, ticket, pending.issued_at(), now).await else {
            return Ok(ticket.issued_at);
        };
        // Our write may have succeeded without a reply, or another delivery came first. The tokens are revoked only if
        // their session cannot be live any more.
        let error = match self.records.read(&ticket.id.key(), now).await {
            Ok(Some(found)) if found.record.is_ended() => SignInError::LoggedOut,
            Ok(Some(found)) => return Ok(self.began_at(&found.record)),
            Ok(None) => error,
            Err(_) if matches!(error, SignInError::LoggedOut) => error, // nothing was written
            // The session may exist, and a later delivery finds it: its refresh token must stay valid.
            Err(_) => return Err(error),
        };
        revoke(parts.refresh.refresh_token.as_ref(), &ticket.id.key(), relying_party, now).await;
        Err(error)
    }

    /// Begin of the session that an earlier delivery started; `None` for the first delivery, which uses the login up.
    async fn earlier_delivery(
        &self,
        pending: &PendingLogin,
        session: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, SignInError> {
        if self.exchanges.is_of_another(pending, session) {
            return Err(SignInError::Used);
        }
        if let Some(stored) = self.records.store.load(session, now).await? {
            return self.repeat(&stored.record, now).map(Some);
        }
        if self.exchanges.begin(pending, session) { Ok(None) } else { Err(SignInError::Used) }
    }

    /// Begin of a session whose callback is delivered again.
    fn repeat(&self, record: &SessionRecord, now: Timestamp) -> SignInOutcome {
        if record.is_ended() {
            return Err(if record.has_begun() { SignInError::Over } else { SignInError::LoggedOut });
        }
        let began_at = self.began_at(record);
        // In both directions: instances' clocks differ, and the setting may have changed since.
        let is_of_the_moment = now.since(began_at) <= CALLBACK_MOMENT && began_at.since(now) <= CALLBACK_MOMENT;
        if is_of_the_moment { Ok(began_at) } else { Err(SignInError::Used) }
    }

    /// Begin of a record's session.
    fn began_at(&self, record: &SessionRecord) -> Timestamp {
        record.expires_at.minus(self.lifetime.absolute)
    }

    /// Writes the indexes first, then the record: every existing session can be found by a logout.
    async fn begin(
        &self,
        parts: &TokenParts,
        ticket: &SessionTicket,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), SignInError> {
        let claims = &parts.refresh.claims;
        if !self.provider_logout.enter_indexes(claims, ticket, began_at, now).await? {
            return Err(SignInError::LoggedOut);
        }
        self.records.create(self.records.seal(parts, 1, ticket), now).await?;
        let person = self.provider_logout.subject(claims.subject()); // for `oauth-proxy revoke --person`
        tracing::info!(target: "audit", event = "session_begun", session.key = ticket.id.key().as_str(),
            person.key = person.as_str(), "session started");
        Ok(())
    }
}

impl From<LoginError> for SignInError {
    fn from(error: LoginError) -> Self {
        Self::Login(Arc::new(error))
    }
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

#[cfg(test)]
mod tests;
