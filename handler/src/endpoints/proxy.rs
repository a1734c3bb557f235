//! Everything else: a request with a live session goes on to its Upstream, with the person's token.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Payload;
use futures_core::future::LocalBoxFuture;
use hyper::header::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use super::request::Request;
use super::slide::slide;
use crate::clock::{Clock as _, SystemClock};
use crate::proxy::{Access, ForwardRequest, Route, Streams, identity_headers};
use crate::sessions::{SessionTicket, Sessions};
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
    let until = match route.streams() {
        Streams::End => Some(until_session_ends(&ticket, route, state)),
        Streams::Outlive => None,
    };
    let mut response = forward(request, payload, route, Some(Authenticated { identity, until }), state).await?;
    if let Some(slid) = slide(&ticket, request.now, state).await {
        response.headers_mut().append(header::SET_COOKIE, state.session_cookie.set(&slid));
    }
    Ok(response)
}

/// The part of a forwarded request that comes from its session.
struct Authenticated {
    identity: Vec<(HeaderName, HeaderValue)>,
    until: Option<LocalBoxFuture<'static, ()>>,
}

/// Completes when the session has ended, and logs that the exchange is cut. Does nothing before it is polled.
fn until_session_ends(ticket: &SessionTicket, route: &Route, state: &AppState) -> LocalBoxFuture<'static, ()> {
    let ended = session_end(&state.sessions, ticket, state.session_cache_ttl);
    let upstream = Arc::clone(route.upstream());
    let ticket = ticket.clone();
    Box::pin(async move {
        ended.await;
        let session_key = ticket.sid.key();
        let (code, name) = ("session_ended", upstream.name());
        tracing::debug!(code, session.key = session_key.as_str(), upstream.name = name, "a stream was cut");
    })
}

/// Completes at the session's absolute end, or within `cache_ttl` (at least a second) of its sign-out.
///
/// Idle time ends no stream: a long download has no other requests. A store that is down ends none either.
fn session_end(sessions: &Sessions, ticket: &SessionTicket, cache_ttl: Duration) -> impl Future<Output = ()> + 'static {
    let sessions = sessions.clone();
    let ticket = ticket.clone();
    async move {
        loop {
            let remaining = ticket.expires_at.since(SystemClock.now());
            tokio::time::sleep(cache_ttl.max(Duration::from_secs(1)).min(remaining)).await;
            let now = SystemClock.now();
            if now >= ticket.expires_at {
                return;
            }
            let seen_now = SessionTicket { last_seen: now, ..ticket.clone() };
            // Boxed, because it is large and rare: every request carries the room for this future.
            if matches!(Box::pin(sessions.load(&seen_now, now)).await, Ok(None)) {
                return;
            }
        }
    }
}

async fn forward(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    session: Option<Authenticated>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let authenticated = session.is_some();
    let Authenticated { identity, until } = session.unwrap_or(Authenticated { identity: Vec::new(), until: None });
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
        until,
    };
    Ok(state.forwarder.forward(route.upstream(), outgoing, payload).instrument(span).await?)
}
