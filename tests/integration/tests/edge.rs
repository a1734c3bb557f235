//! Hostile requests: they cost little, prove nothing, and never block for ever.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::{Browser, Handler, LIMIT, Provider, Response, Upstream, read_response, run_to_end, wait_until};

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

/// A handler before one Upstream: `/` needs a session, `/public` doesn't, `/isolated` is that.
fn fixture(more: &[(&str, &str)]) -> Fixture {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let url = &upstream.url;
    let routes = format!(
        r#"[{{"path":"/","upstream":"{url}"}},
            {{"path":"/isolated","upstream":"{url}","isolate":true}},
            {{"path":"/public","upstream":"{url}","access":"anonymous"}}]"#
    );
    let handler = Handler::start(&[&[("ROUTES", routes.as_str())], &provider.settings()[..], more].concat());
    Fixture { provider, upstream, handler }
}

impl Fixture {
    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        browser.sign_in("/", &self.provider);
        browser
    }

    /// Writes these bytes on a connection of their own.
    fn write(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.handler.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    fn send(&self, bytes: &[u8]) -> Response {
        read_response(&self.write(bytes), "POST").unwrap()
    }

    fn wait_for_log(&self, text: &str) {
        wait_until(&format!("the log has {text}"), || self.handler.output().text().contains(text));
    }
}

fn outcome(response: &Response) -> (u16, Option<String>) {
    (response.status, response.json()["code"].as_str().map(str::to_owned))
}

fn refused(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}

#[test]
fn the_gateways_proof_comes_before_the_target_is_read() {
    let fixture = fixture(&[
        ("GATEWAY_PROOF", "shared_secret"),
        ("GATEWAY_PROOF_SECRETS", "a-secret-of-the-gateway-of-forty-letters"),
    ]);
    let nested = format!("/%{}41", "25".repeat(20_000));
    let mut stranger = Browser::new(&fixture.handler.origin);

    for target in ["/a/../b", "/%zz", nested.as_str(), "/oauth/health/live/../x", "/oauth/health/l%69ve"] {
        assert_eq!(
            outcome(&stranger.fetch(target)),
            refused(403, "gateway_proof_missing"),
            "{}",
            &target[..12.min(target.len())]
        );
    }
    let proof = [("x-gateway-token", "a-secret-of-the-gateway-of-forty-letters")];
    assert_eq!(outcome(&stranger.send("GET", "/a/../b", &proof, b"")), refused(400, "target_dot_segment"));
    assert_eq!(stranger.fetch("/oauth/health/live").status, 200);
}

#[test]
fn headers_that_a_client_could_forge_are_stripped_and_the_lists_decide_about_others() {
    let fixture = fixture(&[("STRIP_HEADERS", "x-acme-*, x-tenant-id"), ("KEEP_HEADERS", "x-http-method-override")]);
    let mut browser = fixture.signed_in();
    let forged =
        ["iv-user", "x-user-roles", "x-email", "oam-remote-user", "x-acme-role", "x-tenant-id", "x-method-override"];
    let kept = ["x-http-method-override", "x-csrf-token", "x-requested-with", "hx-request", "x-request-id", "depth"];
    let headers: Vec<(&str, &str)> = forged.iter().chain(&kept).map(|name| (*name, "value")).collect();

    browser.send("GET", "/page", &headers, b"");

    let received = fixture.upstream.last();
    assert_eq!(forged.map(|name| received.header(name)), [None; 7]);
    assert_eq!(kept.map(|name| received.header(name)), [Some("value"); 6]);
}

#[test]
fn a_spelling_of_a_session_route_below_an_anonymous_one_needs_the_session() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let url = &upstream.url;
    let routes =
        format!(r#"[{{"path":"/","upstream":"{url}","access":"anonymous"}},{{"path":"/admin","upstream":"{url}"}}]"#);
    let handler = Handler::start(&[&[("ROUTES", routes.as_str())], &provider.settings()[..]].concat());
    let mut stranger = Browser::new(&handler.origin);

    for path in
        ["/admin.aspx", "/(S(x))/admin", "/ADMIN::$DATA", "/index.php/admin", "/%EF%BD%81dmin", "/adm%25252569n"]
    {
        assert_eq!(outcome(&stranger.fetch(path)), refused(401, "session_required"), "{path}");
    }
    assert_eq!(outcome(&stranger.fetch("/%C1%A1dmin")), refused(400, "target_ambiguous"));
    assert_eq!(stranger.fetch("/administrators/caf%C3%A9").status, 200);
    assert_eq!(upstream.received().len(), 1);
    wait_until("the risky order is warned of", || handler.output().text().contains("a spelling of it"));
}

#[test]
fn check_warns_of_what_an_operator_should_know() {
    let settings = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("OIDC_ISSUER_URL", "http://127.0.0.1:9"),
        ("CLIENT_ID", "client"),
        ("LISTEN_ADDR", "0.0.0.0:7071"),
        (
            "ROUTES",
            r#"[{"path":"/","upstream":"http://app.internal:9","access":"anonymous"},{"path":"/admin","upstream":"http://127.0.0.1:9"}]"#,
        ),
    ];

    let (_, stdout, _) = run_to_end(&["check"], &settings);

    let notes: Vec<&str> = stdout.lines().filter(|line| line.starts_with("note")).collect();
    for about in ["\"/admin\" needs a session below", "app.internal:9 over plain http", "whoever reaches LISTEN_ADDR"] {
        assert!(notes.iter().any(|note| note.contains(about)), "{about}: {notes:?}");
    }
    assert!(!notes.iter().any(|note| note.contains("127.0.0.1:9 over plain http")), "{notes:?}");
}

#[test]
fn a_length_goes_out_as_a_number_and_what_is_none_is_refused() {
    let fixture = fixture(&[]);
    let head = "POST /public HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";

    let padded = fixture.send(format!("{head}content-length: 0010\r\n\r\n0123456789").as_bytes());

    assert_eq!((padded.status, fixture.upstream.last().header("content-length")), (200, Some("10")));
    for length in ["+3", "-3", "3,3", "0x3", "3 ", ""] {
        let response = fixture.send(format!("{head}content-length: {length}\r\nx: y\r\n\r\nabc").as_bytes());
        let passes = length.trim() == "3"; // RFC 9110 5.5: blanks around a value are no part of it
        assert_eq!(response.status, if passes { 200 } else { 400 }, "{length:?}");
    }
}

#[test]
fn a_connection_header_of_many_names_is_refused() {
    let fixture = fixture(&[]);
    let mut stranger = Browser::new(&fixture.handler.origin);
    let many = "a,".repeat(33);

    let response = stranger.send("GET", "/public", &[("connection", many.as_str())], b"");

    assert_eq!(outcome(&response), refused(400, "bad_request"));
}

#[test]
fn malformed_chunks_are_refused_or_logged_and_never_look_complete() {
    let fixture = fixture(&[]);
    for chunks in ["zz\r\nab\r\n", "-1\r\nab\r\n", "fffffffffffffffffff\r\nab\r\n", "2\r\nabX\r\n0\r\n\r\n"] {
        let request = "POST /public HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";

        let mut response = Vec::new();
        let _ = fixture.write(format!("{request}{chunks}").as_bytes()).read_to_end(&mut response);

        assert!(!response.starts_with(b"HTTP/1.1 200"), "{chunks:?}: {}", String::from_utf8_lossy(&response));
    }
    fixture.wait_for_log("request_aborted");
    let form = "POST /oauth/callback HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(outcome(&fixture.send(form.as_bytes())), refused(400, "form_incomplete"));
    let large = "POST /oauth/callback HTTP/1.1\r\nhost: h\r\ncontent-length: 65537\r\n\r\n";
    assert_eq!(outcome(&fixture.send(large.as_bytes())), refused(413, "form_too_large"));
}

#[test]
fn stuck_forms_are_bounded_in_number_and_take_no_place_of_another_kind() {
    let fixture = fixture(&[]);
    let post = |path: &str, rest: &str| {
        let form = "content-type: application/x-www-form-urlencoded\r\norigin";
        format!("POST {path} HTTP/1.1\r\nhost: h\r\n{form}: {}\r\n{rest}", fixture.handler.origin)
    };
    let stuck = post("/oauth/backchannel-logout", "content-length: 9\r\n\r\n");
    let _open: Vec<_> = (0..128).map(|_| fixture.write(stuck.as_bytes())).collect();

    let one_more = post("/oauth/backchannel-logout", "content-length: 1\r\n\r\nx");
    let kept = post("/oauth/resend", "content-length: 1\r\n\r\nx");

    wait_until("no more are read", || outcome(&fixture.send(one_more.as_bytes())) == refused(503, "form_busy"));
    assert_eq!(outcome(&fixture.send(kept.as_bytes())), refused(400, "kept_form_invalid"));
}

#[test]
fn nothing_waits_for_a_stranger_for_ever() {
    let upstream_waits = Upstream::responding(|request, reader, stream| {
        request.read_body(reader);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok()
    });
    let provider = Provider::start();
    let routes = format!(r#"[{{"path":"/","upstream":"{}","access":"anonymous"}}]"#, upstream_waits.url);
    let limits = [
        ("CLIENT_HEADER_TIMEOUT", "1s"),
        ("CLIENT_BODY_TIMEOUT", "1s"),
        ("FORM_TIMEOUT", "1s"),
        ("CLIENT_IDLE_TIMEOUT", "1s"),
    ];
    let handler = Handler::start(&[&[("ROUTES", routes.as_str())], &limits[..], &provider.settings()[..]].concat());
    let fixture = Fixture { provider, upstream: upstream_waits, handler };

    for (request, expected, reason) in [
        (
            "POST /oauth/callback HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nx",
            refused(408, "form_timeout"),
            "a callback",
        ),
        (
            "POST /oauth/signin HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
            refused(408, "form_timeout"),
            "a sign-in",
        ),
        (
            "POST /oauth/backchannel-logout HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n",
            refused(408, "form_timeout"),
            "a logout",
        ),
        (
            "POST /up HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nx",
            refused(408, "request_body_timeout"),
            "an upload",
        ),
        (
            "POST /up HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
            refused(408, "request_body_timeout"),
            "chunks",
        ),
        ("GET / HTTP/1.1\r\nhost:", (408, None), "a head"),
    ] {
        assert_eq!(outcome(&fixture.send(request.as_bytes())), expected, "{reason}");
    }
    let mut idle = fixture.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(idle.read_to_end(&mut Vec::new()).is_ok(), "an idle connection is closed");
}

#[test]
fn many_connections_and_large_headers_are_bounded() {
    let fixture = fixture(&[("MAX_HEADER_BYTES", "4096")]);
    let mut stranger = Browser::new(&fixture.handler.origin);
    let large = "x".repeat(4096);

    let response = stranger.send("GET", "/public", &[("x-large", large.as_str())], b"");

    assert_eq!(outcome(&response), refused(431, "headers_too_large"));
}

#[test]
fn me_speaks_to_its_own_origin_alone_and_slides_for_no_other_site() {
    let fixture = fixture(&[("SESSION_IDLE_TIMEOUT", "8s")]);
    let mut browser = fixture.signed_in();
    support::wait_for_lapse();

    for (site, slides) in [("cross-site", false), ("same-site", false), ("same-origin", true)] {
        let response = browser.send("GET", "/oauth/me", &[("sec-fetch-site", site), ("sec-fetch-mode", "cors")], b"");

        assert_eq!((response.status, response.header("set-cookie").is_some()), (200, slides), "{site}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("cross-origin-resource-policy"), Some("same-origin"));
    }
}

#[test]
fn our_responses_have_hsts_on_https_and_an_upstreams_do_not() {
    let fixture = fixture(&[("PUBLIC_BASE_URL", "https://app.example")]);
    let mut stranger = Browser::new(&fixture.handler.origin);

    for path in ["/oauth/me", "/oauth/signedout", "/page", "/oauth/nothing", "/a/../b", "/oauth/health/live"] {
        let response = stranger.fetch(path);
        assert_eq!(response.header("strict-transport-security"), Some("max-age=31536000"), "{path}");
    }
    assert_eq!(stranger.fetch("/public").header("strict-transport-security"), None);
}

#[test]
fn an_isolated_route_is_visited_by_other_sites_and_not_embedded() {
    let fixture = fixture(&[]);
    let mut browser = fixture.signed_in();
    let mut get = |path: &str, mode: &str| {
        browser.send("GET", path, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)], b"")
    };

    assert_eq!(outcome(&get("/isolated/data", "no-cors")), refused(403, "cross_site_rejected"));
    assert_eq!(outcome(&get("/isolated/data", "cors")), refused(403, "cross_site_rejected"));
    assert_eq!(get("/isolated/data", "navigate").status, 200);
    assert_eq!(get("/elsewhere", "no-cors").status, 200);
}

#[test]
fn a_made_up_sid_leaves_no_audit_line_and_has_a_budget() {
    let fixture = fixture(&[]);
    let mut stranger = Browser::new(&fixture.handler.origin);

    let outcomes: Vec<_> =
        (0..200).map(|sid| outcome(&stranger.fetch(&format!("/oauth/frontchannel-logout?sid={sid}")))).collect();

    assert_eq!(outcomes[0].0, 200);
    assert!(outcomes.iter().all(|outcome| outcome.0 == 200 || *outcome == refused(503, "frontchannel_busy")));
    let text = fixture.handler.output().text();
    assert!(!text.contains("provider_logout"), "{text}");
}
