//! State of the endpoints: one [`AppState`] per worker over one [`SharedState`].

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::azure::{
    AccessError, AzureCredential, CosmosAuthorization, CosmosStore, KeyVault, KeyVaultAssertion, KeyVaultKeys,
    ManagedIdentityAssertion,
};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{
    ClientAuthenticationSettings, Configuration, KeySettings, Limits, ProviderSettings, StoreSettings,
};
use crate::crypto::{KeySource, KeysUnavailable, StaticKeys};
use crate::egress::Egress;
use crate::oidc::{
    AccessTokenCaches, AccessTokenVerifier, ApiIssuer, ClientAuthentication, IdentityAssertions, ProviderCache,
    RelyingParty, RelyingPartySettings,
};
use crate::proxy::{
    BrowserCache, ClaimHeaders, Forwarder, ForwarderSettings, HeaderPreset, HeaderRules, OwnCookies, PublicSide,
    RouteTable,
};
use crate::public_origin::PublicOrigin;
use crate::sessions::{MemoryStore, RequestNeeds, SessionStore, Sessions, SessionsSettings};
use crate::tls;
use crate::web::{
    BrowserData, Budget, ClaimsSeal, CookieNames, FormReader, GatewayGuard, GatewaySettings, KeptForms, LoginClient,
    LoginCookies, PageDesign, PersonCookie, PublicHost, RoutePrefix, SessionCookie, SignInRounds, SocketNotice,
    WebSocketWarning,
};

/// Maximum store reads per second for front-channel `sid`s that no session has: anyone can invent one.
const UNKNOWN_SIDS: u32 = 50;

/// Maximum of them for one address: ten addresses together can exhaust the process's.
const UNKNOWN_SIDS_OF_ADDRESS: u32 = 5;

/// Cache lifetime of a readiness probe's result.
const READINESS: Duration = Duration::from_secs(2);

/// State shared by all workers.
pub struct SharedState {
    /// Public origin of the site, as browsers see it.
    pub public_origin: PublicOrigin,
    /// The same origin, in the form that Upstreams get.
    pub public_side: PublicSide,
    /// Check of the request's host name, and the redirect of pages to the public one.
    pub public_host: PublicHost,
    /// True if a page of ours preserves the URL's fragment across a sign-in.
    pub keep_fragment: bool,
    /// The prefix of our own URLs.
    pub auth_prefix: String,
    /// Route table: path to Upstream.
    pub routes: RouteTable,
    /// Preset of the headers about the person.
    pub header_preset: HeaderPreset,
    /// Signer of identity assertions.
    pub assertions: Option<IdentityAssertions>,
    /// Claims that headers and rules name, and so assertions have; `None` stands for all.
    pub mapped_claims: Option<Arc<[String]>>,
    /// Headers of the operator's own on every route.
    pub claim_headers: ClaimHeaders,
    /// Client headers that are removed before a request is forwarded.
    pub header_rules: HeaderRules,
    /// Our own cookies, which are hidden from every Upstream.
    pub own_cookies: OwnCookies,
    /// The session's cookie.
    pub session_cookie: SessionCookie,
    /// The cookies of pending sign-ins.
    pub login_cookies: LoginCookies,
    /// Browser data that is cleared at sign-out or when another person signs in.
    pub browser_data: BrowserData,
    /// Counts the sign-ins of a browser, to end loops.
    pub sign_in_rounds: SignInRounds,
    /// Look of our pages.
    pub page_design: PageDesign,
    /// Page that tells a person that WebSockets do not pass.
    pub socket_notice: SocketNotice,
    /// Forms kept in a page until their person has signed in.
    pub kept_forms: KeptForms,
    /// Seal of the claims that applications ask for.
    pub claims_seal: ClaimsSeal,
    /// Reader of forms from the browser, which are not forwarded.
    pub forms: FormReader,
    /// Reader of the Provider's form posts, with a limit of its own so that strangers' forms cannot exhaust it.
    pub provider_forms: FormReader,
    /// The sessions.
    pub sessions: Sessions,
    /// Cancelled at the end of the drain: WebSockets close then.
    pub stopping: CancellationToken,
    /// Rate limit of the warning about a WebSocket that a hop in front did not pass.
    pub websocket_warning: WebSocketWarning,
    /// True if the Functions host sends the requests.
    pub is_under_functions_host: bool,
    /// Route prefix of the Functions host.
    pub route_prefix: RoutePrefix,
    browser_cache: BrowserCache,
    /// Limits of clients in time and memory.
    pub limits: Limits,
    /// Issuers whose access tokens pass, and what was fetched and verified of them.
    api_issuers: Vec<ApiIssuer>,
    access_token_caches: Arc<AccessTokenCaches>,
    /// Threads that serve requests; each has connections of its own.
    workers: usize,
    /// Rate limit of front-channel logouts with an unknown `sid`.
    pub unknown_sids: Budget,
    store_readiness: tokio::sync::Mutex<Option<(Timestamp, bool)>>,
    keys: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    relying_party: Arc<RelyingPartySettings>,
    provider: Arc<ProviderCache>,
    gateway_settings: GatewaySettings,
    gateway_issuer: Arc<ProviderCache>,
    tls: Arc<rustls::ClientConfig>,
    egress: Egress,
}

/// State of one worker: its connections.
pub struct AppState {
    /// State shared with the other workers.
    pub shared: Arc<SharedState>,
    /// Client of the Provider.
    pub relying_party: RelyingParty,
    /// Verifies access tokens of API clients.
    pub access_tokens: AccessTokenVerifier,
    /// Verifier of the gateway's proof.
    pub gateway: GatewayGuard,
    /// Forwards requests to the Upstreams.
    pub forwarder: Forwarder,
}

impl SharedState {
    /// Builds the state from the configuration. Opens no connection.
    ///
    /// # Errors
    /// If this machine can't have the identity that the configuration names.
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
        let request_needs = request_needs(&preset, &configuration.claim_headers, &configuration.routes);
        let sessions = Sessions::new(SessionsSettings {
            store,
            keys: Arc::clone(&keys),
            clock: Arc::clone(&clock),
            lifetime: configuration.lifetime,
            cache_ttl: configuration.session_cache_ttl,
            refresh_before: configuration.refresh_before,
            request_needs: request_needs.clone(),
            issuer: relying_party.issuer.clone(),
            client_id: relying_party.registration.client_id.clone(),
        });
        let header_rules = configuration.header_rules.and_strip(configuration.routes.identity_header_names());
        let header_rules = header_rules.and_strip(configuration.claim_headers.names());
        let response_mode = relying_party.registration.response_mode;
        let client = LoginClient { issuer: &relying_party.issuer, client_id: &relying_party.registration.client_id };
        let public_origin = configuration.public_origin;
        let person = PersonCookie::new(names.clone(), Arc::clone(&keys), response_mode);
        Ok(Self {
            public_side: PublicSide::new(public_origin.clone()),
            public_host: PublicHost::new(&public_origin, configuration.redirect_aliases, is_under_functions_host),
            keep_fragment: configuration.keep_fragment,
            auth_prefix: configuration.auth_prefix,
            routes: configuration.routes,
            header_preset: preset,
            claim_headers: configuration.claim_headers,
            assertions: configuration.assertions,
            mapped_claims: request_needs.claims,
            header_rules,
            own_cookies: names.own_cookies(),
            session_cookie: SessionCookie::new(names.clone(), Arc::clone(&keys)),
            login_cookies: LoginCookies::new(&names, client, Arc::clone(&keys), response_mode),
            browser_data: BrowserData::new(configuration.clear_site_data, person, &names),
            sign_in_rounds: SignInRounds::new(&names, response_mode),
            page_design: PageDesign::new(&configuration.pages),
            socket_notice: SocketNotice::default(),
            browser_cache: configuration.browser_cache,
            kept_forms: KeptForms::new(&public_origin, Arc::clone(&keys)),
            claims_seal: ClaimsSeal::new(&public_origin, Arc::clone(&keys)),
            forms: FormReader::new(configuration.limits.form_timeout),
            provider_forms: FormReader::new(configuration.limits.form_timeout),
            public_origin,
            sessions,
            stopping: CancellationToken::new(),
            websocket_warning: WebSocketWarning::default(),
            is_under_functions_host,
            route_prefix: configuration.route_prefix,
            limits: configuration.limits,
            workers: configuration.workers,
            unknown_sids: Budget::per_second(UNKNOWN_SIDS, UNKNOWN_SIDS_OF_ADDRESS),
            store_readiness: tokio::sync::Mutex::default(),
            keys,
            clock,
            relying_party,
            provider: Arc::default(),
            gateway_settings: configuration.gateway,
            gateway_issuer: Arc::default(),
            access_token_caches: Arc::new(AccessTokenCaches::new(configuration.api_issuers.len())),
            api_issuers: configuration.api_issuers,
            egress: Egress::new(&tls, configuration.proxies),
            tls,
        })
    }

    /// Background work: follows the rotation of the keys.
    pub async fn follow(&self) {
        self.keys.follow().await;
    }

    /// Waits until keys are loaded. They are, except in the first moments and while the vault is down.
    ///
    /// # Errors
    /// If no keys are loaded: without keys no cookie opens, so no session is recognised.
    pub async fn ensure_keys_loaded(&self) -> Result<(), KeysUnavailable> {
        match self.keys.is_ready() {
            Ok(()) => Ok(()),
            Err(_) => self.keys.reload().await.and(self.keys.is_ready()),
        }
    }

    /// True if the store responded; checked at most once in `READINESS`.
    pub async fn is_store_ready(&self, now: Timestamp) -> bool {
        let mut known = self.store_readiness.lock().await;
        if let Some((asked_at, is_ready)) = *known
            && asked_at <= now
            && now < asked_at.plus(READINESS)
        {
            return is_ready;
        }
        let is_ready = self.sessions.is_ready(now).await.is_ok();
        *known = Some((now, is_ready));
        is_ready
    }

    /// The current time; an endpoint asks once.
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

/// Claims that become headers, and those that a route's requirement reads.
fn request_needs(preset: &HeaderPreset, headers: &ClaimHeaders, routes: &RouteTable) -> RequestNeeds {
    let claims = preset.claims().map(|named| {
        let further = headers.claims().chain(routes.claims());
        named.iter().copied().chain(further).map(str::to_owned).collect()
    });
    RequestNeeds { claims, id_token: preset.has_id_token() }
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
    /// State for one more worker.
    #[must_use]
    pub fn new(shared: Arc<SharedState>) -> Self {
        let (settings, provider) = (Arc::clone(&shared.relying_party), Arc::clone(&shared.provider));
        let relying_party = RelyingParty::new(settings, provider, &shared.egress);
        let gateway =
            GatewayGuard::new(shared.gateway_settings.clone(), Arc::clone(&shared.gateway_issuer), &shared.egress);
        let access_tokens =
            AccessTokenVerifier::new(&shared.api_issuers, Arc::clone(&shared.access_token_caches), &shared.egress);
        let settings = ForwarderSettings {
            body_timeout: shared.limits.body_timeout,
            max_idle: shared.limits.idle_upstream_connections.div_ceil(shared.workers),
            browser_cache: shared.browser_cache,
            is_under_functions_host: shared.is_under_functions_host,
            ..ForwarderSettings::default()
        };
        let forwarder = Forwarder::new(Arc::clone(&shared.tls), settings);
        Self { shared, relying_party, access_tokens, gateway, forwarder }
    }
}

impl std::ops::Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.shared
    }
}
