//! `WWW-Authenticate` and `Allow`: the headers that a 401 and a 405 must have (RFC 9110 15.5.2, 15.5.6).

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// `Cookie` is no scheme that a browser prompts for, as it does for Basic, Digest and Negotiate, and it is true, which
/// `Bearer` would not be: a token in `Authorization` opens nothing here, and a client that has one would send it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"sign-in\"");

/// Adds the challenge to a 401 of ours.
pub(super) fn challenge(response: &mut HttpResponse) {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
}

/// The value of `Allow` of a URL of ours. Each responds to `OPTIONS`, too.
#[must_use]
pub fn allow(methods: &[Method]) -> String {
    let names = methods.iter().chain([&Method::OPTIONS]).map(Method::as_str);
    names.collect::<Vec<_>>().join(", ")
}
