//! Redirect at the end of a sign-in, a sign-out and a callback.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};

/// 303 with these cookies: the browser follows with `GET` (RFC 9110 15.4.4).
pub(super) fn see_other(location: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
