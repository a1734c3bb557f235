//! What the endpoints work with: one per worker, over what all workers share.

use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};

use crate::azure::{
    AccessError, AzureCredential, CosmosAuthorization, CosmosStore, KeyVault, KeyVaultAssertion, KeyVaultKeys,
    ManagedIdentityAssertion,
};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{ClientAuthenticationSettings, Configuration, KeySettings, ProviderSettings, StoreSettings};
use crate::crypto::{KeySource, KeysUnavailable, StaticKeys};
use crate::egress::Egress;
use crate::oidc::{ClientAuthentication, ProviderCache, RelyingParty, RelyingPartySettings};
use crate::proxy::{Forwarder, ForwarderSettings, HeaderPreset, OwnCookies, RouteTable};
use crate::public_origin::PublicOrigin;
use crate::sessions::{HeaderNeeds, MemoryStore, SessionStore, Sessions, SessionsSettings};
use crate::tls;
use crate::web::{CookieNames, FormReader, GatewayDoor, GatewaySettings, KeptForms, LoginCookies, SessionCookie};

/// What all workers share.
pub struct SharedState {
    /// Where browsers find us.
    pub public_origin: PublicOrigin,
    /// The same, as an Upstream is told.
    pub origin_headers: [(HeaderName, HeaderValue); 2],
    /// The prefix of our own URLs.
    pub auth_prefix: String,
    /// Which path goes to which Upstream.
    pub routes: RouteTable,
    /// Which headers speak for the person.
    pub header_preset: HeaderPreset,
    /// The cookies no Upstream may see or set.
    pub own_cookies: OwnCookies,
    /// The session's cookie.
    pub session_cookie: SessionCookie,
    /// The cookies of pending sign-ins.
    pub login_cookies: LoginCookies,
    /// Forms that wait in a page for their person's sign-in.
    pub kept_forms: KeptForms,
    /// Reads forms that are not forwarded.
    pub forms: FormReader,
    /// The sessions.
    pub sessions: Sessions,
    /// Whether the Functions host sends the requests.
    pub is_under_functions_host: bool,
    keys: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    relying_party: Arc<RelyingPartySettings>,
    provider: Arc<ProviderCache>,
    gateway_settings: GatewaySettings,
    gateway_issuer: Arc<ProviderCache>,
    tls: Arc<rustls::ClientConfig>,
    egress: Egress,
}

/// What one worker has to itself: its connections.
pub struct AppState {
    /// What it shares with the others.
    pub shared: Arc<SharedState>,
    /// Speaks to the Provider.
    pub relying_party: RelyingParty,
    /// Lets requests of the gateway in.
    pub gateway: GatewayDoor,
    /// Speaks to the Upstreams.
    pub forwarder: Forwarder,
}

impl SharedState {
    /// Composes everything that the configuration asks for. Opens no connection.
    ///
    /// # Errors
    /// When this machine can't have the identity that the configuration asks for.
    pub fn new(configuration: Configuration) -> Result<Self, AccessError> {
        let is_under_functions_host = configuration.is_under_functions_host();
        let names = CookieNames::new(&configuration.cookie_prefix, &configuration.public_origin);
        let tls = Arc::new(tls::client_config());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let credential = || AzureCredential::new(&configuration.identity, &tls);
        let relying_party = Arc::new(relying_party(configuration.provider, credential)?);
        let keys = key_source(configuration.keys, credential, &clock)?;
        let store = session_store(configuration.store, credential)?;
        let preset = configuration.header_preset;
        let sessions = Sessions::new(SessionsSettings {
            store,
            keys: Arc::clone(&keys),
            clock: Arc::clone(&clock),
            lifetime: configuration.lifetime,
            cache_ttl: configuration.session_cache_ttl,
            refresh_before: configuration.refresh_before,
            header_needs: HeaderNeeds { claims: preset.claims(), id_token: preset.has_id_token() },
            issuer: relying_party.issuer.clone(),
            client_id: relying_party.registration.client_id.clone(),
        });
        let response_mode = relying_party.registration.response_mode;
        let public_origin = configuration.public_origin;
        Ok(Self {
            origin_headers: origin_headers(&public_origin),
            auth_prefix: configuration.auth_prefix,
            routes: configuration.routes,
            header_preset: preset,
            own_cookies: names.own_cookies(),
            session_cookie: SessionCookie::new(names.clone(), Arc::clone(&keys)),
            login_cookies: LoginCookies::new(names, Arc::clone(&keys), response_mode),
            kept_forms: KeptForms::new(&public_origin, Arc::clone(&keys)),
            forms: FormReader::default(),
            public_origin,
            sessions,
            is_under_functions_host,
            keys,
            clock,
            relying_party,
            provider: Arc::default(),
            gateway_settings: configuration.gateway,
            gateway_issuer: Arc::default(),
            egress: Egress::new(&tls, configuration.proxies),
            tls,
        })
    }

    /// What must run beside the server: following the keys as they rotate.
    pub async fn follow(&self) {
        self.keys.follow().await;
    }

    /// Waits for keys to be in hand, which they are but for the first moments and a vault that is down.
    ///
    /// # Errors
    /// When they are not: then nobody can be told from nobody.
    pub async fn keys_in_hand(&self) -> Result<(), KeysUnavailable> {
        match self.keys.is_ready() {
            Ok(()) => Ok(()),
            Err(_) => self.keys.reload().await.and(self.keys.is_ready()),
        }
    }

    /// The present moment; an endpoint asks once.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The path of one of our own URLs.
    #[must_use]
    pub fn path(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.auth_prefix)
    }
}

fn origin_headers(origin: &PublicOrigin) -> [(HeaderName, HeaderValue); 2] {
    // RFC 6454 6.2: an origin is written in ASCII, an international name as punycode.
    let value = |text| HeaderValue::from_str(text).expect("an origin is visible ASCII");
    let name = HeaderName::from_static;
    [(name("x-forwarded-proto"), value(origin.scheme())), (name("x-forwarded-host"), value(origin.authority()))]
}

fn key_source(
    settings: KeySettings,
    credential: impl Fn() -> Result<AzureCredential, AccessError>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn KeySource>, AccessError> {
    Ok(match settings {
        KeySettings::Static { cookie, token } => Arc::new(StaticKeys::new(cookie, token)),
        KeySettings::KeyVault { url, settings } => {
            Arc::new(KeyVaultKeys::new(KeyVault::new(&url, &credential()?)?, settings, Arc::clone(clock)))
        }
    })
}

fn relying_party(
    provider: ProviderSettings,
    credential: impl Fn() -> Result<AzureCredential, AccessError>,
) -> Result<RelyingPartySettings, AccessError> {
    let ProviderSettings { issuer, registration, authentication, userinfo, trusted_audiences, dialect, group_overage } =
        provider;
    let authentication = match authentication {
        ClientAuthenticationSettings::Known(authentication) => authentication,
        ClientAuthenticationSettings::ManagedIdentity => {
            ClientAuthentication::Assertion(Arc::new(ManagedIdentityAssertion::new(credential()?)))
        }
        ClientAuthenticationSettings::KeyVaultKey { vault, name, key_id } => {
            ClientAuthentication::Assertion(Arc::new(KeyVaultAssertion::new(&vault, name, key_id, &credential()?)?))
        }
    };
    Ok(RelyingPartySettings {
        issuer,
        registration,
        authentication,
        userinfo,
        trusted_audiences,
        dialect,
        group_overage,
    })
}

fn session_store(
    settings: StoreSettings,
    credential: impl Fn() -> Result<AzureCredential, AccessError>,
) -> Result<Arc<dyn SessionStore>, AccessError> {
    Ok(match settings {
        StoreSettings::Memory => Arc::new(MemoryStore::default()),
        StoreSettings::Cosmos { settings, key: Some(key) } => {
            Arc::new(CosmosStore::new(settings, CosmosAuthorization::Key(key.0)))
        }
        StoreSettings::Cosmos { settings, key: None } => {
            Arc::new(CosmosStore::new(settings, CosmosAuthorization::Identity(credential()?)))
        }
    })
}

impl AppState {
    /// The state of one more worker.
    #[must_use]
    pub fn new(shared: Arc<SharedState>) -> Self {
        let (settings, provider) = (Arc::clone(&shared.relying_party), Arc::clone(&shared.provider));
        let relying_party = RelyingParty::new(settings, provider, &shared.egress);
        let gateway =
            GatewayDoor::new(shared.gateway_settings.clone(), Arc::clone(&shared.gateway_issuer), &shared.egress);
        let forwarder = Forwarder::new(Arc::clone(&shared.tls), ForwarderSettings::default());
        Self { shared, relying_party, gateway, forwarder }
    }
}

impl std::ops::Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.shared
    }
}
