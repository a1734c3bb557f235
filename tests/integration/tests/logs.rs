//! Log lines: one for each request, one for each event of a person, and never a secret.

use serde_json::{Value, json};
use support::{Browser, Handler, HandlerOutput, Provider, TokenReply, Upstream, wait_until};

/// The handler's JSON lines inside whatever the host writes around them.
fn lines(output: &HandlerOutput) -> Vec<Value> {
    let text = output.text();
    let json = text.lines().filter_map(|line| line.get(line.find("{\"timestamp\"")?..));
    json.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn line(output: &HandlerOutput, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || lines(output).iter().any(&is_it));
    lines(output).into_iter().find(is_it).unwrap()
}

#[test]
fn under_the_host_every_request_is_one_json_line() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()[..]].concat();
    let Some(handler) = Handler::start_behind_the_host(&settings) else { return };
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);

    browser.fetch("/a/page?q=a-query");

    let output = handler.output();
    let request = line(&output, "the proxied request", |line| line["target"] == "request" && line["route"] == "/");
    assert_eq!((request["method"].as_str(), request["level"].as_str()), (Some("GET"), Some("INFO")));
    assert!(request["status"].is_u64() && request["duration_ms"].is_f64(), "{request}");
    let invocation = request["request.id"].as_str().unwrap();
    assert_eq!(invocation.len(), 36, "the host's invocation id: {request}");
    line(&output, "the endpoint", |line| line["route"] == "callback" && line["status"] == 303);
}

#[test]
fn people_come_and_go_in_the_audit_log() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()[..]].concat();
    let Some(handler) = Handler::start_behind_the_host(&settings) else { return };
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    provider.script(TokenReply::Raw(400, "", r#"{"error":"invalid_grant"}"#));
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"");
    browser.sign_in("/", &provider);
    browser.post("/oauth/signout", b"");
    let pending = browser.navigate("/oauth/signin").header("location").unwrap().to_owned();
    let state =
        url::Url::parse(&pending).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    browser.navigate(&format!("/oauth/callback?error=access_denied&state={state}"));

    let output = handler.output();
    for (event, code) in [
        ("signed_in", None),
        ("refresh_failed", Some("refresh_refused")),
        ("signed_out", None),
        ("sign_in_failed", Some("login_cancelled")),
    ] {
        let found = line(&output, event, |line| line["target"] == "audit" && line["event"] == event);
        assert_eq!(found["code"].as_str(), code, "{found}");
    }
}

#[test]
fn groups_that_nobody_resolves_are_reported() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    provider.set_claims(&json!({
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": format!("{}/groups-of-ada", upstream.url)}},
    }));
    for (choice, level, code) in
        [("graph", "WARN", "group_overage_unresolved"), ("ignore", "INFO", "group_overage_ignored")]
    {
        let more = [
            ("UPSTREAM_URL", upstream.url.as_str()),
            ("HEADER_PRESET", "oauth2-proxy"),
            ("GROUP_OVERAGE", choice),
            ("GRAPH_ORIGIN", provider.issuer.as_str()), // which has no such path
        ];
        let handler = Handler::start(&[&more[..], &provider.settings()[..]].concat());
        let mut browser = Browser::new(&handler.origin);

        browser.sign_in("/", &provider);
        let page = browser.fetch("/page");

        assert_eq!(page.status, 200, "{choice}");
        let output = handler.output();
        wait_until(code, || output.text().lines().any(|line| line.contains(level) && line.contains(code)));
        assert!(!output.text().contains("groups-of-ada"), "the token's endpoint: {}", output.text());
    }
    let received = upstream.received();
    assert!(
        received.iter().all(|request| !request.request_line.contains("/groups-of-ada")),
        "the token's endpoint was called"
    );
}

#[test]
fn nothing_secret_is_written_down_at_any_level() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let more = [("UPSTREAM_URL", upstream.url.as_str()), ("LOG", "trace"), ("HEADER_PRESET", "easyauth")];
    let handler = Handler::start(&[&more[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    let to_provider = browser.navigate("/oauth/signin?redirect=/page?q=a-query").header("location").unwrap().to_owned();
    let login = browser.cookies.clone();
    let callback = provider.approve(&to_provider);
    browser.navigate(&callback);
    let session = browser.cookies.clone();
    browser.fetch("/page?q=a-query");
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"");
    let me = browser.fetch("/oauth/me").json();
    browser.post("/oauth/signout", b"");
    wait_until("the refresh token is revoked", || !provider.revoked().is_empty());
    wait_until("the log tells of it all", || handler.output().text().contains("signed_out"));

    let log = handler.output().text();

    let query = url::Url::parse(&to_provider).unwrap();
    let parameters = query.query_pairs().filter(|(name, _)| matches!(&**name, "state" | "nonce" | "code_challenge"));
    let mut secrets: Vec<String> = parameters.map(|(_, value)| value.into_owned()).collect();
    secrets.extend(login.into_values().chain(session.into_values()));
    secrets.extend(["access-token-", "refresh-token-", "code-1", "a-client-secret", "a-query"].map(str::to_owned));
    secrets.extend(["email", "name"].map(|claim| me[claim].as_str().unwrap().to_owned()));
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
    assert!(log.contains("signed_in"), "{log}");
}
