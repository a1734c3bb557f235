//! The headers of a request as a table: whose each one is, and enough of its value to know it.

use std::fmt::Write;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::page::escape;

/// A longer value is cut: nobody reads a token, and its claims are shown beside the table.
const SHOWN: usize = 84;

/// Who wrote a header, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    Identity,
    Handler,
    Application,
    Browser,
}

/// Every header of the request, those about the person first.
pub(super) fn received(req: &HttpRequest) -> String {
    let mut rows: Vec<_> = req.headers().iter().map(|(name, value)| (writer(name), name, shown(value))).collect();
    rows.sort_by(|a, b| (a.0, a.1.as_str()).cmp(&(b.0, b.1.as_str())));
    let mut html = String::new();
    for (writer, name, value) in rows {
        let (class, mark) = match writer {
            Writer::Identity => ("identity", r#"<span class="mark">who you are</span>"#),
            Writer::Handler => ("handler", ""),
            Writer::Application => ("app", r#"<span class="mark">its own</span>"#),
            Writer::Browser => ("browser", ""),
        };
        let (name, value) = (escape(name.as_str()), escape(&value));
        let _ = write!(html, r#"<tr class="{class}"><th scope="row">{name}{mark}</th><td>{value}</td></tr>"#);
    }
    html
}

/// The handler takes a client's own `Authorization`, `X-Proxy-*` and `X-Forwarded-*` away before it writes them.
fn writer(name: &HeaderName) -> Writer {
    match name.as_str() {
        "authorization" => Writer::Identity,
        name if name.starts_with("x-proxy-") => Writer::Identity,
        name if name.starts_with("x-forwarded-") => Writer::Handler,
        "cookie" => Writer::Application,
        _ => Writer::Browser,
    }
}

fn shown(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    let length = text.chars().count();
    if length <= SHOWN {
        return text.into_owned();
    }
    let start: String = text.chars().take(SHOWN / 2).collect();
    format!("{start}… ({length} characters)")
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

        assert!(html.starts_with(r#"<tr class="identity"><th scope="row">x-proxy-id-token-name"#), "{html}");
        assert!(html.contains("<td>&lt;b&gt;</td>"), "{html}");
    }

    #[test]
    fn a_long_value_is_cut() {
        let req = TestRequest::default().insert_header(("authorization", "x".repeat(600))).to_http_request();

        assert!(received(&req).contains("xx… (600 characters)"));
    }
}
