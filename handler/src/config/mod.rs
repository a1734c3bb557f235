//! The settings, read once from a snapshot of the environment. All mistakes are reported together.
//!
//! Every value becomes a type of the module that uses it. No message repeats a secret.

mod api_issuers;
mod assertion;
mod browser;
mod claim_headers;
mod egress;
mod entra_cloud;
mod environment;
mod gateway;
mod group_overage;
mod header_preset;
mod header_rules;
mod identity;
mod keys;
mod limits;
mod listener;
mod mistake;
mod pages;
mod provider;
mod provider_dialect;
mod provider_profile;
mod public_side;
mod reader;
mod routes;
mod sessions;
mod spelling;
mod store;
mod telemetry;

use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::azure::Identity;
use crate::egress::Proxies;
use crate::oidc::{ApiIssuer, IdentityAssertions};
use crate::proxy::{BrowserCache, ClaimHeaders, HeaderPreset, HeaderRules, RouteTable};
use crate::public_origin::{PublicOrigin, PublicOriginError};
use crate::sessions::{RefreshBefore, SessionLifetime};
use crate::telemetry::ExportersSettings;
use crate::web::{ClearSiteData, GatewaySettings, PageSettings, RoutePrefix};

pub use environment::Environment;
pub use keys::KeySettings;
pub use limits::Limits;
pub use listener::Listener;
pub use mistake::{Mistake, Mistakes};
pub use provider::{ClientAuthenticationSettings, ProviderSettings};
use reader::{Reader, Setting};
pub use routes::dotted_claim;
pub use spelling::{UnknownSetting, unknown_settings};
pub use store::{CosmosKey, StoreSettings};

/// The complete configuration, validated.
#[derive(Debug)]
pub struct Configuration {
    /// Address to listen on.
    pub listener: Listener,
    /// Route prefix of the Functions host.
    pub route_prefix: RoutePrefix,
    /// Number of worker threads.
    pub workers: usize,
    /// Limits on clients: timeouts and sizes.
    pub limits: Limits,
    /// Public origin of the site, as browsers see it.
    pub public_origin: PublicOrigin,
    /// The prefix of our own URLs, such as `/oauth`.
    pub auth_prefix: String,
    /// True if a page under another host name is redirected to the public one.
    pub redirect_aliases: bool,
    /// True if a page of ours preserves the URL's fragment across a sign-in.
    pub keep_fragment: bool,
    /// Prefix of our cookies' names.
    pub cookie_prefix: String,
    /// Route table: path to Upstream.
    pub routes: RouteTable,
    /// Issuers whose access tokens pass on routes for API clients.
    pub api_issuers: Vec<ApiIssuer>,
    /// Signer of identity assertions (`ASSERTION_KEYS`).
    pub assertions: Option<IdentityAssertions>,
    /// Headers of the operator's own on every route (`HEADERS`).
    pub claim_headers: ClaimHeaders,
    /// The proof that the gateway must send.
    pub gateway: GatewaySettings,
    /// Preset of the headers about the person.
    pub header_preset: HeaderPreset,
    /// Browser caching of responses to signed-in people.
    pub browser_cache: BrowserCache,
    /// Browser data to clear at a sign-out, and when another person signs in.
    pub clear_site_data: ClearSiteData,
    /// Look of our pages.
    pub pages: PageSettings,
    /// Client headers that are removed before a request is forwarded.
    pub header_rules: HeaderRules,
    /// The Provider and our registration there.
    pub provider: ProviderSettings,
    /// Idle and absolute lifetime of sessions.
    pub lifetime: SessionLifetime,
    /// Cache lifetime of a record read from the store.
    pub session_cache_ttl: Duration,
    /// Time before an access token's expiry at which it is refreshed.
    pub refresh_before: RefreshBefore,
    /// The session store.
    pub store: StoreSettings,
    /// Keys that seal cookies and records.
    pub keys: KeySettings,
    /// Identity for Azure services.
    pub identity: Identity,
    /// The proxies between us and the Provider.
    pub proxies: Proxies,
    /// Receivers of metrics and traces.
    pub exporters: ExportersSettings,
    /// Warnings to log at every start.
    pub warnings: Vec<&'static str>,
}

const WORKERS: Setting = Setting { name: "WORKERS", expected: "a number of threads from 1 to 64", example: "2" };
const LOG: Setting = Setting {
    name: "LOG",
    expected: "levels by target: error, warn, info, debug, trace or off, separated by commas",
    example: "info,request=warn",
};
const PUBLIC_BASE_URL: Setting = Setting {
    name: "PUBLIC_BASE_URL",
    expected: "the https origin that browsers see, without a path (http only on loopback)",
    example: "https://app.example",
};
const AUTH_PREFIX: Setting = Setting {
    name: "AUTH_PREFIX",
    expected: "a path of plain segments that begins with / and isn't /.auth, /admin or /runtime",
    example: "/oauth",
};
const COOKIE_PREFIX: Setting = Setting {
    name: "COOKIE_PREFIX",
    expected: "1 to 32 characters of A-Z, a-z, 0-9, - and _ that do not begin with __",
    example: "oauth-proxy",
};

impl Configuration {
    /// True when the Functions host sends the requests.
    #[must_use]
    pub fn is_under_functions_host(&self) -> bool {
        matches!(self.listener, Listener::FunctionsHost(_))
    }

    /// Reads every setting.
    ///
    /// # Errors
    /// All mistakes, in the order of the documentation.
    pub fn read(environment: &Environment) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(environment);
        let listener = listener::read(&mut reader);
        let route_prefix = listener::route_prefix(&mut reader, listener);
        let public_origin = public_origin(&mut reader);
        let auth_prefix = auth_prefix(&mut reader);
        let public_side = public_side::read(&mut reader);
        let pages = pages::read(&mut reader);
        let mut warnings = Vec::new();
        let routes = routes::read(&mut reader, &mut warnings);
        if let (Some(routes), Some(prefix)) = (&routes, &auth_prefix) {
            warnings.extend(routes.hidden_below(prefix).map(|path| routes::hidden(path, prefix)));
        }
        let assertions = assertion::read(&mut reader, routes.as_ref(), public_origin.as_ref());
        let claim_headers = claim_headers::read(&mut reader, routes.as_ref());
        let api_issuers = api_issuers::read(&mut reader, routes.as_ref());
        let provider = provider::read(&mut reader, public_origin.as_ref(), auth_prefix.as_deref(), routes.as_ref());
        let sessions = sessions::read(&mut reader);
        let store = store::read(&mut reader, environment, &mut warnings);
        let keys = keys::read(&mut reader, environment, &mut warnings);
        let identity = identity::read(&mut reader, environment);
        let proxies = egress::read(&mut reader, environment);
        let workers = reader
            .parse_or(WORKERS, default_workers(), |text| text.parse().ok().filter(|number| (1..=64).contains(number)));
        let cookie_prefix = reader.parse_or(COOKIE_PREFIX, "oauth-proxy".to_owned(), cookie_prefix);
        let issuer = provider.as_ref().map(|provider| provider.issuer.as_str());
        let header_preset = header_preset::read(&mut reader, issuer);
        let browser = browser::read(&mut reader);
        let header_rules = header_rules::read(&mut reader);
        let limits = limits::read(&mut reader);
        let log = reader.parse_or(LOG, (), log_filter);
        let gateway = gateway::read(&mut reader, environment, listener, &mut warnings);
        let exporters = telemetry::read(&mut reader, environment);

        let mistakes = reader.finish();
        let (Some(listener), Some(public_origin), Some(auth_prefix), Some(routes), Some(provider)) =
            (listener, public_origin, auth_prefix, routes, provider)
        else {
            return Err(mistakes);
        };
        let (Some(store), Some(keys), Some(identity), Some(proxies), Some(exporters), Some(api_issuers)) =
            (store, keys, identity, proxies, exporters, api_issuers)
        else {
            return Err(mistakes);
        };
        let (Some(sessions), Some(workers), Some(cookie_prefix), Some(header_preset), Some(gateway), Some(())) =
            (sessions, workers, cookie_prefix, header_preset, gateway, log)
        else {
            return Err(mistakes);
        };
        let (Some(public_side), Some(browser), Some(route_prefix), Some(claim_headers), Some(assertions)) =
            (public_side, browser, route_prefix, claim_headers, assertions)
        else {
            return Err(mistakes);
        };
        let (Some(header_rules), Some(limits), Some(pages), true) = (header_rules, limits, pages, mistakes.is_empty())
        else {
            return Err(mistakes);
        };
        Ok(Self {
            listener,
            route_prefix,
            workers,
            limits,
            public_origin,
            auth_prefix,
            redirect_aliases: public_side.redirect_aliases,
            keep_fragment: public_side.keep_fragment,
            cookie_prefix,
            routes,
            api_issuers,
            claim_headers,
            assertions,
            gateway,
            header_preset,
            browser_cache: browser.cache,
            clear_site_data: browser.clear_site_data,
            pages,
            header_rules,
            provider,
            lifetime: sessions.lifetime,
            session_cache_ttl: sessions.cache_ttl,
            refresh_before: sessions.refresh_before,
            store,
            keys,
            identity,
            proxies,
            exporters,
            warnings,
        })
    }
}

fn public_origin(reader: &mut Reader<'_>) -> Option<PublicOrigin> {
    let text = reader.required(PUBLIC_BASE_URL)?;
    match text.parse::<PublicOrigin>() {
        Ok(origin) => Some(origin),
        Err(error @ (PublicOriginError::NotHttp | PublicOriginError::Excess | PublicOriginError::Insecure)) => {
            reader.mistake(PUBLIC_BASE_URL, format!("it is {error}"));
            None
        }
    }
}

/// Parses the prefix of our URLs. Plain segments only, so that no spelling of it reaches an Upstream as another path.
fn auth_prefix(reader: &mut Reader<'_>) -> Option<String> {
    reader.parse_or(AUTH_PREFIX, "/oauth".to_owned(), |text| {
        let inner = text.strip_prefix('/')?;
        let is_plain = |segment: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_allowed)
        };
        // The platform itself responds below these paths, in any case.
        let first = inner.split('/').next().unwrap_or_default();
        let is_taken = ["admin", "runtime"].iter().any(|taken| first.eq_ignore_ascii_case(taken));
        (inner.split('/').all(is_plain) && !is_taken).then(|| text.to_owned())
    })
}

fn cookie_prefix(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_short = (1..=32).contains(&text.len());
    let has_prefix = text.to_ascii_lowercase().starts_with("__");
    (is_short && !has_prefix && text.bytes().all(is_allowed)).then(|| text.to_owned())
}

/// Parses `LOG`. A word that is no level is refused: it would be a target of which everything is logged.
fn log_filter(text: &str) -> Option<()> {
    let has_level = |part: &str| part.rsplit('=').next().is_some_and(|level| level.parse::<LevelFilter>().is_ok());
    (text.split(',').all(has_level) && text.parse::<Targets>().is_ok()).then_some(())
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(64)
}
