//! Proxy endpoint: forwards a request with a live session to its Upstream, with the person's token.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, dev};
use futures_core::future::LocalBoxFuture;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tracing::Instrument as _;

use super::admission::{AdmittedClient, Ruled, admit_client, admit_person, bearer_token, step_up};
use super::request::Request;
use super::slide::slide;
use super::unsent;
use crate::clock::Timestamp;
use crate::oidc::{AccessToken, AssertedSubject, VerifiedAccessToken};
use crate::proxy::{
    ASSERTION_HEADER, Access, ForwardRequest, Route, Streams, TokenPlacement, WebSocketClient, demanded_sign_in,
    identity_headers, is_forwarded, with_claim_headers,
};
use crate::sessions::{LiveSession, RequestPart, SessionKey, SessionTicket};
use crate::state::AppState;
use crate::telemetry::{self, metrics};
use crate::web::{
    Error, Label, Link, Page, Sentence, Title, check_csrf, check_isolation, check_websocket_origin,
    is_websocket_handshake, was_websocket_handshake,
};

/// Forwards the request to the Upstream of its route.
pub(super) async fn proxy(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    if !is_forwarded(request.http.method()) {
        return Err(Error::Request("the method is not forwarded"));
    }
    if is_refused_websocket(request.http, state) {
        return Err(Box::pin(refuse_websocket(request, route, state)).await);
    }
    if state.routes.isolates(request.target.path()) {
        check_isolation(request.http.method(), request.http.headers())?;
    }
    match route.access() {
        Access::Anonymous => forward(request, payload, route, None, state).await,
        Access::Session => proxy_session(request, payload, route, state).await,
        Access::Bearer => proxy_client(request, payload, route, state).await,
        Access::SessionOrBearer if bearer_token(request.http)?.is_some() => {
            proxy_client(request, payload, route, state).await
        }
        Access::SessionOrBearer => proxy_session(request, payload, route, state).await,
    }
}

/// Forwards a request of an API client with its access token. A script of another site cannot send one, so there is no
/// CSRF check; and no session, so nothing slides.
async fn proxy_client(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let client = admit_client(ruled(request), request, state).await?;
    let identity = client_identity(&client, route, request.now, state);
    forward(request, payload, route, Some(Authenticated { identity, cutoff: None }), state).await
}

fn ruled<'a>(request: &'a Request<'_>) -> Ruled<'a> {
    Ruled { method: request.http.method().as_str(), path: request.target.path() }
}

/// Notice page for a person whose application waits for WebSockets that do not pass.
fn socket_page(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let same_url = state.public_origin.url(request.target.as_str());
    let viewer = request.viewer(state);
    let links = [Link::To { href: &same_url, label: viewer.label(Label::OpenAnyway) }];
    let title = viewer.language.title(Title::MayNotWork);
    let text = viewer.language.sentence(Sentence::MayNotWork);
    let code = Some(Error::WebSocketUnsupported.code());
    Page { status: StatusCode::OK, title, text, links: &links, code }.respond(&viewer)
}

async fn proxy_session(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let Admitted { ticket, session, route_token } = match admit(request, route, state).await {
        Ok(admitted) => admitted,
        // Boxed: this future is large and rare, and every request would reserve its size.
        Err(error) => return Box::pin(unsent::hold_up(error, request, payload, route, state)).await,
    };
    if state.socket_notice.is_due(request.http, || ticket.id.key(), request.now) {
        return Ok(socket_page(request, state));
    }
    metrics::session_age(request.now.since(ticket.issued_at));

    let identity = identity(&session.part, route_token.as_ref(), route, request.now, state);
    let cutoff = match route.streams() {
        Streams::End => Some(session_end(session.key, ticket.expires_at, route, state)),
        Streams::Outlive => None,
    };
    let authenticated = Some(Authenticated { identity, cutoff });
    let mut response = if follows_challenges(request, route) {
        Box::pin(forward_challenged(request, payload, route, authenticated, &ticket, state)).await?
    } else {
        forward(request, payload, route, authenticated, state).await?
    };
    if let Some(slid) = slide(&ticket, request.now, state).await {
        response.headers_mut().append(header::SET_COOKIE, state.session_cookie.set(&slid));
    }
    Ok(response)
}

/// True if the Upstream may ask for another sign-in. A challenge to credentials of the client's own is for the client.
fn follows_challenges(request: &Request<'_>, route: &Route) -> bool {
    let has_own_credentials =
        route.token().passes_authorization() && request.http.headers().contains_key(header::AUTHORIZATION);
    route.follows_step_up_challenges() && !has_own_credentials && !is_websocket_handshake(request.http)
}

/// Forwards the request. A step-up challenge leads its person to sign in: nothing of that response passes.
async fn forward_challenged(
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    authenticated: Option<Authenticated>,
    ticket: &SessionTicket,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let mut payload = Some(payload);
    let form = unsent::kept_aside(request, &mut payload, state).await?;
    let payload = match (payload, &form) {
        (Some(payload), _) => payload,
        (None, form) => from_memory(request.http, form.clone().unwrap_or_default()).await?,
    };
    let response = forward(request, payload, route, authenticated, state).await?;
    match demanded_sign_in(response.status(), response.headers(), route) {
        None => Ok(response),
        Some(demand) => {
            drop(response); // with its connection, if the body is not read yet
            tracing::info!(
                request.id = request.id.as_str(),
                route = route.path(),
                upstream.name = route.upstream().name(),
                "upstream asks for another sign-in"
            );
            let error = step_up(demand, ticket, request, state);
            unsent::hold_up_sent(error, form, request, state).await
        }
    }
}

/// A payload of bytes that were read already.
async fn from_memory(req: &HttpRequest, bytes: Bytes) -> Result<Payload, Error> {
    let payload = Payload::from_request(req, &mut dev::Payload::from(bytes)).await;
    payload.map_err(|_| Error::Request("the body cannot be read"))
}

/// Request that may be forwarded for a person.
struct Admitted {
    ticket: SessionTicket,
    session: LiveSession,
    /// The route's own access token, if it has one.
    route_token: Option<AccessToken>,
}

/// Admits a request to a session route: returns its live session and tokens.
async fn admit(request: &Request<'_>, route: &Route, state: &AppState) -> Result<Admitted, Error> {
    state.ensure_keys_loaded().await?;
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    if is_websocket_handshake(request.http) {
        check_websocket_origin(request.http, &state.public_origin)?;
    } else if let Err(rejection) = check_csrf(request.http.method(), request.http.headers(), &state.public_origin)
        && !unsent::is_allowed_cross_site(request, route, state)
    {
        return Err(rejection.into());
    }
    let session = state.sessions.load_fresh(&ticket, &state.relying_party, request.now).await?;
    let session = session.ok_or(Error::SessionRequired)?;
    admit_person(ruled(request), &session.part.claims, &ticket, request, state)?;
    let route_token = route_token(&session, route, &ticket, request, state).await?;
    Ok(Admitted { ticket, session, route_token })
}

/// The access token of a route that has its own.
pub(super) async fn route_token(
    session: &LiveSession,
    route: &Route,
    ticket: &SessionTicket,
    request: &Request<'_>,
    state: &AppState,
) -> Result<Option<AccessToken>, Error> {
    let Some(target) = route.token_target() else { return Ok(None) };
    // Boxed: this future is large, most routes have no target, and every request would reserve its size.
    let token = Box::pin(state.sessions.route_token(session, target, ticket, &state.relying_party, request.now));
    let token = token.await.map_err(|error| {
        let error = Error::RouteToken(error);
        // The call may have been another request's, or another instance's.
        tracing::info!(request.id = request.id.as_str(), session.key = ticket.id.key().as_str(), code = error.code(),
            token.target = %target, "request without the token of its route");
        error
    })?;
    token.ok_or(Error::SessionRequired).map(Some)
}

/// Identity headers of the person. A route's own token takes the place of the session's everywhere.
pub(super) fn identity(
    part: &RequestPart,
    route_token: Option<&AccessToken>,
    route: &Route,
    now: Timestamp,
    state: &AppState,
) -> Vec<(HeaderName, HeaderValue)> {
    let id_token = part.id_token.as_deref().map(String::as_str);
    let claims = part.claims.as_map();
    let access_token = route_token.unwrap_or(&part.access_token).expose();
    let headers = identity_headers(&state.header_preset, route.token(), claims, id_token, access_token);
    let headers = with_claim_headers(headers, claims, route.headers(), &state.claim_headers);
    let subject = AssertedSubject { issuer: &state.relying_party.settings().issuer, claims };
    with_assertion(headers, subject, route, now, state)
}

/// The headers that speak for an API client: its token as it came, and the same headers of its claims.
pub(super) fn client_identity(
    client: &AdmittedClient,
    route: &Route,
    now: Timestamp,
    state: &AppState,
) -> Vec<(HeaderName, HeaderValue)> {
    let VerifiedAccessToken { issuer, claims } = &*client.verified;
    let claims = claims.as_map();
    let headers = identity_headers(&state.header_preset, &TokenPlacement::Bearer, claims, None, &client.token);
    let headers = with_claim_headers(headers, claims, route.headers(), &state.claim_headers);
    let mapped: Option<Map<String, Value>> = state.mapped_claims.as_ref().map(|names| {
        let is_mapped = |(name, _): &(&String, &Value)| names.contains(name);
        claims.iter().filter(is_mapped).map(|(name, value)| (name.clone(), value.clone())).collect()
    });
    let subject = AssertedSubject { issuer, claims: mapped.as_ref().unwrap_or(claims) };
    with_assertion(headers, subject, route, now, state)
}

/// Header with the identity assertion of a route that wants one.
fn with_assertion(
    mut headers: Vec<(HeaderName, HeaderValue)>,
    subject: AssertedSubject<'_>,
    route: &Route,
    now: Timestamp,
    state: &AppState,
) -> Vec<(HeaderName, HeaderValue)> {
    if let Some(audience) = route.assertion_audience(state.public_origin.as_str()) {
        let assertions = state.assertions.as_ref().expect("a route with an assertion demands ASSERTION_KEYS");
        let value = HeaderValue::from_str(&assertions.assertion(&audience, subject, now));
        headers.push((ASSERTION_HEADER, value.expect("a compact JWS is ASCII"))); // RFC 7515 7.1
    }
    headers
}

/// Session data of a forwarded request.
struct Authenticated {
    identity: Vec<(HeaderName, HeaderValue)>,
    cutoff: Option<LocalBoxFuture<'static, ()>>,
}

/// Completes when the session has ended, and logs that the request is cut. Does nothing before it is polled, and holds
/// no secret of the session.
fn session_end(key: SessionKey, expires_at: Timestamp, route: &Route, state: &AppState) -> LocalBoxFuture<'static, ()> {
    let ended = state.sessions.ended(key, expires_at);
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
    injected.extend_from_slice(state.public_side.forwarded_headers());
    if let Some(address) = request.gateway.client_address {
        let value = HeaderValue::try_from(address.to_string()).expect("an IP address is ASCII");
        injected.push((HeaderName::from_static("x-forwarded-for"), value));
    }
    let span = telemetry::client_span("upstream");
    injected.extend(telemetry::outgoing_context(&span));
    let outgoing = ForwardRequest {
        route,
        routes: &state.routes,
        public: &state.public_side,
        method: request.http.method(),
        target: request.target,
        headers: request.http.headers(),
        header_rules: &state.header_rules,
        authenticated,
        injected,
        own_cookies: &state.own_cookies,
        cutoff,
    };
    if is_websocket_handshake(request.http) {
        let client = WebSocketClient {
            socket: request.http.conn_data().cloned(),
            stopping: state.stopping.clone(),
            request_id: request.id.as_str().to_owned(),
        };
        let opened = Box::pin(state.forwarder.open_websocket(outgoing, payload, client));
        return Ok(opened.instrument(span).await?);
    }
    Ok(state.forwarder.forward(outgoing, payload).instrument(span).await?)
}

/// True for a handshake that lost `Upgrade` on the way, as behind the Functions host. As a plain `GET` it would hang.
fn is_refused_websocket(req: &HttpRequest, state: &AppState) -> bool {
    was_websocket_handshake(req) && (state.is_under_functions_host || !is_websocket_handshake(req))
}

/// Logs a refused handshake and counts it for its person.
async fn refuse_websocket(request: &Request<'_>, route: &Route, state: &AppState) -> Error {
    if check_websocket_origin(request.http, &state.public_origin).is_ok()
        && let Ok(Some(ticket)) = state.session_cookie.read(request.http).await
    {
        state.socket_notice.count(ticket.id.key(), request.now);
    }
    if state.websocket_warning.is_due(request.now) {
        tracing::warn!(
            request.id = request.id.as_str(),
            code = Error::WebSocketUnsupported.code(),
            route = route.path(),
            upstream.name = route.upstream().name(),
            "websocket refused: a hop in front passes none, as the Functions host; see docs/operations.md"
        );
    }
    Error::WebSocketUnsupported
}
