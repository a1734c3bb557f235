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
use crate::sessions::DRAINED_REFRESH;
use crate::state::{AppState, SharedState};
use crate::telemetry::{self, Causes, IncomingContext, metrics};
use crate::web::{Error, Failure, Passed, RequestId, allow_framing_by, header_text, is_host_ping};

/// Longer than the Functions host keeps an idle connection: it closes first, so no request meets a closed one.
const KEEP_ALIVE: Duration = Duration::from_secs(180);

/// Bytes buffered for a slow client before the upstream is read again: at most one read.
const WRITE_BUFFER: usize = 16 * 1024;
const _: () = assert!(WRITE_BUFFER <= READ_AHEAD);

const _: () = assert!(shutdown::DRAIN_LIMIT.as_secs() >= DRAINED_REFRESH.as_secs());

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
    let started = Instant::now();
    let id = RequestId::of(&req);
    let target = request_target(&req);
    let destination = match &target {
        Ok(target) => Destination::of(target.path(), &state.auth_prefix, &state.routes),
        Err(_) => Destination::Nothing,
    };
    let route = destination.route_name();
    let incoming =
        IncomingContext { traceparent: header_text(&req, "traceparent"), tracestate: header_text(&req, "tracestate") };
    let span = telemetry::request_span(req.method().as_str(), route, id.as_str(), incoming);
    let outcome = match target {
        Ok(target) => {
            let arrived = Arrived { http: &req, target, destination, id: &id, payload };
            respond(arrived, &state).instrument(span.clone()).await
        }
        Err(error) => Err(error),
    };
    let code = outcome.as_ref().err().map(Error::code);
    let mut response = outcome.unwrap_or_else(|error| {
        log_cause(&error, &id);
        let signin = state.path("signin");
        let resend = state.path("resend");
        let is_api = destination.is_api();
        let public_origin = &state.public_origin;
        Failure { req: &req, id: &id, public_origin, signin: &signin, resend: &resend, is_api }.respond(&error)
    });
    if destination.is_framed() {
        allow_framing_by(&state.relying_party.settings().issuer, &mut response);
    }
    let status = response.status().as_u16();
    telemetry::record_outcome(&span, status, code);
    Completed { http: &req, id: &id, route, status, code, took: started.elapsed() }.report();
    response
}

/// A request whose target is well-formed, before any proof.
struct Arrived<'a> {
    http: &'a HttpRequest,
    target: RequestTarget<'a>,
    destination: Destination<'a>,
    id: &'a RequestId,
    payload: Payload,
}

/// Verifies the gateway's proof first; only `health/live` is exempt.
async fn respond(arrived: Arrived<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let Arrived { http, target, destination, id, payload } = arrived;
    let now = state.now();
    let passed = if destination.is_probe() { Passed::default() } else { state.gateway.pass(http, now).await? };
    endpoints::respond(destination, &Request { http, target, now, id, passed }, payload, state).await
}

/// A request and its response, for the metrics and the log.
struct Completed<'a> {
    http: &'a HttpRequest,
    id: &'a RequestId,
    route: &'a str,
    status: u16,
    code: Option<&'static str>,
    took: Duration,
}

impl Completed<'_> {
    fn report(&self) {
        metrics::request(self.http.method().as_str(), self.route, self.status, self.code, self.took);
        tracing::info!(
            target: "request",
            method = %self.http.method(),
            request.id = self.id.as_str(),
            route = self.route,
            status = self.status,
            code = self.code,
            duration_ms = self.took.as_secs_f64() * 1_000.0,
            "request completed"
        );
    }
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

/// Logs the cause of an error, once; the response never contains it.
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
    Failure { req: &req, id: &id, public_origin: &public_origin, signin: "/", resend: "/", is_api: false }
        .respond(&Error::ConfigurationIncomplete)
}
