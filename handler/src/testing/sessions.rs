//! Sessions over a store that fails on demand, a scripted Provider, and a clock that a test moves.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeyRing, KeySource, StaticKeys};
use crate::oidc::{
    AccessToken, Claims, ClientAuthentication, ClientRegistration, GroupOverage, ProviderCache, RefreshToken,
    RelyingParty, RelyingPartySettings, ResponseMode,
};
use crate::sessions::{
    Etag, HeaderNeeds, IndexKey, MemoryStore, RefreshBefore, RefreshPart, RequestPart, SessionIndex, SessionKey,
    SessionLifetime, SessionRecord, SessionStore, SessionTicket, Sessions, SessionsSettings, StoreError, StoredIndex,
    StoredRecord, TokenParts, UseKey, UsedOnce,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

pub(crate) const START: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A clock that stands still until a test moves it.
pub(crate) struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// Outcome of one write.
#[derive(Clone, Debug)]
pub(crate) enum WriteOutcome {
    /// It is written.
    Written,
    /// The store fails before it writes.
    Failed,
    /// The store writes, and its reply is lost.
    ReplyLost,
    /// The store writes, its reply is lost, and its client library repeats the write, which finds the first.
    Repeated,
    /// Another instance's write comes first.
    Overtaken(Box<SessionRecord>),
}

/// A store in memory whose next writes have the outcomes that a test scripts.
#[derive(Default)]
pub(crate) struct ScriptedStore {
    inner: MemoryStore,
    outcomes: Mutex<VecDeque<WriteOutcome>>,
}

impl ScriptedStore {
    pub(crate) fn script(&self, outcomes: impl IntoIterator<Item = WriteOutcome>) {
        self.outcomes.lock().unwrap().extend(outcomes);
    }

    /// Writes whatever the version is, as another instance would after its own read.
    pub(crate) async fn overwrite(&self, record: &SessionRecord, now: Timestamp) {
        let read = self.inner.load(&record.key, now).await.unwrap().unwrap();
        self.inner.replace(record, &read.etag, now).await.unwrap();
    }

    async fn next_outcome(&self, now: Timestamp) -> WriteOutcome {
        let outcome = self.outcomes.lock().unwrap().pop_front().unwrap_or(WriteOutcome::Written);
        if let WriteOutcome::Overtaken(record) = &outcome {
            self.overwrite(record, now).await;
        }
        outcome
    }
}

fn report<T>(outcome: &WriteOutcome, written: impl Into<Option<Result<T, StoreError>>>) -> Result<T, StoreError> {
    let lost = || StoreError::Unavailable("scripted".into());
    match (outcome, written.into()) {
        (WriteOutcome::Failed, _) | (_, None) | (WriteOutcome::ReplyLost, Some(Ok(_))) => Err(lost()),
        (WriteOutcome::Repeated, Some(Ok(_))) => Err(StoreError::Conflict),
        (_, Some(written)) => written,
    }
}

#[async_trait]
impl SessionStore for ScriptedStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        match self.next_outcome(now).await {
            WriteOutcome::Failed => report(&WriteOutcome::Failed, None),
            outcome => report(&outcome, self.inner.create(record, now).await),
        }
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        match self.next_outcome(now).await {
            WriteOutcome::Failed => report(&WriteOutcome::Failed, None),
            outcome => report(&outcome, self.inner.replace(record, read, now).await),
        }
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.inner.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        match self.next_outcome(now).await {
            WriteOutcome::Failed => report(&WriteOutcome::Failed, None),
            outcome => report(&outcome, self.inner.write_index(index, read, now).await),
        }
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        match self.next_outcome(now).await {
            WriteOutcome::Failed => report(&WriteOutcome::Failed, None),
            outcome => report(&outcome, self.inner.create_use(used, now).await),
        }
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.inner.load_use(key, now).await
    }
}

/// A store in memory whose every call takes a turn of the scheduler, so that writers really overtake each other. Fails
/// the first writes with the conflicts that a test asks for.
#[derive(Default)]
pub(crate) struct ContendedStore {
    inner: MemoryStore,
    conflicts: AtomicI64,
}

impl ContendedStore {
    /// The next writes of records find that another write came first.
    pub(crate) fn overtake(&self, times: i64) {
        self.conflicts.store(times, Ordering::SeqCst);
    }

    async fn turn(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn record_turn(&self) -> Result<(), StoreError> {
        self.turn().await;
        match self.conflicts.fetch_sub(1, Ordering::SeqCst) {
            1.. => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl SessionStore for ContendedStore {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        self.turn().await;
        self.inner.create(record, now).await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.turn().await;
        self.inner.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        self.record_turn().await?;
        self.inner.replace(record, read, now).await
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.turn().await;
        self.inner.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        self.turn().await;
        self.inner.write_index(index, read, now).await
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        self.turn().await;
        self.inner.create_use(used, now).await
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.turn().await;
        self.inner.load_use(key, now).await
    }
}

/// One instance over a store that others may share.
pub(crate) struct Fixture {
    pub(crate) provider: ScriptedProvider,
    pub(crate) key: SigningKey,
    pub(crate) store: Arc<ScriptedStore>,
    pub(crate) clock: Arc<StoppedClock>,
    pub(crate) sessions: Sessions,
    pub(crate) party: RelyingParty,
    keys: Arc<dyn KeySource>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let (provider, key) = ScriptedProvider::start();
        let (store, clock) = (Arc::<ScriptedStore>::default(), Arc::new(StoppedClock(AtomicI64::new(START.as_unix()))));
        let keys: Arc<dyn KeySource> = Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate()));
        let settings = relying_party_settings(&provider.origin);
        let provider_cache: Arc<ProviderCache> = Arc::default();
        let party = RelyingParty::new(Arc::new(settings), provider_cache, no_trust());
        let sessions = instance(&provider.origin, "client", Arc::clone(&store) as _, Arc::clone(&clock) as _, &keys);
        Self { provider, key, store, clock, sessions, party, keys }
    }

    /// The clock's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another instance over the same store.
    pub(crate) fn another_instance(&self) -> Sessions {
        self.instance_over(Arc::clone(&self.store) as _)
    }

    /// An instance over another store.
    pub(crate) fn instance_over(&self, store: Arc<dyn SessionStore>) -> Sessions {
        instance(&self.provider.origin, "client", store, Arc::clone(&self.clock) as _, &self.keys)
    }

    /// Another application of the same Provider over the same store.
    pub(crate) fn another_client(&self) -> Sessions {
        instance(
            &self.provider.origin,
            "another-client",
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock) as _,
            &self.keys,
        )
    }

    /// Someone signed in, whose access token lapses a hundred seconds after [`START`].
    pub(crate) async fn signed_in(&self) -> SessionTicket {
        let ticket = self.sessions.lifetime().issue(&[1; 32], "code", START);
        self.sessions.records().create(self.record_of(&ticket), START).await.unwrap();
        ticket
    }

    /// Someone signed in without a refresh token; the access token lapses after so many seconds, if it says so.
    pub(crate) async fn signed_in_without_refresh_token(&self, lifetime: Option<u64>) -> SessionTicket {
        let ticket = self.sessions.lifetime().issue(&[1; 32], "code", START);
        let expires_at = lifetime.map(|seconds| START.plus(Duration::from_secs(seconds)));
        let parts = TokenParts { access_token_expires_at: expires_at, refresh_at: None, ..first_parts(None) };
        let record = self.sessions.records().seal(&parts, 1, &ticket);
        self.sessions.records().create(record, START).await.unwrap();
        ticket
    }

    /// The record that a sign-in writes for this ticket.
    pub(crate) fn record_of(&self, ticket: &SessionTicket) -> SessionRecord {
        record_of(&self.sessions, ticket, "refresh-1")
    }

    /// Sets the response of the token endpoint.
    pub(crate) fn token_endpoint_replies(&self, reply: Reply) {
        self.provider.reply("/token_endpoint", reply);
    }

    /// New tokens, all of them or with `changes`; null takes a member away.
    pub(crate) fn tokens(&self, changes: &Value) -> Reply {
        let mut tokens = json!({
            "access_token": "access-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-2",
        });
        tokens.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        tokens.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Reply::Json(tokens)
    }

    /// Calls of the token endpoint so far.
    pub(crate) fn calls(&self) -> usize {
        self.provider.received("/token_endpoint").len()
    }

    /// The tokens that were revoked.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.provider.received("/revocation_endpoint").iter().map(|request| request.form()["token"].clone()).collect()
    }

    /// The record as the store has it.
    pub(crate) async fn record(&self, ticket: &SessionTicket) -> SessionRecord {
        self.store.inner.load(&ticket.sid.key(), self.clock.now()).await.unwrap().unwrap().record
    }
}

/// A public client of the Provider with this issuer.
pub(super) fn relying_party_settings(issuer: &str) -> RelyingPartySettings {
    RelyingPartySettings {
        issuer: issuer.to_owned(),
        registration: ClientRegistration {
            client_id: "client".to_owned(),
            redirect_uri: "https://app.example/oauth/callback".to_owned(),
            scopes: vec!["openid".to_owned()],
            response_mode: ResponseMode::Query,
        },
        authentication: ClientAuthentication::None,
        userinfo: false,
        group_overage: GroupOverage::Ignore,
    }
}

/// The first record of a session, whose access token lapses a hundred seconds after [`START`].
pub(crate) fn record_of(sessions: &Sessions, ticket: &SessionTicket, refresh_token: &str) -> SessionRecord {
    sessions.records().seal(&first_parts(Some(refresh_token)), 1, ticket)
}

fn first_parts(refresh_token: Option<&str>) -> TokenParts {
    let claims: Claims = serde_json::from_value(json!({"sub": "ada", "name": "Ada"})).unwrap();
    let request = RequestPart {
        access_token: AccessToken::new("access-1".to_owned()),
        id_token: None,
        claims: claims.only(&["name"]),
    };
    let refresh_token = refresh_token.map(|token| RefreshToken::new(token.to_owned()));
    TokenParts {
        request,
        refresh: RefreshPart { refresh_token, id_token: None, claims: claims.into() },
        access_token_expires_at: Some(START.plus(Duration::from_secs(100))),
        refresh_at: Some(START.plus(Duration::from_secs(80))),
    }
}

/// Sessions of one instance.
pub(super) fn instance(
    issuer: &str,
    client_id: &str,
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    keys: &Arc<dyn KeySource>,
) -> Sessions {
    Sessions::new(SessionsSettings {
        store,
        keys: Arc::clone(keys),
        clock,
        lifetime: SessionLifetime { idle: Duration::from_secs(86_400), absolute: Duration::from_secs(86_400) },
        cache_ttl: Duration::from_secs(5),
        refresh_before: RefreshBefore::Share(20),
        header_needs: HeaderNeeds { claims: Some(&["name"]), id_token: false },
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
    })
}
