//! HTTP server: every request passes here, on its way in and on its way out.

mod shutdown;
mod under_way;

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody as _};
use actix_web::dev::{Extensions, Server, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Payload};
use actix_web::{App, FromRequest as _, HttpRequest, HttpResponse, HttpServer};
use tracing::Instrument as _;

use self::shutdown::StopSignals;
use self::under_way::UnderWay;
use crate::clock::Timestamp;
use crate::config::{Configuration, Listener};
use crate::endpoints::{self, Destination, Request};
use crate::oidc::{OAuthError, OAuthErrorFields};
use crate::proxy::{ClientSocket, READ_AHEAD, RequestTarget};
use crate::public_origin::PublicOrigin;
use crate::sessions::DRAINED_REFRESH;
use crate::state::{AppState, SharedState};
use crate::telemetry::{self, Causes, CompletedRequest, IncomingContext, metrics};
use crate::web::{
    Error, Failure, PageDesign, RequestId, VerifiedGateway, allow_framing_by, arrived_target, header_text, is_host_ping,
};

/// `Strict-Transport-Security` of errors and of our own URLs on an https origin (RFC 6797 7.2), for a year, without
/// `includeSubDomains`. Responses on the application's URLs keep the Upstream's own header.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Bytes buffered for a slow client before the upstream is read again: at most one read.
const WRITE_BUFFER: usize = 16 * 1024;
const _: () = assert!(WRITE_BUFFER <= READ_AHEAD);

const _: () = assert!(shutdown::DRAIN_LIMIT.as_secs() >= DRAINED_REFRESH.as_secs());

/// Time that open connections have to end after the drain.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 5;

/// Serves until a signal ends the process, which `started` at the given time. Opens no connection before the first
/// request.
///
/// # Errors
/// When the address can't be bound, or the signals can't be taken over.
pub async fn serve(configuration: Configuration, started: Instant) -> io::Result<()> {
    let address = configuration.listener.address();
    let (workers, limits) = (configuration.workers, configuration.limits);
    let shared = Arc::new(SharedState::new(configuration).map_err(io::Error::other)?);
    let followed = Arc::clone(&shared);
    let drained = shared.sessions.clone();
    let stopping = shared.stopping.clone();
    let keeps_sockets = !shared.is_under_functions_host;
    let mut signals = StopSignals::listen()?;
    let server = HttpServer::new(move || {
        let worker = Rc::new(Worker { state: AppState::new(Arc::clone(&shared)), under_way: UnderWay::default() });
        App::new().default_service(fn_service(move |request| serve_request(request, Rc::clone(&worker))))
    });
    let server = server.workers(workers).max_connections(limits.connections.div_ceil(workers));
    let server = server.client_request_timeout(limits.header_timeout).keep_alive(limits.idle_timeout);
    let server = server.tcp_nodelay(true).h1_write_buffer_size(WRITE_BUFFER);
    let server = server.on_connect(move |connection, extensions| {
        if keeps_sockets {
            keep_socket(connection, extensions);
        }
    });
    let server = server.disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS);
    let server = server.bind(address).map_err(|error| bind_error(address, &error))?;
    metrics::listening(started.elapsed());
    for address in server.addrs() {
        tracing::info!(%address, "listening");
    }
    actix_web::rt::spawn(async move { followed.follow().await });
    let drain = async move {
        let _ends_sockets = stopping.drop_guard(); // a WebSocket would hold up the stop for its whole time
        drained.drain().await;
    };
    shutdown::run(server.run(), async move || signals.next().await, drain).await
}

/// Keeps a second handle to a client's connection, which a WebSocket needs.
fn keep_socket(connection: &dyn Any, extensions: &mut Extensions) {
    let socket = connection.downcast_ref::<TcpStream>().and_then(ClientSocket::of);
    if let Some(socket) = socket {
        extensions.insert(socket);
    }
}

/// Responds 503 `configuration_incomplete` to everything, so that the host keeps us up and the reason is visible.
///
/// # Errors
/// When the address can't be bound.
pub fn serve_incomplete(listener: Listener) -> io::Result<Server> {
    let server = HttpServer::new(|| App::new().default_service(web::to(handle_incomplete)));
    let address = listener.address();
    Ok(server.workers(1).bind(address).map_err(|error| bind_error(address, &error))?.run())
}

/// The operating system's error with the address, which it leaves out.
fn bind_error(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// One worker thread: its state, and the count of its requests under way.
struct Worker {
    state: AppState,
    under_way: UnderWay,
}

/// Responds to a request, and forgets its headers.
async fn serve_request(request: ServiceRequest, worker: Rc<Worker>) -> Result<ServiceResponse, actix_web::Error> {
    let (request, mut payload) = request.into_parts();
    let request = worker.under_way.begin(request);
    let payload = Payload::from_request(request.http(), &mut payload).await?;
    let response = handle(request.http(), payload, &worker.state).await;
    Ok(ServiceResponse::new(request.end(), response))
}

async fn handle(req: &HttpRequest, payload: Payload, state: &AppState) -> HttpResponse {
    if state.is_under_functions_host && is_host_ping(req) {
        return HttpResponse::Ok().finish();
    }
    let started = Instant::now();
    let id = RequestId::of(req);
    let text = target_text(req, state);
    let admitted = admit(req, text.as_deref(), state).await;
    let destination = match &admitted {
        Ok(admitted) => Destination::of(admitted.target.path(), &state.auth_prefix, &state.routes),
        Err(_) => Destination::Nothing,
    };
    let route = destination.route_name();
    let context = || incoming_context(req, &admitted);
    let span = telemetry::request_span(req.method().as_str(), route, id.as_str(), context);
    let unfinished = Unfinished { http: req, id: &id, route, started, is_finished: Cell::new(false) };
    let outcome = match admitted {
        Ok(Admitted { now, gateway, target }) => {
            let request = Request { http: req, target, now, id: &id, gateway };
            // Boxed in place: it takes 3 KB, and each future around it would copy it.
            let responding = Box::write(Box::new_uninit(), respond(destination, &request, payload, state));
            Box::into_pin(responding).instrument(span.clone()).await
        }
        Err(error) => Err(error),
    };
    unfinished.is_finished.set(true);
    let is_ours = outcome.is_err() || !matches!(destination, Destination::Proxy(_));
    let code = outcome.as_ref().err().map(Error::code);
    let mut response = outcome.unwrap_or_else(|error| {
        log_cause(&error, &id);
        let signin = state.path("signin");
        let resend = state.path("resend");
        let is_api = destination.is_api();
        let (target, public_origin) = (text.as_deref(), &state.public_origin);
        let takes_access_tokens =
            matches!(destination, Destination::Proxy(route) if route.access().takes_access_tokens());
        let failure = Failure {
            req,
            target,
            id: &id,
            design: &state.page_design,
            public_origin,
            signin: &signin,
            resend: &resend,
            claims_seal: Some((&state.claims_seal, state.now())),
            is_api,
            is_endpoint: matches!(destination, Destination::Endpoint(_)),
            takes_access_tokens,
        };
        failure.respond(&error)
    });
    if is_ours && state.public_origin.is_secure() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if destination.is_framed() {
        allow_framing_by(&state.relying_party.settings().issuer, &mut response);
    }
    if req.version() < Version::HTTP_11 {
        frame_for_http_10(&mut response);
    }
    let status = response.status().as_u16();
    telemetry::record_outcome(&span, status, code);
    let (method, took) = (req.method().as_str(), started.elapsed());
    metrics::request(method, route, status, code, took);
    CompletedRequest { method, id: id.as_str(), route, status, code, took }.log();
    response
}

/// Routes one request to its endpoint. A page under another name is redirected to the public one; probes are not.
async fn respond(
    destination: Destination<'_>,
    request: &Request<'_>,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let redirect = || state.public_host.redirect(request.http, &request.gateway, request.target.as_str());
    match (!destination.is_health()).then(redirect).flatten() {
        Some(redirect) => Ok(redirect),
        None => endpoints::respond(destination, request, payload, state).await,
    }
}

/// RFC 9112 6.1: no chunks to a client of HTTP/1.0. A body without a length ends with the connection instead (6.3).
fn frame_for_http_10(response: &mut HttpResponse) {
    if matches!(response.body().size(), BodySize::Stream) {
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// Request that passed the gateway check and has a well-formed target.
struct Admitted<'a> {
    now: Timestamp,
    gateway: VerifiedGateway,
    target: RequestTarget<'a>,
}

/// Verifies the gateway's proof before anything is done whose cost depends on what arrived; only `health/live` is exempt.
async fn admit<'a>(req: &HttpRequest, text: Option<&'a str>, state: &AppState) -> Result<Admitted<'a>, Error> {
    let now = state.now();
    let is_exempt =
        text.is_some_and(|text| endpoints::is_live(text.split('?').next().unwrap_or_default(), &state.auth_prefix));
    let gateway = if is_exempt { VerifiedGateway::default() } else { state.gateway.verify(req, now).await? };
    check_headers(req, state.limits.header_bytes)?;
    let target = request_target(req, text.ok_or(Error::RouteNotFound)?)?;
    Ok(Admitted { now, gateway, target })
}

/// Trace context of the request; empty for a request that is refused.
fn incoming_context<'a>(req: &'a HttpRequest, admitted: &Result<Admitted<'_>, Error>) -> IncomingContext<'a> {
    let header = |name| admitted.as_ref().ok().and_then(|_| header_text(req, name));
    IncomingContext { traceparent: header("traceparent"), tracestate: header("tracestate") }
}

/// Logs a request that ended without a response: the client disconnected, or its body was malformed (bad chunks, say)
/// while it was being forwarded, and the server dropped it with its connection.
struct Unfinished<'a> {
    http: &'a HttpRequest,
    id: &'a RequestId,
    route: &'a str,
    started: Instant,
    is_finished: Cell<bool>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.is_finished.get() {
            return;
        }
        tracing::info!(
            target: "request",
            method = %self.http.method(),
            request.id = self.id.as_str(),
            route = self.route,
            code = "request_aborted",
            duration_ms = self.started.elapsed().as_secs_f64() * 1_000.0,
            "request aborted: connection lost or body malformed"
        );
    }
}

/// Refuses headers that are too large together (RFC 6585 5). The library's own limit is four times our default.
fn check_headers(req: &HttpRequest, most: usize) -> Result<(), Error> {
    let bytes: usize = req.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > most { Err(Error::HeadersTooLarge) } else { Ok(()) }
}

/// Request target in the bytes that the browser sent, without the route prefix of the Functions host. `None` if the
/// path is not below that prefix.
fn target_text<'r>(req: &'r HttpRequest, state: &AppState) -> Option<Cow<'r, str>> {
    let given = req.uri().path_and_query().map_or("", |target| target.as_str());
    if !state.is_under_functions_host {
        return Some(Cow::Borrowed(given));
    }
    state.route_prefix.strip(arrived_target(req, given))
}

/// Parses the target. RFC 9112 3.2: a request needs exactly one `Host`; a client of HTTP/1.0 may send none.
fn request_target<'t>(req: &HttpRequest, text: &'t str) -> Result<RequestTarget<'t>, Error> {
    match req.headers().get_all(header::HOST).count() {
        1 => {}
        0 if req.version() < Version::HTTP_11 => {}
        _ => return Err(Error::Request("there is not exactly one Host")),
    }
    if req.uri().authority().is_some() {
        return Err(Error::Request("the request target is not in origin form"));
    }
    Ok(RequestTarget::parse(text)?)
}

/// Logs the cause of an error, once; the response never contains it.
fn log_cause(error: &Error, id: &RequestId) {
    let error = error.cause(); // a held-up form is no failure of its own
    let cause: &dyn std::error::Error = match (std::error::Error::source(error), error) {
        (Some(cause), _) => cause,
        // Logged at `error`: the cause tells the operator of a gateway or a Provider how its request is wrong.
        (None, Error::Gateway(_) | Error::BackchannelLogout(_)) => error,
        (None, _) => return,
    };
    let OAuthErrorFields { error: provider_error, suberror, error_codes, trace_id, correlation_id } =
        OAuthError::fields(error.oauth_error());
    tracing::warn!(request.id = id.as_str(), code = error.code(), %error, cause = %Causes(cause),
        provider.error = provider_error, provider.suberror = suberror, provider.error_codes = error_codes,
        provider.trace_id = trace_id, provider.correlation_id = correlation_id, "request failed");
}

async fn handle_incomplete(req: HttpRequest) -> HttpResponse {
    if is_host_ping(&req) || req.path().ends_with("/health/live") {
        return HttpResponse::Ok().finish();
    }
    let Ok(public_origin) = "http://localhost".parse::<PublicOrigin>() else {
        return HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE);
    };
    let id = RequestId::of(&req);
    let public_origin = &public_origin;
    Failure {
        req: &req,
        target: None,
        id: &id,
        design: &PageDesign::default(),
        public_origin,
        signin: "/",
        resend: "/",
        claims_seal: None,
        is_api: false,
        is_endpoint: false,
        takes_access_tokens: false,
    }
    .respond(&Error::ConfigurationIncomplete)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::config::Environment;

    #[actix_web::test]
    async fn a_request_holds_no_cookie_once_it_has_its_response() {
        let configuration = Configuration::read(&Environment::from([
            ("PUBLIC_BASE_URL", "http://localhost"),
            ("UPSTREAM_URL", "http://127.0.0.1:9"),
            ("OIDC_ISSUER_URL", "http://127.0.0.1:9"),
            ("CLIENT_ID", "client"),
            ("CLIENT_SECRET", "secret"),
        ]));
        let shared = SharedState::new(configuration.unwrap()).unwrap();
        let worker = Worker { state: AppState::new(Arc::new(shared)), under_way: UnderWay::default() };
        let request = TestRequest::get().insert_header((header::HOST, "localhost"));
        let request = request.insert_header((header::COOKIE, "session=secret")).to_srv_request();

        let response = serve_request(request, Rc::new(worker)).await.unwrap();

        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.request().headers().is_empty());
    }
}
