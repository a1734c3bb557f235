//! Cross-site request forgery: Fetch Metadata first, then `Origin`, on every method that may change something.
//!
//! `SameSite=Lax` doesn't stop a page on a sibling subdomain; this does.

use actix_web::HttpRequest;
use actix_web::http::{Method, header};

use super::{header_text, single_header};
use crate::public_origin::PublicOrigin;

/// An unsafe request that didn't come from our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request doesn't come from a page of this site")]
pub struct CsrfRejection;

/// Accepts safe methods (RFC 9110 9.2.1), and others from pages of `origin`.
///
/// # Errors
/// When the browser names another site or origin, names itself twice, or nothing says where it comes from.
pub fn check_csrf(req: &HttpRequest, origin: &PublicOrigin) -> Result<(), CsrfRejection> {
    if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let is_ours = if req.headers().contains_key("sec-fetch-site") {
        matches!(single_header(req, "sec-fetch-site"), Some("same-origin" | "none"))
    } else {
        single_header(req, "origin") == Some(origin.as_str())
    };
    if is_ours { Ok(()) } else { Err(CsrfRejection) }
}

/// True if the browser names another origin as the one that sent an unsafe request. Without a word of it nothing is
/// known, and this is false.
#[must_use]
pub fn is_from_elsewhere(req: &HttpRequest, origin: &PublicOrigin) -> bool {
    let is_named = req.headers().contains_key("sec-fetch-site") || req.headers().contains_key(header::ORIGIN);
    is_named && check_csrf(req, origin).is_err()
}

/// The path and query of a same-origin `Referer`: where an unsafe navigation came from.
pub(super) fn same_origin_referrer<'a>(req: &'a HttpRequest, origin: &PublicOrigin) -> Option<&'a str> {
    let path = header_text(req, header::REFERER)?.strip_prefix(origin.as_str())?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    type Row = (Method, &'static [(&'static str, &'static str)], bool, &'static str);

    #[test]
    fn only_our_own_pages_may_change_anything() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let table: &[Row] = &[
            (Method::GET, &[("sec-fetch-site", "cross-site")], true, "a link from elsewhere"),
            (Method::HEAD, &[], true, "safe"),
            (Method::OPTIONS, &[("origin", "https://evil.example")], true, "safe"),
            (Method::POST, &[("sec-fetch-site", "same-origin")], true, "our own form"),
            (Method::POST, &[("sec-fetch-site", "none")], true, "the person, by hand"),
            (Method::POST, &[("sec-fetch-site", "same-site")], false, "a sibling subdomain"),
            (Method::POST, &[("sec-fetch-site", "cross-site")], false, "another site"),
            (Method::POST, &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")], false, "both"),
            (Method::POST, &[("origin", "https://app.example")], true, "a browser without Fetch Metadata"),
            (Method::POST, &[("origin", "https://app.example.evil.example")], false, "a longer origin"),
            (Method::POST, &[("origin", "null")], false, "a sandboxed page"),
            (Method::POST, &[], false, "nothing said"),
            (Method::DELETE, &[("origin", "http://app.example")], false, "another scheme"),
            (Method::from_bytes(b"BREW").unwrap(), &[], false, "an unknown method"),
        ];
        for (method, headers, expected, why) in table.iter().cloned() {
            let req = headers.iter().fold(TestRequest::default().method(method), |req, pair| req.insert_header(*pair));
            assert_eq!(check_csrf(&req.to_http_request(), &origin).is_ok(), expected, "{why}");
        }
    }

    #[test]
    fn a_request_comes_from_elsewhere_when_the_browser_says_so() {
        let table: &[Row] = &[
            (Method::POST, &[("sec-fetch-site", "cross-site")], true, "another site"),
            (Method::POST, &[("sec-fetch-site", "same-site")], true, "a sibling"),
            (Method::POST, &[("origin", "https://other.example")], true, "another origin"),
            (Method::POST, &[("origin", "null")], true, "a sandboxed page"),
            (Method::POST, &[("sec-fetch-site", "same-origin")], false, "our own form"),
            (Method::POST, &[("sec-fetch-site", "none")], false, "the person, by hand"),
            (Method::POST, &[("origin", "https://app.example")], false, "our own form in an older browser"),
            (Method::POST, &[], false, "nothing said"),
            (Method::GET, &[("sec-fetch-site", "cross-site")], false, "safe"),
        ];
        for (method, headers, expected, why) in table.iter().cloned() {
            let req = headers.iter().fold(TestRequest::default().method(method), |req, pair| req.insert_header(*pair));
            let origin = "https://app.example".parse().unwrap();
            assert_eq!(is_from_elsewhere(&req.to_http_request(), &origin), expected, "{why}");
        }
    }

    #[test]
    fn a_browser_that_names_its_site_twice_is_refused() {
        let req = TestRequest::post()
            .append_header(("sec-fetch-site", "same-origin"))
            .append_header(("sec-fetch-site", "cross-site"))
            .to_http_request();

        assert_eq!(check_csrf(&req, &"https://app.example".parse().unwrap()), Err(CsrfRejection));
    }
}
