//! The end of a sign-in: the Provider's code becomes a session, once, however often its callback is delivered.
//!
//! The Functions host sends a request again when its handler dies, and a browser may do the same. The
//! session's identifier follows from the pending login and the code, so a second delivery finds the first
//! one's session instead of spending the code again (RFC 6749 4.1.2 lets a Provider revoke everything then).

use std::sync::Arc;

use super::parts::Parts;
use super::refresh::revoke;
use super::{SessionTicket, Sessions, StoreError};
use crate::clock::Timestamp;
use crate::oidc::{AuthorizationResponse, LoginError, PendingLogin, RelyingParty};

/// Why a callback led to no session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// The Provider refused, or something in its answer breaks a rule.
    #[error(transparent)]
    Login(Arc<LoginError>),
    /// The session could not be written, or looked for.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// This callback led to a session that has ended since.
    #[error("this sign-in is over")]
    Over,
    /// The work ended without an answer.
    #[error("the sign-in was interrupted")]
    Interrupted,
}

pub(super) type SignInOutcome = Result<(), SignInError>;

impl Sessions {
    /// Finishes a sign-in and starts its session. Goes on when the caller is gone.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: RelyingParty,
    ) -> Result<SessionTicket, SignInError> {
        let code = response.code().unwrap_or_default();
        let ticket = self.lifetime().issue(pending.session_seed(), code, self.now());
        let work = {
            let (sessions, ticket) = (self.clone(), ticket.clone());
            move || async move { sessions.complete(response, pending, &relying_party, &ticket).await }
        };
        let flight = self.0.sign_ins.launch(ticket.sid.key(), work);
        flight.land().await.unwrap_or(Err(SignInError::Interrupted))?;
        Ok(ticket)
    }

    async fn complete(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: &RelyingParty,
        ticket: &SessionTicket,
    ) -> SignInOutcome {
        let now = self.now();
        // Only a response that is this login's may ask whether its session exists already.
        let is_known = pending.has_state(response.state()) && !pending.is_expired(now) && response.code().is_some();
        if is_known && let Some(stored) = self.store().load(&ticket.sid.key(), now).await? {
            return if stored.record.is_ended() { Err(SignInError::Over) } else { Ok(()) };
        }
        let login = relying_party.complete_login(response, &pending, now).await?;

        let now = self.now();
        let settings = &self.0.settings;
        let parts =
            Parts::divide(login.tokens, login.claims, None, settings.header_needs, settings.refresh_before, now);
        let Err(error) = self.begin(&parts, ticket, now).await else { return Ok(()) };
        // The write may have happened and its reply been lost, or another delivery may have come first.
        let error = match self.store().load(&ticket.sid.key(), now).await {
            Ok(Some(found)) if found.record.is_ended() => SignInError::Over,
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(_) => error,
        };
        revoke(parts.cold.refresh_token.as_ref(), relying_party, now).await;
        Err(error)
    }

    /// First the indexes, then the record: a session that is there can be found by whoever ends it.
    async fn begin(&self, parts: &Parts, ticket: &SessionTicket, now: Timestamp) -> SignInOutcome {
        if !self.enter_indexes(&parts.cold.claims, ticket, now).await? {
            return Err(SignInError::Over);
        }
        self.create(self.record(parts, 1, ticket), now).await?;
        // Whose it is, without saying who: `oauth-proxy revoke --person` takes it.
        let person = self.subject(parts.cold.claims.subject());
        tracing::info!(target: "audit", event = "session_begun", session.key = ticket.sid.key().as_str(),
            person.key = person.as_str(), "a session began");
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
