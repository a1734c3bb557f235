//! All of the URL space is the application's: targets in the bytes that the browser sent, paths that the Functions host
//! keeps for itself, every method, and header bytes that the host cannot write.

use std::io::Write;

use support::{Browser, Handler, Provider, Response, Upstream};

const PREFIX: &str = "/private-7c1f";

struct Fixture {
    upstream: Upstream,
    handler: Handler,
    browser: Browser,
}

impl Fixture {
    /// Someone signed in behind Azure's front end and the gateway; `None` where there is no stand-in for them.
    fn on_azure() -> Option<Self> {
        Self::start(Upstream::start(), PREFIX, |settings| Handler::start_on_azure(PREFIX, settings))
    }

    /// The handler by itself, and behind the Functions host of a developer.
    fn elsewhere(upstream: impl Fn() -> Upstream) -> Vec<Self> {
        let direct = Self::start(upstream(), "", |settings| Some(Handler::start(settings)));
        let behind_host = Self::start(upstream(), "", Handler::start_behind_the_host);
        direct.into_iter().chain(behind_host).collect()
    }

    fn start(upstream: Upstream, path: &str, start: impl FnOnce(&[(&str, &str)]) -> Option<Handler>) -> Option<Self> {
        let provider = Provider::start();
        let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("LOG", "warn")];
        let handler = start(&[&settings[..], &provider.settings()[..]].concat())?;
        let mut browser = Browser::behind_gateway(&handler.origin, path);
        browser.sign_in("/sign-in-done", &provider);
        Some(Self { upstream, handler, browser })
    }

    /// The request line that the application gets.
    fn forwarded(&mut self, target: &str) -> String {
        let response = self.browser.fetch(target);
        assert_eq!(response.status, 200, "{target}");
        self.upstream.last().request_line
    }

    /// A request around the gateway, to the host itself.
    fn around_the_gateway(&self, target: &str) -> Response {
        let mut browser = Browser::new(&self.handler.origin);
        browser.cookies.clone_from(&self.browser.cookies);
        browser.fetch(target)
    }
}

#[test]
fn targets_reach_the_application_in_the_bytes_that_the_browser_sent() {
    let Some(mut fixture) = Fixture::on_azure() else { return };
    for target in [
        "/",
        "/?x=1",
        "/a%2Fb",
        "/a%252Fb",
        "/%7Ea",
        "/a%3Ab;c=1",
        "/%e2%82%ac",
        "/%C3%28",
        "/a|b",
        "/a[b]",
        "/a//b",
        "/a//",
        "/a%20b+c",
        "/100%25",
        "/D%5Cuser",
        "/a%3Fb%23c",
        "/a?q=100%",
        "/a?q=%zz",
        "/a?x=%7E%2f&y=%26&x=2",
        "/a?x=[1]|^`{}",
        "/a?u=https://x.example/?y",
        "/a?empty=&novalue&=x",
        "/api/datasources/proxy/2//search",
        "/image/https%3A%2F%2Fh%2Fa.png",
        "/list?filter[status]=open",
    ] {
        assert_eq!(fixture.forwarded(target), format!("GET {target}"));
    }
}

#[test]
fn paths_that_the_host_keeps_for_itself_elsewhere_are_the_applications() {
    let Some(mut fixture) = Fixture::on_azure() else { return };
    for target in
        ["/admin/", "/admin/host/status", "/Admin", "/runtime/webhooks/x", "/.auth/me", "/.auth/login/aad", PREFIX]
    {
        assert_eq!(fixture.forwarded(target), format!("GET {target}"));
    }
    assert_eq!(fixture.browser.fetch("/oauth/me").status, 200, "our own URLs are below the prefix, too");
}

#[test]
fn nothing_is_there_but_below_the_prefix() {
    let Some(fixture) = Fixture::on_azure() else { return };
    let before = fixture.upstream.received().len();
    for target in [
        "/a",
        "/oauth/me",
        "/private-7c1fx/a",
        "/PRIVATE-7C1F/a",
        "/private-7c1f%2Fa",
        "//private-7c1f/a",
        "/private-7c1f/../a",
        "/private-7c1f/%2e%2e/a",
    ] {
        assert_eq!(fixture.around_the_gateway(target).status, 404, "{target}");
    }
    assert_eq!(fixture.upstream.received().len(), before);
}

#[test]
fn a_restored_target_is_checked_like_any_other() {
    let Some(mut fixture) = Fixture::on_azure() else { return };
    let before = fixture.upstream.received().len();
    for (target, status, why) in [
        ("/a/..%2Fb", 400, "a dot segment behind an encoded slash"),
        ("/a%2F..%2Fb", 400, "a dot segment between two"),
        ("/a/..;/b", 400, "a dot segment with parameters"),
        ("/a%0ab", 400, "an encoded control byte"),
        ("/%6Fauth/me", 404, "another spelling of our own prefix"),
        ("/%6Fauth%2Fme", 404, "the same"),
    ] {
        assert_eq!(fixture.browser.fetch(target).status, status, "{target}: {why}");
    }
    assert_eq!(fixture.upstream.received().len(), before);
}

#[test]
fn a_sign_in_leads_back_to_the_bytes_that_the_browser_sent() {
    let Some(fixture) = Fixture::on_azure() else { return };

    let to_signin = Browser::behind_gateway(&fixture.handler.origin, PREFIX).navigate("/a%2Fb?q=~");

    assert_eq!(to_signin.header("location"), Some("/oauth/signin?redirect=%2Fa%252Fb%3Fq%3D%7E"));
}

#[test]
fn a_header_that_a_client_makes_up_leads_to_no_other_target() {
    for mut fixture in Fixture::elsewhere(Upstream::start) {
        for (target, named) in [
            ("/public", "/admin"),
            ("/a", "/a?x=1"),
            ("/a?x=1", "/a?x=2"),
            ("/a", "/a/../b"),
            ("/a%252Fb", "/a/b"),
            ("/a", "/oauth/me"),
            ("/a", "http://evil.example/a"),
        ] {
            fixture.browser.send("GET", target, &[("x-waws-unencoded-url", named)], b"");
            assert_eq!(fixture.upstream.last().request_line, format!("GET {target}"), "{named}");
        }
        let names: Vec<String> = fixture.upstream.last().headers.into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.starts_with("x-waws")), "{names:?}");
    }
}

#[test]
fn every_method_reaches_the_application_and_those_of_a_client_that_is_no_browser() {
    let webdav = [
        "PROPFIND",
        "REPORT",
        "SEARCH",
        "QUERY",
        "MKCOL",
        "PROPPATCH",
        "LOCK",
        "UNLOCK",
        "COPY",
        "MOVE",
        "PUT",
        "DELETE",
        "PATCH",
        "BASELINE-CONTROL",
        "X-OWN",
    ];
    for mut fixture in Fixture::elsewhere(Upstream::start) {
        for method in webdav {
            let response = fixture.browser.send(method, "/dav/a", &[("content-length", "0")], b"");
            assert_eq!(response.status, 200, "{method}");
            assert_eq!(fixture.upstream.last().request_line, format!("{method} /dav/a"));
        }
    }
}

#[test]
fn another_sites_page_sends_safe_methods_alone() {
    for mut fixture in Fixture::elsewhere(Upstream::start) {
        for (method, status) in [
            ("PROPFIND", 200),
            ("REPORT", 200),
            ("SEARCH", 200),
            ("MKCOL", 403),
            ("PROPPATCH", 403),
            ("LOCK", 403),
            ("PUT", 403),
            ("X-OWN", 403),
        ] {
            for headers in [
                [("sec-fetch-site", "cross-site")],
                [("origin", "https://evil.example")],
                [("referer", "https://evil.example/")],
            ] {
                let response =
                    fixture.browser.send(method, "/dav/a", &[&headers[..], &[("content-length", "0")]].concat(), b"");
                assert_eq!(response.status, status, "{method} {headers:?}");
            }
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(fixture.browser.send("POST", "/form", &form, b"a=1").status, 403, "a form that names no origin");
    }
}

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"caf\xc3\xa9.txt\"\r\n\
    Set-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nX-Name: J\xc3\xb3zef\r\nX-Plain: a\tb\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_response_header_beyond_ascii_is_never_a_bare_500() {
    let fixtures = Fixture::elsewhere(|| Upstream::responding(|_, _, stream| stream.write_all(RESPONSE).is_ok()));
    for (index, mut fixture) in fixtures.into_iter().enumerate() {
        let is_direct = index == 0;

        let response = fixture.browser.fetch("/file");
        fixture.browser.fetch("/file");

        assert_eq!((response.status, response.text().as_str(), response.header("x-plain")), (200, "ok", Some("a\tb")));
        let disposition = if is_direct {
            "attachment; filename=\"café.txt\""
        } else {
            "attachment; filename=\"caf_.txt\"; filename*=UTF-8''caf%C3%A9.txt"
        };
        assert_eq!(response.header("content-disposition"), Some(disposition));
        assert_eq!(response.header("x-name"), is_direct.then_some("Józef"));
        assert_eq!(response.headers_named("set-cookie").count(), if is_direct { 2 } else { 1 });
        let warnings = fixture.handler.output().text().matches("response_header_not_ascii").count();
        assert_eq!(warnings, usize::from(!is_direct), "one warning a minute");
    }
}
