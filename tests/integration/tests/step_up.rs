//! Challenges of the application: the sign-in that it asks for, once, and what it cannot ask for.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::{Browser, Handler, Provider, Response, Upstream, wait_until};
use url::Url;
use url::form_urlencoded::Serializer;

/// An application that responds to everything below `/app` with what the test says, as long as it says something.
struct Fixture {
    provider: Provider,
    handler: Handler,
    upstream: Upstream,
    response: Arc<Mutex<Option<String>>>,
    posts: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Fixture {
    fn start(settings: &[(&str, &str)]) -> Self {
        let response: Arc<Mutex<Option<String>>> = Arc::default();
        let posts: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (scripted, received) = (Arc::clone(&response), Arc::clone(&posts));
        let upstream = Upstream::responding(move |request, reader, stream| {
            let body = request.read_body(reader);
            if request.request_line.starts_with("POST") {
                received.lock().unwrap().push(body);
            }
            let is_scripted = request.request_line.contains("/app");
            let scripted = scripted.lock().unwrap().clone().filter(|_| is_scripted);
            let ok = || "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned();
            stream.write_all(scripted.unwrap_or_else(ok).as_bytes()).is_ok()
        });
        let (provider, url) = (Provider::start(), &upstream.url);
        let routes = json!([
            { "path": "/", "upstream": url },
            { "path": "/app", "upstream": url, "step_up_challenges": "follow" },
            { "path": "/app/basic", "upstream": url, "step_up_challenges": "follow", "token": "none" },
            { "path": "/app/both", "upstream": url, "step_up_challenges": "follow", "access": "session_or_bearer" },
            { "path": "/untrusted/app", "upstream": url },
        ]);
        let issuers = json!([{ "issuer": provider.issuer, "audience": "api://orders" }]).to_string();
        let routes = routes.to_string();
        let own = [("ROUTES", routes.as_str()), ("API_ISSUERS", issuers.as_str())];
        let handler = Handler::start(&[&own[..], &provider.settings(), settings].concat());
        Self { provider, handler, upstream, response, posts }
    }

    fn signed_in(&self) -> Browser {
        self.provider.set_claims(&json!({ "sub": "ada", "name": "Ada" }));
        let mut browser = Browser::new(&self.handler.origin);
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }

    /// From now on the application responds with 401 and these challenges.
    fn challenge(&self, challenges: &[&str]) {
        self.respond(401, challenges);
    }

    fn respond(&self, status: u16, challenges: &[&str]) {
        let lines: String = challenges.iter().map(|value| format!("www-authenticate: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\n{lines}set-cookie: of-the-app=1\r\ncontent-length: 6\r\n\r\n");
        *self.response.lock().unwrap() = Some(head + "of-app");
    }

    fn is_content(&self) {
        *self.response.lock().unwrap() = None;
    }
}

fn location(response: &Response) -> String {
    response
        .header("location")
        .unwrap_or_else(|| panic!("a redirect, not {} {}", response.status, response.text()))
        .to_owned()
}

fn code(response: &Response) -> (u16, String) {
    (response.status, response.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// The value of a parameter of a URL.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse("http://app.example").unwrap().join(url).unwrap();
    url.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

fn claims_challenge(claims: &Value) -> String {
    let claims = BASE64_STANDARD.encode(claims.to_string());
    format!("Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{claims}\"")
}

const STRONG: &str = "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold mfa\", max_age=\"60\"";

#[test]
fn a_page_leads_to_the_sign_in_that_its_application_asks_for_and_back() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    fixture.challenge(&["Basic realm=\"x\"", STRONG]);

    let page = browser.navigate("/app/x?a=1");
    let script = browser.fetch("/app/x");

    let signin = "/oauth/signin?redirect=%2Fapp%2Fx%3Fa%3D1&acr_values=gold+mfa&max_age=60";
    assert_eq!((page.status, location(&page).as_str()), (302, signin));
    assert_eq!(code(&script), (401, "step_up_required".to_owned()));
    assert!(script.json()["login_url"].as_str().unwrap().ends_with("acr_values=gold+mfa&max_age=60"));
    for response in [&page, &script] {
        assert!(!response.text().contains("of-app"), "nothing of its response passes: {}", response.text());
        assert!(response.headers_named("set-cookie").all(|cookie| !cookie.contains("of-the-app")));
        assert!(response.headers_named("www-authenticate").all(|value| !value.contains("gold")));
    }
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    fixture.provider.set_claims(&json!({ "sub": "ada", "auth_time": now }));
    let to_provider = location(&browser.navigate(signin));
    assert_eq!(parameter(&to_provider, "acr_values").unwrap(), "gold mfa");
    assert_eq!(parameter(&to_provider, "max_age").unwrap(), "60");
    fixture.is_content();
    let back = location(&browser.navigate(&fixture.provider.approve(&to_provider)));
    assert_eq!(browser.navigate(&back).status, 200);
    assert_eq!(fixture.upstream.last().request_line, "GET /app/x?a=1");
}

#[test]
fn claims_are_asked_for_beside_those_of_the_operator_and_by_nobody_else() {
    let own = r#"claims={"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    let fixture = Fixture::start(&[("AUTHORIZE_PARAMETERS", own)]);
    let mut browser = fixture.signed_in();
    let wanted = json!({"access_token": {"acrs": {"essential": true, "value": "c1"}, "xms_cc": {"values": ["none"]}}});
    fixture.challenge(&[&claims_challenge(&wanted)]);

    let signin = location(&browser.navigate("/app/x"));
    let to_provider = location(&browser.clone().navigate(&signin));
    let forged = Serializer::new("/oauth/signin?redirect=%2F&".to_owned())
        .append_pair("claims", r#"{"id_token":{"acr":{"value":"weak"}}}"#)
        .finish();
    let by_a_link = location(&browser.clone().navigate(&forged));
    let mut tampered = signin.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    let by_a_changed_link = location(&browser.clone().navigate(&format!("{tampered}{last}")));

    assert!(signin.starts_with("/oauth/signin?redirect=%2Fapp%2Fx&claims=1."), "{signin}");
    let merged = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["cp1"]}}}"#;
    assert_eq!(parameter(&to_provider, "claims").unwrap(), merged);
    for url in [by_a_link, by_a_changed_link] {
        assert_eq!(parameter(&url, "claims").unwrap(), &own["claims=".len()..]);
    }
    fixture.is_content();
    assert_eq!(browser.sign_in_by(&signin, &fixture.provider).status, 200);
}

#[test]
fn a_demand_that_its_sign_in_does_not_meet_ends_with_a_page() {
    let fixture = Fixture::start(&[]);
    let wanted = json!({"access_token": {"acrs": {"value": "c1"}}});
    for challenge in ["Bearer error=\"insufficient_user_authentication\", acr_values=gold", &claims_challenge(&wanted)]
    {
        let mut browser = fixture.signed_in();
        fixture.challenge(&[challenge]);

        let signin = location(&browser.navigate("/app/x"));
        let unmet = browser.sign_in_by(&signin, &fixture.provider);
        let script = browser.fetch("/app/x");

        assert_eq!(unmet.status, 403, "{challenge}");
        assert!(unmet.text().contains("step_up_unmet") && unmet.text().contains("Try again"), "{}", unmet.text());
        assert_eq!(code(&script), (403, "step_up_unmet".to_owned()), "{challenge}");
        assert_eq!(browser.fetch("/x").status, 200, "the session lives");
    }
}

#[test]
fn an_application_that_asks_for_something_else_each_time_is_a_loop() {
    let fixture = Fixture::start(&[]);
    let mut browser = Browser::new(&fixture.handler.origin);
    assert_eq!(browser.sign_in("/app/x", &fixture.provider).status, 200);
    let mut signin = String::new();
    for round in 0..3 {
        fixture.challenge(&[&format!("Bearer error=\"insufficient_user_authentication\", acr_values=\"c{round}\"")]);
        signin = location(&browser.navigate("/app/x"));
        if round < 2 {
            browser.sign_in_by(&signin, &fixture.provider);
        }
    }

    let page = browser.navigate(&signin);

    assert_eq!(page.status, 500);
    assert!(page.text().contains("application_asks_again"), "{}", page.text());
}

/// Path, status, challenge, the request's own headers, and what is special.
type Row<'a> = (&'a str, u16, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_challenge_that_may_not_or_need_not_be_followed_passes_as_it_came() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    let subject = claims_challenge(&json!({"id_token": {"sub": {"value": "bob"}}}));
    let large = claims_challenge(&json!({"id_token": {"acr": {"values": vec!["x".repeat(64); 16]}}}));
    let injected = "Bearer error=\"insufficient_user_authentication\", acr_values=\"a\", max_age=\"1&prompt=none\"";
    let bearer = format!("Bearer {}", fixture.provider.access_token("at+jwt", &json!({})));
    let mut program = Browser::new(&fixture.handler.origin);
    let (own, none) = ([("authorization", "Bearer of-the-client")], []);
    let by_token = [("authorization", bearer.as_str())];
    let table: [Row<'_>; 9] = [
        ("/untrusted/app", 401, STRONG, &none, "a route that does not trust its application to ask"),
        ("/app/x", 403, STRONG, &none, "another status"),
        ("/app/x", 401, "Bearer error=\"invalid_token\"", &none, "another error"),
        ("/app/x", 401, "Bearer error=\"insufficient_claims\"", &none, "nothing is asked for"),
        ("/app/x", 401, injected, &none, "another parameter"),
        ("/app/x", 401, &subject, &none, "another person"),
        ("/app/x", 401, &large, &none, "too much"),
        ("/app/basic", 401, STRONG, &own, "credentials of the client's own"),
        ("/app/both", 401, STRONG, &by_token, "an API client"),
    ];
    for (path, status, challenge, headers, reason) in table {
        fixture.respond(status, &[challenge]);
        let client = if path == "/app/both" { &mut program } else { &mut browser };

        let passed = client.send("GET", path, headers, b"");

        assert_eq!((passed.status, passed.text().as_str()), (status, "of-app"), "{reason}");
        assert_eq!(passed.header("www-authenticate"), Some(challenge), "{reason}");
    }
    wait_until("the log names the refusal", || {
        let log = fixture.handler.output().text();
        log.lines().any(|line| line.contains("step_up_challenge_refused") && line.contains("/app"))
    });
    fixture.challenge(&[STRONG]);
    assert_eq!(browser.fetch("/app/basic").status, 401);
    assert_eq!(code(&browser.fetch("/app/basic")), (401, "step_up_required".to_owned()), "no credentials of its own");
}

const FORM: [(&str, &str); 4] = [
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("content-type", "application/x-www-form-urlencoded"),
];

#[test]
fn a_form_waits_in_its_page_for_the_sign_in() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    fixture.challenge(&[STRONG]);

    let page = browser.send("POST", "/app/order", &FORM, b"amount=1000");

    let text = page.text();
    assert_eq!(page.status, 401);
    for part in ["did not accept what you sent. This page keeps it.", "acr_values=gold+mfa", "step_up_required"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("1000") && !text.contains("passed on"), "{text}");
    let (_, sealed) = text.split_once("name=\"form\" value=\"").unwrap();
    let sealed = sealed.split('"').next().unwrap();
    fixture.is_content();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    fixture.provider.set_claims(&json!({ "sub": "ada", "auth_time": now }));
    let signin = "/oauth/signin?redirect=%2Foauth%2Fresend&acr_values=gold+mfa&max_age=60";
    assert_eq!(browser.sign_in_by(signin, &fixture.provider).status, 200);
    let form = Serializer::new(String::new()).append_pair("form", sealed).finish();
    let sending = browser.send("POST", "/oauth/resend", &FORM, form.as_bytes());
    assert!(sending.text().contains("1000") && !sending.text().contains("Send this form?"), "{}", sending.text());
    assert_eq!(*fixture.posts.lock().unwrap(), [b"amount=1000".to_vec()], "the application saw it once so far");
}

#[test]
fn a_form_that_no_page_can_keep_is_streamed_and_its_page_says_so() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    let large = vec![b'x'; 64 * 1024 + 1];
    fixture.is_content();
    assert_eq!(browser.send("POST", "/app/order", &FORM, &large).status, 200);
    assert_eq!(browser.send("POST", "/app/order", &FORM, b"").status, 200);
    assert_eq!(browser.send("POST", "/app/order", &[("sec-fetch-site", "same-origin")], b"{}").status, 200);
    assert_eq!(*fixture.posts.lock().unwrap(), [large.clone(), Vec::new(), b"{}".to_vec()]);
    fixture.challenge(&[STRONG]);

    let page = browser.send("POST", "/app/order", &FORM, &large);
    let script = browser.send("POST", "/app/order", &[("sec-fetch-site", "same-origin")], b"{}");

    assert_eq!(page.status, 401);
    assert!(
        page.text().contains("too large for this page") && !page.text().contains("name=\"form\""),
        "{}",
        page.text()
    );
    assert_eq!(code(&script), (401, "step_up_required".to_owned()));
}

#[test]
fn a_form_that_does_not_arrive_reaches_no_application() {
    let fixture = Fixture::start(&[("CLIENT_BODY_TIMEOUT", "1s")]);
    let browser = fixture.signed_in();
    let headers = [&FORM[..], &[("content-length", "20")]].concat();
    let stalled = browser.begin("POST", "/app/order", &headers, b"amount=");
    let ended = browser.begin("POST", "/app/order", &headers, b"amount=");
    ended.shutdown(std::net::Shutdown::Write).unwrap();

    for (stream, status, reason) in [(stalled, 408, "it stops arriving"), (ended, 400, "the connection ends")] {
        let refused = support::read_response(&stream, "POST").unwrap();

        assert_eq!(refused.status, status, "{reason}: {}", refused.text());
    }
    assert!(fixture.posts.lock().unwrap().is_empty());
}

#[test]
fn the_longest_demand_fits_every_url_on_the_way_and_no_cookie_grows() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    let values: Vec<String> = (0..13).map(|n| format!("{n:064}")).collect();
    fixture.challenge(&[&claims_challenge(&json!({"id_token": {"acr": {"values": values}}}))]);
    let cookies = |response: &Response| response.headers_named("set-cookie").map(str::len).max().unwrap();
    let plain = cookies(&browser.clone().navigate("/oauth/signin?redirect=%2Fapp%2Fx"));

    let short = location(&browser.navigate("/app/x"));
    let at_once = browser.navigate(&format!("/app/{}", "x".repeat(800)));

    assert!(short.len() <= 2048, "{}", short.len());
    let led = browser.navigate(&short);
    assert_eq!((cookies(&led), parameter(&location(&led), "claims").is_some()), (plain, true));
    assert!(parameter(&location(&at_once), "claims").is_some() && location(&at_once).starts_with("http"));
}
