//! Rules of routes: by claim, by sign-in, by access token; and the headers that claims become.

use serde_json::{Value, json};
use support::{Browser, Handler, Provider, Response, Upstream, run_to_end, wait_for_lapse, wait_until};

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

impl Fixture {
    fn start(settings: &[(&str, &str)]) -> Self {
        let (provider, upstream) = (Provider::start(), Upstream::start());
        let url = &upstream.url;
        let routes = json!([
            { "path": "/", "upstream": url },
            { "path": "/admin", "upstream": url, "require": { "claim": "groups", "equals": "admins" },
              "explain": "Ask the <service desk> for the group \"admins\"." },
            { "path": "/strong", "upstream": url, "require": { "acr": ["mfa", "phr"] } },
            { "path": "/recent", "upstream": url, "require": { "max_age": "10min" } },
            { "path": "/api", "upstream": url, "access": "bearer", "require": { "scope": "orders.read" } },
            { "path": "/api/strong", "upstream": url, "access": "bearer",
              "require": [{ "acr": "mfa" }, { "max_age": "1min" }] },
            { "path": "/both", "upstream": url, "access": "session_or_bearer",
              "headers": [{ "name": "X-Remote-User", "claim": "sub" }] },
        ]);
        let issuers = json!([{ "issuer": provider.issuer, "audience": "api://orders" }]).to_string();
        let headers = json!([
            { "name": "X-Groups", "claim": "groups", "format": "list", "separator": ";" },
            { "name": "X-Remote-User", "claim": "name" },
        ]);
        let (routes, headers) = (routes.to_string(), headers.to_string());
        let own = [("ROUTES", routes.as_str()), ("API_ISSUERS", issuers.as_str()), ("HEADERS", headers.as_str())];
        let handler = Handler::start(&[&own[..], &provider.settings(), settings].concat());
        Self { provider, upstream, handler }
    }

    fn signed_in(&self, claims: &Value) -> Browser {
        self.provider.set_claims(claims);
        let mut browser = Browser::new(&self.handler.origin);
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }

    fn program(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        Browser::new(&self.handler.origin).send("GET", path, headers, b"")
    }

    /// Requests that the application saw since the last look.
    fn passed_on(&self, before: usize) -> usize {
        self.upstream.received().len() - before
    }
}

fn code(response: &Response) -> (u16, String) {
    (response.status, response.json()["code"].as_str().unwrap_or_default().to_owned())
}

const PAGE: [(&str, &str); 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

#[test]
fn a_person_without_the_claim_is_denied_in_the_operators_words() {
    let fixture = Fixture::start(&[]);
    let mut ada = fixture.signed_in(&json!({ "sub": "ada", "groups": ["staff", "admins"] }));
    let mut bob = fixture.signed_in(&json!({ "sub": "bob", "groups": ["staff"] }));
    let before = fixture.upstream.received().len();

    let page = bob.navigate("/admin/users?a=1");
    let script = bob.fetch("/admin/users");
    let form = bob.send("POST", "/admin/users", &[&PAGE[..], &[("origin", &fixture.handler.origin)]].concat(), b"a=1");

    let text = page.text();
    assert_eq!(page.status, 403);
    assert!(text.contains("Ask the &lt;service desk&gt; for the group &quot;admins&quot;."), "{text}");
    assert!(
        text.contains("redirect=%2Fadmin%2Fusers%3Fa%3D1&amp;prompt=select_account\">Sign in as someone else"),
        "{text}"
    );
    assert_eq!(code(&script), (403, "access_denied".to_owned()));
    assert_eq!(script.json()["explain"], "Ask the <service desk> for the group \"admins\".");
    assert_eq!((form.status, form.text().contains("name=\"form\"")), (403, false), "nothing is kept of it");
    assert_eq!(fixture.passed_on(before), 0);
    wait_until("the audit log names rule and person", || {
        let log = fixture.handler.output().text();
        let line = log.lines().find(|line| line.contains("access denied")).map(str::to_owned);
        line.is_some_and(|line| {
            line.contains("rule=\"/admin\"") && line.contains("person.key=") && !line.contains("bob")
        })
    });
    assert_eq!(ada.fetch("/admin/users").status, 200);
    assert_eq!(bob.fetch("/").status, 200);
}

#[test]
fn every_other_spelling_of_a_path_meets_the_stricter_rule() {
    let fixture = Fixture::start(&[]);
    let mut bob = fixture.signed_in(&json!({ "sub": "bob", "groups": "staff" }));
    let before = fixture.upstream.received().len();
    for path in
        ["/ADMIN", "/%61dmin/x", "/%2561dmin", "//admin", "/admin;x/y", "/admin.json", "/x;/..;/admin", "/admin%2f"]
    {
        let refused = bob.fetch(path);

        assert!(matches!(refused.status, 400 | 403), "{path}: {}", refused.status);
    }
    assert_eq!(fixture.passed_on(before), 0);
}

#[test]
fn a_stronger_sign_in_is_asked_for_once() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in(&json!({ "sub": "ada", "acr": "pwd" }));

    let led = browser.navigate("/strong/x");
    let script = browser.fetch("/strong/x");

    let signin = led.header("location").unwrap().to_owned();
    assert_eq!((led.status, signin.as_str()), (302, "/oauth/signin?redirect=%2Fstrong%2Fx&acr_values=mfa+phr"));
    assert_eq!(code(&script), (401, "step_up_required".to_owned()));
    assert!(script.json()["login_url"].as_str().unwrap().ends_with("&acr_values=mfa+phr"));

    fixture.provider.set_claims(&json!({ "sub": "ada", "acr": "phr" }));
    let mut strong = browser.clone();
    assert_eq!(strong.sign_in_by(&signin, &fixture.provider).status, 200);

    fixture.provider.set_claims(&json!({ "sub": "ada", "acr": "pwd" }));
    let unmet = browser.sign_in_by(&signin, &fixture.provider);
    assert_eq!(unmet.status, 403);
    assert!(unmet.text().contains("step_up_unmet") && unmet.text().contains("Try again"), "{}", unmet.text());
}

#[test]
fn an_old_sign_in_is_asked_to_be_made_again() {
    let fixture = Fixture::start(&[]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut browser = fixture.signed_in(&json!({ "sub": "ada", "auth_time": now - 700 }));

    let signin = browser.navigate("/recent").header("location").unwrap().to_owned();
    fixture.provider.set_claims(&json!({ "sub": "ada", "auth_time": now }));

    assert_eq!(signin, "/oauth/signin?redirect=%2Frecent&max_age=600");
    assert_eq!(browser.sign_in_by(&signin, &fixture.provider).status, 200);
    assert_eq!(browser.fetch("/recent").status, 200);
}

#[test]
fn an_api_client_passes_by_its_access_token_alone() {
    let fixture = Fixture::start(&[]);
    let token = fixture.provider.access_token("at+jwt", &json!({ "groups": ["a;b", "c"], "name": "Robot" }));
    let bearer = format!("Bearer {token}");

    let passed = Browser::new(&fixture.handler.origin).send(
        "POST",
        "/api/orders",
        &[("authorization", &bearer), ("x-groups", "forged"), ("X_Groups", "forged")],
        b"{}",
    );

    assert_eq!((passed.status, passed.header("set-cookie")), (200, None));
    let received = fixture.upstream.last();
    assert_eq!(received.header("authorization"), Some(bearer.as_str()));
    assert_eq!((received.header("x-groups"), received.header("x-remote-user")), (Some("a%3Bb;c"), Some("Robot")));
    assert_eq!(received.headers.iter().filter(|(name, _)| name.replace('_', "-") == "x-groups").count(), 1);
}

/// Headers, the expected status and code, and a part of the challenge.
type Refusal<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, Option<&'a str>);

#[test]
fn what_is_no_access_token_for_here_is_challenged() {
    let fixture = Fixture::start(&[]);
    let ada = fixture.signed_in(&json!({ "sub": "ada" }));
    let before = fixture.upstream.received().len();
    let good = format!("Bearer {}", fixture.provider.access_token("at+jwt", &json!({})));
    let of = |typ: &str, changes: Value| format!("Bearer {}", fixture.provider.access_token(typ, &changes));
    let cookie = ada.cookie_header();
    let table: [Refusal<'_>; 9] = [
        (&[], 401, "bearer_required", Some("Bearer")),
        (&[("authorization", "Basic YTpi")], 401, "bearer_required", Some("Bearer")),
        (&[("authorization", "Bearer")], 401, "bearer_required", Some("Bearer")),
        (&[("authorization", "Bearer abc")], 401, "bearer_invalid", Some("Bearer error=\"invalid_token\"")),
        (
            &[("authorization", &of("at+jwt", json!({ "aud": "api://other" })))],
            401,
            "bearer_invalid",
            Some("invalid_token"),
        ),
        (&[("authorization", &of("JWT", json!({ "nonce": "n" })))], 401, "bearer_invalid", Some("invalid_token")),
        (
            &[("authorization", &of("at+jwt", json!({ "scope": "x" })))],
            403,
            "access_denied",
            Some("insufficient_scope"),
        ),
        (&[("authorization", &good), ("authorization", &good)], 400, "bad_request", None),
        (&[("authorization", &good), ("cookie", &cookie)], 400, "bearer_and_cookie", None),
    ];
    for (headers, status, expected, challenge) in table {
        let refused = fixture.program("/api/orders", headers);

        assert_eq!(code(&refused), (status, expected.to_owned()), "{headers:?}");
        let given = refused.header("www-authenticate");
        assert!(challenge.is_none_or(|part| given.is_some_and(|given| given.contains(part))), "{headers:?}: {given:?}");
    }
    assert_eq!(fixture.passed_on(before), 0);
}

#[test]
fn a_route_of_both_takes_a_session_or_a_token() {
    let fixture = Fixture::start(&[]);
    let mut ada = fixture.signed_in(&json!({ "sub": "ada", "name": "Ada" }));
    let bearer = format!("Bearer {}", fixture.provider.access_token("at+jwt", &json!({})));

    assert_eq!(ada.fetch("/both").status, 200);
    assert_eq!(fixture.upstream.last().header("x-remote-user"), Some("ada"), "the route's header wins");
    assert_eq!(fixture.program("/both", &[("authorization", &bearer)]).status, 200);
    assert_eq!(fixture.upstream.last().header("x-remote-user"), Some("robot"));
    assert_eq!(code(&fixture.program("/both", &[])), (401, "session_required".to_owned()));
    assert_eq!(fixture.program("/both", &PAGE).status, 302);
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(code(&ada.send("POST", "/both", &foreign, b"")), (403, "csrf_rejected".to_owned()));
}

#[test]
fn a_step_up_that_a_program_lacks_is_told_by_its_challenge() {
    let fixture = Fixture::start(&[]);
    let bearer = format!("Bearer {}", fixture.provider.access_token("at+jwt", &json!({ "acr": "pwd" })));

    let refused = fixture.program("/api/strong", &[("authorization", &bearer)]);

    assert_eq!(code(&refused), (401, "step_up_required".to_owned()));
    let challenge = "Bearer error=\"insufficient_user_authentication\", acr_values=\"mfa\", max_age=\"60\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
}

#[test]
fn the_keys_of_an_issuer_that_cannot_be_had_are_no_verdict_on_its_tokens() {
    let fixture = Fixture::start(&[]);
    let (gone, issuer) = (Provider::start(), "http://127.0.0.1:1");
    let issuers = json!([{ "issuer": issuer, "audience": "api://orders" }]).to_string();
    let fixture = Fixture::start(&[("API_ISSUERS", &issuers), ("OIDC_ISSUER_URL", &fixture.provider.issuer)]);
    let bearer = format!("Bearer {}", gone.access_token("at+jwt", &json!({ "iss": issuer })));

    let refused = fixture.program("/api/orders", &[("authorization", &bearer)]);

    assert_eq!(code(&refused), (503, "issuer_unavailable".to_owned()));
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn a_loop_of_sign_ins_ends_with_a_page_that_says_why() {
    let fixture = Fixture::start(&[]);
    let signin = "/oauth/signin?redirect=%2F";
    for (lost, expected) in [("oauth-proxy-session", "cookie_not_returned"), ("none", "application_asks_again")] {
        let mut browser = Browser::new(&fixture.handler.origin);
        for _ in 0..3 {
            let provider_url = browser.navigate(signin).header("location").unwrap().to_owned();
            assert_eq!(browser.navigate(&fixture.provider.approve(&provider_url)).status, 303, "{expected}");
            browser.cookies.remove(lost);
        }

        let page = browser.navigate(signin);

        let text = page.text();
        assert!(matches!(page.status, 400 | 500) && text.contains(expected), "{expected}: {text}");
        let again = "/oauth/signin?redirect=%2F&again=1";
        assert!(text.contains(&format!("href=\"{}\"", again.replace('&', "&amp;"))), "{text}");
        let provider_url = browser.navigate(again);
        assert_eq!(provider_url.status, 302, "the person goes on, and the count begins anew");
        assert_eq!(browser.navigate(signin).status, 302);
    }
}

#[test]
fn a_sign_out_begins_the_count_anew() {
    let fixture = Fixture::start(&[]);
    let mut browser = Browser::new(&fixture.handler.origin);
    for _ in 0..5 {
        assert_eq!(browser.sign_in("/", &fixture.provider).status, 200);
        let origin = fixture.handler.origin.clone();
        let out = browser.send("POST", "/oauth/signout", &[&PAGE[..], &[("origin", &origin)]].concat(), b"");
        assert_eq!(out.status, 303);
    }
}

#[test]
fn a_loop_by_a_lost_record_or_a_clock_has_its_own_name() {
    let provider = Provider::start();
    let upstream = Upstream::start();
    let keys = [("COOKIE_KEYS", "c1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")];
    let own = [("UPSTREAM_URL", upstream.url.as_str()), keys[0]];
    let settings = [&provider.settings()[..], &own].concat();
    provider.set_expires_in(1);
    let handler = Handler::start(&settings);
    let mut browser = Browser::new(&handler.origin);
    for _ in 0..3 {
        let provider_url = browser.navigate("/oauth/signin").header("location").unwrap().to_owned();
        browser.navigate(&provider.approve(&provider_url));
    }
    wait_for_lapse();

    let by_clock = browser.navigate("/oauth/signin");
    // Another instance of the same site, with a memory of its own.
    let other = Handler::start(&[&settings[..], &[("PUBLIC_BASE_URL", handler.origin.as_str())]].concat());
    let lost = browser.at(&other.origin).navigate("/oauth/signin");

    assert!(by_clock.status == 500 && by_clock.text().contains("clock_skew"), "{}", by_clock.text());
    assert!(lost.status == 500 && lost.text().contains("session_lost"), "{}", lost.text());
}

#[test]
fn an_application_verifies_the_assertion_of_its_route_and_of_no_other() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let url = &upstream.url;
    let routes = json!([
        { "path": "/", "upstream": url },
        { "path": "/app", "upstream": url, "assertion": true,
          "headers": [{ "name": "X-Groups", "claim": "groups", "format": "json" }] },
        { "path": "/named", "upstream": url, "assertion": "urn:orders" },
    ]);
    let (routes, key) = (routes.to_string(), Provider::new_signing_key());
    let own = [("ROUTES", routes.as_str()), ("ASSERTION_KEYS", key.as_str())];
    let handler = Handler::start(&[&own[..], &provider.settings()].concat());
    provider.set_claims(&json!({ "sub": "ada", "groups": ["staff"], "secret": "not mapped" }));
    let mut ada = Browser::new(&handler.origin);
    ada.sign_in("/", &provider);

    let forged = [("x-identity-assertion", "forged"), ("X_Identity_Assertion", "forged")];
    let mut assertion = |path: &str| {
        assert_eq!(ada.send("GET", path, &forged, b"").status, 200);
        let received = upstream.last();
        let sent = received.headers.iter().filter(|(name, _)| name.replace('_', "-") == "x-identity-assertion");
        sent.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let (plain, of_route, named) = (assertion("/"), assertion("/app/x"), assertion("/named"));
    let key_set = Browser::new(&handler.origin).send("GET", "/oauth/jwks", &[], b"");

    assert_eq!(plain, [""; 0], "no route of its own");
    assert_eq!(key_set.header("content-type"), Some("application/jwk-set+json"));
    for (assertion, audience) in [(&of_route, format!("{}/app", handler.origin)), (&named, "urn:orders".to_owned())] {
        let [assertion] = &assertion[..] else { panic!("{assertion:?}") };
        let claims = support::verify_assertion(assertion, &key_set.text(), &handler.origin, &audience);
        assert_eq!((&claims["sub"], &claims["groups"]), (&json!("ada"), &json!(["staff"])));
        assert!(claims.get("secret").is_none() && claims["exp"].as_u64() > claims["iat"].as_u64());
    }
    let none = Fixture::start(&[]);
    assert_eq!(code(&none.program("/oauth/jwks", &[])), (404, "route_not_found".to_owned()));
}

#[test]
fn a_destination_meets_the_rules_of_its_own_route() {
    let fixture = Fixture::start(&[]);
    let mut bob = fixture.signed_in(&json!({ "sub": "bob", "groups": ["staff"] }));
    let before = fixture.upstream.received().len();
    for (destination, status) in [("/admin/users", 400), ("/ADMIN/users", 400), ("/api/orders", 400), ("/copy", 200)] {
        let destination = format!("{}{destination}", fixture.handler.origin);
        let headers = [("origin", fixture.handler.origin.as_str()), ("destination", destination.as_str())];

        assert_eq!(bob.send("MOVE", "/page", &headers, b"").status, status, "{destination}");
    }
    assert_eq!(fixture.passed_on(before), 1);
}

#[test]
fn all_mistakes_of_a_route_table_are_told_at_once() {
    let routes = r#"[{"path":"app","upstream":"x","access":"public","require":{"clam":"a"}},
                     {"path":"/a","upstream":"http://a","acess":"bearer"},
                     {"path":"/b/*","upstream":"http://a","headers":[{"name":"Host","claim":"a"}],"assertion":3}]"#;
    let provider = Provider::start();
    let settings =
        [&provider.settings()[..], &[("PUBLIC_BASE_URL", "http://127.0.0.1:1"), ("ROUTES", routes)]].concat();

    let (_, _, errors) = run_to_end(&["check"], &settings);

    for expected in [
        "\"app\": its path must start",
        "access \"public\"",
        "\"clam\"",
        "acess",
        "\"/b/*\"",
        "\"Host\"",
        "assertion 3",
    ] {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
}
