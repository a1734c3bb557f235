//! What the endpoints work with: one per worker, over what all workers share.

use std::sync::Arc;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Configuration;
use crate::crypto::{KeySource, StaticKeys};
use crate::oidc::{ProviderCache, RelyingParty, RelyingPartySettings};
use crate::proxy::{Forwarder, ForwarderSettings, HeaderPreset, OwnCookies, RouteTable};
use crate::public_origin::PublicOrigin;
use crate::sessions::{HeaderNeeds, MemoryStore, Sessions, SessionsSettings};
use crate::tls;
use crate::web::{CookieNames, LoginCookies, SessionCookie};

/// What all workers share.
pub struct SharedState {
    /// Where browsers find us.
    pub public_origin: PublicOrigin,
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
    /// The sessions.
    pub sessions: Sessions,
    /// Whether the Functions host sends the requests.
    pub is_under_functions_host: bool,
    clock: Arc<dyn Clock>,
    relying_party: Arc<RelyingPartySettings>,
    provider: Arc<ProviderCache>,
    tls: Arc<rustls::ClientConfig>,
}

/// What one worker has to itself: its connections.
pub struct AppState {
    /// What it shares with the others.
    pub shared: Arc<SharedState>,
    /// Speaks to the Provider.
    pub relying_party: RelyingParty,
    /// Speaks to the Upstreams.
    pub forwarder: Forwarder,
}

impl SharedState {
    /// Composes everything that the configuration asks for. Opens no connection.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let is_under_functions_host = configuration.is_under_functions_host();
        let names = CookieNames::new(&configuration.cookie_prefix, &configuration.public_origin);
        let keys: Arc<dyn KeySource> = Arc::new(StaticKeys::new(configuration.cookie_keys, configuration.token_keys));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let relying_party = configuration.relying_party;
        let preset = configuration.header_preset;
        let sessions = Sessions::new(SessionsSettings {
            store: Arc::new(MemoryStore::default()),
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
        Self {
            public_origin: configuration.public_origin,
            auth_prefix: configuration.auth_prefix,
            routes: configuration.routes,
            header_preset: preset,
            own_cookies: names.own_cookies(),
            session_cookie: SessionCookie::new(names.clone(), Arc::clone(&keys)),
            login_cookies: LoginCookies::new(names, keys, response_mode),
            sessions,
            is_under_functions_host,
            clock,
            relying_party,
            provider: Arc::default(),
            tls: Arc::new(tls::client_config()),
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

impl AppState {
    /// The state of one more worker.
    #[must_use]
    pub fn new(shared: Arc<SharedState>) -> Self {
        let (settings, provider) = (Arc::clone(&shared.relying_party), Arc::clone(&shared.provider));
        let relying_party = RelyingParty::new(settings, provider, Arc::clone(&shared.tls));
        let forwarder = Forwarder::new(Arc::clone(&shared.tls), ForwarderSettings::default());
        Self { shared, relying_party, forwarder }
    }
}

impl std::ops::Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.shared
    }
}
