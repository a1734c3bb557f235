//! `GET check`, by which a gateway learns what to forward, and a stand-in for such a gateway.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use cosmos_emulator::{CosmosEmulator, Operation};
use serde_json::json;
use support::websocket::{accept, echo, is_handshake};
use support::{Browser, Handler, LIMIT, Provider, Response, Upstream, read_response, wait_for_lapse, wait_until};
use tungstenite::Message;
use url::form_urlencoded::byte_serialize;

const FORWARDS: &str = "forwarding-secret-of-32-letters-";
const CHECKS: &str = "checking-secret-of-32-letters---";
const PROOF: &str = "x-gateway-token";

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

/// Starts a handler by itself or behind the Functions host; `None` where there is no host.
type Start = fn(&[(&str, &str)]) -> Option<Handler>;

impl Fixture {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self::started(settings, |settings| Some(Handler::start(settings))).unwrap()
    }

    fn started(settings: &[(&str, &str)], start: Start) -> Option<Self> {
        let upstream = Upstream::responding(|request, reader, stream| {
            if is_handshake(request) {
                return echo(accept(request, reader, stream, &[]));
            }
            let length = request.read_body(reader).len();
            let body = format!("{length}");
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).is_ok()
        });
        let provider = Provider::start();
        let routes = json!([
            { "path": "/", "upstream": upstream.url },
            { "path": "/open", "upstream": upstream.url, "access": "anonymous" },
            { "path": "/isolated", "upstream": upstream.url, "isolate": true },
        ]);
        let routes = routes.to_string();
        let own = [
            ("ROUTES", routes.as_str()),
            ("GATEWAY_PROOF", "shared_secret"),
            ("GATEWAY_PROOF_SECRETS", FORWARDS),
            ("GATEWAY_CHECK_SECRETS", CHECKS),
            ("HEADER_PRESET", "oauth2-proxy"),
        ];
        let handler = start(&[&own[..], &provider.settings(), settings].concat())?;
        Some(Self { provider, upstream, handler })
    }

    /// Somebody who signed in through the gateway.
    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        let mut navigate = |path: &str| {
            let headers = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), (PROOF, FORWARDS)];
            let response = browser.send("GET", path, &headers, b"");
            response.header("location").map(str::to_owned)
        };
        let signin = navigate("/").unwrap();
        let provider = navigate(&signin).unwrap();
        let callback = self.provider.approve(&provider);
        assert_eq!(navigate(&callback).as_deref(), Some("/"));
        browser
    }
}

fn check(browser: &Browser, query: &str, headers: &[(&str, &str)]) -> Response {
    let headers = [&[(PROOF, CHECKS)], headers].concat();
    browser.clone().send("GET", &format!("/oauth/check?{query}"), &headers, b"")
}

fn code(response: &Response) -> (u16, Option<String>) {
    (response.status, response.json()["code"].as_str().map(str::to_owned))
}

#[test]
fn the_response_has_the_headers_that_the_upstream_would_get() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    browser.cookies.insert("own".to_owned(), "1".to_owned());

    let told = check(&browser, "method=GET&url=/page%3Fa%3D1%26a%3D2", &[]);
    browser.send("GET", "/page", &[(PROOF, FORWARDS)], b"");

    assert_eq!((told.status, told.body.len()), (200, 0));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert_eq!(told.header("set-cookie"), None);
    let received = fixture.upstream.last();
    for name in ["authorization", "cookie", "x-forwarded-user", "x-forwarded-proto", "x-forwarded-host"] {
        assert!(told.header(name).is_some(), "{name}");
        assert_eq!(told.header(name), received.header(name), "{name}");
    }
    assert_eq!(told.header("cookie"), Some("own=1"));
}

/// Browser, query, headers, expected status and code, and the reason.
type Row<'a> = (&'a Browser, &'a str, &'a [(&'a str, &'a str)], u16, &'a str, &'a str);

#[test]
fn a_request_that_would_be_refused_is_refused_here() {
    let fixture = Fixture::start(&[]);
    let browser = fixture.signed_in();
    let nobody = Browser::new(&fixture.handler.origin);
    let ours = [("origin", fixture.handler.origin.as_str())];
    let theirs = [("origin", "https://evil.example")];
    let sibling = [ours[0], ("sec-fetch-site", "same-site")];
    let unsaid = [ours[0], ("sec-fetch-site", ""), ("sec-fetch-mode", ""), ("sec-fetch-dest", "")];
    let nothing = [("origin", ""), unsaid[1], unsaid[2], unsaid[3]];
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let table: [Row<'_>; 26] = [
        (&nobody, "method=GET&url=/page", &[], 401, "session_required", "nobody"),
        (&nobody, "method=GET&url=/open/page", &[], 200, "", "an anonymous route"),
        (&browser, "method=POST&url=/page", &ours, 200, "", "our own form"),
        (&browser, "method=POST&url=/page", &theirs, 403, "csrf_rejected", "another site's form"),
        (&browser, "method=POST&url=/page", &[], 403, "csrf_rejected", "a form of nowhere"),
        (&browser, "method=GET&url=/page", &theirs, 200, "", "a link of another site"),
        (&browser, "method=GET&url=/page&upgrade=websocket", &ours, 200, "", "our own socket"),
        (&browser, "method=GET&url=/page&upgrade=websocket", &theirs, 403, "csrf_rejected", "their socket"),
        (&browser, "method=GET&url=/page&upgrade=websocket", &[], 403, "csrf_rejected", "no origin"),
        (&browser, "method=GET&url=/page&upgrade=websocket", &sibling, 200, "", "our origin, a nonsensical site"),
        (
            &browser,
            "method=POST&url=/page",
            &sibling,
            403,
            "csrf_rejected",
            "a form of a sibling that borrows an origin",
        ),
        (&browser, "method=POST&url=/page", &unsaid, 200, "", "our own form, as a policy sends what is absent"),
        (&browser, "method=POST&url=/page", &nothing, 403, "csrf_rejected", "a form of nowhere, sent the same way"),
        (&browser, "method=GET&url=/isolated/x", &image, 403, "cross_site_rejected", "another site's image"),
        (&nobody, "method=GET&url=/isolated/x", &image, 403, "cross_site_rejected", "the same without a session"),
        (&browser, "method=GET&url=/isolated/x", &link, 200, "", "a link of another site"),
        (&browser, "method=POST&url=/isolated/x", &link, 403, "cross_site_rejected", "a form of another site"),
        (&browser, "method=COPY&url=/page", &ours, 400, "bad_request", "a method with a Destination"),
        (&browser, "method=MOVE&url=/page", &ours, 400, "bad_request", "the same"),
        (&browser, "method=TRACE&url=/page", &ours, 400, "bad_request", "a method that would show the token"),
        (&browser, "method=CONNECT&url=/page", &ours, 400, "bad_request", "a method for proxies"),
        (&browser, "method=GET&url=/page&upgrade=h2c", &ours, 400, "bad_request", "another protocol"),
        (&browser, "method=GET&url=/a/../b", &[], 400, "target_dot_segment", "an ambiguous path"),
        (&browser, "method=GET&url=/oauth/me", &[], 404, "route_not_found", "a URL of ours"),
        (&browser, "method=GET", &[], 400, "bad_request", "no url"),
        (&browser, "url=/page", &[], 400, "bad_request", "no method"),
    ];
    for (browser, query, headers, status, expected, why) in table {
        let response = check(browser, query, headers);
        let code = response.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((response.status, code.as_str()), (status, expected), "{why}");
        let has_token = response.header("authorization").is_some();
        assert_eq!(has_token, status == 200 && why != "an anonymous route", "{why}");
    }
}

#[test]
fn a_forwarded_request_cannot_ask_and_the_proof_of_a_question_forwards_nothing() {
    let fixture = Fixture::start(&[]);
    let browser = fixture.signed_in();
    let before = fixture.upstream.received().len();
    let send = |path: &str, headers: &[(&str, &str)]| browser.clone().send("GET", path, headers, b"");
    let question = "/oauth/check?method=GET&url=/page";

    let forwarded = send(question, &[(PROOF, FORWARDS), ("x-gateway-purpose", "check"), ("accept", "text/html")]);
    let both = send(question, &[(PROOF, FORWARDS), (PROOF, CHECKS)]);
    let unproved = send(question, &[]);

    for (response, expected) in [
        (forwarded, (404, "route_not_found")),
        (send(question, &[(PROOF, FORWARDS)]), (404, "route_not_found")),
        (both, (403, "gateway_proof_missing")),
        (unproved, (403, "gateway_proof_missing")),
        (send("/page", &[(PROOF, CHECKS)]), (403, "gateway_proof_invalid")),
        (send("/oauth/me", &[(PROOF, CHECKS)]), (403, "gateway_proof_invalid")),
        (send("/oauth/signin", &[(PROOF, CHECKS)]), (403, "gateway_proof_invalid")),
    ] {
        assert_eq!((response.status, response.json()["code"].as_str().unwrap_or_default()), expected);
        assert_eq!(response.header("authorization"), None);
    }
    assert_eq!(fixture.upstream.received().len(), before);
    let post = browser.clone().send("POST", question, &[(PROOF, CHECKS)], b"");
    assert_eq!(code(&post), (405, Some("method_not_allowed".to_owned())));
}

#[test]
fn without_a_credential_of_its_own_the_url_is_not_there() {
    let fixture = Fixture::start(&[("GATEWAY_CHECK_SECRETS", "")]);
    let browser = fixture.signed_in();

    let forwarded = browser.clone().send("GET", "/oauth/check?method=GET&url=/page", &[(PROOF, FORWARDS)], b"");

    assert_eq!(code(&forwarded), (404, Some("route_not_found".to_owned())));
    assert_eq!(code(&check(&browser, "method=GET&url=/page", &[])), (403, Some("gateway_proof_invalid".to_owned())));
}

#[test]
fn a_lapsed_token_is_refreshed_and_nothing_slides() {
    let fixture = Fixture::start(&[("SESSION_IDLE_TIMEOUT", "9s")]);
    fixture.provider.set_expires_in(1);
    let browser = fixture.signed_in();
    let first = check(&browser, "method=GET&url=/page", &[]).header("authorization").map(str::to_owned);
    fixture.provider.set_expires_in(3600);
    wait_for_lapse();
    wait_until("the cookie is to be issued again", || {
        browser.clone().send("GET", "/page", &[(PROOF, FORWARDS)], b"").header("set-cookie").is_some()
    });

    let told = check(&browser, "method=GET&url=/page", &[]);

    assert_eq!((told.status, told.header("set-cookie")), (200, None));
    assert!(told.header("authorization").is_some() && told.header("authorization") != first.as_deref());
}

#[test]
fn a_question_reads_the_store_once_and_writes_nothing() {
    let cosmos = CosmosEmulator::start();
    let fixture = Fixture::start(&[&cosmos.settings()[..], &[("SESSION_CACHE_TTL", "0s")]].concat());
    let browser = fixture.signed_in();
    cosmos.control.forget();

    assert_eq!(check(&browser, "method=GET&url=/page", &[]).status, 200);

    let count = |operation| cosmos.control.count(operation).calls;
    assert_eq!((count(Operation::Read), count(Operation::Create), count(Operation::Replace)), (1, 0, 0));
}

#[test]
fn a_person_whose_headers_the_host_cannot_write_gets_a_reason_and_no_half_of_them() {
    let starts: [(Start, (u16, &str)); 2] = [
        (|settings| Some(Handler::start(settings)), (200, "")),
        (Handler::start_behind_the_host, (501, "header_not_ascii")),
    ];
    for (start, expected) in starts {
        let Some(fixture) = Fixture::started(&[], start) else { return };
        fixture.provider.set_claims(&json!({"preferred_username": "Jos\u{e9}"}));
        let browser = fixture.signed_in();

        let response = check(&browser, "method=GET&url=/page", &[]);

        assert_eq!((response.status, response.json()["code"].as_str().unwrap_or_default()), expected);
        assert_eq!(response.header("authorization").is_some(), response.status == 200);
        assert_eq!(
            browser.clone().send("GET", "/page", &[(PROOF, FORWARDS)], b"").status,
            200,
            "forwarded all the same"
        );
    }
}

/// The headers that `infra/apim-check-fragment.xml` treats so.
fn policy_names(before: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/apim-check-fragment.xml");
    let text = std::fs::read_to_string(path).unwrap();
    let names: Vec<String> =
        text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().replace("&quot;", "")).collect();
    assert!(names.len() > 3);
    names.iter().map(|name| name.split(')').next().unwrap().to_ascii_lowercase()).collect()
}

/// Headers that the policy's question repeats and the request to the application keeps.
const ASKED: [&str; 4] = ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"];

/// A gateway that does what the policy says: asks, hands on the headers that the policy names, and connects the client
/// with the application itself.
struct Gateway {
    origin: String,
}

impl Gateway {
    fn start(handler: &str, application: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (handler, application) = (handler.to_owned(), application.trim_start_matches("http://").to_owned());
        let deleted = policy_names("<set-header name=\"");
        let handed_on = policy_names("Headers.ContainsKey(");
        let names = Arc::new((deleted, handed_on));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (handler, application) = (handler.clone(), application.clone());
                let names = Arc::clone(&names);
                std::thread::spawn(move || serve(stream, &handler, &application, &names));
            }
        });
        Self { origin }
    }
}

fn serve(client: TcpStream, handler: &str, application: &str, names: &(Vec<String>, Vec<String>)) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found =
            lines.iter().filter_map(|line| line.split_once(": ")).find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    };
    let mut request_line = lines[0].split(' ');
    let (method, target) = (request_line.next().unwrap(), request_line.next().unwrap());
    let upgrade = if header("upgrade").eq_ignore_ascii_case("websocket") { "websocket" } else { "" };
    let url: String = byte_serialize(target.as_bytes()).collect();
    let question = format!("/oauth/check?upgrade={upgrade}&method={method}&url={url}");
    let mut asking = vec![(PROOF, CHECKS), ("cookie", header("cookie"))];
    asking.extend(ASKED.map(|name| (name, header(name))));
    let told = read_response(&Browser::new(handler).begin("GET", &question, &asking, b""), "GET").unwrap();
    let mut client = client;
    if told.status != 200 {
        let _ = write!(client, "HTTP/1.1 {} Refused\r\nconnection: close\r\n\r\n{}", told.status, told.text());
        return;
    }
    let is_deleted = |line: &&String| {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        names.0.contains(&name) && !ASKED.contains(&name.as_str())
    };
    let mut head: Vec<String> = lines.iter().filter(|line| !is_deleted(line)).cloned().collect();
    head.extend(names.1.iter().filter_map(|name| Some(format!("{name}: {}", told.header(name)?))));
    let mut server = TcpStream::connect(application).unwrap();
    server.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes()).unwrap();
    server.write_all(reader.buffer()).unwrap();
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Write);
}

/// A page of the public origin whose requests go through the gateway.
fn through(gateway: &Gateway, browser: &Browser) -> Browser {
    browser.at(&gateway.origin)
}

#[test]
fn a_gateway_connects_sockets_with_the_application_itself() {
    for start in [|settings: &[(&str, &str)]| Some(Handler::start(settings)), Handler::start_behind_the_host] {
        let Some(fixture) = Fixture::started(&[], start) else { return };
        let gateway = Gateway::start(&fixture.handler.origin, &fixture.upstream.url);
        let mut browser = through(&gateway, &fixture.signed_in());
        browser.cookies.insert("own".to_owned(), "1".to_owned());
        let ours = [("origin", fixture.handler.origin.as_str())];
        let forged =
            [("authorization", "Bearer forged"), ("x-forwarded-user", "forged"), ("x-forwarded-groups", "admins")];

        let (mut socket, _) = browser.open_socket("/chat?room=1", &[&ours[..], &forged].concat()).unwrap();

        socket.send(Message::binary(vec![7; 1024 * 1024])).unwrap();
        assert_eq!(socket.read().unwrap().len(), 1024 * 1024);
        let received = fixture.upstream.last();
        assert_eq!(received.request_line, "GET /chat?room=1");
        let token = received.header("authorization").unwrap();
        assert!(token.starts_with("Bearer access-"), "{token}");
        assert_eq!((received.header("cookie"), received.header("x-forwarded-groups")), (Some("own=1"), None));
        assert_ne!(received.header("x-forwarded-user"), Some("forged"));
        assert_eq!(received.headers.iter().filter(|(name, _)| name == "authorization").count(), 1);
        let refused = |headers: &[(&str, &str)]| browser.open_socket("/chat", headers).unwrap_err().status().as_u16();
        assert_eq!(refused(&[("origin", "https://evil.example")]), 403);
        assert_eq!(refused(&[ours[0], ("cookie", "")]), 401);
    }
}

#[test]
fn a_gateway_forwards_large_uploads_to_the_application_itself() {
    let fixture = Fixture::start(&[]);
    let gateway = Gateway::start(&fixture.handler.origin, &fixture.upstream.url);
    let browser = through(&gateway, &fixture.signed_in());
    let size = 120 * 1024 * 1024;
    let length = size.to_string();
    let headers = [("content-length", length.as_str()), ("origin", fixture.handler.origin.as_str())];
    let mut upload = browser.begin("PUT", "/files/large", &headers, b"");

    let mut left = io::repeat(b'x').take(size);
    io::copy(&mut left, &mut upload).unwrap();
    upload.set_read_timeout(Some(LIMIT)).unwrap();

    let response = read_response(&upload, "PUT").unwrap();
    assert_eq!((response.status, response.text()), (200, length));
    assert!(fixture.upstream.last().header("authorization").is_some());
    let theirs = [("content-length", "1"), ("origin", "https://evil.example")];
    let refused = read_response(&browser.begin("PUT", "/files/large", &theirs, b"x"), "PUT").unwrap();
    assert_eq!(refused.status, 403);
}
