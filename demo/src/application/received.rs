//! The headers of a request as a table: whose each one is, and enough of its value to know it.

use std::fmt::Write;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use oauth_proxy::web::escape;

use crate::cookies::cookies;
/// A longer value is cut: nobody reads a token, and its claims are shown beside the table.
const SHOWN: usize = 48;

/// Author of a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The handler, about the person.
    Identity,
    /// The handler, about the request.
    Handler,
    /// The application itself, earlier.
    Application,
    Browser,
}

/// Every header of the request in tables by writer, those about the person first.
pub(super) fn received(req: &HttpRequest) -> String {
    let mut html = String::new();
    for (writer, part, title) in [
        (Writer::Identity, "handler", "Who you are, written by the handler"),
        (Writer::Handler, "handler", "How you came, written by the handler"),
        (Writer::Application, "app", "Cookies, without the handler's own"),
    ] {
        if let Some(table) = table(req, writer, part) {
            let _ = write!(html, r#"<h3 class="{part}">{title}</h3>{table}"#);
        }
    }
    if let Some(table) = table(req, Writer::Browser, "browser") {
        let _ = write!(
            html,
            r#"<details class="browser"><summary>From your browser, as it was</summary>{table}</details>"#
        );
    }
    html
}

fn table(req: &HttpRequest, of: Writer, part: &str) -> Option<String> {
    let mut rows: Vec<(String, String)> = match of {
        Writer::Application => cookies(req).map(|(name, value)| (escape(name), shown(value))).collect(),
        Writer::Identity | Writer::Handler | Writer::Browser => {
            let headers = req.headers().iter().filter(|(name, _)| writer(name, req) == of);
            headers.map(|(name, value)| (name.to_string(), shown(&String::from_utf8_lossy(value.as_bytes())))).collect()
        }
    };
    rows.sort();
    let mut html = String::new();
    for (name, value) in &rows {
        let _ = write!(html, r#"<tr><th scope="row">{name}</th><td>{value}</td></tr>"#);
    }
    (!rows.is_empty()).then(|| format!(r#"<table class="{part}"><tbody>{html}</tbody></table>"#))
}

/// The handler takes a client's own `Authorization`, `X-Proxy-*` and `X-Forwarded-*` away before it writes them.
fn writer(name: &HeaderName, req: &HttpRequest) -> Writer {
    match name.as_str() {
        "authorization" => Writer::Identity,
        name if name.starts_with("x-proxy-") => Writer::Identity,
        name if name.starts_with("x-forwarded-") => Writer::Handler,
        "host" if req.headers().contains_key("x-forwarded-host") => Writer::Handler,
        "cookie" => Writer::Application,
        _ => Writer::Browser,
    }
}

fn shown(text: &str) -> String {
    let length = text.chars().count();
    if length <= SHOWN {
        return escape(text);
    }
    let start: String = text.chars().take(SHOWN / 2).collect();
    format!(r#"{}… <span class="soft">{length} characters</span>"#, escape(&start))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::received;

    #[test]
    fn the_person_comes_first_and_no_value_is_markup() {
        let req = TestRequest::default()
            .insert_header(("accept", "<b>"))
            .insert_header(("x-proxy-id-token-name", "Ada"))
            .to_http_request();

        let html = received(&req);

        assert!(html.starts_with(r#"<h3 class="handler">Who you are"#), "{html}");
        assert!(html.contains("<td>&lt;b&gt;</td>"), "{html}");
    }

    #[test]
    fn every_cookie_has_its_row() {
        let req = TestRequest::default().insert_header(("cookie", "b=2; a=1")).to_http_request();

        let html = received(&req);

        assert!(html.contains(r#"<tr><th scope="row">a</th><td>1</td></tr><tr><th scope="row">b</th>"#), "{html}");
    }

    #[test]
    fn a_long_value_is_cut() {
        let req = TestRequest::default().insert_header(("authorization", "x".repeat(600))).to_http_request();

        assert!(received(&req).contains("600 characters"));
    }
}
