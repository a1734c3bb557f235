//! A look behind the cookie, for whoever tries the demo: it has the cookie, the database and both keys.
//!
//! It listens on the handler's host name with a port of its own. Browsers send cookies to every port of a host
//! (RFC 6265 section 8.5), so it sees the session's cookie, which no application behind the handler ever does.

mod attack;
mod live;
mod pages;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth_proxy::crypto::{Key, KeyId, KeyRing};
use oauth_proxy::random;

use crate::application::Addresses;
use crate::database::Database;
use crate::provider::Provider;
use crate::story::Story;

pub(crate) use pages::cards;

/// Everything that an attacker could wish for, and the demo's own levers.
pub(crate) struct Inspector {
    pub(crate) addresses: Addresses,
    pub(crate) database: Data<Database>,
    pub(crate) provider: Data<Provider>,
    pub(crate) story: Arc<Story>,
    pub(crate) client_id: String,
    pub(crate) cookie_keys: KeyRing,
    pub(crate) token_keys: KeyRing,
    /// The copy of a session's cookie that was stolen.
    pub(crate) stolen: Mutex<Option<String>>,
}

/// A new key: its entry for `COOKIE_KEYS` or `TOKEN_KEYS`, and the same key as a ring.
pub(crate) fn generate_key(id: &str) -> Option<(String, KeyRing)> {
    let bytes = random::bytes::<32>();
    let ring = KeyRing::new(vec![(KeyId::parse(id).ok()?, Key::from_bytes(&bytes).ok()?)]).ok()?;
    Some((format!("{id}:{}", STANDARD.encode(bytes)), ring))
}

impl Inspector {
    fn stolen(&self) -> MutexGuard<'_, Option<String>> {
        self.stolen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the inspector's pages into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    let pages = web::scope("")
        .wrap(from_fn(only_for_the_demo))
        .route("/", web::get().to(pages::home))
        .route("/cookie", web::get().to(pages::cookie))
        .route("/record", web::get().to(pages::record))
        .route("/open-with-keys", web::get().to(pages::open_with_keys))
        .route("/open-with-cookie", web::get().to(pages::open_with_cookie))
        .route("/end-session", web::post().to(attack::end_session))
        .route("/stop-provider", web::post().to(attack::stop_provider))
        .route("/steal", web::post().to(attack::steal))
        .route("/use-stolen", web::post().to(attack::use_stolen))
        .route("/events", web::get().to(live::events))
        .default_service(web::to(pages::not_found));
    service.service(pages);
}

/// Refuses other sites, also those whose name leads to this machine, and lets the application's page read responses.
async fn only_for_the_demo<B: MessageBody>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(inspector) = req.app_data::<Data<Inspector>>().cloned() else {
        return next.call(req).await.map(ServiceResponse::map_into_left_body);
    };
    if !is_from_the_demo(req.request(), &inspector.addresses) {
        return Ok(req.into_response(pages::foreign()).map_into_right_body());
    }
    let mut response = next.call(req).await?;
    let headers = response.headers_mut();
    if let Ok(origin) = header::HeaderValue::try_from(inspector.addresses.handler.as_str()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::HeaderValue::from_static("true"));
    }
    Ok(response.map_into_left_body())
}

fn is_from_the_demo(req: &HttpRequest, addresses: &Addresses) -> bool {
    let text = |name| req.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(own) = addresses.inspector.as_deref() else { return false };
    let is_ours = |origin: &str| origin == own || origin == addresses.handler;
    let is_named = text(header::HOST).is_some_and(|host| own.ends_with(&format!("//{host}")));
    let is_asked = match text(header::ORIGIN) {
        Some(origin) => is_ours(origin),
        None => *req.method() == Method::GET,
    };
    is_named && is_asked
}

/// Fields of a form on the inspector's pages.
type Fields = HashMap<String, String>;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::is_from_the_demo;
    use crate::application::Addresses;

    #[test]
    fn other_sites_and_other_names_are_refused() {
        let addresses = Addresses {
            handler: "http://localhost:8080".into(),
            provider: "http://127.0.0.1:8081".into(),
            application: "http://127.0.0.1:8082".into(),
            inspector: Some("http://localhost:8083".into()),
        };
        for (request, host, origin, is_let_in) in [
            (TestRequest::get(), "localhost:8083", None, true),
            (TestRequest::get(), "localhost:8083", Some("http://localhost:8080"), true),
            (TestRequest::post(), "localhost:8083", Some("http://localhost:8083"), true),
            (TestRequest::post(), "localhost:8083", None, false),
            (TestRequest::get(), "localhost:8083", Some("https://evil.example"), false),
            (TestRequest::get(), "evil.example:8083", None, false),
            (TestRequest::get(), "localhost:8080", None, false),
        ] {
            let request = request.insert_header(("host", host));
            let request = origin.into_iter().fold(request, |request, origin| request.insert_header(("origin", origin)));

            assert_eq!(is_from_the_demo(&request.to_http_request(), &addresses), is_let_in, "{host} {origin:?}");
        }
    }
}
