//! Starts, loads and ends sessions: where tickets, sealed parts and the store meet.
//!
//! Sign-out wins: it is written as a tombstone that no earlier read can overwrite.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::flights::Flights;
use super::parts::Parts;
use super::record_cache::RecordCache;
use super::refresh::RefreshOutcome;
use super::sign_in::SignInOutcome;
use super::{
    ColdPart, Freshness, HeaderNeeds, HotPart, RecordState, RefreshBefore, SessionKey, SessionLifetime, SessionRecord,
    SessionStore, SessionTicket, StoreError, StoredRecord,
};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeySource, OpenError, Part, PartContext, RecordCipher, SealedPart};

/// How long a tombstone stays at least: longer than any refresh that was under way.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(300);

/// How often a write is tried again when another came first.
pub(super) const ATTEMPTS: usize = 8;

/// What the sessions of one Provider and client are made with.
pub struct SessionsSettings {
    /// Where records are kept.
    pub store: Arc<dyn SessionStore>,
    /// What seals them.
    pub keys: Arc<dyn KeySource>,
    /// Tells work that outlives its request what time it is.
    pub clock: Arc<dyn Clock>,
    /// How long they live.
    pub lifetime: SessionLifetime,
    /// How long a record that was read is believed.
    pub cache_ttl: Duration,
    /// How long before its expiry an access token is refreshed.
    pub refresh_before: RefreshBefore,
    /// What becomes headers.
    pub header_needs: HeaderNeeds,
    /// The Provider's issuer; sealed into every part.
    pub issuer: String,
    /// Our identifier there; sealed into every part.
    pub client_id: String,
}

/// The sessions of one Provider and client, shared by every worker. A clone shares them.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) settings: SessionsSettings,
    pub(super) cache: RecordCache,
    pub(super) refreshes: Flights<RefreshOutcome>,
    pub(super) sign_ins: Flights<SignInOutcome>,
}

/// A session that a request may use.
#[derive(Debug)]
pub struct LiveSession {
    /// What the request needs.
    pub hot: HotPart,
    /// Whether its access token can be used as it is.
    pub freshness: Freshness,
    /// When the access token lapses, if the Provider told.
    pub access_token_expires_at: Option<Timestamp>,
    /// Whether someone refreshes it already, or waits for the Provider to recover.
    pub(super) is_leased: bool,
}

/// What was found where a tombstone was to be written.
pub(super) enum Tombstone {
    /// The session lived, as here; now it has ended.
    Written(Arc<StoredRecord>),
    /// It had ended before.
    Ended,
    /// There is no such session.
    Missing,
}

impl Sessions {
    /// Sessions with these settings.
    #[must_use]
    pub fn new(settings: SessionsSettings) -> Self {
        let cache = RecordCache::new(settings.cache_ttl);
        Self(Arc::new(Shared { settings, cache, refreshes: Flights::default(), sign_ins: Flights::default() }))
    }

    /// How long they live.
    #[must_use]
    pub fn lifetime(&self) -> SessionLifetime {
        self.0.settings.lifetime
    }

    /// What a request needs, if the ticket's session lives and its record opens with the ticket's secret.
    ///
    /// # Errors
    /// When the store cannot be read; that is no reason to sign anyone out.
    pub async fn load(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<LiveSession>, StoreError> {
        let Some(stored) = self.find(ticket, now).await? else { return Ok(None) };
        let record = &stored.record;
        let RecordState::Active { hot, .. } = &record.state else { return Ok(None) };
        let hot = self.open(hot, Part::Hot, record.generation, ticket).await?;
        Ok(hot.map(|hot| LiveSession {
            hot,
            freshness: Freshness::of(record, now),
            access_token_expires_at: record.access_token_expires_at,
            is_leased: record.lease.as_ref().is_some_and(|lease| now < lease.lapses_at),
        }))
    }

    /// Everything the Provider said of the person, if the session lives.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load_cold(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<ColdPart>, StoreError> {
        match self.find(ticket, now).await? {
            Some(stored) => self.open_cold(&stored, ticket).await,
            None => Ok(None),
        }
    }

    /// Ends a session for good. Returns what a revocation and the Provider's logout need, if it lived and opened.
    ///
    /// # Errors
    /// When the store cannot write the tombstone: the session then still lives.
    pub(super) async fn end(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<ColdPart>, StoreError> {
        match self.tombstone(&ticket.sid.key(), now).await? {
            Tombstone::Written(lived) => Ok(self.open_cold(&lived, ticket).await.unwrap_or_else(|error| {
                // It has ended all the same; only its refresh token lives on at the Provider.
                tracing::warn!(session.key = ticket.sid.key().as_str(), %error, "a refresh token is not revoked");
                None
            })),
            Tombstone::Ended | Tombstone::Missing => Ok(None),
        }
    }

    /// Writes the tombstone of a session over whatever a refresh may write meanwhile.
    pub(super) async fn tombstone(&self, key: &SessionKey, now: Timestamp) -> Result<Tombstone, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.read(key, now).await? else { return Ok(Tombstone::Missing) };
            if stored.record.is_ended() {
                return Ok(Tombstone::Ended);
            }
            let tombstone = stored.record.tombstone(now.plus(TOMBSTONE));
            match self.replace(tombstone, &stored.etag, now).await {
                Ok(_) => return Ok(Tombstone::Written(stored)),
                Err(StoreError::Conflict | StoreError::Missing) => {} // a refresh came first: read again
                Err(error @ StoreError::Unavailable(_)) => {
                    // The tombstone may be written, and its reply be lost.
                    let found = self.read(key, now).await;
                    let is_ended = found.is_ok_and(|found| found.is_some_and(|found| found.record.is_ended()));
                    return if is_ended { Ok(Tombstone::Written(stored)) } else { Err(error) };
                }
            }
        }
        Err(StoreError::Conflict)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), StoreError> {
        let nobody = SessionTicket::from_seed(&[0; 32], "", now, now);
        self.store().load(&nobody.sid.key(), now).await.map(drop)
    }

    /// The record of a living ticket, from the cache or the store.
    async fn find(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        if !self.lifetime().is_alive(ticket, now) {
            return Ok(None);
        }
        let key = ticket.sid.key();
        if let Some(cached) = self.0.cache.find(&key, now) {
            return Ok(Some(cached));
        }
        self.read(&key, now).await
    }

    /// The record as the store has it now; this process's requests see it from here on.
    pub(super) async fn read(&self, key: &SessionKey, now: Timestamp) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        let stored = self.store().load(key, now).await?.map(Arc::new);
        if let Some(stored) = &stored {
            self.0.cache.keep(stored, now);
        }
        Ok(stored)
    }

    /// Writes a record that must not exist yet.
    pub(super) async fn create(&self, record: SessionRecord, now: Timestamp) -> Result<(), StoreError> {
        let etag = self.store().create(&record, now).await?;
        self.0.cache.keep(&Arc::new(StoredRecord { record, etag }), now);
        Ok(())
    }

    /// Writes over the version that was read, and lets this process see it at once.
    pub(super) async fn replace(
        &self,
        record: SessionRecord,
        read: &super::Etag,
        now: Timestamp,
    ) -> Result<StoredRecord, StoreError> {
        let etag = self.store().replace(&record, read, now).await?;
        let stored = StoredRecord { record, etag };
        self.0.cache.keep(&Arc::new(stored.clone()), now);
        Ok(stored)
    }

    /// The record of a session in its `generation`, its parts sealed.
    pub(super) fn record(&self, parts: &Parts, generation: u64, ticket: &SessionTicket) -> SessionRecord {
        SessionRecord {
            key: ticket.sid.key(),
            generation,
            access_token_expires_at: parts.access_token_expires_at,
            refresh_at: parts.refresh_at,
            expires_at: ticket.expires_at,
            lease: None,
            state: RecordState::Active {
                hot: self.seal(&parts.hot, Part::Hot, generation, ticket),
                cold: self.seal(&parts.cold, Part::Cold, generation, ticket),
            },
        }
    }

    pub(super) async fn open_cold(
        &self,
        stored: &StoredRecord,
        ticket: &SessionTicket,
    ) -> Result<Option<ColdPart>, StoreError> {
        let RecordState::Active { cold, .. } = &stored.record.state else { return Ok(None) };
        self.open(cold, Part::Cold, stored.record.generation, ticket).await
    }

    pub(super) fn store(&self) -> &dyn SessionStore {
        &*self.0.settings.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.settings.clock.now()
    }

    fn seal<T: Serialize>(&self, value: &T, part: Part, generation: u64, ticket: &SessionTicket) -> SealedPart {
        let plaintext = Zeroizing::new(serde_json::to_vec(value).expect("a part is plain data"));
        self.cipher(ticket).seal(&plaintext, PartContext { part, generation }, &self.0.settings.keys.token_keys())
    }

    /// Opens a part; a key that isn't in hand is asked for once.
    ///
    /// # Errors
    /// When that key may be one that cannot be had now: the record is as good as out of reach.
    async fn open<T>(
        &self,
        sealed: &SealedPart,
        part: Part,
        generation: u64,
        ticket: &SessionTicket,
    ) -> Result<Option<T>, StoreError>
    where
        T: for<'de> Deserialize<'de>,
    {
        let (keys, context) = (&self.0.settings.keys, PartContext { part, generation });
        let mut opened = self.cipher(ticket).open(sealed, context, &keys.token_keys());
        if matches!(opened, Err(OpenError::UnknownKey)) {
            let reloaded = keys.reload().await;
            opened = self.cipher(ticket).open(sealed, context, &keys.token_keys());
            if matches!(opened, Err(OpenError::UnknownKey)) {
                reloaded.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
            }
        }
        Ok(opened.ok().and_then(|opened| serde_json::from_slice(&opened).ok()))
    }

    fn cipher<'a>(&'a self, ticket: &'a SessionTicket) -> RecordCipher<'a> {
        let settings = &self.0.settings;
        RecordCipher {
            sid: ticket.sid.as_bytes(),
            secret: ticket.secret.as_bytes(),
            issuer: &settings.issuer,
            client_id: &settings.client_id,
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("lifetime", &self.lifetime()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
