//! Everything else: a request with a live session goes on to its Upstream, with the person's token.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Payload;
use futures_core::future::LocalBoxFuture;
use hyper::header::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use super::request::Request;
use super::slide::slide;
use super::unsent;
use crate::proxy::{Access, ForwardRequest, Route, Streams, identity_headers};
use crate::sessions::{RequestPart, SessionTicket};
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
    let (ticket, part) = match admit(request, route, state).await {
        Ok(admitted) => admitted,
        // Boxed, because it is large and rare: every request carries the room for this future.
        Err(error) => return Box::pin(unsent::hold_up(error, request, payload, route, state)).await,
    };
    metrics::session_age(request.now.since(ticket.issued_at));

    let id_token = part.id_token.as_deref().map(String::as_str);
    let identity = identity_headers(&state.header_preset, part.claims.as_map(), id_token, part.access_token.expose());
    let cutoff = match route.streams() {
        Streams::End => Some(session_end(&ticket, route, state)),
        Streams::Outlive => None,
    };
    let mut response = forward(request, payload, route, Some(Authenticated { identity, cutoff }), state).await?;
    if let Some(slid) = slide(&ticket, request.now, state).await {
        response.headers_mut().append(header::SET_COOKIE, state.session_cookie.set(&slid));
    }
    Ok(response)
}

/// The live session of a request that may be forwarded.
async fn admit(request: &Request<'_>, route: &Route, state: &AppState) -> Result<(SessionTicket, RequestPart), Error> {
    state.keys_in_hand().await?;
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    if let Err(rejection) = check_csrf(request.http, &state.public_origin)
        && !unsent::is_allowed_cross_site(request, route, state)
    {
        return Err(rejection.into());
    }
    let session = state.sessions.load_fresh(&ticket, &state.relying_party, request.now).await?;
    Ok((ticket, session.ok_or(Error::SessionRequired)?.part))
}

/// The part of a forwarded request that comes from its session.
struct Authenticated {
    identity: Vec<(HeaderName, HeaderValue)>,
    cutoff: Option<LocalBoxFuture<'static, ()>>,
}

/// Completes when the session has ended, and logs that the request is cut. Does nothing before it is polled, and holds
/// no secret of the session.
fn session_end(ticket: &SessionTicket, route: &Route, state: &AppState) -> LocalBoxFuture<'static, ()> {
    let ended = state.sessions.ended(ticket);
    let upstream = Arc::clone(route.upstream());
    Box::pin(async move {
        let session_key = ended.await;
        let name = upstream.name();
        tracing::info!(code = "session_ended", session.key = session_key.as_str(), upstream.name = name, "stream cut");
    })
}

async fn forward(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    session: Option<Authenticated>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let authenticated = session.is_some();
    let Authenticated { identity, cutoff } = session.unwrap_or(Authenticated { identity: Vec::new(), cutoff: None });
    let mut injected = identity;
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
        cutoff,
    };
    Ok(state.forwarder.forward(route.upstream(), outgoing, payload).instrument(span).await?)
}
