//! `WWW-Authenticate` and `Allow`: the headers that a 401 and a 405 must have (RFC 9110 15.5.2, 15.5.6).

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// Challenge of a 401. Browsers show no prompt for `Cookie`, as they do for Basic, Digest and Negotiate. `Bearer` would
/// be wrong: a token in `Authorization` is not accepted here, and a client that has one would send it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"sign-in\"");

/// Adds the challenge to a 401 of ours.
pub(super) fn challenge(response: &mut HttpResponse) {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
}

/// Value of `Allow` for a URL of ours. Each responds to `OPTIONS`, too.
#[must_use]
pub fn allow(methods: &[Method]) -> String {
    let names = methods.iter().chain([&Method::OPTIONS]).map(Method::as_str);
    names.collect::<Vec<_>>().join(", ")
}
