//! Sessions that the Provider or an operator ends: back channel, front channel, `oauth-proxy revoke`.

use std::thread;

use cosmos_emulator::{CosmosEmulator, Fault, Operation};
use serde_json::{Value, json};
use support::{Browser, Handler, KEYS, Provider, Response, Upstream, run_to_end, wait_until};

struct Scene {
    cosmos: CosmosEmulator,
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
    ada: Browser,
}

impl Scene {
    fn start() -> Self {
        let (cosmos, provider, upstream) = (CosmosEmulator::start(), Provider::start(), Upstream::start());
        let handler = Handler::start(&settings(&cosmos, &provider, &upstream));
        let mut ada = Browser::new(&handler.origin);
        ada.sign_in("/", &provider);
        Self { cosmos, provider, upstream, handler, ada }
    }

    /// The Provider's own request: it has no cookie.
    fn logout(&self, token: &str) -> Response {
        self.post(&format!("logout_token={token}"))
    }

    fn post(&self, form: &str) -> Response {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        Browser::new(&self.handler.origin).send("POST", "/oauth/backchannel-logout", &headers, form.as_bytes())
    }

    fn is_signed_in(&mut self) -> bool {
        self.ada.fetch("/page").status == 200
    }
}

fn settings<'a>(cosmos: &'a CosmosEmulator, provider: &'a Provider, upstream: &'a Upstream) -> Vec<(&'a str, &'a str)> {
    let own = [("UPSTREAM_URL", upstream.url.as_str()), ("SESSION_CACHE_TTL", "60s")];
    [&own[..], &KEYS[..], &cosmos.settings()[..], &provider.settings()[..]].concat()
}

fn code(response: &Response) -> (u16, Value) {
    (response.status, response.json()["code"].clone())
}

#[test]
fn the_provider_ends_a_session_by_sid_or_by_sub() {
    for changes in [json!({}), json!({"sub": null}), json!({"sid": null})] {
        let mut scene = Scene::start();
        assert!(scene.is_signed_in());

        let response = scene.logout(&scene.provider.logout_token(&changes));

        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")), "{changes}");
        assert!(!scene.is_signed_in(), "{changes}");
        wait_until("the log has the logout", || scene.handler.output().text().contains("provider_logout"));
        let log = scene.handler.output().text();
        let ended = log.lines().filter(|line| line.contains("session_ended") && line.contains("session.key")).count();
        assert_eq!(ended, 1, "{changes}: {log}");
    }
}

#[test]
fn a_logout_token_is_good_once() {
    let scene = Scene::start();
    let token = scene.provider.logout_token(&json!({}));
    assert_eq!(scene.logout(&token).status, 200);

    assert_eq!(code(&scene.logout(&token)), (400, json!("logout_token_replayed")));
}

#[test]
fn what_is_no_logout_token_ends_nothing() {
    let mut scene = Scene::start();
    let token = |changes| scene.provider.logout_token(&changes);
    for (form, expected) in [
        (String::new(), "logout_token_missing"),
        (format!("logout_token={0}&logout_token={0}", token(json!({}))), "logout_token_missing"),
        ("logout_token=x".to_owned(), "logout_token_invalid"),
        (format!("logout_token={}", token(json!({"nonce": "n"}))), "logout_token_invalid"),
        (format!("logout_token={}", token(json!({"aud": "another"}))), "logout_token_invalid"),
        (format!("logout_token={}", token(json!({"jti": null}))), "logout_token_invalid"),
    ] {
        assert_eq!(code(&scene.post(&form)), (400, json!(expected)), "{form}");
    }
    assert!(scene.is_signed_in());
}

#[test]
fn a_logout_of_someone_else_ends_nobody_here() {
    let mut scene = Scene::start();

    let response = scene.logout(&scene.provider.logout_token(&json!({"sid": "another", "sub": "eve"})));

    assert_eq!(response.status, 200);
    assert!(scene.is_signed_in());
}

#[test]
fn a_store_that_is_down_lets_the_provider_try_again_with_the_same_token() {
    let mut scene = Scene::start();
    let token = scene.provider.logout_token(&json!({}));
    scene.cosmos.control.break_down(Operation::Replace, Fault::Status(503));
    let refused = scene.logout(&token);
    scene.cosmos.control.mend();

    let response = scene.logout(&token);

    assert_eq!(code(&refused), (503, json!("store_unavailable")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(response.status, 200);
    assert!(!scene.is_signed_in());
}

#[test]
fn the_providers_frame_ends_a_session_by_its_sid() {
    let mut scene = Scene::start();
    let issuer = scene.provider.issuer.clone();
    let frame = |query: &str| {
        Browser::new(&scene.handler.origin).send("GET", &format!("/oauth/frontchannel-logout?{query}"), &[], b"")
    };
    for query in ["iss=https://evil.example&sid=sid-of-ada", "iss=https://evil.example"] {
        assert_eq!(code(&frame(query)), (400, json!("bad_request")), "{query}");
    }
    assert_eq!(frame("sid=another").status, 200);
    assert!(scene.ada.fetch("/page").status == 200);

    let response = frame(&format!("iss={issuer}&sid=sid-of-ada"));

    assert_eq!((response.status, response.header("x-frame-options")), (200, None));
    assert_eq!(
        response.header("content-security-policy"),
        Some(&*format!("default-src 'none'; frame-ancestors {issuer}"))
    );
    assert!(!scene.is_signed_in());
}

#[test]
fn a_stranger_who_makes_sids_up_keeps_nobody_elses_frame_waiting() {
    let scene = Scene::start();
    let proof =
        [("GATEWAY_PROOF", "shared_secret"), ("GATEWAY_PROOF_SECRETS", "a-secret-of-the-gateway-of-forty-letters")];
    let behind_gateway =
        Handler::start(&[&settings(&scene.cosmos, &scene.provider, &scene.upstream)[..], &proof].concat());
    let frame = |sid: &str, address: &str| {
        let headers =
            [("x-gateway-token", "a-secret-of-the-gateway-of-forty-letters"), ("x-gateway-client-address", address)];
        let path = format!("/oauth/frontchannel-logout?sid={sid}");
        Browser::new(&behind_gateway.origin).send("GET", &path, &headers, b"")
    };

    let strangers: Vec<_> = (0..100).map(|sid| frame(&sid.to_string(), "192.0.2.1").status).collect();
    let person = frame("sid-of-ada", "192.0.2.2");

    assert!(strangers.iter().all(|status| matches!(status, 200 | 503)), "{strangers:?}");
    assert_eq!(person.status, 200);
    wait_until("the log has the logout", || behind_gateway.output().text().contains("provider_logout"));
}

/// The headers a browser sends for a frame in a page of the same site.
const FRAME: [(&str, &str); 4] = [
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "iframe"),
    ("sec-fetch-site", "same-site"),
];

const FRAMED_LOGOUT: &str = "/oauth/frontchannel-logout";

#[test]
fn the_providers_frame_without_a_sid_ends_the_session_whose_cookie_came_along() {
    let scene = Scene::start();
    let issuer = &scene.provider.issuer;
    for (query, headers, reason) in [
        (String::new(), &FRAME[..], "nothing at all"),
        ("?sid=&iss=".to_owned(), &FRAME[..], "both without a value"),
        (format!("?iss={issuer}"), &FRAME[..], "the issuer alone"),
        (String::new(), &[], "a browser without Fetch Metadata"),
    ] {
        let mut ada = Browser::new(&scene.handler.origin);
        ada.sign_in("/", &scene.provider);
        let mut stolen = ada.clone();
        let mut bob = Browser::new(&scene.handler.origin);
        bob.sign_in("/", &scene.provider);

        let response = ada.send("GET", &format!("{FRAMED_LOGOUT}{query}"), headers, b"");

        assert_eq!((response.status, response.header("x-frame-options")), (200, None), "{reason}");
        let policy = format!("default-src 'none'; frame-ancestors {issuer}");
        assert_eq!(response.header("content-security-policy"), Some(&*policy), "{reason}");
        assert!(ada.cookies.is_empty(), "{reason}: the cookie is deleted");
        assert_eq!(stolen.fetch("/page").status, 401, "{reason}: the session is over");
        assert_eq!(bob.fetch("/page").status, 200, "{reason}: of nobody else");
    }
}

#[test]
fn a_frame_without_a_sid_and_without_a_session_is_200_and_costs_the_store_nothing() {
    let mut scene = Scene::start();
    let mut forged = Browser::new(&scene.handler.origin);
    forged.cookies.insert("oauth-proxy-session".to_owned(), "1.c1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    scene.cosmos.control.forget();

    for mut stranger in [Browser::new(&scene.handler.origin), forged] {
        let response = stranger.send("GET", FRAMED_LOGOUT, &FRAME, b"");
        assert_eq!((response.status, response.header("set-cookie")), (200, None));
    }

    for operation in [Operation::Read, Operation::Create, Operation::Replace, Operation::Delete] {
        assert_eq!(scene.cosmos.control.count(operation).calls, 0, "{operation:?}");
    }
    assert!(scene.is_signed_in());
}

#[test]
fn what_is_no_frame_signs_nobody_out() {
    let mut scene = Scene::start();
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "cross-site")], "a link"),
        (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty"), ("sec-purpose", "prefetch")], "a prefetch"),
        (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], "an image"),
        (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], "a script"),
    ];
    for (headers, reason) in table {
        let response = scene.ada.send("GET", FRAMED_LOGOUT, headers, b"");

        assert_eq!((response.status, response.header("set-cookie")), (200, None), "{reason}");
        assert!(scene.is_signed_in(), "{reason}");
    }
}

#[test]
fn with_a_sid_the_cookie_does_not_count() {
    let mut scene = Scene::start();

    let response = scene.ada.send("GET", &format!("{FRAMED_LOGOUT}?sid=another"), &FRAME, b"");

    assert_eq!((response.status, response.header("set-cookie")), (200, None));
    assert!(scene.is_signed_in());
}

#[test]
fn a_link_that_nobody_encoded_or_that_was_escaped_twice_ends_the_session() {
    for query in ["iss={issuer}&amp;sid=sid-of-ada", "amp;sid=sid-of-ada&amp;iss={issuer}", "sid=sid%2Dof-ada"] {
        let mut scene = Scene::start();
        let query = query.replace("{issuer}", &scene.provider.issuer);

        let mut frame = Browser::new(&scene.handler.origin);
        let response = frame.send("GET", &format!("{FRAMED_LOGOUT}?{query}"), &FRAME, b"");

        assert_eq!(response.status, 200, "{query}");
        assert!(!scene.is_signed_in(), "{query}");
    }
}

#[test]
fn errors_of_the_framed_url_can_be_framed_by_the_issuer_and_by_nobody_else() {
    let mut scene = Scene::start();
    let ancestors = format!("frame-ancestors {}", scene.provider.issuer);
    let other_issuer = format!("{FRAMED_LOGOUT}?iss=https://evil.example");
    scene.cosmos.control.break_down(Operation::Read, Fault::Status(503));
    let with_sid = format!("{FRAMED_LOGOUT}?sid=sid-of-ada");
    for (method, path, headers, status) in [
        ("GET", &*other_issuer, &FRAME[..], 400),
        ("GET", &*other_issuer, &[], 400),
        ("GET", &*with_sid, &FRAME[..], 503),
        ("POST", FRAMED_LOGOUT, &FRAME[..], 405),
        ("POST", FRAMED_LOGOUT, &[], 405),
    ] {
        let response = scene.ada.send(method, path, headers, b"");

        assert_eq!(response.status, status, "{method} {path}");
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.ends_with(&ancestors), "{policy}");
        assert_eq!(response.header("x-frame-options"), None, "{method} {path}");
    }
    scene.cosmos.control.mend();
    let elsewhere = scene.ada.send("GET", "/oauth/signedout", &FRAME, b"");
    assert_eq!(elsewhere.header("x-frame-options"), Some("DENY"));
}

#[test]
fn a_store_that_is_down_keeps_the_session_of_a_frame_without_a_sid_and_says_so() {
    let mut scene = Scene::start();
    scene.cosmos.control.break_down(Operation::Read, Fault::Status(503));
    scene.cosmos.control.break_down(Operation::Replace, Fault::Status(503));

    let refused = scene.ada.send("GET", FRAMED_LOGOUT, &[], b"");

    assert_eq!((code(&refused), refused.header("set-cookie")), ((503, json!("store_unavailable")), None));
}

#[test]
fn an_operator_ends_sessions_by_sid_by_sub_and_by_what_the_log_calls_a_person() {
    for (flag, value) in [("--sid", Some("sid-of-ada")), ("--sub", Some("ada")), ("--person", None)] {
        let mut scene = Scene::start();
        let value = value.map_or_else(|| person_key(&scene.handler), str::to_owned);
        let arguments = ["revoke", flag, &value];
        let settings = [
            &settings(&scene.cosmos, &scene.provider, &scene.upstream)[..],
            &[("PUBLIC_BASE_URL", scene.handler.origin.as_str())],
        ]
        .concat();

        let (exit, stdout, stderr) = run_to_end(&arguments, &settings);

        assert!(exit == 0 && stdout.contains("ended   1 sessions"), "{stdout}{stderr}");
        assert!(stdout.contains("within 60s"), "{stdout}");
        let again = run_to_end(&arguments, &settings).1;
        assert!(again.contains("ended   0 sessions") && again.contains("no session of it"), "{again}");
        let fresh = Handler::start(&settings);
        assert_eq!(scene.ada.at(&fresh.origin).fetch("/page").status, 401, "another instance has nothing cached");
        assert!(scene.is_signed_in(), "this one believes its cache for SESSION_CACHE_TTL");
    }
}

/// The `person.key` of the last session that began.
fn person_key(handler: &Handler) -> String {
    let mut key = None;
    wait_until("the log names the person", || {
        let log = handler.output().text();
        key = log.rsplit("person.key=\"").next().filter(|_| log.contains("person.key")).map(str::to_owned);
        key.is_some()
    });
    key.unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn revoke_says_what_it_cannot_do() {
    let base = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("UPSTREAM_URL", "https://app.internal"),
        ("OIDC_ISSUER_URL", "https://op.example"),
        ("CLIENT_ID", "client"),
    ];
    let down = [("SESSION_STORE", "cosmos"), ("COSMOS_ENDPOINT", "http://127.0.0.1:1/"), ("COSMOS_KEY", "a2V5")];

    let (memory, _, told) = run_to_end(&["revoke", "--sub", "ada"], &base);
    let (all, steps, _) = run_to_end(&["revoke", "--all"], &base);
    let (failed, why, _) = run_to_end(&["revoke", "--sub", "ada"], &[&base[..], &down[..]].concat());
    let (unknown, no_key, _) = run_to_end(&["revoke", "--person", "ada"], &[&base[..], &down[..]].concat());
    let (mistake, _, _) = run_to_end(&["revoke", "--sub", "ada"], &[]);
    let (usage, _, _) = run_to_end(&["revoke"], &base);

    assert!(memory == 2 && told.contains("SESSION_STORE=cosmos"), "{told}");
    assert!(all == 2 && steps.contains("Nothing was done") && steps.contains("--enabled false"), "{steps}");
    assert!(failed == 1 && why.contains("it cannot be reached"), "{why}");
    assert!(unknown == 1 && no_key.contains("no person.key"), "{no_key}");
    assert_eq!((mistake, usage), (2, 2));
}

#[test]
fn a_hundred_sign_ins_of_one_person_at_four_instances_succeed_and_end_together() {
    let (cosmos, provider, upstream) = (CosmosEmulator::start(), Provider::start(), Upstream::start());
    let uncached = [&settings(&cosmos, &provider, &upstream)[..], &[("SESSION_CACHE_TTL", "0s")]].concat();
    let first = Handler::start(&uncached);
    let shared = [&uncached[..], &[("PUBLIC_BASE_URL", first.origin.as_str())]].concat();
    let others = [(); 3].map(|()| Handler::start(&shared));
    let instances: Vec<&Handler> = others.iter().chain([&first]).collect();
    let sign_in = |number: usize| {
        let mut browser = Browser::new(&instances[number % instances.len()].origin);
        let to_provider = browser.navigate("/oauth/signin").header("location").unwrap().to_owned();
        let callback = provider.approve(&to_provider);
        (browser.navigate(callback.strip_prefix(&first.origin).unwrap()).status, browser)
    };

    let mut signed_in: Vec<(u16, Browser)> = thread::scope(|scope| {
        let sign_in = &sign_in;
        let under_way: Vec<_> = (0..100).map(|number| scope.spawn(move || sign_in(number))).collect();
        under_way.into_iter().map(|one| one.join().unwrap()).collect()
    });

    let statuses: Vec<u16> = signed_in.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [303; 100]);
    let token = provider.logout_token(&json!({"sid": null}));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("logout_token={token}");
    let ended = Browser::new(&first.origin).send("POST", "/oauth/backchannel-logout", &headers, form.as_bytes());
    assert_eq!(ended.status, 200);
    assert!(signed_in.iter_mut().all(|(_, browser)| browser.fetch("/page").status == 401));
}
