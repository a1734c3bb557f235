//! A small OpenID Provider for the demo: one client, two people, everything in memory.
//!
//! It keeps the rules that the handler relies on (PKCE, single-use codes, rotation, RFC 9207) and no more.
//! It must never run anywhere but for browsers on this machine: its passwords are on its sign-in page.

mod authorize;
mod end_session;
mod outage;
mod pages;
mod store;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::HttpResponse;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, FormConfig, QueryConfig, ServiceConfig};
use issuing::SigningKey;
use oauth_proxy::clock::{Clock, SystemClock, Timestamp};
use serde_json::json;

use store::Store;

use crate::part::Part;
use crate::story::Story;
use crate::terminal;

pub(crate) use store::USERS;

/// Its own name, for the ports of one host share their cookies.
const COOKIE: &str = "demo-provider";

/// The one application that may ask for sign-ins.
pub(crate) struct Client {
    /// `client_id`.
    pub(crate) id: String,
    /// `client_secret`; new at every start.
    pub(crate) secret: String,
    /// The only `redirect_uri` accepted.
    pub(crate) redirect_uri: String,
    /// The only `post_logout_redirect_uri` accepted.
    pub(crate) post_logout_redirect_uri: String,
    /// URL of the handler's back-channel logout.
    pub(crate) backchannel_logout_uri: String,
}

/// Everything the Provider's endpoints need.
pub(crate) struct Provider {
    issuer: String,
    client: Client,
    keys: SigningKey,
    store: Store,
    stopped_until: Mutex<Option<Timestamp>>,
    story: Arc<Story>,
}

impl Provider {
    /// A Provider with a new key and nobody signed in.
    pub(crate) fn new(issuer: String, client: Client, story: Arc<Story>) -> Result<Self, String> {
        let keys = SigningKey::generate()?;
        Ok(Self { issuer, client, keys, store: Store::default(), stopped_until: Mutex::default(), story })
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn part(&self) -> Part {
        Part::Provider
    }

    fn outage(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.stopped_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line in the terminal about what was asked. Names of people, never a code or a token.
    fn print_event(&self, text: &str) {
        terminal::print_event(Part::Provider, text);
    }
}

/// Puts the Provider's endpoints into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    let endpoints = web::scope("")
        .app_data(QueryConfig::default().error_handler(|error, _| pages::unreadable(&error.to_string())))
        .app_data(FormConfig::default().error_handler(|error, _| pages::unreadable(&error.to_string())))
        .wrap(from_fn(outage::outage))
        .route("/", web::get().to(pages::home))
        .route("/.well-known/openid-configuration", web::get().to(discovery))
        .route("/jwks", web::get().to(jwks))
        .route("/authorize", web::get().to(authorize::authorize))
        .route("/authorize", web::post().to(authorize::sign_in))
        .route("/end_session", web::get().to(authorize::end_session))
        .route("/end_session", web::post().to(authorize::end_session_confirmed))
        .route("/token", web::post().to(token::token))
        .route("/revoke", web::post().to(token::revoke))
        .route("/userinfo", web::get().to(token::userinfo))
        .route("/userinfo", web::post().to(token::userinfo))
        .default_service(web::to(pages::not_found));
    service.service(endpoints);
}

/// The Provider's metadata (OIDC Discovery 1.0 section 3).
async fn discovery(provider: Data<Provider>) -> HttpResponse {
    provider.print_event("tells what it offers (discovery)");
    let issuer = &provider.issuer;
    HttpResponse::Ok().json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "end_session_endpoint": format!("{issuer}/end_session"),
        "backchannel_logout_supported": true,
        "jwks_uri": format!("{issuer}/jwks"),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(provider: Data<Provider>) -> HttpResponse {
    provider.print_event("hands out its public key");
    HttpResponse::Ok().json(provider.keys.jwk_set())
}
