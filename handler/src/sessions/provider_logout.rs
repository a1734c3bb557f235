//! Sessions that the Provider ends: found by its `sid` or by the person's `sub`, without a cookie and without a token.
//!
//! Nothing sealed opens here, so no refresh token can be revoked: the Provider that ends its session ends its tokens.

use std::sync::Arc;
use std::time::Duration;

use super::index::{IndexKey, IndexKind, IndexedSession, SessionIndex};
use super::records::{MAX_WRITE_ATTEMPTS, Records, Tombstone};
use super::store::{Etag, StoreError};
use super::ticket::SessionTicket;
use crate::clock::Timestamp;
use crate::oidc::Claims;

/// Sessions of one person in the index; one more ends the oldest.
const MAX_SESSIONS: usize = 500;

/// How long an end keeps out sign-ins that began before it: longer than a sign-in may take.
const CLOSED: Duration = Duration::from_secs(20 * 60);

/// The indexes of sessions by `sid` and `sub`.
#[derive(Clone)]
pub(super) struct ProviderLogout(pub(super) Arc<Records>);

impl ProviderLogout {
    /// Ends every session under an index, and sign-ins on their way to it. Returns how many lived.
    pub(super) async fn end_all(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        let this = self.clone();
        let index = index.clone();
        detach(async move { this.end_each(this.close(&index, now).await?, now).await }).await
    }

    /// As [`Self::end_all`], for a caller who may have made the index up: an unknown index is not written.
    pub(super) async fn end_known(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        match self.0.store.load_index(index, now).await? {
            Some(_) => self.end_all(index, now).await,
            None => Ok(0),
        }
    }

    /// Enters a session under its `sid` and `sub`. False if one of them was ended after the sign-in `began_at`, which is
    /// before the callback: a person may be at the Provider for minutes.
    pub(super) async fn enter_indexes(
        &self,
        claims: &Claims,
        ticket: &SessionTicket,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let provider_session = claims.text("sid").map(|sid| self.provider_session(sid));
        for index in provider_session.into_iter().chain([self.subject(claims.subject())]) {
            let session = IndexedSession { key: ticket.sid.key(), expires_at: ticket.expires_at };
            if !self.enter(&index, session, began_at, now).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The index of a sign-in at the Provider.
    pub(super) fn provider_session(&self, sid: &str) -> IndexKey {
        IndexKey::of(IndexKind::ProviderSession, &self.0.issuer, sid)
    }

    /// The index of a person.
    pub(super) fn subject(&self, sub: &str) -> IndexKey {
        IndexKey::of(IndexKind::Subject, &self.0.issuer, sub)
    }

    /// Tries each of them, and reports the first failure at the end.
    async fn end_each(&self, sessions: Vec<IndexedSession>, now: Timestamp) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut failure = None;
        for session in sessions {
            match self.end_unseen(&session, now).await {
                Ok(lived) => ended += usize::from(lived),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(ended), Err)
    }

    async fn enter(
        &self,
        index: &IndexKey,
        session: IndexedSession,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut failure = StoreError::Conflict;
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let (known, etag) = self.load(index, session.expires_at, now).await?;
            if !known.admits(began_at) {
                return Ok(false);
            }
            if known.sessions.contains(&session) {
                return Ok(true); // an earlier delivery of the callback, or a write whose reply was lost
            }
            let mut entered = known.with(session.clone(), now);
            if entered.sessions.len() > MAX_SESSIONS {
                self.end_unseen(&entered.sessions.remove(0), now).await?;
            }
            match self.0.store.write_index(&entered, etag.as_ref(), now).await {
                Ok(_) => return Ok(true),
                Err(error) => failure = error, // another sign-in came first, or it was written: read again
            }
        }
        Err(failure)
    }

    async fn close(&self, index: &IndexKey, now: Timestamp) -> Result<Vec<IndexedSession>, StoreError> {
        let mut failure = StoreError::Conflict;
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let (known, etag) = self.load(index, now.plus(CLOSED), now).await?;
            if !known.admits(now) {
                return Ok(known.sessions);
            }
            match self.0.store.write_index(&known.closed(now, CLOSED), etag.as_ref(), now).await {
                Ok(_) => return Ok(known.sessions),
                Err(error) => failure = error, // a sign-in came first, or it was written: read again
            }
        }
        Err(failure)
    }

    /// The index as it is, or an empty one that is not written yet.
    async fn load(
        &self,
        index: &IndexKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(SessionIndex, Option<Etag>), StoreError> {
        Ok(match self.0.store.load_index(index, now).await? {
            Some(stored) => (stored.index, Some(stored.etag)),
            None => (SessionIndex::empty(index.clone(), expires_at), None),
        })
    }

    /// Ends a session of which only the key is known. One that has not begun yet is kept from beginning. False if it
    /// did not live.
    async fn end_unseen(&self, session: &IndexedSession, now: Timestamp) -> Result<bool, StoreError> {
        if session.expires_at <= now {
            return Ok(false);
        }
        for _ in 0..MAX_WRITE_ATTEMPTS {
            match self.0.tombstone(&session.key, now).await? {
                Tombstone::Written(_) => return Ok(true),
                Tombstone::Ended => return Ok(false),
                Tombstone::Missing => match self.0.forestall(&session.key, session.expires_at, now).await {
                    Ok(()) => return Ok(false),
                    Err(StoreError::Conflict) => {} // it has begun: read again
                    Err(error @ (StoreError::Missing | StoreError::Unavailable(_))) => return Err(error),
                },
            }
        }
        Err(StoreError::Conflict)
    }
}

/// Goes on when the request that began it is gone, as a closed connection makes it.
async fn detach(work: impl Future<Output = Result<usize, StoreError>> + 'static) -> Result<usize, StoreError> {
    let done = tokio::task::spawn_local(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Unavailable(Box::new(error))))
}

#[cfg(test)]
mod tests;
