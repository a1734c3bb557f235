//! Session records: read, create, replace, end, seal and open.
//!
//! Combines the store, the cache of sealed records and the keys. Knows no Provider, no lease and no HTTP.

use std::sync::Arc;
use std::time::Duration;

use super::parts::{RefreshPart, RequestPart, RoutePart, TokenParts};
use super::record::{RecordState, SessionRecord, WriteId};
use super::record_cache::RecordCache;
use super::route_token::{RouteToken, SealedRouteToken, TargetKey};
use super::store::{Etag, SessionStore, StoreError, StoredRecord};
use super::ticket::{SessionKey, SessionTicket};
use super::timing::{MAX_REFRESH, MAX_ROUTE_TOKEN};
use super::used_once::{UseKey, UsedOnce};
use super::write_retry::WriteRetry;
use crate::clock::Timestamp;
use crate::crypto::{KeySource, PartContext, Plaintext, RecordCipher, RecordPart, SealedPart, open_with_reload};
use crate::oidc::{AccessToken, RefreshToken};

/// Minimum life of a tombstone: longer than any refresh and any request for a route's token in progress.
const TOMBSTONE: Duration = Duration::from_secs(300);
const _: () = assert!(TOMBSTONE.as_secs() > MAX_ROUTE_TOKEN.as_secs());
const _: () = assert!(TOMBSTONE.as_secs() > MAX_REFRESH.as_secs());

/// The records of one Provider and client.
pub(crate) struct Records {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) cache: RecordCache,
    /// The Provider's issuer; authenticated by every part.
    pub(super) issuer: String,
    /// Our client identifier; authenticated by every part.
    pub(super) client_id: String,
}

/// Result of ending a session with its ticket.
pub(crate) struct EndedSession {
    /// The refresh part, if the session was live and the part opened, even if the end is not confirmed: its refresh
    /// token must be revoked either way.
    pub(crate) part: Option<RefreshPart>,
    /// The tokens of routes, as far as they opened: they must be revoked, too.
    pub(crate) route_tokens: Vec<AccessToken>,
    /// Failure of the store that leaves the end unconfirmed.
    pub(crate) confirmed: Result<(), StoreError>,
}

impl EndedSession {
    fn without_tokens(confirmed: Result<(), StoreError>) -> Self {
        Self { part: None, route_tokens: Vec::new(), confirmed }
    }
}

/// Result of writing a tombstone.
pub(super) enum Tombstone {
    /// The session was live, with this record; now it has ended.
    Written(Arc<StoredRecord>),
    /// The session had ended before.
    Ended,
    /// The store has no such session.
    Missing,
    /// The session was live, with this record; it is unknown if it has ended.
    Unknown(Arc<StoredRecord>, StoreError),
}

impl Records {
    /// Record from the cache, or else from the store.
    pub(super) async fn find(&self, key: &SessionKey, now: Timestamp) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        match self.cache.find(key, now) {
            Some(cached) => Ok(Some(cached)),
            None => self.read(key, now).await,
        }
    }

    /// Record from the store, or from the cache if it is no older than half of the cache time.
    pub(super) async fn find_recent(
        &self,
        key: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        match self.cache.find_recent(key, now) {
            Some(cached) => Ok(Some(cached)),
            None => self.read(key, now).await,
        }
    }

    /// Record from the store. Later requests of this process see at least this version.
    pub(super) async fn read(&self, key: &SessionKey, now: Timestamp) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        let stored = self.store.load(key, now).await?.map(Arc::new);
        if let Some(stored) = &stored {
            self.cache.keep(stored, now);
        }
        Ok(stored)
    }

    /// Writes a new record; a conflict if it exists.
    pub(crate) async fn create(&self, record: SessionRecord, now: Timestamp) -> Result<(), StoreError> {
        let etag = self.store.create(&record, now).await?;
        self.cache.keep(&Arc::new(StoredRecord { record, etag }), now);
        Ok(())
    }

    /// Replaces the version that was read. Later requests of this process see the new one.
    pub(super) async fn replace(
        &self,
        record: SessionRecord,
        read: &Etag,
        now: Timestamp,
    ) -> Result<StoredRecord, StoreError> {
        let etag = self.store.replace(&record, read, now).await?;
        let stored = StoredRecord { record, etag };
        self.cache.keep(&Arc::new(stored.clone()), now);
        Ok(stored)
    }

    /// Ends a session. `Ok` if it is already ended or missing.
    pub(crate) async fn end(&self, ticket: &SessionTicket, now: Timestamp) -> EndedSession {
        let (lived, confirmed) = match self.tombstone(&ticket.id.key(), now).await {
            Ok(Tombstone::Written(lived)) => (lived, Ok(())),
            Ok(Tombstone::Unknown(lived, failure)) => (lived, Err(failure)),
            Ok(Tombstone::Ended | Tombstone::Missing) => return EndedSession::without_tokens(Ok(())),
            Err(failure) => return EndedSession::without_tokens(Err(failure)),
        };
        // Nothing else is lost: only the tokens stay valid at the Provider.
        let part = self.open_refresh_part(&lived, ticket).await.unwrap_or_else(|error| {
            log_unopened(ticket, &error);
            None
        });
        let mut route_tokens = Vec::new();
        for route in lived.record.routes() {
            let opened = self.open_route_token(&lived.record, route.target, ticket).await;
            route_tokens.extend(opened.unwrap_or_else(|error| {
                log_unopened(ticket, &error);
                None
            }));
        }
        EndedSession { part, route_tokens, confirmed }
    }

    /// Ends a session, if this is still the version in the store.
    pub(super) async fn end_version(&self, stored: &StoredRecord, now: Timestamp) -> Result<(), StoreError> {
        let tombstone = stored.record.tombstone(WriteId::random(), now.plus(TOMBSTONE));
        self.replace(tombstone, &stored.etag, now).await.map(drop)
    }

    /// Replaces a record by its tombstone, and retries if a refresh is written in between.
    pub(super) async fn tombstone(&self, key: &SessionKey, now: Timestamp) -> Result<Tombstone, StoreError> {
        let by = WriteId::random();
        let mut replaced = None;
        let mut retry = WriteRetry::start();
        loop {
            let Some(stored) = self.read(key, now).await? else { return Ok(Tombstone::Missing) };
            if let RecordState::Ended { by: writer } = &stored.record.state {
                // Ours, if a reply was lost, or if the store's client repeated the write.
                return Ok(match replaced.filter(|_| *writer == by) {
                    Some(lived) => Tombstone::Written(lived),
                    None => Tombstone::Ended,
                });
            }
            let tombstone = stored.record.tombstone(by.clone(), now.plus(TOMBSTONE));
            match self.replace(tombstone, &stored.etag, now).await {
                Ok(_) => return Ok(Tombstone::Written(stored)),
                // A refresh or a lease came first, or the store is unavailable.
                Err(failure) => match retry.pause_after(failure).await {
                    Ok(()) => replaced = Some(stored),
                    Err(failure) => return Ok(self.last_look(key, &by, stored, failure, now).await),
                },
            }
        }
    }

    /// Reads the record to learn if the last attempt to write a tombstone succeeded after all.
    async fn last_look(
        &self,
        key: &SessionKey,
        by: &WriteId,
        lived: Arc<StoredRecord>,
        failure: StoreError,
        now: Timestamp,
    ) -> Tombstone {
        let found = self.read(key, now).await.ok().flatten();
        match found.as_ref().map(|found| &found.record.state) {
            Some(RecordState::Ended { by: writer }) if writer == by => Tombstone::Written(lived),
            Some(RecordState::Ended { .. }) => Tombstone::Ended,
            Some(RecordState::Active { .. }) | None => Tombstone::Unknown(lived, failure),
        }
    }

    /// Writes a tombstone for a session that has not begun, so that it cannot begin. A conflict means that it
    /// has begun meanwhile.
    pub(super) async fn write_early_tombstone(
        &self,
        key: &SessionKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let tombstone = SessionRecord::never_begun(key.clone(), expires_at, now.plus(TOMBSTONE));
        let ours = tombstone.state.clone();
        let Err(failure) = self.create(tombstone, now).await else { return Ok(()) };
        match self.read(key, now).await {
            Ok(Some(found)) if found.record.state == ours => Ok(()), // lost or repeated, as above
            Ok(_) | Err(_) => Err(failure),
        }
    }

    /// Key in the store for the `jti` of a logout token.
    pub(super) fn logout_token(&self, jti: &str) -> UseKey {
        UseKey::of_logout_token(&self.issuer, &self.client_id, jti)
    }

    pub(super) async fn is_used(&self, key: &UseKey, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.store.load_use(key, now).await?.is_some())
    }

    /// Records a use until `expires_at`. False if it was used before.
    pub(super) async fn use_once(
        &self,
        key: UseKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let used = UsedOnce { key, by: WriteId::random(), expires_at };
        let Err(failure) = self.store.create_use(&used, now).await else { return Ok(true) };
        // A lost reply, or a write that the store's client repeated, also ends in a conflict.
        match self.store.load_use(&used.key, now).await? {
            Some(found) => Ok(found.by == used.by),
            None => Err(failure),
        }
    }

    /// Seals the parts into a record of this `generation`.
    pub(crate) fn seal(&self, parts: &TokenParts, generation: u64, ticket: &SessionTicket) -> SessionRecord {
        let context = |part| part_context(part, generation, parts.access_token_expires_at, parts.refresh_at);
        SessionRecord {
            key: ticket.id.key(),
            generation,
            access_token_expires_at: parts.access_token_expires_at,
            refresh_at: parts.refresh_at,
            expires_at: ticket.expires_at,
            lease: None,
            state: RecordState::Active {
                request: self.seal_part(&parts.request.to_bytes(), context(RecordPart::Request), ticket),
                refresh: self.seal_part(&parts.refresh.to_bytes(), context(RecordPart::Refresh), ticket),
                routes: Vec::new(),
            },
        }
    }

    /// Opens the request part. `None` if the session has ended or the ticket does not fit.
    pub(crate) async fn open_request_part(
        &self,
        stored: &StoredRecord,
        ticket: &SessionTicket,
    ) -> Result<Option<RequestPart>, StoreError> {
        let RecordState::Active { request, .. } = &stored.record.state else { return Ok(None) };
        let opened = self.open_part(request, RecordPart::Request, &stored.record, ticket).await?;
        Ok(opened.and_then(|bytes| RequestPart::from_bytes(&bytes)))
    }

    /// Opens the refresh part, for a refresh, a sign-out and `me`.
    pub(crate) async fn open_refresh_part(
        &self,
        stored: &StoredRecord,
        ticket: &SessionTicket,
    ) -> Result<Option<RefreshPart>, StoreError> {
        let RecordState::Active { refresh, .. } = &stored.record.state else { return Ok(None) };
        let opened = self.open_part(refresh, RecordPart::Refresh, &stored.record, ticket).await?;
        Ok(opened.and_then(|bytes| RefreshPart::from_bytes(&bytes)))
    }

    /// Seals the refresh part of a record anew, with a refresh token that was rotated between two generations.
    pub(super) fn seal_rotated(
        &self,
        refresh_token: &RefreshToken,
        part: &RefreshPart,
        record: &SessionRecord,
        ticket: &SessionTicket,
    ) -> SealedPart {
        let part = RefreshPart { refresh_token: Some(refresh_token.clone()), ..part.clone() };
        let (expires_at, refresh_at) = (record.access_token_expires_at, record.refresh_at);
        let context = part_context(RecordPart::Refresh, record.generation, expires_at, refresh_at);
        self.seal_part(&part.to_bytes(), context, ticket)
    }

    /// Seals the token of a target for a record of this `generation`.
    pub(super) fn seal_route_token(
        &self,
        access_token: AccessToken,
        target: TargetKey,
        generation: u64,
        (expires_at, refresh_at): (Option<Timestamp>, Option<Timestamp>),
        ticket: &SessionTicket,
    ) -> SealedRouteToken {
        let context = part_context(RecordPart::Route(*target.as_bytes()), generation, expires_at, refresh_at);
        let part = self.seal_part(&RoutePart { access_token }.to_bytes(), context, ticket);
        SealedRouteToken { part, expires_at, refresh_at }
    }

    /// Seals the tokens of routes anew for a generation that begins before their time. One that does not open by the keys
    /// at hand is left out, to be requested: the new tokens wait to be written.
    pub(super) fn carry_route_tokens(&self, last: &SessionRecord, renewed: &mut SessionRecord, ticket: &SessionTicket) {
        for RouteToken { target, token, pause } in last.routes() {
            let Some(SealedRouteToken { part, expires_at, refresh_at }) = token else { continue };
            let times = (*expires_at, *refresh_at);
            let context = part_context(RecordPart::Route(*target.as_bytes()), last.generation, times.0, times.1);
            let opened = self.cipher(ticket).open(part, context, &self.keys.token_keys());
            let Some(opened) = opened.ok().and_then(|bytes| RoutePart::from_bytes(&bytes)) else { continue };
            let sealed = self.seal_route_token(opened.access_token, *target, renewed.generation, times, ticket);
            renewed.set_route(RouteToken { target: *target, token: Some(sealed), pause: pause.clone() });
        }
    }

    /// Opens the token of a target. `None` if there is none, or the ticket does not fit.
    pub(crate) async fn open_route_token(
        &self,
        record: &SessionRecord,
        target: TargetKey,
        ticket: &SessionTicket,
    ) -> Result<Option<AccessToken>, StoreError> {
        let Some(sealed) = record.route(target).and_then(|route| route.token.as_ref()) else { return Ok(None) };
        let part = RecordPart::Route(*target.as_bytes());
        let context = part_context(part, record.generation, sealed.expires_at, sealed.refresh_at);
        let opened = self.open_in(&sealed.part, context, ticket).await?;
        Ok(opened.and_then(|bytes| RoutePart::from_bytes(&bytes)).map(|part| part.access_token))
    }

    fn seal_part(&self, plaintext: &[u8], context: PartContext, ticket: &SessionTicket) -> SealedPart {
        self.cipher(ticket).seal(plaintext, context, &self.keys.token_keys())
    }

    async fn open_part(
        &self,
        sealed: &SealedPart,
        part: RecordPart,
        record: &SessionRecord,
        ticket: &SessionTicket,
    ) -> Result<Option<Plaintext>, StoreError> {
        let context = part_context(part, record.generation, record.access_token_expires_at, record.refresh_at);
        self.open_in(sealed, context, ticket).await
    }

    /// Opens a part; an unknown key triggers one reload.
    ///
    /// # Errors
    /// If the key may exist but the newest keys cannot be loaded now.
    async fn open_in(
        &self,
        sealed: &SealedPart,
        context: PartContext,
        ticket: &SessionTicket,
    ) -> Result<Option<Plaintext>, StoreError> {
        let open = || self.cipher(ticket).open(sealed, context, &self.keys.token_keys());
        open_with_reload(&*self.keys, open).await.map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    fn cipher<'a>(&'a self, ticket: &'a SessionTicket) -> RecordCipher<'a> {
        RecordCipher {
            id: ticket.id.as_bytes(),
            secret: ticket.secret.as_bytes(),
            issuer: &self.issuer,
            client_id: &self.client_id,
        }
    }
}

/// Logs tokens that cannot be revoked, because the keys cannot be loaded now.
fn log_unopened(ticket: &SessionTicket, error: &StoreError) {
    tracing::warn!(session.key = ticket.id.key().as_str(), %error, "token not revoked: session record not opened");
}

/// Authenticated context of a part: readable fields of the record or the token, so that changing one opens nothing.
fn part_context(
    part: RecordPart,
    generation: u64,
    access_token_expires_at: Option<Timestamp>,
    refresh_at: Option<Timestamp>,
) -> PartContext {
    PartContext {
        part,
        generation,
        access_token_expires_at: access_token_expires_at.map(Timestamp::as_unix),
        refresh_at: refresh_at.map(Timestamp::as_unix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url_decode;
    use crate::sessions::MemoryStore;
    use crate::testing::frozen_keys;
    use crate::token_target::TokenTarget;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const REQUEST: &str = "axeeeVPYj_hVPWxsQZv5HeNbQ6Eigphn9E_-pL_WKu7_0k9hH7rROj36vrva9XkfEahKbHCN-SNW991s0vH_QN2-Bq4n-GyG\
        5r52aZbDV_hq";
    const REFRESH: &str = "Y2z6pPjPjnEuC1Ownc4NtOfNsIL4crAvzX3lUo9zewTpsVRW3omAMku_EhUK3lhRULe6N3IC9GCJv5aBP2sllOsUo8hg0Ssq\
        rc2MmLjP4bNSvL3KpOSj37IwV-Au22Aj4rIWlMNjBSAmQnTBmbPdgz1inOMb4A-Q4xhLU6yK_-yvpDWf31a7ZEAS9BY";

    const ROUTE: &str = "tSRkgoPuPwP7yqCD8PH1KLyzYkpHeHioOrS5mxUNUBdoZHIgRvukUQ";

    fn records() -> Records {
        Records {
            store: Arc::new(MemoryStore::default()),
            keys: frozen_keys(),
            cache: RecordCache::new(Duration::ZERO),
            issuer: "https://op.example".to_owned(),
            client_id: "client".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_frozen_parts_of_a_session_still_open() {
        let expires_at = Timestamp::from_unix(1_800_028_800);
        let ticket = SessionTicket::from_seed(&[3; 32], "frozen", NOW, expires_at);
        let target = TargetKey::of(&TokenTarget::new(None, Some("orders"), Some("read write")).unwrap());
        let sealed = |salt, ciphertext| SealedPart {
            kid: "k1".to_owned(),
            salt: [salt; 32],
            ciphertext: base64url_decode(ciphertext).unwrap(),
        };
        let record = SessionRecord {
            key: ticket.id.key(),
            generation: 1,
            access_token_expires_at: Some(Timestamp::from_unix(1_800_003_600)),
            refresh_at: Some(Timestamp::from_unix(1_800_002_880)),
            expires_at,
            lease: None,
            state: RecordState::Active {
                request: sealed(7, REQUEST),
                refresh: sealed(8, REFRESH),
                routes: vec![RouteToken {
                    target,
                    token: Some(SealedRouteToken {
                        part: sealed(9, ROUTE),
                        expires_at: Some(Timestamp::from_unix(1_800_001_800)),
                        refresh_at: Some(Timestamp::from_unix(1_800_001_440)),
                    }),
                    pause: None,
                }],
            },
        };
        let stored = StoredRecord { record, etag: Etag("1".to_owned()) };

        let request = records().open_request_part(&stored, &ticket).await.unwrap().unwrap();
        let refresh = records().open_refresh_part(&stored, &ticket).await.unwrap().unwrap();

        assert_eq!((request.access_token.expose(), request.claims.text("name")), ("access", Some("Ada")));
        assert_eq!(refresh.refresh_token.as_ref().map(RefreshToken::expose), Some("refresh"));
        assert_eq!(refresh.claims.subject(), "ada");
        let route = records().open_route_token(&stored.record, target, &ticket).await.unwrap().unwrap();
        assert_eq!(route.expose(), "route");
    }
}
