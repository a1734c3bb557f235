//! What the Azure Functions host does to requests: its readiness ping.

use actix_web::HttpRequest;
use actix_web::http::Method;

/// True for the `GET /` by which the host asks whether we listen: real requests carry an invocation id.
///
/// The host follows redirects here, so the answer must be a plain 200 without any work.
#[must_use]
pub fn is_host_ping(req: &HttpRequest) -> bool {
    req.method() == Method::GET
        && req.uri().path_and_query().is_some_and(|target| target == "/")
        && !req.headers().contains_key("x-azure-functions-invocationid")
}
