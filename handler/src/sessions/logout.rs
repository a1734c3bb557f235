//! Sessions that the Provider ends: found by its `sid` or by the person's `sub`, without a cookie and without a token.
//!
//! Nothing sealed opens here, so no refresh token can be revoked: the Provider that ends its session ends its tokens.

use std::time::Duration;

use super::index::{IndexKey, IndexKind, IndexedSession, SessionIndex};
use super::service::{ATTEMPTS, TOMBSTONE, Tombstone};
use super::{Etag, SessionRecord, SessionTicket, Sessions, StoreError};
use crate::clock::Timestamp;
use crate::oidc::Claims;

/// How many sessions of one person are remembered; the oldest ends when there is one more.
const MOST_SESSIONS: usize = 500;

/// How long an end lets no sign-in through that began before it: longer than a sign-in may take.
const CLOSED: Duration = Duration::from_secs(20 * 60);

impl Sessions {
    /// Ends every session under an index, and what is on its way to it. Returns how many lived; zero is not an error.
    ///
    /// # Errors
    /// When the store fails; some of them may have ended then, and to ask again does no harm.
    pub async fn end_all(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        let (sessions, index) = (self.clone(), index.clone());
        go_on(async move { sessions.end_each(sessions.close(&index, now).await?, now).await }).await
    }

    /// The same for whoever may have made the index up: one that isn't there is not written.
    ///
    /// # Errors
    /// As [`Self::end_all`].
    pub async fn end_known(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        match self.store().load_index(index, now).await? {
            Some(_) => self.end_all(index, now).await,
            None => Ok(0),
        }
    }

    /// Tries every one of them, whatever becomes of the others.
    async fn end_each(&self, sessions: Vec<IndexedSession>, now: Timestamp) -> Result<usize, StoreError> {
        let (mut ended, mut failure) = (0, None);
        for session in sessions {
            match self.end_unseen(&session, now).await {
                Ok(lived) => ended += usize::from(lived),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(ended), Err)
    }

    /// Whether something was used before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_used(&self, index: &IndexKey, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.store().load_index(index, now).await?.is_some())
    }

    /// Notes that something was used until `expires_at`. False if it had been before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn use_once(&self, index: IndexKey, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        match self.store().write_index(&SessionIndex::empty(index, expires_at), None, now).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error @ (StoreError::Missing | StoreError::Unavailable(_))) => Err(error),
        }
    }

    /// Enters a session under its `sid` and `sub`. False if its `sid` was ended already.
    pub(super) async fn enter_indexes(
        &self,
        claims: &Claims,
        ticket: &SessionTicket,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let provider_session = claims.text("sid").map(|sid| self.provider_session(sid));
        for index in provider_session.into_iter().chain([self.subject(claims.subject())]) {
            let session = IndexedSession { key: ticket.sid.key(), expires_at: ticket.expires_at };
            if !self.enter(&index, session, ticket.issued_at, now).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn enter(
        &self,
        index: &IndexKey,
        session: IndexedSession,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut failure = StoreError::Conflict;
        for _ in 0..ATTEMPTS {
            let (known, etag) = self.index(index, session.expires_at, now).await?;
            if !known.admits(began_at) {
                return Ok(false);
            }
            if known.sessions.contains(&session) {
                return Ok(true); // an earlier delivery of the callback, or a write whose reply was lost
            }
            let mut entered = known.with(session.clone(), now);
            if entered.sessions.len() > MOST_SESSIONS {
                self.end_unseen(&entered.sessions.remove(0), now).await?;
            }
            match self.store().write_index(&entered, etag.as_ref(), now).await {
                Ok(_) => return Ok(true),
                Err(error) => failure = error, // another sign-in came first, or it was written: read again
            }
        }
        Err(failure)
    }

    async fn close(&self, index: &IndexKey, now: Timestamp) -> Result<Vec<IndexedSession>, StoreError> {
        let mut failure = StoreError::Conflict;
        for _ in 0..ATTEMPTS {
            let (known, etag) = self.index(index, now.plus(CLOSED), now).await?;
            if !known.admits(now) {
                return Ok(known.sessions);
            }
            match self.store().write_index(&known.closed(now, CLOSED), etag.as_ref(), now).await {
                Ok(_) => return Ok(known.sessions),
                Err(error) => failure = error, // a sign-in came first, or it was written: read again
            }
        }
        Err(failure)
    }

    /// The index as it is, or an empty one that isn't written yet.
    async fn index(
        &self,
        index: &IndexKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(SessionIndex, Option<Etag>), StoreError> {
        Ok(match self.store().load_index(index, now).await? {
            Some(stored) => (stored.index, Some(stored.etag)),
            None => (SessionIndex::empty(index.clone(), expires_at), None),
        })
    }

    /// Ends a session of which only the key is known. One that isn't there yet is ended before it begins. False if it
    /// had ended before.
    async fn end_unseen(&self, session: &IndexedSession, now: Timestamp) -> Result<bool, StoreError> {
        if session.expires_at <= now {
            return Ok(false);
        }
        for _ in 0..ATTEMPTS {
            let ended = match self.tombstone(&session.key, now).await? {
                Tombstone::Written(_) => true,
                Tombstone::Ended => false,
                Tombstone::Missing => {
                    let record =
                        SessionRecord::never_begun(session.key.clone(), session.expires_at, now.plus(TOMBSTONE));
                    match self.create(record, now).await {
                        Ok(()) => false,
                        Err(StoreError::Conflict) => continue, // it has begun: read again
                        Err(error @ (StoreError::Missing | StoreError::Unavailable(_))) => return Err(error),
                    }
                }
            };
            return Ok(ended);
        }
        Err(StoreError::Conflict)
    }

    /// What the store calls the sessions of a sign-in at the Provider.
    #[must_use]
    pub fn provider_session(&self, sid: &str) -> IndexKey {
        IndexKey::of(IndexKind::ProviderSession, &self.0.settings.issuer, sid)
    }

    /// What the store calls the sessions of a person.
    #[must_use]
    pub fn subject(&self, sub: &str) -> IndexKey {
        IndexKey::of(IndexKind::Subject, &self.0.settings.issuer, sub)
    }

    /// What the store calls a logout token that was used.
    #[must_use]
    pub fn logout_token(&self, jti: &str) -> IndexKey {
        IndexKey::of(IndexKind::LogoutToken, &self.0.settings.issuer, jti)
    }
}

/// Goes on when the request that began it is gone, as a closed connection makes it.
async fn go_on(work: impl Future<Output = Result<usize, StoreError>> + 'static) -> Result<usize, StoreError> {
    let done = tokio::task::spawn_local(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Unavailable(Box::new(error))))
}

#[cfg(test)]
mod tests;
