//! Configuration mistakes: all of them in one list, each with what would do, and never a secret.

use std::process::Command;

use support::{Browser, Handler, Provider, Upstream, binary, run_to_end, wait_until};

const GOOD: [(&str, &str); 4] = [
    ("PUBLIC_BASE_URL", "https://app.example"),
    ("UPSTREAM_URL", "https://app.internal"),
    ("OIDC_ISSUER_URL", "https://op.example"),
    ("CLIENT_ID", "client"),
];

const THREE_KEYS: &str = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,\
    b:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,c:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const GATEWAY: (&str, &str) = ("GATEWAY_PROOF", "managed_identity");
const ISSUER: (&str, &str) = ("GATEWAY_PROOF_ISSUER", "https://sts.example/tenant/");
const AUDIENCE: (&str, &str) = ("GATEWAY_PROOF_AUDIENCE", "api://us");
const SHARED: (&str, &str) = ("GATEWAY_PROOF", "shared_secret");
const LONG_SECRET: &str = "THE-SECRET-of-thirty-two-letters-";
const ID: &str = "11111111-bbbb-cccc-dddd-eeeeeeeeeeee";
const OBJECT_IDS: (&str, &str) = ("GATEWAY_PROOF_OBJECT_IDS", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
const FINGERPRINT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const PLAIN_INGESTION: &str =
    "InstrumentationKey=11111111-2222-3333-4444-555555555555;IngestionEndpoint=http://collector.internal/";
const COSMOS: (&str, &str) = ("COSMOS_ENDPOINT", "https://a.documents.azure.com/");
const VAULT: (&str, &str) = ("KEY_VAULT_URL", "https://a.vault.azure.net/");

/// The good settings with these in their place; an empty value is a setting that isn't there.
fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let unchanged = GOOD.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    unchanged.chain(changes.iter().copied()).collect()
}

#[test]
fn every_mistake_names_its_variable_and_says_what_would_do() {
    let table: &[&[(&str, &str)]] = &[
        &[("PUBLIC_BASE_URL", "")],
        &[("PUBLIC_BASE_URL", "app.example")],
        &[("PUBLIC_BASE_URL", "http://app.example")],
        &[("PUBLIC_BASE_URL", "https://app.example/path")],
        &[("UPSTREAM_URL", "")],
        &[("UPSTREAM_URL", "app.internal")],
        &[("UPSTREAM_URL", "ftp://app.internal")],
        &[("ROUTES", "[]"), ("UPSTREAM_URL", "")],
        &[("ROUTES", "not json"), ("UPSTREAM_URL", "")],
        &[("ROUTES", r#"[{"path":"/","upstream":"https://a"}]"#)],
        &[("ROUTES", r#"[{"path":"/","upstream":"https://a","access":"public"}]"#), ("UPSTREAM_URL", "")],
        &[("ROUTES", r#"[{"path":"/","upstream":"https://a","host":"app.example"}]"#), ("UPSTREAM_URL", "")],
        &[("ROUTES", r#"[{"path":"/","upstream":"https://a","token":"basic"}]"#), ("UPSTREAM_URL", "")],
        &[("ROUTES", r#"[{"path":"/","upstream":"https://a","token":{"header":"Host"}}]"#), ("UPSTREAM_URL", "")],
        &[("UPSTREAM_HOST", "app.example")],
        &[("UPSTREAM_HOST", "Public")],
        &[("OIDC_ISSUER_URL", "")],
        &[("OIDC_ISSUER_URL", "http://op.example")],
        &[("OIDC_ISSUER_URL", "https://op.example/?tenant=a")],
        &[("OIDC_ISSUER_URL", "https://op.example/.well-known/openid-configuration")],
        &[("OIDC_ISSUER_URL", "https://op.example/{tenantid}/v2.0")],
        &[("CLIENT_ID", "")],
        &[("CLIENT_AUTH_METHOD", "basic")],
        &[("CLIENT_SECRET", "THE-SECRET"), ("CLIENT_AUTH_METHOD", "none")],
        &[("CLIENT_SECRET", "@Microsoft.KeyVault(VaultName=kv;SecretName=THE-SECRET)")],
        &[("SCOPES", "profile email")],
        &[("SCOPES", "openid \"quoted\"")],
        &[("PROVIDER", "Entra")],
        &[("METADATA_URL", "tenant/metadata")],
        &[("METADATA_URL", "http://op.example/metadata")],
        &[("METADATA_URL", "http://127.0.0.1/metadata")],
        &[("METADATA_URL", "https://op.example/metadata#top")],
        &[("AUTHORIZE_PARAMETERS", "THE-SECRET")],
        &[("AUTHORIZE_PARAMETERS", "audience=api&redirect_uri=https%3A%2F%2Fevil.example")],
        &[("AUTHORIZE_PARAMETERS", "prompt=login&prompt=none")],
        &[("AUTHORIZE_PARAMETERS", r#"{"audience":"api"}"#)],
        &[("TOKEN_PARAMETERS", "client_secret=THE-SECRET")],
        &[("TOKEN_PARAMETERS", "resource=a%0d%0aX-Evil:1")],
        &[("ID_TOKEN_SIGNING_ALG", "HS256")],
        &[("ID_TOKEN_SIGNING_ALG", "none")],
        &[("PUSHED_AUTHORIZATION_REQUESTS", "true")],
        &[("RESPONSE_MODE", "fragment")],
        &[("USERINFO", "yes")],
        &[("HTTPS_PROXY", "socks5://u:THE-SECRET@proxy")],
        &[("HTTP_PROXY", "http://")],
        &[("ALL_PROXY", "a proxy")],
        &[("GROUP_OVERAGE", "always")],
        &[("GRAPH_ORIGIN", "http://graph.microsoft.com")],
        &[("GRAPH_ORIGIN", ""), ("GROUP_OVERAGE", "graph")],
        &[("COOKIE_PREFIX", "__Host-mine")],
        &[("COOKIE_PREFIX", "a=b")],
        &[("REDIRECT_ALIASES", "no")],
        &[("KEEP_FRAGMENT", "always")],
        &[("PAGE_TITLE", "a\u{202e}b")],
        &[("PAGE_CONTACT", "javascript:alert(1)")],
        &[("PAGE_ACCENT", "blue")],
        &[("PAGE_LOGO", "https://contoso.com/logo.png")],
        &[("AUTH_PREFIX", "oauth")],
        &[("AUTH_PREFIX", "/")],
        &[("AUTH_PREFIX", "/.auth")],
        &[("AUTH_PREFIX", "/admin")],
        &[("AUTH_PREFIX", "/Runtime/x")],
        &[("AUTH_PREFIX", "/a/../b")],
        &[("SESSION_IDLE_TIMEOUT", "30")],
        &[("SESSION_IDLE_TIMEOUT", "9h")],
        &[("SESSION_MAX_LIFETIME", "0s")],
        &[("SESSION_MAX_LIFETIME", "2 years")],
        &[("SESSION_CACHE_TTL", "5m")],
        &[("REFRESH_BEFORE_EXPIRY", "80%")],
        &[("REFRESH_BEFORE_EXPIRY", "soon")],
        &[("SESSION_STORE", "redis")],
        &[("COOKIE_KEYS", "k1:THE-SECRET")],
        &[("COOKIE_KEYS", "k 1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")],
        &[("TOKEN_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==")],
        &[(
            "TOKEN_KEYS",
            "k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        )],
        &[("TOKEN_KEYS", THREE_KEYS)],
        &[(
            "TOKEN_KEYS",
            "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,k2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        )],
        &[
            ("TOKEN_KEYS", "t1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("COOKIE_KEYS", "c1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ],
        &[("GATEWAY_PROOF", "mtls")],
        &[("GATEWAY_PROOF_HEADER", "Authorization")],
        &[("GATEWAY_PROOF_HEADER", "X-Gateway-Client-Address")],
        &[("GATEWAY_PROOF_HEADER", "X-Gateway-Host")],
        &[("GATEWAY_PROOF_SECRETS", ""), ("GATEWAY_PROOF", "shared_secret")],
        &[("GATEWAY_PROOF_SECRETS", "THE-SECRET"), ("GATEWAY_PROOF", "shared_secret")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.internal:4318")],
        &[("OTEL_EXPORTER_OTLP_HEADERS", "THE-SECRET")],
        &[("APPLICATIONINSIGHTS_CONNECTION_STRING", "THE-SECRET")],
        &[("APPLICATIONINSIGHTS_CONNECTION_STRING", PLAIN_INGESTION)],
        &[("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "ClientId=x")],
        &[("GATEWAY_PROOF_SECRETS", "one-secret-of-thirty-two-letters")],
        &[ISSUER],
        &[("GATEWAY_CERTIFICATE_FINGERPRINTS", "9f86d081"), GATEWAY, ISSUER, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_CERTIFICATE_FINGERPRINTS", FINGERPRINT), ("GATEWAY_PROOF", "none")],
        &[("GATEWAY_PROOF_ISSUER", ""), GATEWAY, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_PROOF_ISSUER", "http://sts.example/"), GATEWAY, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_PROOF_AUDIENCE", ""), GATEWAY, ISSUER, OBJECT_IDS],
        &[("GATEWAY_PROOF_OBJECT_IDS", "apim"), GATEWAY, ISSUER, AUDIENCE],
        &[("GATEWAY_CHECK_OBJECT_IDS", "apim"), GATEWAY, ISSUER, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_CHECK_OBJECT_IDS", "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"), GATEWAY, ISSUER, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_CHECK_SECRETS", LONG_SECRET), GATEWAY, ISSUER, AUDIENCE, OBJECT_IDS],
        &[("GATEWAY_CHECK_SECRETS", "THE-SECRET"), SHARED, ("GATEWAY_PROOF_SECRETS", LONG_SECRET)],
        &[("GATEWAY_CHECK_SECRETS", LONG_SECRET), SHARED, ("GATEWAY_PROOF_SECRETS", LONG_SECRET)],
        &[("GATEWAY_CHECK_OBJECT_IDS", ID), SHARED, ("GATEWAY_PROOF_SECRETS", LONG_SECRET)],
        &[("GATEWAY_CHECK_SECRETS", LONG_SECRET)],
        &[("GATEWAY_CHECK_OBJECT_IDS", ID)],
        &[("INSECURE_GATEWAY_PROOF_NONE", "yes")],
        &[("CLIENT_SECRET", "THE-SECRET"), ("CLIENT_AUTH_METHOD", "managed_identity")],
        &[("CLIENT_PRIVATE_KEY", ""), ("CLIENT_AUTH_METHOD", "private_key_jwt")],
        &[("CLIENT_PRIVATE_KEY", "THE-SECRET"), ("CLIENT_AUTH_METHOD", "private_key_jwt")],
        &[("CLIENT_KEY_NAME", "key"), ("CLIENT_PRIVATE_KEY", "THE-SECRET"), ("CLIENT_AUTH_METHOD", "private_key_jwt")],
        &[("CLIENT_KEY_NAME", "a key"), ("CLIENT_AUTH_METHOD", "private_key_jwt")],
        &[("CLIENT_KEY_NAME", "key"), ("CLIENT_AUTH_METHOD", "private_key_jwt")],
        &[("SESSION_STORE", "memory"), ("COSMOS_ENDPOINT", "https://a.documents.azure.com/")],
        &[("COSMOS_ENDPOINT", ""), ("SESSION_STORE", "cosmos")],
        &[("COSMOS_ENDPOINT", "http://a.documents.azure.com/"), ("SESSION_STORE", "cosmos")],
        &[("COSMOS_DATABASE", "a/b"), ("SESSION_STORE", "cosmos"), COSMOS],
        &[("COSMOS_CONTAINER", "a?b"), ("SESSION_STORE", "cosmos"), COSMOS],
        &[("COSMOS_KEY", "THE-SECRET"), ("SESSION_STORE", "cosmos"), COSMOS],
        &[("KEY_VAULT_URL", "http://127.0.0.1/")],
        &[("COOKIE_KEYS", "THE-SECRET"), VAULT],
        &[("COOKIE_KEY_NAME", "cookie_key"), VAULT],
        &[("TOKEN_KEY_NAME", "cookie-key"), VAULT],
        &[("KEY_RELOAD_INTERVAL", "2h"), VAULT],
        &[("KEY_ACTIVATION_DELAY", "5m"), VAULT],
        &[("KEY_ACTIVATION_DELAY", "2d"), VAULT],
        &[("AZURE_CREDENTIAL", "default")],
        &[("AZURE_CLIENT_ID", "me"), ("AZURE_CREDENTIAL", "managed_identity")],
        &[("HEADER_PRESET", "EasyAuth")],
        &[("MAX_CONNECTIONS", "63")],
        &[("MAX_IDLE_UPSTREAM_CONNECTIONS", "-1")],
        &[("MAX_HEADER_BYTES", "128KiB")],
        &[("CLIENT_HEADER_TIMEOUT", "0s")],
        &[("CLIENT_BODY_TIMEOUT", "4m")],
        &[("CLIENT_IDLE_TIMEOUT", "forever")],
        &[("FORM_TIMEOUT", "61s")],
        &[("STRIP_HEADERS", "x_user")],
        &[("STRIP_HEADERS", "authorization")],
        &[("KEEP_HEADERS", "x-*")],
        &[("KEEP_HEADERS", "x-gateway-token")],
        &[("KEEP_HEADERS", "Forwarded")],
        &[("EASYAUTH_PROVIDER", "AAD")],
        &[("EASYAUTH_PROVIDER", "my_provider"), ("HEADER_PRESET", "easyauth")],
        &[("LISTEN_ADDR", "7071")],
        &[("WORKERS", "0")],
        &[("LOG", "loud")],
    ];
    for changes in table {
        let (code, stdout, stderr) = run_to_end(&[], &with(changes));

        let variable = changes[0].0;
        assert_eq!(code, 2, "{changes:?}: {stdout}{stderr}");
        let line = stderr.lines().find(|line| line.trim_start().starts_with(&format!("{variable}: ")));
        let line = line.unwrap_or_else(|| panic!("{changes:?}: {stderr}"));
        assert!(line.contains("expected ") && line.contains(&format!("for example {variable}=")), "{line}");
        assert_eq!(stderr.lines().count(), 2, "one mistake: {stderr}");
        assert!(!stderr.contains("THE-SECRET") && !stderr.contains("AAECAw"), "{stderr}");
    }
}

#[test]
fn several_mistakes_are_told_in_one_list() {
    let (code, _, stderr) = run_to_end(&[], &[("USERINFO", "maybe"), ("SESSION_MAX_LIFETIME", "never")]);

    assert_eq!(code, 2);
    let expected =
        ["PUBLIC_BASE_URL", "UPSTREAM_URL", "OIDC_ISSUER_URL", "CLIENT_ID", "USERINFO", "SESSION_MAX_LIFETIME"];
    for variable in expected {
        assert!(stderr.contains(&format!("\n  {variable}: ")), "{variable} in {stderr}");
    }
}

#[test]
fn on_azure_nothing_may_be_forgotten_at_a_restart() {
    let (code, _, stderr) = run_to_end(&[], &with(&[("WEBSITE_INSTANCE_ID", "abc")]));

    assert_eq!(code, 2);
    for variable in ["SESSION_STORE", "COOKIE_KEYS", "TOKEN_KEYS", "GATEWAY_PROOF"] {
        assert!(stderr.contains(&format!("\n  {variable}: ")), "{stderr}");
    }
    for told in ["set SESSION_STORE=cosmos", "set KEY_VAULT_URL", "set managed_identity or shared_secret"] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
}

#[test]
fn on_azure_no_developer_is_signed_in() {
    let settings = with(&[("WEBSITE_INSTANCE_ID", "abc"), ("AZURE_CREDENTIAL", "developer_tools")]);

    let (code, _, stderr) = run_to_end(&[], &settings);

    assert_eq!(code, 2);
    assert!(stderr.contains("\n  AZURE_CREDENTIAL: no developer is signed in on Azure"), "{stderr}");
}

#[test]
fn an_open_door_on_azure_has_to_be_wanted() {
    let wanted = with(&[("WEBSITE_INSTANCE_ID", "abc"), ("INSECURE_GATEWAY_PROOF_NONE", "true")]);

    let (_, _, stderr) = run_to_end(&[], &wanted);

    assert!(!stderr.contains("GATEWAY_PROOF"), "{stderr}");
}

#[test]
fn a_generated_key_is_an_entry_of_the_settings() {
    let (code, key, _) = run_to_end(&["generate-key"], &[]);
    let (_, other, _) = run_to_end(&["generate-key"], &[]);
    assert_eq!(code, 0);
    assert_ne!(key, other);
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("COOKIE_KEYS", key.trim()), ("TOKEN_KEYS", other.trim())];
    let handler = Handler::start(&[&settings[..], &provider.settings()[..]].concat());

    let response = Browser::new(&handler.origin).sign_in("/", &provider);

    assert_eq!(response.status, 200);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);

    let output = Command::new(binary()).arg("version").env_clear().stdout(writer).output().unwrap();

    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();

    let output = Command::new(binary()).arg("generate-key").env_clear().stdout(full).output().unwrap();

    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("nothing can be written to stdout"), "{told}");
}

#[test]
fn an_open_door_beyond_this_machine_is_told() {
    let check = |address| {
        run_to_end(&["check"], &with(&[("LISTEN_ADDR", address), ("OIDC_ISSUER_URL", "http://127.0.0.1:1")])).1
    };

    let (everywhere, here) = (check("0.0.0.0:0"), check("127.0.0.1:0"));

    assert!(everywhere.contains("note    whoever reaches LISTEN_ADDR is served"), "{everywhere}");
    assert!(!here.contains("LISTEN_ADDR"), "{here}");
}

#[test]
fn a_check_tries_the_provider_for_real() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [("PUBLIC_BASE_URL", "https://app.example"), ("UPSTREAM_URL", upstream.url.as_str())];
    let settings = [&settings[..], &provider.settings()[..]].concat();
    let (up, said, _) = run_to_end(&["check"], &settings);
    let (down, complained, _) = run_to_end(&["check"], &with(&[("OIDC_ISSUER_URL", "http://127.0.0.1:1")]));
    let (mistaken, _, list) = run_to_end(&["check"], &with(&[("WORKERS", "none")]));

    assert_eq!((up, down, mistaken), (0, 1, 2));
    assert!(said.contains("ok      provider") && said.contains("ok      upstream "), "{said}");
    assert!(!said.contains("a-client-secret"), "{said}");
    assert!(complained.contains("failed  provider"), "{complained}");
    assert!(list.contains("WORKERS"), "{list}");
}

#[test]
fn the_proxies_of_the_environment_are_used_under_either_name() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [("PUBLIC_BASE_URL", "https://app.example"), ("UPSTREAM_URL", upstream.url.as_str())];
    let settings = [&settings[..], &provider.settings()[..]].concat();
    let closed = "http://127.0.0.1:1";
    let table = [
        (vec![("HTTP_PROXY", closed)], false),
        (vec![("http_proxy", closed)], false),
        (vec![("ALL_PROXY", closed)], false),
        (vec![("all_proxy", closed)], false),
        (vec![("HTTP_PROXY", ""), ("http_proxy", closed)], false),
        (vec![("HTTPS_PROXY", closed), ("https_proxy", closed)], true), // this provider is plain http
        (vec![("HTTP_PROXY", closed), ("NO_PROXY", "10.0.0.0/8, 127.0.0.0/8")], true),
        (vec![("http_proxy", closed), ("no_proxy", "127.0.0.1")], true),
    ];
    for (variables, expected) in table {
        let (_, said, _) = run_to_end(&["check"], &[&settings[..], &variables[..]].concat());

        assert_eq!(said.contains("ok      provider"), expected, "{variables:?}: {said}");
        assert_eq!(said.contains("cannot be reached: the proxy: "), !expected, "{variables:?}: {said}");
        assert!(said.contains("ok      upstream"), "no proxy lies before an upstream: {said}");
    }
}

#[test]
fn a_check_tries_every_upstream_once() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let port = |url: &str| url.rsplit_once(':').unwrap().1.to_owned();
    let (here, closed) = (port(&upstream.url), "127.0.0.1:1");
    let routes = serde_json::json!([
        {"path": "/", "upstream": upstream.url},
        {"path": "/again", "upstream": upstream.url, "access": "anonymous"},
        {"path": "/closed", "upstream": format!("http://{closed}/base")},
        {"path": "/plain", "upstream": format!("https://localhost:{here}")},
        {"path": "/nowhere", "upstream": "http://nowhere.invalid"},
    ]);
    let routes = routes.to_string();
    let settings = [("PUBLIC_BASE_URL", "https://app.example"), ("ROUTES", routes.as_str())];

    let (code, said, _) = run_to_end(&["check"], &[&settings[..], &provider.settings()[..]].concat());

    let is_try = |line: &&str| !line.starts_with("note") && line.contains(" upstream ");
    assert_eq!((code, said.lines().filter(is_try).count()), (1, 4), "{said}");
    for line in [
        &format!("ok      upstream 127.0.0.1:{here} responds with status 200; it takes the public name"),
        &format!("failed  upstream {closed}: it cannot be connected to: "),
        &format!("failed  upstream localhost:{here}: TLS fails: "),
        "failed  upstream nowhere.invalid: its name cannot be resolved: ",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn what_a_list_of_routes_expects_is_said_once() {
    let routes = r#"[{"path":"/a","upstream":"https://a","acces":"bearer"},{"upstream":"https://a"}]"#;

    let (code, _, stderr) = run_to_end(&["check"], &with(&[("ROUTES", routes), ("UPSTREAM_URL", "")]));

    assert_eq!(code, 2);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("  ROUTES: ")).collect();
    let [member, path, expected] = lines[..] else { panic!("{stderr}") };
    assert_eq!(member, r#"  ROUTES: the route "/a": "acces" is no member of a route; did you mean access?"#);
    assert_eq!(path, "  ROUTES: route 2 of the list: it has no path");
    assert!(expected.starts_with("  ROUTES: expected a JSON list of {path, upstream, access, "), "{expected}");
}

#[test]
fn a_cookie_prefix_that_is_refused_reads_as_it_is_documented() {
    let documented = include_str!("../../../docs/configuration.md");

    let (code, _, stderr) = run_to_end(&["check"], &with(&[("COOKIE_PREFIX", "__x")]));

    assert_eq!(code, 2);
    assert!(stderr.contains("1 to 32 characters of A-Z, a-z, 0-9, - and _ that do not begin with __"), "{stderr}");
    assert!(documented.contains("1 to 32 characters of `A-Z a-z 0-9 - _` that do not begin with `__`"));
}

#[test]
fn a_rule_that_may_mean_a_claim_within_another_gets_a_note() {
    let routes = r#"[{"path":"/","upstream":"http://127.0.0.1:1",
        "require":{"claim":"realm_access.roles","equals":"a"}}]"#;
    let settings = with(&[("ROUTES", routes), ("UPSTREAM_URL", ""), ("OIDC_ISSUER_URL", "http://127.0.0.1:1")]);

    let (_, stdout, stderr) = run_to_end(&["check"], &settings);

    assert!(
        stdout.contains("note    the rule of the route \"/\" reads a claim named \"realm_access.roles\""),
        "{stderr}"
    );
}

#[test]
fn a_method_that_needs_a_secret_asks_for_it() {
    let (code, _, stderr) = run_to_end(&[], &with(&[("CLIENT_AUTH_METHOD", "client_secret_post")]));

    assert_eq!(code, 2);
    assert!(stderr.contains("\n  CLIENT_SECRET: it is not set"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [&[("LISTEN_ADDR", address.as_str())][..], &GOOD[..]].concat();

    let (code, stdout, _) = run_to_end(&[], &settings);

    assert_eq!(code, 1);
    assert!(stdout.contains("server failed to start") && stdout.contains("in use"), "{stdout}");
    assert!(stdout.contains(&format!("cannot listen on {address}")), "{stdout}");
}

#[test]
fn a_port_of_the_host_that_is_none_is_a_mistake() {
    let (code, _, stderr) = run_to_end(&[], &with(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "none")]));

    assert_eq!(code, 2);
    assert!(stderr.contains("\n  FUNCTIONS_CUSTOMHANDLER_PORT: "), "{stderr}");
}

#[test]
fn a_prefix_that_only_begins_like_the_platforms_is_usable() {
    let settings = with(&[("AUTH_PREFIX", "/administration"), ("OIDC_ISSUER_URL", "http://127.0.0.1:1")]);

    let (code, stdout, _) = run_to_end(&["check"], &settings);

    assert_eq!(code, 1);
    assert!(stdout.contains("ok      configuration"), "{stdout}");
}

#[test]
fn a_wrong_command_line_gets_the_usage() {
    let table: [(&[&str], &str); 9] = [
        (&["explain", "GET", "/x", "--claims"], "explain needs a method and a target"),
        (&["explain", "GET", "/x", "--claim", "a"], "explain has no option \"--claim\"; did you mean --claims?"),
        (&["explain", "GET", "/x", "--person=a"], "explain has no option \"--person=a\", only --claims FILE"),
        (&["serve"], "there is no command \"serve\""),
        (&["check", "now"], "check takes no arguments"),
        (&["revoke"], "revoke needs one of"),
        (&["revoke", "--sub"], "--sub needs one value"),
        (&["revoke", "--sub", ""], "--sub needs one value"),
        (&["revoke", "--sid=a"], "revoke needs one of"),
    ];
    for (arguments, wrong) in table {
        let (code, _, stderr) = run_to_end(arguments, &[]);

        assert_eq!(code, 2);
        assert!(stderr.starts_with(&format!("oauth-proxy: {wrong}")) && stderr.contains("\nUsage: "), "{stderr}");
    }
    let (code, stdout, _) = run_to_end(&["revoke", "--help"], &[]);
    assert!(code == 0 && stdout.starts_with("Usage: "), "{stdout}");
}

#[test]
fn under_the_host_an_incomplete_configuration_says_so_to_everyone() {
    let Some(handler) = Handler::start_behind_the_host(&[("CLIENT_ID", "client"), ("CLIENT_SECRET", "THE-SECRET")])
    else {
        return;
    };
    let mut browser = Browser::new(&handler.origin);

    let (script, page) = (browser.fetch("/page"), browser.navigate("/oauth/signin"));

    assert_eq!((script.status, script.json()["code"].as_str()), (503, Some("configuration_incomplete")));
    assert_eq!(page.status, 503);
    assert!(page.text().contains("configuration_incomplete") && !page.text().contains("UPSTREAM_URL"));
    wait_until("the log names what is missing", || handler.output().text().contains("UPSTREAM_URL"));
    assert!(!handler.output().text().contains("THE-SECRET"), "{}", handler.output().text());
}
