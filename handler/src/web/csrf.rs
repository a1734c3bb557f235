//! CSRF protection: Fetch Metadata first, then `Origin`, then `Referer`, on every method that may change
//! something.
//!
//! `SameSite=Lax` doesn't stop a page on a sibling subdomain; this does.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::header_names::{SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};
use super::header_text;
use super::request::{single_value, text_value};
use crate::proxy::is_safe;
use crate::public_origin::PublicOrigin;

/// Error for an unsafe request from another origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request doesn't come from a page of this site")]
pub struct CsrfRejection;

/// Accepts safe methods (RFC 9110 9.2.1), others from pages of `origin`, and those that no browser sent.
///
/// # Errors
/// If the browser names another site or origin, or two of them; or if an old browser's form may have sent a request
/// without any origin.
pub fn check_csrf(method: &Method, headers: &HeaderMap, origin: &PublicOrigin) -> Result<(), CsrfRejection> {
    if is_safe(method) || is_from(method, headers, origin) { Ok(()) } else { Err(CsrfRejection) }
}

fn is_from(method: &Method, headers: &HeaderMap, origin: &PublicOrigin) -> bool {
    let has = |name: HeaderName| headers.contains_key(name);
    if has(SEC_FETCH_SITE) {
        return matches!(single_value(headers, SEC_FETCH_SITE), Some("same-origin" | "none"));
    }
    if has(header::ORIGIN) {
        return single_value(headers, header::ORIGIN) == Some(origin.as_str());
    }
    if has(SEC_FETCH_MODE) || has(SEC_FETCH_DEST) {
        return false;
    }
    if has(header::REFERER) {
        return single_value(headers, header::REFERER)
            .is_some_and(|referer| same_origin_path(referer, origin).is_some());
    }
    !may_be_a_form(method, headers)
}

/// True for a request that a form or link of a browser without Fetch Metadata can send to another site without
/// preflight and without `Origin`: a `POST` with a form's encoding (HTML 4.10.21.3) or `text/ping`. Such browsers'
/// scripts send `Origin` with everything else, so any other request is from a client that sends its cookie on purpose
/// (WebDAV).
fn may_be_a_form(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = text_value(headers, header::CONTENT_TYPE).unwrap_or_default();
    let essence = content_type.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_of_a_form = matches!(essence.as_str(), "" | "application/x-www-form-urlencoded" | "multipart/form-data")
        || essence.starts_with("text/");
    *method == Method::POST && is_of_a_form
}

/// True if the browser names another origin as the sender of an unsafe request; false if it names none.
#[must_use]
pub fn is_from_elsewhere(req: &HttpRequest, origin: &PublicOrigin) -> bool {
    let is_named = req.headers().contains_key(SEC_FETCH_SITE) || req.headers().contains_key(header::ORIGIN);
    is_named && check_csrf(req.method(), req.headers(), origin).is_err()
}

/// Path and query of a same-origin `Referer`: the page that an unsafe navigation came from.
pub(super) fn same_origin_referrer<'a>(req: &'a HttpRequest, origin: &PublicOrigin) -> Option<&'a str> {
    same_origin_path(header_text(req, header::REFERER)?, origin)
}

fn same_origin_path<'a>(referer: &'a str, origin: &PublicOrigin) -> Option<&'a str> {
    referer.strip_prefix(origin.as_str()).filter(|path| path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    type Row = (Method, &'static [(&'static str, &'static str)], bool, &'static str);

    fn check_request(req: &HttpRequest, origin: &PublicOrigin) -> Result<(), CsrfRejection> {
        check_csrf(req.method(), req.headers(), origin)
    }

    fn method(name: &str) -> Method {
        Method::from_bytes(name.as_bytes()).unwrap()
    }

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
            (Method::POST, &[("origin", "https://app.example"), ("origin", "https://app.example")], false, "twice"),
            (Method::DELETE, &[("origin", "http://app.example")], false, "another scheme"),
            (Method::DELETE, &[("sec-fetch-mode", "cors")], false, "Fetch Metadata without a site"),
            (Method::PUT, &[("sec-fetch-dest", "empty")], false, "Fetch Metadata without a site"),
            (Method::POST, &[("referer", "https://app.example/form")], true, "an old browser's own form"),
            (Method::POST, &[("referer", "https://app.example")], false, "no page"),
            (Method::POST, &[("referer", "https://app.example.evil.example/")], false, "a longer origin"),
            (Method::POST, &[("referer", "https://evil.example/https://app.example/")], false, "another site's page"),
            (Method::DELETE, &[("referer", "https://evil.example/")], false, "another site's page"),
            (Method::POST, &[("referer", "https://app.example/"), ("origin", "null")], false, "both"),
            (method("PROPFIND"), &[("origin", "https://evil.example")], true, "safe"),
            (method("REPORT"), &[], true, "safe"),
            (method("SEARCH"), &[("sec-fetch-site", "cross-site")], true, "safe"),
            (method("MKCOL"), &[("origin", "https://evil.example")], false, "another site's script"),
            (method("PROPPATCH"), &[("sec-fetch-site", "same-site")], false, "a sibling's script"),
        ];
        for (method, headers, expected, why) in table.iter().cloned() {
            let req = headers.iter().fold(TestRequest::default().method(method), |req, pair| req.append_header(*pair));
            assert_eq!(check_request(&req.to_http_request(), &origin).is_ok(), expected, "{why}");
        }
    }

    #[test]
    fn a_referrer_of_ours_is_a_path_and_any_other_is_none() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let table = [
            ("https://app.example/form?a=1", Some("/form?a=1"), "a page of ours"),
            ("https://app.example", None, "no page"),
            ("https://app.example.evil.example/", None, "a longer origin"),
            ("https://evil.example/https://app.example/", None, "another site's page"),
        ];
        for (referrer, expected, why) in table {
            let req = TestRequest::default().insert_header(("referer", referrer)).to_http_request();
            assert_eq!(same_origin_referrer(&req, &origin), expected, "{why}");
        }
        assert_eq!(same_origin_referrer(&TestRequest::default().to_http_request(), &origin), None, "no header");
    }

    #[test]
    fn a_client_that_is_no_browser_may_send_what_no_form_can() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let table: &[Row] = &[
            (Method::PUT, &[], true, "WebDAV"),
            (Method::DELETE, &[], true, "WebDAV"),
            (method("MKCOL"), &[], true, "WebDAV"),
            (method("PROPPATCH"), &[("content-type", "application/xml")], true, "WebDAV"),
            (method("LOCK"), &[("content-type", "text/xml")], true, "WebDAV"),
            (method("BREW"), &[], true, "an unknown method"),
            (Method::POST, &[("content-type", "application/json")], true, "a program"),
            (Method::POST, &[], false, "nothing said"),
            (Method::POST, &[("content-type", "")], false, "nothing said"),
            (Method::POST, &[("content-type", "application/x-www-form-urlencoded")], false, "a form"),
            (Method::POST, &[("content-type", "Multipart/Form-Data; boundary=x")], false, "a form"),
            (Method::POST, &[("content-type", "text/plain;charset=utf-8")], false, "a form"),
            (Method::POST, &[("content-type", "text/plain, application/json")], false, "a form, to some"),
            (Method::POST, &[("content-type", "text/ping")], false, "a link's ping"),
        ];
        for (method, headers, expected, why) in table.iter().cloned() {
            let req = headers.iter().fold(TestRequest::default().method(method), |req, pair| req.insert_header(*pair));
            assert_eq!(check_request(&req.to_http_request(), &origin).is_ok(), expected, "{why}");
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

        assert_eq!(check_request(&req, &"https://app.example".parse().unwrap()), Err(CsrfRejection));
    }
}
