//! Fixture of sessions: a store that fails on demand, a scripted Provider, and a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeyRing, KeySource, StaticKeys};
use crate::oidc::{
    AccessToken, Claims, ClientAuthentication, ClientRegistration, GroupOverage, ProviderCache, ProviderDialect,
    RefreshToken, RelyingParty, RelyingPartySettings, ResponseMode, TargetGrant, TargetGrants,
};
use crate::sessions::{
    RefreshBefore, RefreshLease, RefreshPart, RequestNeeds, RequestPart, SessionLifetime, SessionRecord, SessionStore,
    SessionTicket, Sessions, SessionsSettings, TokenParts,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};
use crate::testing::scripted_store::ScriptedStore;

/// Start time of every test.
pub(crate) const START: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Due and expiry of the first access token, both counted from [`START`].
const DUE: Duration = Duration::from_secs(80);
const LAPSE: Duration = Duration::from_secs(100);

/// Clock that only the test moves.
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
        let store = Arc::<ScriptedStore>::default();
        let clock = Arc::new(StoppedClock(AtomicI64::new(START.as_unix())));
        let keys: Arc<dyn KeySource> = Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate()));
        let settings = relying_party_settings(&provider.origin);
        let provider_cache: Arc<ProviderCache> = Arc::default();
        let party = RelyingParty::new(Arc::new(settings), provider_cache, &no_trust());
        let sessions = instance(&provider.origin, "client", Arc::clone(&store) as _, Arc::clone(&clock) as _, &keys);
        Self { provider, key, store, clock, sessions, party, keys }
    }

    /// Current time of the clock.
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

    /// A session whose access token lapses a hundred seconds after [`START`].
    pub(crate) async fn signed_in(&self) -> SessionTicket {
        let ticket = self.sessions.lifetime().issue(&[1; 32], "code", START);
        self.sessions.records().create(self.record_of(&ticket), START).await.unwrap();
        ticket
    }

    /// A session without a refresh token, whose access token lapses after `lifetime` seconds or has no expiry.
    pub(crate) async fn signed_in_without_refresh_token(&self, lifetime: Option<u64>) -> SessionTicket {
        let ticket = self.sessions.lifetime().issue(&[1; 32], "code", START);
        let expires_at = lifetime.map(|seconds| START.plus(Duration::from_secs(seconds)));
        let parts =
            TokenParts { access_token_expires_at: expires_at, refresh_at: None, ..first_parts(None, DUE, LAPSE) };
        let record = self.sessions.records().seal(&parts, 1, &ticket);
        self.sessions.records().create(record, START).await.unwrap();
        ticket
    }

    /// Record that a sign-in writes for this ticket.
    pub(crate) fn record_of(&self, ticket: &SessionTicket) -> SessionRecord {
        record_of(&self.sessions, ticket, "refresh-1")
    }

    /// Sets the response of the token endpoint.
    pub(crate) fn token_endpoint_replies(&self, reply: Reply) {
        self.provider.reply("/token_endpoint", reply);
    }

    /// A token response with `changes`; null removes a member.
    pub(crate) fn tokens(&self, changes: &Value) -> Reply {
        let mut tokens = json!({
            "access_token": "access-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "refresh-2",
        });
        tokens.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        tokens.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Reply::Json(tokens)
    }

    /// Replaces the lease of the record in the store.
    pub(crate) async fn write_lease(&self, ticket: &SessionTicket, lease: Option<RefreshLease>) {
        let record = SessionRecord { lease, ..self.record(ticket).await };
        self.store.overwrite(&record, self.now()).await;
    }

    /// A parameter of every token request so far; empty where it was not sent.
    pub(crate) fn sent(&self, parameter: &str) -> Vec<String> {
        let requests = self.provider.received("/token_endpoint");
        requests.iter().map(|request| request.form().remove(parameter).unwrap_or_default()).collect()
    }

    /// Number of token requests so far.
    pub(crate) fn calls(&self) -> usize {
        self.provider.received("/token_endpoint").len()
    }

    /// Revoked tokens.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.provider.received("/revocation_endpoint").iter().map(|request| request.form()["token"].clone()).collect()
    }

    /// Record in the store.
    pub(crate) async fn record(&self, ticket: &SessionTicket) -> SessionRecord {
        self.store.load(&ticket.id.key(), self.clock.now()).await.unwrap().unwrap().record
    }
}

/// A public client of the Provider with this issuer.
pub(crate) fn relying_party_settings(issuer: &str) -> RelyingPartySettings {
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
        trusted_audiences: Vec::new(),
        group_overage: GroupOverage::Ignore,
        dialect: ProviderDialect {
            target_grants: TargetGrants {
                audience: Some(TargetGrant::Refresh),
                resource: Some(TargetGrant::TokenExchange),
                scope: Some(TargetGrant::Refresh),
            },
            ..ProviderDialect::default()
        },
    }
}

/// The first record of a session, whose access token lapses a hundred seconds after [`START`].
pub(crate) fn record_of(sessions: &Sessions, ticket: &SessionTicket, refresh_token: &str) -> SessionRecord {
    sessions.records().seal(&first_parts(Some(refresh_token), DUE, LAPSE), 1, ticket)
}

/// Parts of a first record, whose access token is due and lapses at these times after [`START`].
pub(crate) fn first_parts(refresh_token: Option<&str>, due: Duration, lapse: Duration) -> TokenParts {
    let claims: Claims = serde_json::from_value(json!({"sub": "ada", "name": "Ada"})).unwrap();
    let request = RequestPart {
        access_token: AccessToken::new("access-1".to_owned()),
        id_token: None,
        claims: claims.only(&["name"]),
    };
    let refresh_token = refresh_token.map(|token| RefreshToken::new(token.to_owned()));
    TokenParts {
        request,
        refresh: RefreshPart { refresh_token, scope: None, id_token: None, claims: claims.into() },
        access_token_expires_at: Some(START.plus(lapse)),
        refresh_at: Some(START.plus(due)),
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
        request_needs: RequestNeeds { claims: Some(["name".to_owned()].into()), id_token: false },
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
    })
}
