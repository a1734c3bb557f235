//! Routes with an access token of their own: one call a target over four instances, and no Upstream sees another's.

use std::sync::mpsc;

use cosmos_emulator::CosmosEmulator;
use serde_json::json;
use support::{
    Browser, Handler, KEYS, Provider, Response, TokenReply, Upstream, read_response, run_to_end, wait_until,
};

struct Fixture {
    provider: Provider,
    application: Upstream,
    orders: Upstream,
    stock: Upstream,
    /// One person, at each of the instances.
    browsers: Vec<Browser>,
    _cosmos: CosmosEmulator,
    instances: Vec<Handler>,
}

impl Fixture {
    /// Instances with three routes, two of which have a token of their own, named by `member`.
    fn start(number: usize, member: &str, targets: [&str; 2]) -> Self {
        let (cosmos, provider) = (CosmosEmulator::start(), Provider::start());
        let (application, orders, stock) = (Upstream::start(), Upstream::start(), Upstream::start());
        let routes = json!([
            {"path": "/", "upstream": application.url},
            {"path": "/orders", "upstream": orders.url, "token": {member: targets[0]}},
            {"path": "/stock", "upstream": stock.url, "token": {member: targets[1], "header": "X-Token"}},
        ])
        .to_string();
        let own = [("ROUTES", routes.as_str()), ("HEADER_PRESET", "easyauth")];
        let settings = [&own[..], &KEYS[..], &cosmos.settings()[..], &provider.settings()[..]].concat();
        let mut instances = vec![Handler::start(&settings)];
        let origin = instances[0].origin.clone();
        let settings = [&settings[..], &[("PUBLIC_BASE_URL", origin.as_str())]].concat();
        instances.extend((1..number).map(|_| Handler::start(&settings)));
        let mut browser = Browser::new(&origin);
        browser.sign_in("/", &provider);
        let mut browsers: Vec<_> = instances.iter().map(|instance| browser.at(&instance.origin)).collect();
        for browser in &mut browsers {
            wait_until("the instance has connected to the store", || browser.fetch("/page").status == 200);
        }
        Self { provider, application, orders, stock, browsers, _cosmos: cosmos, instances }
    }

    /// Values of a parameter in the token requests, in order.
    fn targets(&self, parameter: &str) -> Vec<String> {
        self.provider.forms().iter().filter_map(|form| form.get(parameter).cloned()).collect()
    }

    /// Every request of an Upstream, as text.
    fn seen(upstream: &Upstream) -> Vec<String> {
        upstream.received().iter().map(|request| format!("{:?}", request.headers)).collect()
    }
}

const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example";

#[test]
fn two_hundred_requests_of_two_routes_at_four_instances_cost_one_call_a_target() {
    for (member, targets) in [("resource", [ORDERS, STOCK]), ("audience", ["orders", "stock"])] {
        let fixture = Fixture::start(4, member, targets);

        let paths = ["/orders/1", "/stock/1"];
        let pending: Vec<_> =
            (0..200).map(|at| fixture.browsers[at % 4].begin("GET", paths[at / 4 % 2], &[], b"")).collect();
        let statuses: Vec<u16> = pending.iter().map(|stream| read_response(stream, "GET").unwrap().status).collect();

        assert_eq!(statuses, vec![200; 200], "{member}");
        let mut asked = fixture.targets(member);
        asked.sort();
        assert_eq!(asked, targets, "{member}: one call each");
        let (orders, stock) = (Fixture::seen(&fixture.orders), Fixture::seen(&fixture.stock));
        assert_eq!((orders.len(), stock.len()), (100, 100));
        let own = |target: &str| format!("-for-{target}");
        assert!(orders.iter().all(|seen| seen.contains(&own(targets[0])) && !seen.contains(&own(targets[1]))));
        assert!(stock.iter().all(|seen| seen.contains(&own(targets[1])) && !seen.contains(&own(targets[0]))));
        for seen in orders.iter().chain(&stock) {
            assert_eq!(seen.matches("access-token-").count(), 2, "the token and its copy of the preset: {seen}");
        }
    }
}

#[test]
fn a_route_without_a_target_gets_the_sign_ins_token_and_no_other() {
    let mut fixture = Fixture::start(1, "resource", [ORDERS, STOCK]);
    assert_eq!(fixture.browsers[0].fetch("/orders/1").status, 200);

    assert_eq!(fixture.browsers[0].fetch("/page").status, 200);

    assert_eq!(fixture.application.last().header("authorization"), Some("Bearer access-token-1"));
    assert!(Fixture::seen(&fixture.application).iter().all(|seen| !seen.contains("-for-")));
}

#[test]
fn a_sign_out_revokes_every_token() {
    for (member, targets) in [("resource", [ORDERS, STOCK]), ("audience", ["orders", "stock"])] {
        let mut fixture = Fixture::start(2, member, targets);
        assert_eq!(fixture.browsers[0].fetch("/orders/1").status, 200);
        assert_eq!(fixture.browsers[1].fetch("/stock/1").status, 200);
        let mut old = fixture.browsers[0].clone();

        assert_eq!(fixture.browsers[0].post("/oauth/signout", b"").status, 303);

        wait_until("three tokens are revoked", || fixture.provider.revoked().len() == 3);
        let revoked = fixture.provider.revoked();
        let is_revoked = |text: &str| revoked.iter().any(|token| token.contains(text));
        assert!(is_revoked(targets[0]) && is_revoked(targets[1]) && is_revoked("refresh-token-"), "{revoked:?}");
        assert_eq!(old.fetch("/orders/1").status, 401);
    }
}

#[test]
fn what_the_provider_responds_for_one_route_concerns_no_other() {
    for (response, status, code) in [
        (TokenReply::Raw(400, "", r#"{"error":"invalid_target"}"#), 403, "route_token_refused"),
        (TokenReply::Raw(400, "", r#"{"error":"consent_required"}"#), 403, "route_token_consent_required"),
        (TokenReply::Raw(400, "", r#"{"error":"interaction_required"}"#), 403, "route_token_interaction_required"),
        (TokenReply::Raw(429, "retry-after: 9\r\n", ""), 503, "route_token_unavailable"),
        (TokenReply::Reset, 503, "route_token_unavailable"),
    ] {
        let mut fixture = Fixture::start(1, "resource", [ORDERS, STOCK]);
        fixture.provider.script(response);

        let refused: [Response; 2] = [fixture.browsers[0].fetch("/orders/1"), fixture.browsers[0].fetch("/orders/1")];

        for refused in refused {
            assert_eq!((refused.status, refused.json()["code"].as_str()), (status, Some(code)));
            assert_eq!(refused.header("retry-after").is_some(), status == 503, "{code}");
        }
        assert_eq!(fixture.browsers[0].fetch("/stock/1").status, 200, "{code}");
        assert_eq!(fixture.browsers[0].fetch("/page").status, 200, "{code}");
        assert_eq!(fixture.targets("resource"), [ORDERS, STOCK], "{code}: asked once");
        assert!(fixture.orders.received().is_empty(), "{code}: nothing was passed on");
    }
}

#[test]
fn a_person_sees_what_to_do_about_a_refused_route() {
    let mut fixture = Fixture::start(1, "resource", [ORDERS, STOCK]);
    fixture.provider.script(TokenReply::Raw(400, "", r#"{"error":"interaction_required"}"#));

    let page = fixture.browsers[0].navigate("/orders/1");

    assert_eq!(page.status, 403);
    let (text, link) = (page.text(), "href=\"/oauth/signin?redirect=%2Forders%2F1\"");
    assert!(text.contains("Sign in once more.") && text.contains(link), "{text}");
    let problem = fixture.browsers[0].fetch("/orders/1").json();
    assert_eq!(
        (problem["code"].as_str(), problem["login_url"].is_string()),
        (Some("route_token_interaction_required"), true)
    );
    let Fixture { provider, browsers, .. } = &mut fixture;
    assert_eq!(browsers[0].sign_in_by("/oauth/signin?redirect=%2Forders%2F1", provider).status, 200);
}

#[test]
fn a_client_that_hangs_up_loses_no_refresh_token() {
    let mut fixture = Fixture::start(1, "resource", [ORDERS, STOCK]);
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));
    let gone = fixture.browsers[0].begin("GET", "/orders/1", &[], b"");
    wait_until("the provider is asked", || fixture.provider.refreshes() == 1);

    fixture.instances[0].reset(gone);
    release.send(()).unwrap();

    assert_eq!(fixture.browsers[0].fetch("/stock/1").status, 200); // by the refresh token that was rotated
    assert_eq!(fixture.browsers[0].fetch("/orders/1").status, 200);
    assert_eq!(fixture.provider.refreshes(), 2);
}

#[test]
fn a_target_that_the_profile_has_no_way_to_is_a_mistake() {
    let known = |names: &str| format!("names a target by {names}");
    let nothing = "has no way to a token for another target".to_owned();
    for (profile, token, problem) in [
        ("entra", json!({"resource": "https://b.example"}), known("scope")),
        ("external-id", json!({"audience": "b"}), known("scope")),
        ("b2c", json!({"audience": "b", "scope": "read"}), known("scope")),
        ("auth0", json!({"resource": "https://b.example"}), known("audience or scope")),
        ("okta", json!({"resource": "https://b.example"}), known("audience or scope")),
        ("keycloak", json!({"resource": "https://b.example"}), known("audience or scope")),
        ("adfs", json!({"scope": "read"}), known("resource")),
        ("google", json!({"scope": "read"}), nothing.clone()),
        ("cognito", json!({"audience": "b"}), nothing.clone()),
    ] {
        let routes = json!([
            {"path": "/a", "upstream": "http://app.internal", "token": token},
            {"path": "/b", "upstream": "http://app.internal", "token": token, "access": "anonymous"},
            {"path": "/c", "upstream": "http://app.internal", "token": "none"},
        ]);
        let only_a = json!([routes[0], routes[2]]).to_string();
        let settings = |routes: &str| {
            run_to_end(
                &["check"],
                &[
                    ("PUBLIC_BASE_URL", "https://app.example"),
                    ("OIDC_ISSUER_URL", "https://op.example"),
                    ("CLIENT_ID", ""),
                    ("PROVIDER", profile),
                    ("ROUTES", routes),
                ],
            )
        };

        let (code, _, stderr) = settings(&only_a);
        let (_, _, contradiction) = settings(&routes.to_string());

        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(&format!("PROVIDER={profile} {problem}")), "{stderr}");
        assert!(stderr.contains("CLIENT_ID"), "with all others: {stderr}");
        assert!(contradiction.contains("a token of its own and access anonymous"), "{contradiction}");
    }
}

#[test]
fn a_token_of_its_own_and_access_bearer_are_a_mistake() {
    let routes =
        json!([{"path": "/a", "upstream": "http://app.internal", "access": "bearer", "token": {"audience": "b"}}]);

    let (code, _, stderr) = run_to_end(&["check"], &[("ROUTES", &routes.to_string())]);

    assert_eq!(code, 2);
    assert!(stderr.contains("token and access bearer, whose tokens are passed on as they came"), "{stderr}");
}

#[test]
fn check_and_explain_say_what_a_route_gets() {
    let provider = Provider::start();
    let upstream = Upstream::start();
    let routes = json!([{"path": "/orders", "upstream": upstream.url, "token": {"audience": "orders"}}]).to_string();
    let settings = [("PUBLIC_BASE_URL", "http://127.0.0.1:1"), ("ROUTES", routes.as_str())];
    let settings = [&settings[..], &provider.settings()[..]].concat();

    let (_, checked, _) = run_to_end(&["check"], &settings);
    let (_, explained, _) = run_to_end(&["explain", "GET", "/orders/1"], &settings);

    let way = "of its own: audience=orders, by an exchange of the sign-in's token";
    assert!(checked.contains(&format!("the route /orders gets a token {way}")), "{checked}");
    assert!(explained.contains(&format!("token     {way}")), "{explained}");
}
