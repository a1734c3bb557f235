//! Rules of routes: each with its refresh, its spelling, and the command that explains it.

use serde_json::{Value, json};
use support::{Browser, Handler, Provider, Response, Upstream, run_to_end, wait_until};

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

impl Fixture {
    /// A handler with these routes, each with the path to the one upstream added.
    fn start(routes: Value, settings: &[(&str, &str)]) -> Self {
        let (provider, upstream) = (Provider::start(), Upstream::start());
        let mut routes = routes;
        for route in routes.as_array_mut().unwrap() {
            route["upstream"] = upstream.url.clone().into();
        }
        let routes = routes.to_string();
        let issuers = json!([{"issuer": provider.issuer, "audience": "api://orders"}]).to_string();
        let takes_tokens = routes.contains("bearer");
        let own = [("ROUTES", routes.as_str()), ("API_ISSUERS", issuers.as_str())];
        let own = &own[..if takes_tokens { 2 } else { 1 }];
        let handler = Handler::start(&[own, &provider.settings(), settings].concat());
        Self { provider, upstream, handler }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.handler.origin)
    }
}

fn location(response: &Response) -> &str {
    response.header("location").unwrap_or_else(|| panic!("a redirect, not {} {}", response.status, response.text()))
}

fn code(response: &Response) -> (u16, String) {
    (response.status, response.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn admins() -> Value {
    json!({"claim": "groups", "equals": "admins"})
}

#[test]
fn a_person_passes_or_is_denied_by_claims_until_the_next_refresh() {
    let fixture = Fixture::start(
        json!([{"path": "/"}, {"path": "/admin", "require": admins(), "explain": "Ask <the> help desk."}]),
        &[],
    );
    fixture.provider.set_claims(&json!({"groups": ["staff"]}));
    let mut browser = fixture.browser();
    assert_eq!(browser.sign_in("/", &fixture.provider).status, 200);
    let seen = fixture.upstream.received().len();

    let page = browser.navigate("/admin/users");
    let problem = browser.fetch("/admin/users");
    let spelt = ["/%61dmin/users", "/ADMIN", "//admin", "/admin;x=1"].map(|path| code(&browser.fetch(path)));
    let post = browser.post("/admin/users", b"name=x");

    assert_eq!(page.status, 403);
    for part in ["Ask &lt;the&gt; help desk.", "access_denied", "prompt=select_account", "Sign in as someone else"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    assert_eq!(code(&problem), (403, "access_denied".to_owned()));
    assert_eq!(problem.json()["explain"], "Ask <the> help desk.");
    assert_eq!(problem.json()["login_url"], Value::Null);
    assert!(spelt.iter().all(|found| *found == (403, "access_denied".to_owned())), "{spelt:?}");
    assert_eq!(post.status, 403);
    assert_eq!(fixture.upstream.received().len(), seen, "the upstream sees nothing");
    let log = fixture.handler.output();
    let is_audit = |line: &&str| line.contains("audit") && line.contains("access_denied");
    wait_until("the audit line", || log.text().lines().any(|line| is_audit(&line)));
    let text = log.text();
    let line = text.lines().find(is_audit).unwrap();
    assert!(line.contains("/admin") && line.contains("person.key") && line.contains("session.key"), "{line}");
    assert!(!line.contains("\"ada\"") && !line.contains("person.example"), "{line}");

    fixture.provider.set_claims(&json!({"groups": "admins"}));
    let refresh = browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"");
    assert_eq!(refresh.status, 200);
    assert_eq!(browser.fetch("/admin/users").status, 200);
}

#[test]
fn a_path_that_begins_as_a_network_path_meets_the_rule_that_readers_of_urls_find() {
    let fixture = Fixture::start(
        json!([{"path": "/"}, {"path": "/admin", "require": admins()}, {"path": "/files/hr", "require": admins()}]),
        &[],
    );
    fixture.provider.set_claims(&json!({"groups": ["staff"]}));
    let mut browser = fixture.browser();
    browser.sign_in("/", &fixture.provider);
    let seen = fixture.upstream.received().len();

    for path in
        ["//x/admin", "///x/admin/users", "//user@x:80/ADMIN", "/%2fx/admin", "/%5cx/admin", "/files%EF%BC%8Fhr/pay"]
    {
        assert_eq!(code(&browser.fetch(path)), (403, "access_denied".to_owned()), "{path}");
    }
    assert_eq!(fixture.upstream.received().len(), seen);
}

#[test]
fn a_destination_meets_the_rules_of_its_own_path_and_of_what_is_below() {
    let fixture = Fixture::start(
        json!([{"path": "/"}, {"path": "/files/hr", "require": admins()}, {"path": "/open", "access": "anonymous"}]),
        &[],
    );
    fixture.provider.set_claims(&json!({"groups": ["staff"]}));
    let mut browser = fixture.browser();
    browser.sign_in("/", &fixture.provider);
    let origin = fixture.handler.origin.clone();
    let table = [
        ("MOVE", "/mine", "/yours".to_owned(), 200, "beside the rules"),
        ("MOVE", "/mine", format!("{origin}/yours"), 200, "the same as a URL"),
        ("MOVE", "/mine", format!("{origin}/files/hr/x"), 400, "below the rule"),
        ("MOVE", "/mine", "//files/hr/x".to_owned(), 400, "a path to nginx, a server to RFC 3986"),
        ("move", "/mine", "/files/hr/x".to_owned(), 400, "a method in small letters"),
        ("COPY", "/files", "/mine".to_owned(), 400, "a collection with what the rule protects"),
        ("COPY", "/FILES/", "/mine".to_owned(), 400, "another spelling of it"),
        ("MOVE", "/", "/mine".to_owned(), 400, "everything"),
        ("MOVE", "/mine", "/files".to_owned(), 400, "over a collection that holds it"),
    ];
    for (method, path, destination, expected, reason) in table {
        let headers = [("destination", destination.as_str()), ("sec-fetch-site", "same-origin")];

        let answer = browser.send(method, path, &headers, b"");

        assert_eq!(answer.status, expected, "{reason}: {}", answer.text());
    }
}

#[test]
fn a_client_and_a_person_of_one_name_differ_by_the_issuer_in_their_assertions() {
    let key = Provider::new_signing_key();
    let partner = Provider::start();
    let issuers = json!([{"issuer": partner.issuer, "audience": "api://orders"}]).to_string();
    let fixture = Fixture::start(
        json!([{"path": "/", "access": "session_or_bearer", "assertion": true}]),
        &[("ASSERTION_KEYS", &key), ("API_ISSUERS", &issuers)],
    );
    let mut ada = fixture.browser();
    ada.sign_in("/", &fixture.provider);
    let authorization = format!("Bearer {}", partner.access_token("at+jwt", &json!({"sub": "ada"})));
    let key_set = ada.fetch("/oauth/jwks").text();
    let origin = fixture.handler.origin.clone();
    let asserted = || {
        let received = fixture.upstream.last();
        let assertion = received.header("x-identity-assertion").unwrap();
        let claims = support::verify_assertion(assertion, &key_set, &origin, &format!("{origin}/"));
        (claims["sub"].clone(), claims["sub_id"]["iss"].clone())
    };

    ada.fetch("/x");
    let of_person = asserted();
    fixture.browser().send("GET", "/x", &[("authorization", &authorization)], b"");
    let of_client = asserted();

    assert_eq!(of_person, (json!("ada"), json!(fixture.provider.issuer)));
    assert_eq!(of_client, (json!("ada"), json!(partner.issuer)));
}

#[test]
fn a_silent_sign_in_of_a_link_is_no_try_at_a_stronger_one() {
    let fixture = Fixture::start(json!([{"path": "/"}, {"path": "/strong", "require": {"acr": "gold"}}]), &[]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin?redirect=/&acr_values=gold&prompt=none");
    let back = fixture.provider.approve(location(&to_provider));
    assert_eq!(browser.navigate(&back).status, 303);

    let page = browser.navigate("/strong");

    assert_eq!(page.status, 302, "led to the stronger sign-in: {}", page.text());
    assert!(location(&page).contains("acr_values=gold"), "{}", location(&page));
}

#[test]
fn methods_and_tenants_are_rules_too() {
    let require = json!([
        {"tenant": "t1"},
        {"any": [{"methods": ["GET", "HEAD"]}, {"claim": "roles", "one_of": ["editor", "owner"]}]},
    ]);
    let fixture = Fixture::start(json!([{"path": "/"}, {"path": "/docs", "require": require}]), &[]);
    let table = [
        (json!({"tid": "t1"}), "GET", 200),
        (json!({"tid": "t1"}), "POST", 403),
        (json!({"tid": "t1", "roles": ["owner"]}), "POST", 200),
        (json!({"tid": "t2", "roles": ["owner"]}), "GET", 403),
        (json!({}), "GET", 403),
    ];
    for (claims, method, expected) in table {
        fixture.provider.set_claims(&claims);
        let mut browser = fixture.browser();
        browser.sign_in("/", &fixture.provider);

        let response = browser.send(method, "/docs", &[("sec-fetch-site", "same-origin")], b"");

        assert_eq!(response.status, expected, "{method} {claims}");
    }
}

#[test]
fn an_api_client_passes_with_its_token_as_it_came() {
    let fixture = Fixture::start(
        json!([
            {"path": "/"},
            {"path": "/api", "access": "bearer", "require": {"scope": "orders.read"}},
            {"path": "/both", "access": "session_or_bearer", "token": "none"},
        ]),
        &[("HEADERS", r#"[{"name":"X-Client","claim":"client_id"}]"#)],
    );
    let token = fixture.provider.access_token("at+jwt", &json!({}));
    let authorization = format!("Bearer {token}");
    let mut client = fixture.browser();

    for (method, path) in [("GET", "/api/orders"), ("POST", "/api/orders"), ("DELETE", "/both/x")] {
        let headers = [("authorization", authorization.as_str()), ("origin", "https://elsewhere.example")];
        let response = client.send(method, path, &headers, b"");

        assert_eq!((response.status, response.header("set-cookie")), (200, None), "{method} {path}");
        let received = fixture.upstream.last();
        assert_eq!(received.header("authorization"), Some(authorization.as_str()));
        assert_eq!(received.header("x-client"), Some("robot"));
    }
}

#[test]
fn what_is_no_access_token_gets_a_challenge_and_never_the_upstream() {
    let fixture = Fixture::start(
        json!([
            {"path": "/"},
            {"path": "/api", "access": "bearer"},
            {"path": "/api/write", "access": "bearer", "require": {"scope": "orders.write"}},
            {"path": "/api/strong", "access": "bearer", "require": {"acr": "gold"}},
        ]),
        &[],
    );
    let provider = &fixture.provider;
    let signed = |typ: &str, changes: Value| format!("Bearer {}", provider.access_token(typ, &changes));
    let good = signed("at+jwt", json!({}));
    let invalid = "Bearer error=\"invalid_token\"";
    let table = [
        ("/api", String::new(), 401, "bearer_required", "Bearer", "no token"),
        ("/api", "Basic dTpw".to_owned(), 401, "bearer_required", "Bearer", "another scheme"),
        ("/api", "Bearer".to_owned(), 401, "bearer_required", "Bearer", "a scheme alone"),
        ("/api", "Bearer opaque".to_owned(), 401, "bearer_invalid", invalid, "an opaque token"),
        ("/api", "bearer\topaque".to_owned(), 401, "bearer_invalid", invalid, "behind a tab, as .NET reads it"),
        ("/api", "Bearer e30.e30.".to_owned(), 401, "bearer_invalid", invalid, "no signature"),
        ("/api", signed("JWT", json!({})), 401, "bearer_invalid", invalid, "an ID token"),
        ("/api", signed("at+jwt", json!({"aud": "client"})), 401, "bearer_invalid", invalid, "another audience"),
        ("/api", signed("at+jwt", json!({"exp": 1})), 401, "bearer_invalid", invalid, "expired"),
        ("/api", signed("at+jwt", json!({"iss": "https://x"})), 401, "bearer_invalid", invalid, "another issuer"),
        ("/api/write", good.clone(), 403, "access_denied", "Bearer error=\"insufficient_scope\"", "another scope"),
        ("/%61pi/write", good.clone(), 400, "target_ambiguous", "", "another spelling"),
        (
            "/api/strong",
            good.clone(),
            401,
            "step_up_required",
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\"",
            "a weak sign-in",
        ),
    ];
    for (path, authorization, status, expected, challenge, reason) in &table {
        let header = [("authorization", authorization.as_str())];
        let headers = if authorization.is_empty() { &[][..] } else { &header[..] };

        let response = fixture.browser().send("GET", path, headers, b"");

        assert_eq!(code(&response), (*status, (*expected).to_owned()), "{reason}: {}", response.text());
        let told = response.header("www-authenticate").unwrap_or_default();
        assert!(told.starts_with(challenge), "{reason}: {told}");
        assert_eq!(told.is_empty(), challenge.is_empty(), "{reason}: {told}");
        assert!(response.header("set-cookie").is_none(), "{reason}");
    }
    assert_eq!(fixture.upstream.received().len(), 0);
}

#[test]
fn a_route_for_both_challenges_for_both() {
    let fixture = Fixture::start(json!([{"path": "/", "access": "session_or_bearer"}]), &[]);

    let script = fixture.browser().fetch("/x");
    let page = fixture.browser().navigate("/x");

    assert_eq!(code(&script), (401, "session_required".to_owned()));
    assert_eq!(script.headers_named("www-authenticate").collect::<Vec<_>>(), ["Cookie realm=\"sign-in\"", "Bearer"]);
    assert_eq!(page.status, 302);
}

#[test]
fn claims_become_headers_that_no_client_can_forge() {
    let own = r#"[{"name":"X-Role","claim":"roles","format":"list","separator":";"},{"name":"X-Who","claim":"name"}]"#;
    let routes = json!([
        {"path": "/"},
        {"path": "/raw", "headers": [{"name": "X-Who", "claim": "address", "format": "json"}]},
        {"path": "/open", "access": "anonymous"},
    ]);
    let fixture = Fixture::start(routes, &[("HEADERS", own)]);
    let claims = json!({"roles": ["a;b", "c\r\nX-Admin: 1"], "name": "Ada", "address": {"city": "Z\u{fc}rich"}});
    fixture.provider.set_claims(&claims);
    let mut browser = fixture.browser();
    browser.sign_in("/", &fixture.provider);
    let forged = [("x-role", "root"), ("X-ROLE", "root"), ("x_role", "root"), ("X-Who", "root"), ("x.who", "root")];

    for (path, expected_role, expected_who) in [
        ("/x", Some("a%3Bb;c%0D%0AX-Admin: 1"), Some("Ada")),
        ("/raw", Some("a%3Bb;c%0D%0AX-Admin: 1"), Some(r#"{"city":"Z\u00fcrich"}"#)),
        ("/open", None, None),
    ] {
        assert_eq!(browser.send("GET", path, &forged, b"").status, 200, "{path}");
        let received = fixture.upstream.last();

        assert_eq!((received.header("x-role"), received.header("x-who")), (expected_role, expected_who), "{path}");
        let values = received.headers.iter().map(|(_, value)| value.as_str());
        assert!(values.into_iter().all(|value| value != "root"), "{path}");
    }
}

#[test]
fn instances_whose_clocks_differ_end_the_loop_with_their_own_page() {
    let fixture = Fixture::start(json!([{"path": "/"}]), &[]);
    let ahead = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 7200;
    let mut browser = fixture.browser();
    browser.sign_in("/", &fixture.provider);
    let name = browser.cookies.keys().find(|name| name.ends_with("rounds")).unwrap().clone();
    let page = browser.cookies[&name].rsplit_once('.').unwrap().1.to_owned();
    browser.cookies.insert(name, format!("3.{ahead}.{page}"));

    let page = browser.navigate("/oauth/signin?redirect=/");

    assert_eq!(page.status, 500);
    assert!(page.text().contains("clock_skew"), "{}", page.text());
}

#[test]
fn a_store_that_loses_sessions_ends_the_loop_with_its_own_page() {
    let fixture = Fixture::start(json!([{"path": "/"}]), &[]);
    let other = Fixture::start(json!([{"path": "/"}]), &[("OIDC_ISSUER_URL", &fixture.provider.issuer)]);
    let mut browser = fixture.browser();
    for _ in 0..3 {
        let to_provider = browser.navigate("/oauth/signin?redirect=/x");
        let back = fixture.provider.approve(location(&to_provider));
        browser.navigate(&back);
    }

    let page = browser.at(&other.handler.origin).navigate("/oauth/signin?redirect=/x");

    assert_eq!(page.status, 500);
    assert!(page.text().contains("session_lost"), "{}", page.text());
}

#[test]
fn explain_says_what_decides() {
    let routes = json!([
        {"path": "/", "upstream": "http://app"},
        {"path": "/admin", "upstream": "http://app", "require": admins()},
    ]);
    let claims = std::env::temp_dir().join(format!("claims-{}.json", std::process::id()));
    std::fs::write(&claims, json!({"sub": "ada", "groups": ["staff"]}).to_string()).unwrap();
    let settings = [
        ("ROUTES", routes.to_string()),
        ("OIDC_ISSUER_URL", "https://op.example".to_owned()),
        ("CLIENT_ID", "client".to_owned()),
        ("CLIENT_SECRET", "a-client-secret".to_owned()),
        ("PUBLIC_BASE_URL", "https://app.example".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments = ["explain", "GET", "/%61dmin/x", "--claims", claims.to_str().unwrap()];

    let (status, output, errors) = support::run_to_end(&arguments, &settings);
    std::fs::remove_file(&claims).unwrap();

    assert_eq!(status, 0, "{errors}");
    for part in ["route     / (session)", "rule      of /admin: not met: groups is admins", "403 access_denied"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

#[test]
fn an_unverified_address_meets_no_rule_and_is_in_no_header() {
    let rule = json!({"claim": "email", "equals": "boss@bank.example"});
    let routes = json!([{"path": "/"}, {"path": "/boss", "require": rule}]);
    let headers = json!([{"name": "X-Mail", "claim": "email"}]).to_string();
    for (is_verified, status, header) in [(true, 200, Some("boss@bank.example")), (false, 403, None)] {
        for preset in ["none", "easyauth"] {
            let settings = [("HEADERS", headers.as_str()), ("HEADER_PRESET", preset)];
            let fixture = Fixture::start(routes.clone(), &settings);
            fixture.provider.set_claims(&json!({"email": "boss@bank.example", "email_verified": is_verified}));
            let mut browser = fixture.browser();

            assert_eq!(browser.sign_in("/", &fixture.provider).status, 200);

            assert_eq!(fixture.upstream.last().header("x-mail"), header, "{preset}");
            assert_eq!(browser.fetch("/boss").status, status, "{preset}");
        }
    }
}

#[test]
fn explain_shows_the_assertion_that_the_upstream_gets() {
    let key = Provider::new_signing_key();
    let claims = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(claims.path(), json!({"sub": "ada"}).to_string()).unwrap();
    let routes = json!([{"path": "/", "upstream": "http://app.internal", "assertion": true}]).to_string();
    let settings = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("OIDC_ISSUER_URL", "https://op.example"),
        ("CLIENT_ID", "client"),
        ("ROUTES", routes.as_str()),
        ("ASSERTION_KEYS", key.as_str()),
    ];

    let question = ["explain", "GET", "/x", "--claims", claims.path().to_str().unwrap()];
    let (code, stdout, stderr) = run_to_end(&question, &settings);

    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("x-identity-assertion: <a signed assertion for https://app.example/>"), "{stdout}");
}
