//! Starts, loads and ends sessions: where tickets, sealed parts and the store meet.
//!
//! Sign-out wins: it is written as a tombstone that no earlier read can overwrite.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{RecordState, SessionLifetime, SessionRecord, SessionStore, SessionTicket, StoreError, StoredRecord};
use crate::clock::Timestamp;
use crate::crypto::{KeySource, OpenError, Part, PartContext, RecordCipher, SealedPart};
use crate::oidc::{AccessToken, Claims, RefreshToken};

/// How long a tombstone stays at least: longer than any refresh that was under way.
const TOMBSTONE: Duration = Duration::from_secs(300);

/// How often a sign-out tries again when another write came first.
const ATTEMPTS: usize = 8;

/// What every proxied request needs.
#[derive(Debug, Serialize, Deserialize)]
pub struct HotPart {
    /// What the Upstream is shown.
    pub access_token: AccessToken,
    /// The claims that become headers.
    pub claims: Claims,
}

/// What only a refresh and a sign-out need.
#[derive(Serialize, Deserialize)]
pub struct ColdPart {
    /// What gets the next access token, if the Provider gave one.
    pub refresh_token: Option<RefreshToken>,
    /// The hint of RP-initiated logout.
    pub id_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for ColdPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColdPart(..)")
    }
}

/// Why a session was not started, loaded or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store failed; the session may well live.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sessions of one Provider and client.
pub struct Sessions {
    /// Where records are kept.
    pub store: Arc<dyn SessionStore>,
    /// What seals them.
    pub keys: Arc<dyn KeySource>,
    /// How long they live.
    pub lifetime: SessionLifetime,
    /// The Provider's issuer; sealed into every part.
    pub issuer: String,
    /// Our identifier there; sealed into every part.
    pub client_id: String,
}

impl Sessions {
    /// Starts a session, always under a new identifier.
    ///
    /// # Errors
    /// When the store cannot write it.
    pub async fn start(
        &self,
        hot: &HotPart,
        cold: &ColdPart,
        access_token_expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<SessionTicket, SessionError> {
        let ticket = self.lifetime.issue(now);
        let generation = 1;
        let record = SessionRecord {
            key: ticket.sid.key(),
            generation,
            access_token_expires_at,
            expires_at: ticket.expires_at,
            lease: None,
            state: RecordState::Active {
                hot: self.seal(hot, Part::Hot, generation, &ticket),
                cold: self.seal(cold, Part::Cold, generation, &ticket),
            },
        };
        self.store.create(&record, now).await?;
        Ok(ticket)
    }

    /// What a request needs, if the ticket's session lives and its record opens with the ticket's secret.
    ///
    /// # Errors
    /// When the store cannot be read; that is no reason to sign anyone out.
    pub async fn load(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<HotPart>, SessionError> {
        if !self.lifetime.is_alive(ticket, now) {
            return Ok(None);
        }
        let Some(stored) = self.store.load(&ticket.sid.key(), now).await? else { return Ok(None) };
        let RecordState::Active { hot, .. } = &stored.record.state else { return Ok(None) };
        Ok(self.open(hot, Part::Hot, stored.record.generation, ticket).await)
    }

    /// Ends a session for good. Returns what a revocation and the Provider's logout need, if it lived and opened.
    ///
    /// # Errors
    /// When the store cannot write the tombstone: the session then still lives.
    pub async fn end(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<ColdPart>, SessionError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.load(&ticket.sid.key(), now).await? else { return Ok(None) };
            if stored.record.is_ended() {
                return Ok(None);
            }
            let tombstone = stored.record.tombstone(now.plus(TOMBSTONE));
            match self.store.replace(&tombstone, &stored.etag, now).await {
                Ok(_) => return Ok(self.open_cold(&stored, ticket).await),
                Err(StoreError::Conflict | StoreError::Missing) => {} // a refresh came first: read again
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn open_cold(&self, stored: &StoredRecord, ticket: &SessionTicket) -> Option<ColdPart> {
        let RecordState::Active { cold, .. } = &stored.record.state else { return None };
        self.open(cold, Part::Cold, stored.record.generation, ticket).await
    }

    fn seal<T: Serialize>(&self, value: &T, part: Part, generation: u64, ticket: &SessionTicket) -> SealedPart {
        let plaintext = Zeroizing::new(serde_json::to_vec(value).expect("a part is plain data"));
        self.cipher(ticket).seal(&plaintext, PartContext { part, generation }, &self.keys.token_keys())
    }

    /// Opens a part; a key that isn't in hand is asked for once.
    async fn open<T>(&self, sealed: &SealedPart, part: Part, generation: u64, ticket: &SessionTicket) -> Option<T>
    where
        T: for<'de> Deserialize<'de>,
    {
        let (cipher, context) = (self.cipher(ticket), PartContext { part, generation });
        let mut opened = cipher.open(sealed, context, &self.keys.token_keys());
        if opened == Err(OpenError::UnknownKey) {
            self.keys.reload().await;
            opened = cipher.open(sealed, context, &self.keys.token_keys());
        }
        serde_json::from_slice(&opened.ok()?).ok()
    }

    fn cipher<'a>(&'a self, ticket: &'a SessionTicket) -> RecordCipher<'a> {
        let (sid, secret) = (ticket.sid.as_bytes(), ticket.secret.as_bytes());
        RecordCipher { sid, secret, issuer: &self.issuer, client_id: &self.client_id }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{KeyRing, StaticKeys};
    use crate::sessions::MemoryStore;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn sessions() -> Sessions {
        Sessions {
            store: Arc::new(MemoryStore::default()),
            keys: Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate())),
            lifetime: SessionLifetime { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(28_800) },
            issuer: "https://op.example".to_owned(),
            client_id: "client".to_owned(),
        }
    }

    async fn start(sessions: &Sessions) -> SessionTicket {
        let hot = HotPart { access_token: AccessToken::new("access".to_owned()), claims: Claims::default() };
        let refresh_token = Some(RefreshToken::new("refresh".to_owned()));
        let cold = ColdPart { refresh_token, id_token: None };
        sessions.start(&hot, &cold, None, NOW).await.unwrap()
    }

    #[actix_web::test]
    async fn a_started_session_is_loaded_by_its_ticket() {
        let sessions = sessions();
        let ticket = start(&sessions).await;

        let hot = sessions.load(&ticket, NOW).await.unwrap().unwrap();

        assert_eq!(hot.access_token.expose(), "access");
    }

    #[actix_web::test]
    async fn a_ticket_with_another_secret_opens_nothing() {
        let sessions = sessions();
        let (ticket, other) = (start(&sessions).await, start(&sessions).await);

        let mixed = SessionTicket { secret: other.secret.clone(), ..ticket };

        assert!(sessions.load(&mixed, NOW).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn an_idle_session_is_not_loaded() {
        let sessions = sessions();
        let ticket = start(&sessions).await;

        assert!(sessions.load(&ticket, NOW.plus(Duration::from_secs(1_800))).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn an_ended_session_yields_its_refresh_token_once_and_never_loads_again() {
        let sessions = sessions();
        let ticket = start(&sessions).await;

        let cold = sessions.end(&ticket, NOW).await.unwrap().unwrap();

        assert_eq!(cold.refresh_token.unwrap().expose(), "refresh");
        assert!(sessions.end(&ticket, NOW).await.unwrap().is_none());
        assert!(sessions.load(&ticket, NOW).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn a_write_that_began_before_the_sign_out_does_not_bring_the_session_back() {
        let sessions = sessions();
        let ticket = start(&sessions).await;
        let read = sessions.store.load(&ticket.sid.key(), NOW).await.unwrap().unwrap();
        sessions.end(&ticket, NOW).await.unwrap();

        let late = sessions.store.replace(&read.record, &read.etag, NOW).await;

        assert!(matches!(late, Err(StoreError::Conflict)));
        assert!(sessions.load(&ticket, NOW).await.unwrap().is_none());
    }
}
