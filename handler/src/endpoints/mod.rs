//! Endpoints, one file per public URL: each parses its request, calls one or two verbs, and responds.

mod admission;
mod backchannel_logout;
mod callback;
mod check;
mod destination;
mod frontchannel_logout;
mod health;
mod jwks;
mod me;
mod provider_logout;
mod proxy;
mod redirect;
mod refresh;
mod request;
mod resend;
mod signedout;
mod signin;
mod signout;
mod slide;
mod unsent;

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use actix_web::web::Payload;

use self::destination::Kind;
pub use self::destination::{Destination, Endpoint, ROUTES, is_live};
pub use self::request::Request;
use crate::state::AppState;
use crate::web::{Error, GatewayProofError, Purpose, allow};

/// Dispatches a request to its endpoint or to the proxy.
///
/// # Errors
/// The endpoint's own errors, 404 for an unknown URL, and 405 for a method that the endpoint doesn't allow.
pub async fn respond(
    destination: Destination<'_>,
    request: &Request<'_>,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    check_purpose(destination, request.gateway.purpose)?;
    let endpoint = match destination {
        Destination::Proxy(route) => {
            return match proxy::proxy(request, payload, route, state).await {
                Err(error) => signin::signin_at_once(error, request, state).await,
                response => response,
            };
        }
        Destination::Nothing => return Err(Error::RouteNotFound),
        Destination::Refused(error) => return Err(error.into()),
        Destination::Endpoint(endpoint) => endpoint,
    };
    if *request.http.method() == Method::OPTIONS {
        return Ok(options(endpoint.methods)); // RFC 9110 9.3.7
    }
    if !endpoint.methods.contains(request.http.method()) {
        return Err(Error::MethodNotAllowed { allowed: endpoint.methods });
    }
    if !endpoint.is_open() {
        state.ensure_keys_loaded().await?;
    }
    match endpoint.kind {
        Kind::Signin => signin::signin(request, payload, state).await,
        Kind::Callback => callback::callback(request, payload, state).await,
        Kind::Signout => signout::signout(request, state).await,
        Kind::SignedOut => Ok(signedout::signedout(request, state).await),
        Kind::Me => me::me(request, state).await,
        Kind::Refresh => refresh::refresh(request, state).await,
        Kind::Resend => resend::resend(request, payload, state).await,
        Kind::BackchannelLogout => backchannel_logout::backchannel_logout(request, payload, state).await,
        Kind::FrontchannelLogout => frontchannel_logout::frontchannel_logout(request, state).await,
        Kind::Check => check::check(request, state).await,
        Kind::Jwks => jwks::jwks(state),
        Kind::Live => Ok(health::live()),
        Kind::Ready => Ok(health::ready(request, state).await),
    }
}

/// Lists the allowed methods of one of our URLs. Sends no CORS header, so scripts of another origin get no permission.
fn options(methods: &[Method]) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ALLOW, allow(methods)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// Separates the two proofs: `check` is not found for a forwarded request, and its own proof forwards nothing.
fn check_purpose(destination: Destination<'_>, purpose: Purpose) -> Result<(), Error> {
    match (purpose, destination.is_check()) {
        (Purpose::Forward, false) | (Purpose::Check, true) => Ok(()),
        (Purpose::Forward, true) => Err(Error::RouteNotFound),
        (Purpose::Check, false) => Err(GatewayProofError::Purpose.into()),
    }
}
