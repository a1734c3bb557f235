//! Logout by the Provider: ends sessions by its `sid` or by the person's `sub`, without a cookie and without a token.
//!
//! Opens nothing sealed, so no refresh token can be revoked: the Provider that ends its session ends its tokens.

use std::sync::Arc;
use std::time::Duration;

use super::background::Background;
use super::index::{EndScope, IndexKey, IndexKind, IndexedSession, SessionIndex};
use super::index_writers::IndexWriters;
use super::records::{Records, Tombstone};
use super::store::{Etag, StoreError};
use super::ticket::SessionTicket;
use super::timing::PROVIDER_BUDGET;
use super::write_retry::{CONTENTION_BUDGET, WriteRetry};
use crate::clock::Timestamp;
use crate::oidc::{Claims, LogoutToken, PendingLogin};

/// Maximum sessions of one person in the index; one more ends the oldest.
const MAX_SESSIONS: usize = 500;

/// Time for which an end is recorded, so that sign-ins that began before it fail: longer than a sign-in may take.
const CLOSED_FOR: Duration = Duration::from_secs(20 * 60);
const _: () = assert!(
    CLOSED_FOR.as_secs()
        > PendingLogin::LIFETIME.as_secs() + PROVIDER_BUDGET.as_secs() + 2 * CONTENTION_BUDGET.as_secs()
);

/// Indexes of sessions by `sid` and `sub`.
#[derive(Clone)]
pub(super) struct ProviderLogout {
    records: Arc<Records>,
    writers: IndexWriters,
    background: Background,
}

impl ProviderLogout {
    pub(super) fn new(records: Arc<Records>, background: Background) -> Self {
        Self { records, writers: IndexWriters::default(), background }
    }

    /// Ends the sessions that a logout token names (Back-Channel Logout 1.0, 2.4). Returns the number of live ones.
    ///
    /// With both `sid` and `sub`, it ends that session of that person. A session without a `sid` may be the one
    /// that is meant, so those of the person end, too.
    pub(super) async fn end_named(&self, token: &LogoutToken, now: Timestamp) -> Result<usize, StoreError> {
        let by_sid = match &token.sid {
            Some(sid) => self.end_all(&self.provider_session(sid), now).await?,
            None => 0,
        };
        let scope = if token.sid.is_some() { EndScope::WithoutSid } else { EndScope::All };
        let by_sub = match &token.sub {
            Some(sub) => self.end(&self.subject(sub), scope, now).await?,
            None => 0,
        };
        Ok(by_sid + by_sub)
    }

    /// Ends every session of an index, and its pending sign-ins. Returns the number of live sessions.
    pub(super) async fn end_all(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        self.end(index, EndScope::All, now).await
    }

    /// Like [`Self::end_all`], for an index that the caller may have invented: an unknown index is not written.
    pub(super) async fn end_known(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        match self.records.store.load_index(index, now).await? {
            Some(_) => self.end_all(index, now).await,
            None => Ok(0),
        }
    }

    /// Adds a session to the indexes of its `sid` and `sub`. False if one of them was ended after the sign-in
    /// `began_at`, which is before the callback: a person may be at the Provider for minutes.
    pub(super) async fn enter_indexes(
        &self,
        claims: &Claims,
        ticket: &SessionTicket,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let provider_session = claims.text("sid").map(|sid| self.provider_session(sid));
        let has_sid = provider_session.is_some();
        for index in provider_session.into_iter().chain([self.subject(claims.subject())]) {
            let session = IndexedSession { key: ticket.id.key(), expires_at: ticket.expires_at, has_sid };
            if !self.enter(&index, session, began_at, now).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Index key of a session at the Provider.
    pub(super) fn provider_session(&self, sid: &str) -> IndexKey {
        IndexKey::of(IndexKind::ProviderSession, &self.records.issuer, &self.records.client_id, sid)
    }

    /// Index key of a person.
    pub(super) fn subject(&self, sub: &str) -> IndexKey {
        IndexKey::of(IndexKind::Subject, &self.records.issuer, &self.records.client_id, sub)
    }

    async fn end(&self, index: &IndexKey, scope: EndScope, now: Timestamp) -> Result<usize, StoreError> {
        let this = self.clone();
        let index = index.clone();
        // A task, so that a closed connection does not stop it halfway.
        let work = async move { this.end_each(this.close(&index, scope, now).await?, now).await };
        let done = self.background.spawn(work).await;
        done.unwrap_or_else(|error| Err(StoreError::Unavailable(Box::new(error))))
    }

    /// Tries to end each session, and returns the first failure at the end.
    async fn end_each(&self, sessions: Vec<IndexedSession>, now: Timestamp) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut failure = None;
        for session in sessions {
            match self.end_by_key(&session, now).await {
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
        let mut retry = WriteRetry::start();
        let announcement = self.writers.announce(index, session.clone(), began_at);
        let Some(_writer) = self.writers.acquire(index, retry.deadline()).await else {
            return Err(StoreError::Conflict);
        };
        loop {
            if announcement.is_entered() {
                return Ok(true); // by the writer before us
            }
            let (known, etag) = self.load(index, session.expires_at, now).await?;
            if !known.admits(began_at, session.has_sid) {
                return Ok(false);
            }
            if known.sessions.contains(&session) {
                return Ok(true); // an earlier delivery of the callback, or a write whose reply was lost
            }
            let mut batch = self.writers.pending(index);
            batch.retain(|entry| known.admits(entry.began_at, entry.session.has_sid));
            let mut entered = batch.iter().fold(known, |index, entry| index.with(entry.session.clone(), now));
            while entered.sessions.len() > MAX_SESSIONS {
                self.end_by_key(&entered.sessions.remove(0), now).await?;
            }
            match self.records.store.write_index(&entered, etag.as_ref(), now).await {
                Ok(_) => batch.iter().for_each(|entry| entry.mark_entered()),
                Err(error) => retry.pause_after(error).await?, // another write came first, or its reply was lost
            }
        }
    }

    /// Records the end in the index. Returns the sessions to end.
    async fn close(
        &self,
        index: &IndexKey,
        scope: EndScope,
        now: Timestamp,
    ) -> Result<Vec<IndexedSession>, StoreError> {
        let mut retry = WriteRetry::start();
        let Some(_writer) = self.writers.acquire(index, retry.deadline()).await else {
            return Err(StoreError::Conflict);
        };
        loop {
            let (known, etag) = self.load(index, now.plus(CLOSED_FOR), now).await?;
            if known.is_closed(scope, now) {
                return Ok(known.within(scope));
            }
            match self.records.store.write_index(&known.closed(scope, now, CLOSED_FOR), etag.as_ref(), now).await {
                Ok(_) => return Ok(known.within(scope)),
                Err(error) => retry.pause_after(error).await?, // a sign-in came first, or its reply was lost
            }
        }
    }

    /// The stored index, or a new empty one.
    async fn load(
        &self,
        index: &IndexKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(SessionIndex, Option<Etag>), StoreError> {
        Ok(match self.records.store.load_index(index, now).await? {
            Some(stored) => (stored.index, Some(stored.etag)),
            None => (SessionIndex::empty(index.clone(), expires_at), None),
        })
    }

    /// Ends a session by its key. A session that has not begun is prevented from beginning. False if it was not live.
    async fn end_by_key(&self, session: &IndexedSession, now: Timestamp) -> Result<bool, StoreError> {
        if session.expires_at <= now {
            return Ok(false);
        }
        let mut retry = WriteRetry::start();
        loop {
            match self.records.tombstone(&session.key, now).await? {
                Tombstone::Written(_) => {
                    let key = session.key.as_str();
                    tracing::info!(target: "audit", event = "session_ended", session.key = key, "session ended by sid or sub");
                    return Ok(true);
                }
                Tombstone::Ended => return Ok(false),
                Tombstone::Unknown(_, failure) => return Err(failure),
                Tombstone::Missing => {
                    match self.records.write_early_tombstone(&session.key, session.expires_at, now).await {
                        Ok(()) => return Ok(false),
                        Err(StoreError::Conflict) => retry.pause_after(StoreError::Conflict).await?, // it has begun
                        Err(error @ (StoreError::Missing | StoreError::Unavailable(_))) => return Err(error),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
