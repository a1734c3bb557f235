//! The end of a sign-in: the Provider's code becomes a session, once, however often its callback is delivered.
//!
//! The Functions host sends a request again when its handler dies, and a browser may do the same. The session's
//! identifier follows from the pending login and the code, so a second delivery finds the first one's session instead
//! of spending the code again (RFC 6749 4.1.2 lets a Provider revoke everything then).

use std::sync::Arc;

use super::lifetime::SessionLifetime;
use super::parts::{TokenParts, TokenPolicy};
use super::provider_logout::ProviderLogout;
use super::records::Records;
use super::refresher::revoke;
use super::single_flight::SingleFlight;
use super::store::StoreError;
use super::ticket::SessionTicket;
use crate::clock::{Clock, Timestamp};
use crate::oidc::{AuthorizationResponse, LoginError, PendingLogin, RelyingParty};

/// Why a callback led to no session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// The Provider refused, or its response breaks a rule.
    #[error(transparent)]
    Login(Arc<LoginError>),
    /// The session could not be written, or looked for.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// This callback led to a session that has ended since.
    #[error("this sign-in is over")]
    Over,
    /// The person, their Provider or an operator ended the person's sessions while this sign-in was under way.
    #[error("logged out while the sign-in was under way")]
    LoggedOut,
    /// The work ended without a result.
    #[error("the sign-in was interrupted")]
    Interrupted,
}

pub(super) type SignInOutcome = Result<(), SignInError>;

/// Turns authorization responses into sessions. A clone shares the work under way.
#[derive(Clone)]
pub(super) struct SignIns {
    pub(super) records: Arc<Records>,
    pub(super) provider_logout: ProviderLogout,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifetime: SessionLifetime,
    pub(super) policy: TokenPolicy,
    pub(super) flights: SingleFlight<SignInOutcome>,
}

impl SignIns {
    /// Finishes a sign-in and starts its session. Goes on when the caller is gone.
    pub(super) async fn sign_in(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: RelyingParty,
    ) -> Result<SessionTicket, SignInError> {
        let code = response.code().unwrap_or_default();
        let ticket = self.lifetime.issue(pending.session_seed(), code, self.clock.now());
        let flight = self.flights.join_or_start(ticket.sid.key(), || {
            let this = self.clone();
            let ticket = ticket.clone();
            async move { this.complete(response, pending, &relying_party, &ticket).await }
        });
        flight.wait().await.unwrap_or(Err(SignInError::Interrupted))?;
        Ok(ticket)
    }

    async fn complete(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: &RelyingParty,
        ticket: &SessionTicket,
    ) -> SignInOutcome {
        let now = self.clock.now();
        // Only a response that is this login's may ask whether its session exists already.
        let is_known = pending.has_state(response.state()) && !pending.is_expired(now) && response.code().is_some();
        if is_known && let Some(stored) = self.records.store.load(&ticket.sid.key(), now).await? {
            return match (stored.record.is_ended(), stored.record.has_begun()) {
                (true, true) => Err(SignInError::Over),
                (true, false) => Err(SignInError::LoggedOut),
                (false, _) => Ok(()),
            };
        }
        let login = relying_party.complete_login(response, &pending, now).await?;

        let now = self.clock.now();
        let parts = TokenParts::divide(login.tokens, login.claims, None, self.policy, now);
        let Err(error) = self.begin(&parts, ticket, pending.issued_at(), now).await else { return Ok(()) };
        // The write may have happened and its reply been lost, or another delivery may have come first.
        let error = match self.records.store.load(&ticket.sid.key(), now).await {
            Ok(Some(found)) if found.record.is_ended() => SignInError::LoggedOut,
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(_) => error,
        };
        revoke(parts.refresh.refresh_token.as_ref(), relying_party, now).await;
        Err(error)
    }

    /// Writes the indexes first, then the record: a session that exists can be found by whoever ends it.
    async fn begin(
        &self,
        parts: &TokenParts,
        ticket: &SessionTicket,
        began_at: Timestamp,
        now: Timestamp,
    ) -> SignInOutcome {
        let claims = &parts.refresh.claims;
        if !self.provider_logout.enter_indexes(claims, ticket, began_at, now).await? {
            return Err(SignInError::LoggedOut);
        }
        self.records.create(self.records.seal(parts, 1, ticket), now).await?;
        let person = self.provider_logout.subject(claims.subject()); // for `oauth-proxy revoke --person`
        tracing::info!(target: "audit", event = "session_begun", session.key = ticket.sid.key().as_str(),
            person.key = person.as_str(), "session began");
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
