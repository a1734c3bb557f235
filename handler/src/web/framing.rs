//! Frames: detection of framed requests, and the sites that may frame a response (`frame-ancestors` of CSP 3).
//!
//! Our pages forbid every frame, except one URL for the Provider's page, and the sign-in page in a frame of the
//! application. Knows no URL.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::header_names::SEC_FETCH_DEST;
use super::header_text;

/// True for a navigation of a frame (Fetch Metadata 2.1). Most Providers forbid frames, so no sign-in begins there.
#[must_use]
pub fn is_framed(req: &HttpRequest) -> bool {
    let destination = header_text(req, SEC_FETCH_DEST);
    destination.is_some_and(|name| matches!(name, "iframe" | "frame" | "embed" | "object" | "fencedframe"))
}

/// Allows only pages of the issuer's origin to frame this response.
pub fn allow_framing_by(issuer: &str, response: &mut HttpResponse) {
    let Ok(origin) = Url::parse(issuer).map(|url| url.origin().ascii_serialization()) else { return };
    allow_ancestors(&origin, response);
    response.headers_mut().remove(header::X_FRAME_OPTIONS); // it cannot name another origin
}

/// Allows only pages of this site to frame this response.
pub fn allow_framing_by_self(response: &mut HttpResponse) {
    allow_ancestors("'self'", response);
    response.headers_mut().insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
}

fn allow_ancestors(source: &str, response: &mut HttpResponse) {
    let headers = response.headers_mut();
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let policy = policy.unwrap_or(EMPTY_PAGE).replace(NO_FRAME, &format!("frame-ancestors {source}"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

const NO_FRAME: &str = "frame-ancestors 'none'";

/// Policy of a response that loads nothing.
const EMPTY_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(issuer: &str, before: Option<&str>) -> (Option<String>, bool) {
        let mut response = HttpResponse::Ok().insert_header((header::X_FRAME_OPTIONS, "DENY")).finish();
        if let Some(before) = before {
            let before = HeaderValue::from_str(before).unwrap();
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, before);
        }
        allow_framing_by(issuer, &mut response);
        let headers = response.headers();
        let policy = headers.get(header::CONTENT_SECURITY_POLICY).map(|policy| policy.to_str().unwrap().to_owned());
        (policy, headers.contains_key(header::X_FRAME_OPTIONS))
    }

    #[test]
    fn only_the_origin_of_the_issuer_may_frame_and_the_rest_of_the_policy_stays() {
        let page = Some("default-src 'none'; img-src data:; frame-ancestors 'none'");
        let table = [
            ("https://op.example", None, "default-src 'none'; frame-ancestors https://op.example"),
            ("https://op.example:8443/t/v2", None, "default-src 'none'; frame-ancestors https://op.example:8443"),
            ("https://\u{fc}.example/", None, "default-src 'none'; frame-ancestors https://xn--tda.example"),
            ("https://op.example/t", page, "default-src 'none'; img-src data:; frame-ancestors https://op.example"),
        ];
        for (issuer, before, expected) in table {
            assert_eq!(policy(issuer, before), (Some(expected.to_owned()), false), "{issuer}");
        }
    }
}
