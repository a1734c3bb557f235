//! Resource isolation by Fetch Metadata: pages of other sites can neither embed nor fetch an isolated route.
//!
//! Reads request headers only. It refuses reads; `csrf` refuses writes.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use super::header_names::{SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};
use super::request::{single_value, text_value};

/// Error for a request of another site that is not a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page of another site asks for a resource of an isolated route")]
pub struct CrossSiteRejection;

/// Accepts requests of our own pages, of the person and of clients without Fetch Metadata. From other sites only `GET`
/// navigations: links, and frames where the Upstream allows them. A sibling subdomain is another site.
///
/// # Errors
/// For images, scripts, fetches, plugins and preflights of another site, and where the browser names itself twice.
pub fn check_isolation(method: &Method, headers: &HeaderMap) -> Result<(), CrossSiteRejection> {
    if !headers.contains_key(SEC_FETCH_SITE) {
        return Ok(());
    }
    let is_own = matches!(single_value(headers, SEC_FETCH_SITE), Some("same-origin" | "none"));
    if is_own || is_visit(method, headers) { Ok(()) } else { Err(CrossSiteRejection) }
}

/// True for a navigation that isn't the content of `<object>` or `<embed>` (Fetch Metadata 2.2, 2.4).
fn is_visit(method: &Method, headers: &HeaderMap) -> bool {
    let is_plugin = text_value(headers, SEC_FETCH_DEST).is_some_and(|dest| matches!(dest, "object" | "embed"));
    *method == Method::GET && single_value(headers, SEC_FETCH_MODE) == Some("navigate") && !is_plugin
}

#[cfg(test)]
mod tests {
    use actix_web::HttpRequest;
    use actix_web::test::TestRequest;

    use super::*;

    fn check(req: &HttpRequest) -> Result<(), CrossSiteRejection> {
        check_isolation(req.method(), req.headers())
    }

    #[test]
    fn other_sites_visit_and_embed_nothing() {
        let get = Method::GET;
        for (method, site, mode, dest, expected, reason) in [
            (&get, "same-origin", "cors", "empty", true, "our own script"),
            (&get, "none", "navigate", "document", true, "the address bar"),
            (&get, "cross-site", "navigate", "document", true, "a link"),
            (&get, "same-site", "navigate", "document", true, "a link of a sibling"),
            (&get, "cross-site", "navigate", "iframe", true, "a frame, which CSP decides about"),
            (&get, "cross-site", "no-cors", "image", false, "an image"),
            (&get, "cross-site", "no-cors", "script", false, "a script: JSON as code"),
            (&get, "cross-site", "cors", "empty", false, "a fetch"),
            (&get, "cross-site", "cors", "font", false, "a font"),
            (&get, "cross-site", "websocket", "websocket", false, "a socket"),
            (&get, "same-site", "no-cors", "image", false, "an image of a sibling"),
            (&get, "cross-site", "navigate", "object", false, "a plugin"),
            (&get, "cross-site", "navigate", "embed", false, "the same"),
            (&get, "cross-site", "", "", false, "nothing says what for"),
            (&Method::HEAD, "cross-site", "no-cors", "empty", false, "timing by HEAD"),
            (&Method::OPTIONS, "cross-site", "cors", "empty", false, "a preflight"),
            (&Method::POST, "cross-site", "navigate", "document", false, "a form of another site"),
            (&get, "nonsense", "cors", "empty", false, "a site that is none"),
        ] {
            let request = TestRequest::with_uri("/").method(method.clone()).insert_header(("sec-fetch-site", site));
            let request = request.insert_header(("sec-fetch-mode", mode)).insert_header(("sec-fetch-dest", dest));

            assert_eq!(check(&request.to_http_request()).is_ok(), expected, "{reason}");
        }
        assert_eq!(check(&TestRequest::get().to_http_request()), Ok(()), "no Fetch Metadata");
    }

    #[test]
    fn a_browser_that_names_its_site_twice_is_refused() {
        let request = TestRequest::get().append_header(("sec-fetch-site", "same-origin"));
        let request = request.append_header(("sec-fetch-site", "cross-site"));

        assert_eq!(check(&request.to_http_request()), Err(CrossSiteRejection));
    }
}
