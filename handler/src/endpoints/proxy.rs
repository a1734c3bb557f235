//! Everything else: a request with a live session goes on to its Upstream, with the person's token.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Payload;
use hyper::header::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use super::request::Request;
use crate::proxy::{Access, ForwardRequest, Route, identity_headers};
use crate::state::AppState;
use crate::telemetry::{self, metrics};
use crate::web::{Error, check_csrf};

/// Forwards to the Upstream of the route.
pub(super) async fn proxy(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    match route.access() {
        Access::Anonymous => forward(request, payload, route, None, state).await,
        Access::Session => proxy_session(request, payload, route, state).await,
    }
}

async fn proxy_session(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    state.keys_in_hand().await?;
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    check_csrf(request.http, &state.public_origin)?;
    let session = state.sessions.load_fresh(&ticket, &state.relying_party, request.now).await?;
    let hot = session.ok_or(Error::SessionRequired)?.hot;
    metrics::session_age(request.now.since(ticket.issued_at));

    let id_token = hot.id_token.as_deref().map(String::as_str);
    let identity = identity_headers(state.header_preset, hot.claims.as_map(), id_token, hot.access_token.expose());
    let mut answer = forward(request, payload, route, Some(identity), state).await?;
    if let Some(cookie) = state.session_cookie.slide(&ticket, state.sessions.lifetime(), request.now) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

async fn forward(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    identity: Option<Vec<(HeaderName, HeaderValue)>>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let authenticated = identity.is_some();
    let mut injected = identity.unwrap_or_default();
    injected.extend_from_slice(&state.origin_headers);
    let address = request.passed.client_address.and_then(|address| address.to_string().parse().ok());
    injected.extend(address.map(|address| (HeaderName::from_static("x-forwarded-for"), address)));
    let span = telemetry::client_span("upstream");
    injected.extend(telemetry::outgoing_context(&span));
    let outgoing = ForwardRequest {
        method: request.http.method(),
        target: request.target,
        headers: request.http.headers(),
        authenticated,
        injected,
        own_cookies: &state.own_cookies,
    };
    Ok(state.forwarder.forward(route.upstream(), &outgoing, payload).instrument(span).await?)
}
