//! WebSocket handshake of a client (RFC 6455 4.2.1), and the page that may send one.
//!
//! Knows nothing of the socket behind it.

use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::HttpRequest;
use actix_web::http::{Method, Version, header};

use super::csrf::CsrfRejection;
use super::single_header;
use crate::clock::Timestamp;
use crate::public_origin::PublicOrigin;

/// True for `GET`, HTTP/1.1, `Connection: Upgrade` and `Upgrade: websocket`. Any other upgrade is ignored, as a
/// server may (RFC 9110 7.8).
#[must_use]
pub fn is_websocket_handshake(req: &HttpRequest) -> bool {
    let Some(protocol) = req.headers().get(header::UPGRADE) else { return false };
    protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
        && req.headers().get_all(header::UPGRADE).count() == 1
        && req.method() == Method::GET
        && req.version() == Version::HTTP_11
        && req.head().upgrade()
}

/// True for a handshake, even if a hop has removed its `Upgrade`, as the Functions host does.
#[must_use]
pub fn was_websocket_handshake(req: &HttpRequest) -> bool {
    req.method() == Method::GET && req.headers().contains_key(header::SEC_WEBSOCKET_KEY) || is_websocket_handshake(req)
}

/// Accepts a handshake of our own pages. No browser policy keeps another site's script from opening a socket to us, and
/// a sibling's carries our cookie.
///
/// # Errors
/// If `Origin` is another, missing or repeated. RFC 6455 4.1: every browser sends one; another client has to.
pub fn check_websocket_origin(req: &HttpRequest, origin: &PublicOrigin) -> Result<(), CsrfRejection> {
    if single_header(req, header::ORIGIN) == Some(origin.as_str()) { Ok(()) } else { Err(CsrfRejection) }
}

/// Rate limit of the warning about handshakes that a hop in front does not pass: one a minute, since a page without its
/// socket retries again and again.
#[derive(Debug)]
pub struct WebSocketWarning {
    next_at: AtomicI64,
}

impl WebSocketWarning {
    /// True if the last warning was a minute ago or more; this one counts as written.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let next_at = self.next_at.load(Ordering::Relaxed);
        let later = now.as_unix() + WARNING_INTERVAL_SECONDS;
        now.as_unix() >= next_at
            && self.next_at.compare_exchange(next_at, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for WebSocketWarning {
    fn default() -> Self {
        Self { next_at: AtomicI64::new(i64::MIN) }
    }
}

const WARNING_INTERVAL_SECONDS: i64 = 60;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    type Row = (&'static [(&'static str, &'static str)], bool, &'static str);

    fn request(headers: &[(&'static str, &'static str)]) -> TestRequest {
        headers.iter().fold(TestRequest::get(), |request, header| request.append_header(*header))
    }

    #[test]
    fn only_an_offer_of_websocket_alone_is_a_handshake() {
        let table: &[Row] = &[
            (&[("connection", "Upgrade"), ("upgrade", "websocket")], true, "a browser's"),
            (&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket ")], true, "any case, in a list"),
            (&[("upgrade", "websocket")], false, "no Connection"),
            (&[("connection", "Upgrade")], false, "no Upgrade"),
            (&[("connection", "keep-alive"), ("upgrade", "websocket")], false, "another Connection"),
            (&[("connection", "Upgrade"), ("upgrade", "h2c")], false, "another protocol"),
            (&[("connection", "Upgrade"), ("upgrade", "websocket, h2c")], false, "a choice"),
            (&[("connection", "Upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")], false, "a choice in two"),
            (&[("connection", "Upgrade"), ("upgrade", "websocket/13")], false, "another version of the protocol"),
        ];
        for (headers, expected, why) in table {
            assert_eq!(is_websocket_handshake(&request(headers).to_http_request()), *expected, "{why}");
        }
        let headers = [("connection", "Upgrade"), ("upgrade", "websocket")];
        let post = request(&headers).method(Method::POST).to_http_request();
        let old = request(&headers).version(Version::HTTP_10).to_http_request();
        assert!(!is_websocket_handshake(&post) && !is_websocket_handshake(&old), "RFC 6455 4.2.1: GET and HTTP/1.1");
    }

    #[test]
    fn a_handshake_is_recognised_without_its_upgrade() {
        assert!(was_websocket_handshake(
            &request(&[("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA==")]).to_http_request()
        ));
        assert!(!was_websocket_handshake(&request(&[("sec-websocket-protocol", "mqtt")]).to_http_request()));
    }

    #[test]
    fn one_warning_a_minute_is_due() {
        let warning = WebSocketWarning::default();
        let at = |seconds: i64| Timestamp::from_unix(1_800_000_000 + seconds);

        let due = [0, 1, 59, 60, 61, 200].map(|seconds| warning.is_due(at(seconds)));

        assert_eq!(due, [true, false, false, true, false, true]);
    }

    #[test]
    fn only_pages_of_the_public_origin_open_sockets() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let table: &[Row] = &[
            (&[("origin", "https://app.example")], true, "our own page"),
            (&[], false, "no browser"),
            (&[("origin", "https://evil.example")], false, "another site"),
            (&[("origin", "https://www.app.example")], false, "a sibling"),
            (&[("origin", "http://app.example")], false, "another scheme"),
            (&[("origin", "https://app.example:8443")], false, "another port"),
            (&[("origin", "https://app.example.evil.example")], false, "a longer name"),
            (&[("origin", "null")], false, "a sandboxed page"),
            (&[("origin", "https://app.example"), ("origin", "https://app.example")], false, "two"),
            (&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false, "Origin decides"),
        ];
        for (headers, expected, why) in table {
            let request = request(headers).to_http_request();
            assert_eq!(check_websocket_origin(&request, &origin).is_ok(), *expected, "{why}");
        }
    }
}
