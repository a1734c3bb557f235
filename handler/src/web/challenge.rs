//! `WWW-Authenticate` and `Allow`: the headers that a 401 and a 405 must have (RFC 9110 15.5.2, 15.5.6).

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};

use super::Error;
use crate::proxy::SIGN_IN_CHALLENGE;

/// Challenge of a 401 on a route of people. Browsers show no prompt for `Cookie`, as they do for Basic, Digest and
/// Negotiate. `Bearer` would be wrong there: a token in `Authorization` is not accepted, and a client would send it.
const CHALLENGE: HeaderValue = HeaderValue::from_static(SIGN_IN_CHALLENGE);

/// Adds the challenge to a 401 of ours, and to a 403 for an API client.
pub(super) fn challenge(error: &Error, response: &mut HttpResponse) {
    let bearer = match error {
        Error::Bearer(error) => error.challenge(),
        // RFC 6750 3.1: the request needs higher privileges than the token has.
        Error::AccessDenied(denied) if denied.is_bearer => Some("Bearer error=\"insufficient_scope\"".to_owned()),
        _ => None,
    };
    if let Some(challenge) = bearer.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    } else if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
}

/// Value of `Allow` for a URL of ours. Each responds to `OPTIONS`, too.
#[must_use]
pub fn allow(methods: &[Method]) -> String {
    let names = methods.iter().chain([&Method::OPTIONS]).map(Method::as_str);
    names.collect::<Vec<_>>().join(", ")
}
