//! The server: every request passes here once, on its way in and on its way out.

mod shutdown;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use tracing::Instrument as _;

use self::shutdown::StopSignals;
use crate::config::{Configuration, Listener};
use crate::endpoints::{self, Destination, Request};
use crate::oidc::{OAuthError, OAuthErrorFields};
use crate::proxy::{READ_AHEAD, RequestTarget};
use crate::public_origin::PublicOrigin;
use crate::state::{AppState, SharedState};
use crate::telemetry::{self, Causes, IncomingContext, metrics};
use crate::web::{Error, Failure, Passed, RequestId, header_text, is_host_ping};

/// Longer than the Functions host keeps an idle connection: it closes first, so no request meets a closed one.
const KEEP_ALIVE: Duration = Duration::from_secs(180);

/// How much of a response waits for its client before the Upstream is read on: no more than a full read of it, so that one
/// is written before the next is asked for. The server's own default holds two, and keeps the room for them.
const WRITE_BUFFER: usize = 16 * 1024;
const _: () = assert!(WRITE_BUFFER <= READ_AHEAD);

/// The time that open connections have once nothing must be drained any more.
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 5;

/// Serves until a signal ends the process, which `started` at the given time. Sends nothing over the network before the
/// first request.
///
/// # Errors
/// When the address can't be bound, or the signals can't be taken over.
pub async fn serve(configuration: Configuration, started: Instant) -> io::Result<()> {
    let address = configuration.listener.address();
    let workers = configuration.workers;
    let shared = Arc::new(SharedState::new(configuration).map_err(io::Error::other)?);
    let followed = Arc::clone(&shared);
    let drained = shared.sessions.clone();
    let mut signals = StopSignals::listen()?;
    let server = HttpServer::new(move || {
        App::new().app_data(Data::new(AppState::new(Arc::clone(&shared)))).default_service(web::to(handle))
    });
    let server = server.workers(workers).keep_alive(KEEP_ALIVE).tcp_nodelay(true).h1_write_buffer_size(WRITE_BUFFER);
    let server = server.disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS).bind(address)?;
    metrics::listening(started.elapsed());
    for address in server.addrs() {
        tracing::info!(%address, "listening");
    }
    actix_web::rt::spawn(async move { followed.follow().await });
    shutdown::run(server.run(), async move || signals.next().await, async move { drained.drain().await }).await
}

/// Responds 503 `configuration_incomplete` to everything, so that the host keeps us up and the reason is visible.
///
/// # Errors
/// When the address can't be bound.
pub fn serve_incomplete(listener: Listener) -> io::Result<Server> {
    let server = HttpServer::new(|| App::new().default_service(web::to(handle_incomplete)));
    Ok(server.workers(1).bind(listener.address())?.run())
}

async fn handle(req: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    if state.is_under_functions_host && is_host_ping(&req) {
        return HttpResponse::Ok().finish();
    }
    let (started, id) = (Instant::now(), RequestId::of(&req));
    let target = request_target(&req);
    let destination = match &target {
        Ok(target) => Destination::of(target.path(), &state.auth_prefix, &state.routes),
        Err(_) => Destination::Nothing,
    };
    let route = destination.route_name();
    let incoming =
        IncomingContext { traceparent: header_text(&req, "traceparent"), tracestate: header_text(&req, "tracestate") };
    let span = telemetry::request_span(req.method().as_str(), route, id.as_str(), incoming);
    let answered = match target {
        Ok(target) => answer(&req, target, destination, &id, payload, &state).instrument(span.clone()).await,
        Err(error) => Err(error),
    };
    let code = answered.as_ref().err().map(Error::code);
    let answer = answered.unwrap_or_else(|error| {
        log_cause(&error, &id);
        let (public_origin, signin) = (&state.public_origin, &state.path("signin"));
        Failure { req: &req, id: &id, public_origin, signin, is_api: destination.is_api() }.respond(&error)
    });
    let status = answer.status().as_u16();
    telemetry::say_how_it_ended(&span, status, code);
    let took = started.elapsed();
    metrics::request(req.method().as_str(), route, status, code, took);
    let duration_ms = took.as_secs_f64() * 1_000.0;
    tracing::info!(
        target: "request",
        method = %req.method(),
        request.id = id.as_str(),
        route,
        status,
        code,
        duration_ms,
        "answered"
    );
    answer
}

/// Nothing is done for a request that came around the gateway, but for the probe that tells only that we live.
async fn answer(
    req: &HttpRequest,
    target: RequestTarget<'_>,
    destination: Destination<'_>,
    id: &RequestId,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let now = state.now();
    let passed = if destination.is_probe() { Passed::default() } else { state.gateway.pass(req, now).await? };
    endpoints::respond(destination, &Request { http: req, target, now, id, passed }, payload, state).await
}

/// The target in the bytes that arrived. Anything but one `Host` is refused (RFC 9112 3.2).
fn request_target(req: &HttpRequest) -> Result<RequestTarget<'_>, Error> {
    if req.headers().get_all("host").count() != 1 {
        return Err(Error::Request("there is not exactly one Host"));
    }
    if req.uri().authority().is_some() {
        return Err(Error::Request("the request target is not in origin form"));
    }
    let target = req.uri().path_and_query().map_or("", |target| target.as_str());
    Ok(RequestTarget::parse(target)?)
}

/// What the client isn't told goes to the log, once.
fn log_cause(error: &Error, id: &RequestId) {
    let cause: &dyn std::error::Error = match (std::error::Error::source(error), error) {
        (Some(cause), _) => cause,
        // Who set up a gateway or a provider reads here what is wrong with what it sends.
        (None, Error::Gateway(_) | Error::BackchannelLogout(_)) => error,
        (None, _) => return,
    };
    let OAuthErrorFields { error: provider_error, suberror, error_codes, trace_id, correlation_id } =
        OAuthError::fields(error.oauth_error());
    tracing::warn!(request.id = id.as_str(), code = error.code(), %error, cause = %Causes(cause),
        provider.error = provider_error, provider.suberror = suberror, provider.error_codes = error_codes,
        provider.trace_id = trace_id, provider.correlation_id = correlation_id, "a request failed");
}

async fn handle_incomplete(req: HttpRequest) -> HttpResponse {
    if is_host_ping(&req) || req.path().ends_with("/health/live") {
        return HttpResponse::Ok().finish();
    }
    let Ok(public_origin) = "http://localhost".parse::<PublicOrigin>() else {
        return HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE);
    };
    let id = RequestId::of(&req);
    Failure { req: &req, id: &id, public_origin: &public_origin, signin: "/", is_api: false }
        .respond(&Error::ConfigurationIncomplete)
}
