//! A file per public URL: each parses its request, calls one or two verbs, and responds.

mod backchannel_logout;
mod callback;
mod destination;
mod frontchannel_logout;
mod health;
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
use actix_web::web::Payload;

use self::destination::Kind;
pub use self::destination::{Destination, Endpoint, ROUTES};
pub use self::request::Request;
use crate::state::AppState;
use crate::web::Error;

/// Dispatches a request to its destination.
///
/// # Errors
/// The endpoint's own, 404 where nothing is, and 405 for a method that the endpoint doesn't allow.
pub async fn respond(
    destination: Destination<'_>,
    request: &Request<'_>,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let endpoint = match destination {
        Destination::Proxy(route) => return proxy::proxy(request, payload, route, state).await,
        Destination::Nothing => return Err(Error::RouteNotFound),
        Destination::Endpoint(endpoint) => endpoint,
    };
    if !endpoint.methods.contains(request.http.method()) {
        return Err(Error::MethodNotAllowed { allowed: endpoint.methods });
    }
    if !endpoint.is_open() {
        state.keys_in_hand().await?;
    }
    match endpoint.kind {
        Kind::Signin => signin::signin(request, payload, state).await,
        Kind::Callback => callback::callback(request, payload, state).await,
        Kind::Signout => signout::signout(request, state).await,
        Kind::SignedOut => Ok(signedout::signedout(request, state)),
        Kind::Me => me::me(request, state).await,
        Kind::Refresh => refresh::refresh(request, state).await,
        Kind::Resend => resend::resend(request, payload, state).await,
        Kind::BackchannelLogout => backchannel_logout::backchannel_logout(request, payload, state).await,
        Kind::FrontchannelLogout => frontchannel_logout::frontchannel_logout(request, state).await,
        Kind::Live => Ok(health::live()),
        Kind::Ready => Ok(health::ready(request, state).await),
    }
}
