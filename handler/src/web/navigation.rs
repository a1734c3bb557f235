//! Detection of navigations: requests whose response a person sees, as opposed to those of scripts.
//!
//! A script gets 401 and a problem document, never a redirect to a sign-in page that it can't show.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::header_names::SEC_FETCH_MODE;
use super::header_text;

/// True if the response becomes a page (Fetch Metadata, or `Accept` from browsers without it).
#[must_use]
pub fn is_navigation(req: &HttpRequest) -> bool {
    match header_text(req, SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate" && !is_prefetch(req),
        None => {
            let accepts_html = header_text(req, header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
            accepts_html && !req.headers().contains_key("x-requested-with")
        }
    }
}

/// True if the browser itself says that no person waits for the response.
#[must_use]
pub fn is_background(req: &HttpRequest) -> bool {
    req.headers().contains_key(SEC_FETCH_MODE) && !is_navigation(req)
}

fn is_prefetch(req: &HttpRequest) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .any(|name| header_text(req, *name).is_some_and(|value| value.contains("prefetch")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    type Row = (&'static [(&'static str, &'static str)], bool, &'static str);

    #[test]
    fn who_waits_for_the_answer_is_told_by_the_headers() {
        let table: &[Row] = &[
            (&[("sec-fetch-mode", "navigate")], true, "a browser's navigation"),
            (&[("sec-fetch-mode", "cors"), ("accept", "text/html")], false, "a fetch that asks for HTML"),
            (&[("sec-fetch-mode", "no-cors")], false, "an image"),
            (&[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")], false, "a prefetch"),
            (&[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch;prerender")], false, "a prerender"),
            (&[("accept", "text/html,*/*;q=0.8")], true, "an older browser"),
            (&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], false, "an older script"),
            (&[("accept", "*/*")], false, "curl"),
            (&[], false, "nothing said"),
        ];
        for (headers, expected, why) in table {
            let req = headers.iter().fold(TestRequest::get(), |req, header| req.insert_header(*header));
            assert_eq!(is_navigation(&req.to_http_request()), *expected, "{why}");
        }
    }
}
