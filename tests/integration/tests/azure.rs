//! Keys from a vault, an identity without a secret, and the proof of a gateway: the real libraries over real TLS.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use azure_doubles::{AzureDoubles, Fault, OBJECT_ID};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cosmos_emulator::CosmosEmulator;
use serde_json::{Value, json};
use support::{Browser, Handler, Provider, Response, Upstream, run_to_end, wait_until};

const COOKIE_KEY: &str = "cookie-key";
const TOKEN_KEY: &str = "token-key";
const OLD: u64 = 86_400;

struct Fixture {
    azure: AzureDoubles,
    provider: Provider,
    upstream: Upstream,
}

impl Fixture {
    /// A vault with one key for each purpose.
    fn new() -> Self {
        let fixture = Self::without_keys();
        fixture.azure.vault.add_key_secret(COOKIE_KEY, OLD);
        fixture.azure.vault.add_key_secret(TOKEN_KEY, OLD);
        fixture
    }

    fn without_keys() -> Self {
        Self { azure: AzureDoubles::start(), provider: Provider::start(), upstream: Upstream::start() }
    }

    fn handler(&self, changes: &[(&str, &str)]) -> Handler {
        Handler::start(&self.settings(changes))
    }

    fn settings<'a>(&'a self, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [("UPSTREAM_URL", self.upstream.url.as_str())];
        [&own[..], &self.azure.settings()[..], &self.provider.settings()[..], changes].concat()
    }
}

fn code(response: &Response) -> (u16, Option<String>) {
    (response.status, response.json()["code"].as_str().map(str::to_owned))
}

fn refresh(browser: &mut Browser) -> Response {
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"")
}

/// The key that sealed the session's cookie.
fn kid(browser: &Browser) -> String {
    let (_, cookie) = browser.cookies.iter().find(|(name, _)| name.ends_with("-session")).unwrap();
    cookie.split('.').nth(1).unwrap().to_owned()
}

#[test]
fn a_session_is_sealed_by_the_vaults_newest_version_that_is_old_enough() {
    let fixture = Fixture::without_keys();
    for (name, age) in [(TOKEN_KEY, OLD), (COOKIE_KEY, 3 * OLD), (COOKIE_KEY, OLD), (COOKIE_KEY, 10)] {
        fixture.azure.vault.add_key_secret(name, age);
    }
    let expected = fixture.azure.vault.add_key_secret(COOKIE_KEY, OLD - 1);
    let handler = fixture.handler(&[]);
    let mut browser = Browser::new(&handler.origin);

    assert_eq!(browser.sign_in("/", &fixture.provider).status, 200);

    assert_eq!(kid(&browser), expected);
}

#[test]
fn without_keys_nobody_is_told_from_nobody_and_all_recovers_alone() {
    for fault in [Fault::NoRole, Fault::Firewall, Fault::Status(503), Fault::Throttled(0), Fault::Reset] {
        let fixture = Fixture::new();
        fixture.azure.vault.faults.break_down(fault);
        let handler = fixture.handler(&[]);
        let mut browser = Browser::new(&handler.origin);

        let (page, ready) = (browser.fetch("/page"), browser.fetch("/oauth/health/ready"));

        assert_eq!(code(&page), (503, Some("keys_unavailable".to_owned())), "{fault:?}");
        assert!(page.header("retry-after").is_some());
        assert_eq!((ready.status, ready.json()["keys"].as_str()), (503, Some("down")), "{fault:?}");
        fixture.azure.vault.faults.mend();
        wait_until("it recovers alone", || browser.fetch("/oauth/health/ready").status == 200);
        assert_eq!(browser.sign_in("/", &fixture.provider).status, 200, "{fault:?}");
    }
}

#[test]
fn an_identity_that_gives_no_token_is_told_of() {
    let fixture = Fixture::new();
    fixture.azure.identity.faults.break_down(Fault::Status(500));
    let handler = fixture.handler(&[]);
    let mut browser = Browser::new(&handler.origin);

    assert_eq!(code(&browser.fetch("/page")), (503, Some("keys_unavailable".to_owned())));

    fixture.azure.identity.faults.mend();
    wait_until("it recovers alone", || browser.fetch("/page").status == 401);
}

#[test]
fn a_vault_that_fails_later_takes_no_key_away() {
    let fixture = Fixture::new();
    let handler = fixture.handler(&[("KEY_RELOAD_INTERVAL", "1s"), ("KEY_ACTIVATION_DELAY", "2s")]);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &fixture.provider);
    fixture.azure.vault.faults.break_down(Fault::Status(500));

    wait_until("a load fails", || handler.output().text().contains("key load failed: vault not readable"));

    assert_eq!(browser.fetch("/page").status, 200);
    assert_eq!(browser.fetch("/oauth/health/ready").json()["keys"].as_str(), Some("up"));
}

#[test]
fn a_secret_that_is_no_key_is_told_of() {
    let fixture = Fixture::new();
    fixture.azure.vault.add_secret(COOKIE_KEY, "not-a-key", 1);

    let (exit, stdout, _) = run_to_end(&["check"], &fixture.settings(&[("PUBLIC_BASE_URL", "http://127.0.0.1:1")]));

    assert_eq!(exit, 1);
    assert!(stdout.contains("the secret is not base64 of 32 bytes"), "{stdout}");
}

#[test]
fn secrets_that_share_a_key_are_refused_by_check() {
    let value = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (secrets, told) in [
        ([(COOKIE_KEY, value), (TOKEN_KEY, value)], "the vault's secrets cookie-key and token-key share a key"),
        (
            [(COOKIE_KEY, value), (COOKIE_KEY, value)],
            "two versions of the vault's secret cookie-key have the same bytes",
        ),
    ] {
        let fixture = Fixture::new();
        secrets.iter().for_each(|(name, value)| drop(fixture.azure.vault.add_secret(name, value, OLD - 1)));

        let (exit, stdout, _) = run_to_end(&["check"], &fixture.settings(&[("PUBLIC_BASE_URL", "http://127.0.0.1:1")]));

        assert_eq!(exit, 1);
        assert!(stdout.contains(told) && !stdout.contains("AAECAw"), "{stdout}");
    }
}

#[test]
fn a_version_with_the_bytes_of_another_secret_is_refused_and_the_older_keys_stay() {
    let fixture = Fixture::without_keys();
    let value = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    fixture.azure.vault.add_secret(COOKIE_KEY, value, OLD);
    fixture.azure.vault.add_key_secret(TOKEN_KEY, OLD);
    let handler = fixture.handler(&[("KEY_RELOAD_INTERVAL", "1s"), ("KEY_ACTIVATION_DELAY", "2s")]);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &fixture.provider);

    fixture.azure.vault.add_secret(TOKEN_KEY, value, 0);

    wait_until("the log says why", || {
        handler.output().text().contains("the vault's secrets cookie-key and token-key share a key")
    });
    assert!(!handler.output().text().contains("AAECAw"));
    assert_eq!(browser.fetch("/page").status, 200);
    assert_eq!(browser.fetch("/oauth/health/ready").json()["keys"].as_str(), Some("up"));
}

/// Four instances with different reload phases; the session begins under the old keys.
#[test]
fn keys_rotate_under_four_instances_with_nobody_signed_out() {
    let (fixture, cosmos) = (Fixture::without_keys(), CosmosEmulator::start());
    let vault = &fixture.azure.vault;
    let old = [vault.add_key_secret(COOKIE_KEY, OLD), vault.add_key_secret(TOKEN_KEY, OLD)];
    let rotation = [("KEY_ACTIVATION_DELAY", "1h"), ("SESSION_IDLE_TIMEOUT", "15s"), ("SESSION_CACHE_TTL", "0s")];
    let settings = [&cosmos.settings()[..], &rotation[..]].concat();
    let start = |origin: Option<&str>, interval| {
        let own = [("KEY_RELOAD_INTERVAL", interval), ("PUBLIC_BASE_URL", origin.unwrap_or_default())];
        fixture.handler(&[&settings[..], if origin.is_some() { &own[..] } else { &own[..1] }].concat())
    };
    let mut instances = vec![start(None, "1s")];
    let origin = instances[0].origin.clone();
    instances.extend(["2s", "3s", "59m"].map(|interval| start(Some(&origin), interval)));
    let mut person = Browser::new(&origin);
    person.sign_in("/", &fixture.provider);
    let stays = |person: &Browser, instances: &[Handler]| {
        instances.iter().all(|instance| person.at(&instance.origin).fetch("/page").status == 200)
    };
    assert!(stays(&person, &instances));
    let stale = person.clone();

    // Add: the new versions open, and the old ones still seal.
    let new = [vault.add_key_secret(COOKIE_KEY, 0), vault.add_key_secret(TOKEN_KEY, 0)];
    assert!(stays(&person, &instances));
    assert_eq!(kid(&person), old[0]);

    // Activate: whoever looks at the vault seals anew, and whoever hasn't looked yet learns it from the cookie.
    new.iter().for_each(|version| vault.set_age(version, 3_601));
    wait_until("the cookie is sealed anew", || {
        person.fetch("/page");
        kid(&person) == new[0]
    });
    assert_eq!(refresh(&mut person).status, 200, "the record is sealed anew");
    instances.push(start(Some(&origin), "1s")); // a new instance
    instances[1].kill();
    instances[1] = start(Some(&origin), "2s"); // a restarted one
    wait_until("every instance opens the new cookie", || stays(&person, &instances));

    // Retire: what only the old keys opened is refused, and nothing else.
    old.iter().for_each(|version| vault.set_enabled(version, false));
    wait_until("the old cookie is refused", || stale.at(&origin).fetch("/page").status == 401);
    assert!(stays(&person, &instances));
}

/// One instance has met the newest keys; the other can't, because the vault is down.
#[test]
fn a_key_that_the_vault_cannot_give_now_refuses_nobody() {
    let (fixture, cosmos) = (Fixture::new(), CosmosEmulator::start());
    let vault = &fixture.azure.vault;
    let quick = [("KEY_RELOAD_INTERVAL", "1s"), ("KEY_ACTIVATION_DELAY", "2s"), ("SESSION_CACHE_TTL", "0s")];
    let behind = fixture.handler(&[&quick[..], &cosmos.settings()].concat());
    wait_until("it has keys", || Browser::new(&behind.origin).fetch("/oauth/health/ready").status == 200);
    vault.faults.break_down(Fault::Status(503));
    let add = |name, value| format!("{}:{value}", vault.add_secret(name, value, 10));
    let cookie = add(COOKIE_KEY, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let token = add(TOKEN_KEY, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    let own = [
        ("PUBLIC_BASE_URL", behind.origin.as_str()),
        ("UPSTREAM_URL", fixture.upstream.url.as_str()),
        ("COOKIE_KEYS", &cookie),
        ("TOKEN_KEYS", &token),
    ];
    let ahead = Handler::start(&[&own[..], &cosmos.settings(), &fixture.provider.settings()].concat());
    let mut person = Browser::new(&ahead.origin);
    let to_provider = person.navigate("/oauth/signin");
    let back = fixture.provider.approve(to_provider.header("location").unwrap());
    assert_eq!(person.navigate(&back.replace(&behind.origin, &ahead.origin)).status, 303);

    // Once its last look is older than the activation delay, it can't know every key.
    wait_until("it is not refused", || {
        let response = person.at(&behind.origin).fetch("/page");
        let is_told = code(&response) == (503, Some("keys_unavailable".to_owned()));
        is_told && response.header("retry-after").is_some()
    });
    assert_eq!(Browser::new(&behind.origin).fetch("/page").status, 401, "who has no cookie is nobody all the same");
    vault.faults.mend();
    wait_until("it recovers alone", || person.at(&behind.origin).fetch("/page").status == 200);
}

#[test]
fn pulling_every_key_signs_everyone_out_and_is_told() {
    let fixture = Fixture::without_keys();
    let key = fixture.azure.vault.add_key_secret(COOKIE_KEY, OLD);
    fixture.azure.vault.add_key_secret(TOKEN_KEY, OLD);
    let handler = fixture.handler(&[("KEY_RELOAD_INTERVAL", "1s"), ("KEY_ACTIVATION_DELAY", "2s")]);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &fixture.provider);

    fixture.azure.vault.set_enabled(&key, false);

    wait_until("nothing opens any more", || browser.fetch("/page").status == 503);
    assert_eq!(code(&browser.fetch("/page")), (503, Some("keys_unavailable".to_owned())));
    fixture.azure.vault.add_key_secret(COOKIE_KEY, 0);
    wait_until("it recovers alone", || browser.fetch("/page").status == 401);
}

#[test]
fn the_managed_identity_speaks_for_us_at_the_provider_on_every_call() {
    let fixture = Fixture::new();
    let settings = [("CLIENT_AUTH_METHOD", "managed_identity"), ("CLIENT_SECRET", "")];
    let handler = fixture.handler(&settings);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &fixture.provider);
    assert_eq!(refresh(&mut browser).status, 200);
    browser.post("/oauth/signout", b"");
    wait_until("the token is revoked", || fixture.provider.revoked().len() == 1);

    let forms = fixture.provider.forms();

    assert_eq!(forms.len(), 3);
    for form in forms {
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(claims(&form["client_assertion"])["aud"], "api://AzureADTokenExchange");
        assert!(form["client_id"] == "client" && !form.contains_key("client_secret"));
    }
    assert_eq!(fixture.azure.identity.faults.calls("api://AzureADTokenExchange"), 1, "the token is kept");
}

#[test]
fn an_identity_without_a_token_ends_no_session_and_spends_no_code() {
    let fixture = Fixture::new();
    let settings = [("CLIENT_AUTH_METHOD", "managed_identity"), ("CLIENT_SECRET", "")];
    let handler = fixture.handler(&settings);
    let mut browser = Browser::new(&handler.origin);
    wait_until("the keys are here", || browser.fetch("/oauth/health/ready").status == 200);
    fixture.azure.identity.faults.break_down(Fault::Status(500));
    let to_provider = browser.navigate("/oauth/signin");
    let back = fixture.provider.approve(to_provider.header("location").unwrap());

    let refused = browser.navigate(&back);

    assert_eq!((refused.status, fixture.provider.exchanges()), (503, 0));
    assert!(refused.text().contains("provider_unavailable"), "{}", refused.text());
    fixture.azure.identity.faults.mend();
    assert_eq!(browser.navigate(&back).status, 303, "the same code is good once the identity has a token");
}

#[test]
fn a_key_that_stays_in_the_vault_signs_our_assertions() {
    let fixture = Fixture::new();
    let public = fixture.azure.vault.add_signing_key("client-key");
    let settings =
        [("CLIENT_AUTH_METHOD", "private_key_jwt"), ("CLIENT_SECRET", ""), ("CLIENT_KEY_NAME", "client-key")];
    let handler = fixture.handler(&settings);
    let mut browser = Browser::new(&handler.origin);

    browser.sign_in("/", &fixture.provider);

    let assertion = fixture.provider.forms()[0]["client_assertion"].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    assert!(key.verify(signed.as_bytes(), &signature).is_ok());
    let claims = claims(&assertion);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
    assert_eq!(claims["aud"], format!("{}/token", fixture.provider.issuer));
    assert!(claims["jti"].is_string() && claims["exp"].as_i64() > claims["iat"].as_i64());
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A handler that asks for a token of the gateway's identity, and one such token.
fn behind_a_gateway(fixture: &Fixture) -> (Handler, String) {
    let issuer = fixture.azure.issuer();
    let handler = fixture.handler(&[
        ("GATEWAY_PROOF", "managed_identity"),
        ("GATEWAY_PROOF_ISSUER", &issuer),
        ("GATEWAY_PROOF_AUDIENCE", "api://us"),
        ("GATEWAY_PROOF_OBJECT_IDS", OBJECT_ID),
    ]);
    (handler, fixture.azure.identity.token(&issuer, "api://us", &json!({})))
}

fn fetch_with(browser: &mut Browser, headers: &[(&str, &str)]) -> Response {
    browser.send("GET", "/oauth/health/ready", headers, b"")
}

#[test]
fn a_token_of_the_gateways_identity_lets_a_request_in_and_nothing_else_does() {
    let fixture = Fixture::new();
    let (handler, token) = behind_a_gateway(&fixture);
    let issuer = fixture.azure.issuer();
    let mut browser = Browser::new(&handler.origin);
    let mint = |audience, changes: Value| fixture.azure.identity.token(&issuer, audience, &changes);

    for (headers, expected) in [
        (vec![("X-Gateway-Token", token.clone())], (200, None)),
        (vec![("x-gateway-token", format!("Bearer {token}"))], (200, None)),
        (vec![], (403, Some("gateway_proof_missing"))),
        (
            vec![("x-gateway-token", token.clone()), ("X-Gateway-Token", token.clone())],
            (403, Some("gateway_proof_missing")),
        ),
        (vec![("x_gateway_token", token.clone())], (403, Some("gateway_proof_missing"))),
        (vec![("authorization", format!("Bearer {token}"))], (403, Some("gateway_proof_missing"))),
        (vec![("x-gateway-token", String::from("x"))], (403, Some("gateway_proof_invalid"))),
        (vec![("x-gateway-token", mint("api://another", json!({})))], (403, Some("gateway_proof_invalid"))),
        (vec![("x-gateway-token", mint("api://us", json!({"oid": "other"})))], (403, Some("gateway_proof_invalid"))),
        (vec![("x-gateway-token", mint("api://us", json!({"exp": 1})))], (403, Some("gateway_proof_invalid"))),
        (
            vec![("x-gateway-token", mint("api://us", json!({"iss": "https://x"})))],
            (403, Some("gateway_proof_invalid")),
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();

        let response = fetch_with(&mut browser, &headers);

        assert_eq!(code(&response), (expected.0, expected.1.map(str::to_owned)), "{headers:?}");
    }
    for rule in ["the token is for another audience", "the token is from another issuer", "the token has expired"] {
        wait_until(&format!("the log says: {rule}"), || handler.output().text().contains(rule));
    }
    assert_eq!(browser.fetch("/oauth/health/live").status, 200);
    assert_eq!(browser.navigate("/page").status, 403, "a person gets no redirect either");
    assert!(fixture.upstream.received().is_empty());
}

#[test]
fn keys_of_the_gateways_issuer_that_cannot_be_had_are_no_refusal() {
    let fixture = Fixture::new();
    let (handler, token) = behind_a_gateway(&fixture);
    let mut browser = Browser::new(&handler.origin);
    wait_until("the vault's keys are here", || handler.output().text().contains("sealing key changed"));
    fixture.azure.identity.faults.break_down(Fault::Status(503));

    let response = fetch_with(&mut browser, &[("x-gateway-token", &token)]);

    assert_eq!(code(&response), (503, Some("gateway_proof_unavailable".to_owned())));
    fixture.azure.identity.faults.mend();
    wait_until("it recovers alone", || fetch_with(&mut browser, &[("x-gateway-token", &token)]).status == 200);
}

#[test]
fn only_the_identity_of_questions_asks_and_it_forwards_nothing() {
    let fixture = Fixture::new();
    let issuer = fixture.azure.issuer();
    let asker = "0b1d7c52-93f4-4a0e-8e57-6f2f1c9d3a77";
    let handler = fixture.handler(&[
        ("GATEWAY_PROOF", "managed_identity"),
        ("GATEWAY_PROOF_ISSUER", &issuer),
        ("GATEWAY_PROOF_AUDIENCE", "api://us"),
        ("GATEWAY_PROOF_OBJECT_IDS", OBJECT_ID),
        ("GATEWAY_CHECK_OBJECT_IDS", asker),
    ]);
    let browser = Browser::new(&handler.origin);
    let forwards = fixture.azure.identity.token(&issuer, "api://us", &json!({}));
    let asks = fixture.azure.identity.token(&issuer, "api://us", &json!({ "oid": asker }));
    let send = |path: &str, token: &str| code(&browser.clone().send("GET", path, &[("x-gateway-token", token)], b""));
    let question = "/oauth/check?method=GET&url=/page";

    for _ in 0..2 {
        // The second time the token is remembered.
        assert_eq!(send(question, &asks), (401, Some("session_required".to_owned())));
        assert_eq!(send(question, &forwards), (404, Some("route_not_found".to_owned())));
        assert_eq!(send("/page", &asks), (403, Some("gateway_proof_invalid".to_owned())));
        assert_eq!(send("/page", &forwards), (401, Some("session_required".to_owned())));
    }
}

#[test]
fn a_shared_secret_can_be_changed_and_never_reaches_the_upstream() {
    let fixture = Fixture::new();
    let (one, two) = ("one-secret-of-thirty-two-letters", "two-secret-of-thirty-two-letters");
    let secrets = format!("{one},{two}");
    let routes = json!([{ "path": "/", "upstream": fixture.upstream.url, "access": "anonymous" }]).to_string();
    let handler = fixture.handler(&[
        ("GATEWAY_PROOF", "shared_secret"),
        ("GATEWAY_PROOF_SECRETS", &secrets),
        ("GATEWAY_PROOF_HEADER", "X-Gateway-Secret"),
        ("UPSTREAM_URL", ""),
        ("ROUTES", &routes),
    ]);
    let browser = Browser::new(&handler.origin);
    let send = |headers: &[(&str, &str)]| browser.clone().send("GET", "/page", headers, b"");

    for secret in [one, two] {
        let told =
            [("x-gateway-secret", secret), ("x-gateway-client-address", "192.0.2.7"), ("x-forwarded-for", "6.6.6.6")];
        assert_eq!(send(&told).status, 200);
    }

    let received = fixture.upstream.last();
    assert_eq!(received.header("x-forwarded-for"), Some("192.0.2.7"));
    assert!(received.headers.iter().all(|(name, value)| !name.contains("gateway") && !value.contains("secret")));
    assert_eq!(code(&send(&[("x-gateway-secret", "three")])), (403, Some("gateway_proof_invalid".to_owned())));
    assert_eq!(code(&send(&[])), (403, Some("gateway_proof_missing".to_owned())));
    assert_eq!(fixture.upstream.received().len(), 2);
}

#[test]
fn check_says_what_is_missing_role_network_or_name() {
    let fixture = Fixture::new();
    let cosmos = CosmosEmulator::start();
    let check = |changes: &[(&str, &str)]| {
        let base = [&[("PUBLIC_BASE_URL", "http://127.0.0.1:1")][..], &cosmos.settings()[..], changes].concat();
        let (exit, stdout, _) = run_to_end(&["check"], &fixture.settings(&base));
        (exit, stdout)
    };
    let well = check(&[]);
    assert_eq!(well.0, 0, "{}", well.1);
    for name in ["configuration", "keys", "provider", "store"] {
        assert!(well.1.contains(&format!("ok      {name}")), "{}", well.1);
    }

    for (fault, told) in [(Fault::NoRole, "the role Key Vault Secrets User is missing"), (Fault::Firewall, "firewall")]
    {
        fixture.azure.vault.faults.break_down(fault);
        let (exit, stdout) = check(&[]);
        assert!(exit == 1 && stdout.contains(told), "{stdout}");
        fixture.azure.vault.faults.mend();
    }
    for (change, told) in [
        (("TOKEN_KEY_NAME", "no-such-key"), "no version that is enabled"),
        (("COSMOS_CONTAINER", "no-such-container"), "there is no database or container of this name"),
        (("COSMOS_KEY", "d3Jvbmc="), "the role Cosmos DB Built-in Data Contributor is missing"),
        (("COSMOS_ENDPOINT", "http://127.0.0.1:1/"), "it cannot be reached"),
        (("KEY_VAULT_URL", "https://127.0.0.1:1/"), "it refuses the connection: mend host or port in KEY_VAULT_URL"),
        (("IDENTITY_HEADER", "another"), "the identity (AZURE_CREDENTIAL, AZURE_CLIENT_ID) gives none"),
    ] {
        let (exit, stdout) = check(&[change]);
        assert!(exit == 1 && stdout.contains(told), "{change:?}: {stdout}");
    }
}
