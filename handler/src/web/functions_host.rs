//! Readiness ping of the Azure Functions host.

use actix_web::HttpRequest;
use actix_web::http::Method;

use super::header_names::FUNCTIONS_INVOCATION_ID;

/// True for the `GET /` by which the host checks that we listen: real requests have an invocation id.
///
/// The host follows redirects here, so the response must be a plain 200 without any work.
#[must_use]
pub fn is_host_ping(req: &HttpRequest) -> bool {
    req.method() == Method::GET
        && req.uri().path_and_query().is_some_and(|target| target == "/")
        && !req.headers().contains_key(FUNCTIONS_INVOCATION_ID)
}
