//! What the tests of sessions work with: a clock of their own, a store that fails on demand, and a scripted Provider.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::parts::Parts;
use super::{
    ColdPart, Etag, HeaderNeeds, HotPart, IndexKey, MemoryStore, RefreshBefore, SessionIndex, SessionKey,
    SessionLifetime, SessionRecord, SessionStore, SessionTicket, Sessions, SessionsSettings, StoreError, StoredIndex,
    StoredRecord,
};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeyRing, KeySource, StaticKeys};
use crate::oidc::{
    AccessToken, Claims, ClientAuthentication, ClientRegistration, ProviderCache, RefreshToken, RelyingParty,
    RelyingPartySettings, ResponseMode,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

pub(super) const START: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A clock that stands still until a test moves it.
pub(super) struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// What happens to one write.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It is written.
    Written,
    /// The store fails before it writes.
    Failed,
    /// The store writes, and its reply is lost.
    ReplyLost,
    /// Another instance's write comes first.
    Overtaken(Box<SessionRecord>),
}

/// A store in memory whose next writes meet the fates that a test scripts.
#[derive(Default)]
pub(super) struct FatefulStore {
    inner: MemoryStore,
    fates: Mutex<VecDeque<Fate>>,
}

impl FatefulStore {
    pub(super) fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.lock().unwrap().extend(fates);
    }

    /// Writes whatever the version is, as another instance would after its own read.
    pub(super) async fn overwrite(&self, record: &SessionRecord, now: Timestamp) {
        let read = self.inner.load(&record.key, now).await.unwrap().unwrap();
        self.inner.replace(record, &read.etag, now).await.unwrap();
    }

    async fn meet(&self, now: Timestamp) -> Fate {
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Written);
        if let Fate::Overtaken(record) = &fate {
            self.overwrite(record, now).await;
        }
        fate
    }
}

fn answer(fate: &Fate, written: impl Into<Option<Result<Etag, StoreError>>>) -> Result<Etag, StoreError> {
    let lost = || StoreError::Unavailable("scripted".into());
    match (fate, written.into()) {
        (Fate::Failed, _) | (_, None) | (Fate::ReplyLost, Some(Ok(_))) => Err(lost()),
        (_, Some(written)) => written,
    }
}

#[async_trait]
impl SessionStore for FatefulStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        match self.meet(now).await {
            Fate::Failed => answer(&Fate::Failed, None),
            fate => answer(&fate, self.inner.create(record, now).await),
        }
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        match self.meet(now).await {
            Fate::Failed => answer(&Fate::Failed, None),
            fate => answer(&fate, self.inner.replace(record, read, now).await),
        }
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.inner.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        match self.meet(now).await {
            Fate::Failed => answer(&Fate::Failed, None),
            fate => answer(&fate, self.inner.write_index(index, read, now).await),
        }
    }
}

/// One instance over a store that others may share.
pub(super) struct Scene {
    pub(super) provider: ScriptedProvider,
    pub(super) key: SigningKey,
    pub(super) store: Arc<FatefulStore>,
    pub(super) clock: Arc<StoppedClock>,
    pub(super) sessions: Sessions,
    pub(super) party: RelyingParty,
    keys: Arc<dyn KeySource>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let (provider, key) = ScriptedProvider::start();
        let (store, clock) = (Arc::<FatefulStore>::default(), Arc::new(StoppedClock(AtomicI64::new(START.as_unix()))));
        let keys: Arc<dyn KeySource> = Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate()));
        let settings = RelyingPartySettings {
            issuer: provider.origin.clone(),
            registration: ClientRegistration {
                client_id: "client".to_owned(),
                redirect_uri: "https://app.example/oauth/callback".to_owned(),
                scopes: vec!["openid".to_owned()],
                response_mode: ResponseMode::Query,
            },
            authentication: ClientAuthentication::None,
            userinfo: false,
        };
        let provider_cache: Arc<ProviderCache> = Arc::default();
        let party = RelyingParty::new(Arc::new(settings), provider_cache, no_trust());
        let sessions = instance(&provider.origin, Arc::clone(&store) as _, &clock, &keys);
        Self { provider, key, store, clock, sessions, party, keys }
    }

    /// Another instance over the same store.
    pub(super) fn another_instance(&self) -> Sessions {
        self.instance_over(Arc::clone(&self.store) as _)
    }

    /// An instance over another store.
    pub(super) fn instance_over(&self, store: Arc<dyn SessionStore>) -> Sessions {
        instance(&self.provider.origin, store, &self.clock, &self.keys)
    }

    /// Someone signed in, whose access token lapses a hundred seconds after [`START`].
    pub(super) async fn signed_in(&self) -> SessionTicket {
        let ticket = self.sessions.lifetime().issue(&[1; 32], "code", START);
        self.sessions.create(self.record_of(&ticket), START).await.unwrap();
        ticket
    }

    /// The record that a sign-in writes for this ticket.
    pub(super) fn record_of(&self, ticket: &SessionTicket) -> SessionRecord {
        record_of(&self.sessions, ticket, "refresh-1")
    }

    /// What the token endpoint answers from now on.
    pub(super) fn answers(&self, reply: Reply) {
        self.provider.reply("/token_endpoint", reply);
    }

    /// New tokens, all of them or with `changes`; null takes a member away.
    pub(super) fn tokens(&self, changes: &Value) -> Reply {
        let mut tokens = json!({
            "access_token": "access-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-2",
        });
        tokens.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        tokens.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Reply::Json(tokens)
    }

    /// How often the token endpoint was asked.
    pub(super) fn calls(&self) -> usize {
        self.provider.received("/token_endpoint").len()
    }

    /// The tokens that were revoked.
    pub(super) fn revoked(&self) -> Vec<String> {
        self.provider.received("/revocation_endpoint").iter().map(|request| request.form()["token"].clone()).collect()
    }

    /// The record as the store has it.
    pub(super) async fn record(&self, ticket: &SessionTicket) -> SessionRecord {
        self.store.inner.load(&ticket.sid.key(), self.clock.now()).await.unwrap().unwrap().record
    }
}

/// The first record of a session, whose access token lapses a hundred seconds after [`START`].
pub(super) fn record_of(sessions: &Sessions, ticket: &SessionTicket, refresh_token: &str) -> SessionRecord {
    let claims: Claims = serde_json::from_value(json!({"sub": "ada", "name": "Ada"})).unwrap();
    let hot = HotPart {
        access_token: AccessToken::new("access-1".to_owned()),
        id_token: None,
        claims: claims.only(&["name"]),
    };
    let refresh_token = Some(RefreshToken::new(refresh_token.to_owned()));
    let parts = Parts {
        hot,
        cold: ColdPart { refresh_token, id_token: None, claims: claims.into() },
        access_token_expires_at: Some(START.plus(Duration::from_secs(100))),
        refresh_at: Some(START.plus(Duration::from_secs(80))),
    };
    sessions.record(&parts, 1, ticket)
}

fn instance(
    issuer: &str,
    store: Arc<dyn SessionStore>,
    clock: &Arc<StoppedClock>,
    keys: &Arc<dyn KeySource>,
) -> Sessions {
    Sessions::new(SessionsSettings {
        store,
        keys: Arc::clone(keys),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        lifetime: SessionLifetime { idle: Duration::from_secs(86_400), absolute: Duration::from_secs(86_400) },
        cache_ttl: Duration::from_secs(5),
        refresh_before: RefreshBefore::Share(20),
        header_needs: HeaderNeeds { claims: Some(&["name"]), id_token: false },
        issuer: issuer.to_owned(),
        client_id: "client".to_owned(),
    })
}
