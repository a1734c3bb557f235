//! Refresh, seen from outside: one call however many ask, and what a Provider's responses do to a session.

use std::sync::mpsc;

use support::{Browser, Handler, Provider, Response, TokenReply, Upstream, read_response, wait_for_lapse, wait_until};

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
    browser: Browser,
}

/// Someone signed in, with an access token that has lapsed already; the next one lasts an hour.
fn lapsed() -> Fixture {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("HEADER_PRESET", "oauth2-proxy")];
    let handler = Handler::start(&[&settings[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    provider.set_expires_in(3600);
    browser.sign_in("/", &provider);
    // The token of the sign-in would last; one that lapses soon takes its place.
    provider.set_expires_in(1);
    assert_eq!(refresh(&mut browser).status, 200);
    provider.set_expires_in(3600);
    wait_for_lapse();
    Fixture { provider, upstream, handler, browser }
}

fn refresh(browser: &mut Browser) -> Response {
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"")
}

fn bearer(upstream: &Upstream) -> String {
    upstream.last().header("authorization").unwrap().to_owned()
}

#[test]
fn fifty_requests_at_once_cost_one_refresh_and_sign_nobody_out() {
    let fixture = lapsed();
    let before = fixture.provider.refreshes();
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));

    let pending: Vec<_> = (0..50).map(|_| fixture.browser.begin("GET", "/page", &[], b"")).collect();
    wait_until("the provider is asked", || fixture.provider.refreshes() > before);
    release.send(()).unwrap();
    let statuses: Vec<u16> = pending.iter().map(|stream| read_response(stream, "GET").unwrap().status).collect();

    assert_eq!(statuses, vec![200; 50]);
    assert_eq!(fixture.provider.refreshes(), before + 1);
}

#[test]
fn a_refresh_changes_no_cookie_and_brings_the_newer_token() {
    let mut fixture = lapsed();
    let cookies = fixture.browser.cookies.clone();

    assert_eq!(fixture.browser.fetch("/page").status, 200);

    assert_eq!(fixture.browser.cookies, cookies);
    assert_eq!(bearer(&fixture.upstream), "Bearer access-token-3");
    assert_eq!(fixture.upstream.last().header("x-forwarded-email"), Some("ada@person.example"));
}

#[test]
fn a_client_that_hangs_up_during_a_refresh_loses_nothing() {
    let mut fixture = lapsed();
    let before = fixture.provider.refreshes();
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));
    let gone = fixture.browser.begin("GET", "/page", &[], b"");
    wait_until("the provider is asked", || fixture.provider.refreshes() > before);

    drop(gone);
    release.send(()).unwrap();

    assert_eq!(fixture.browser.fetch("/page").status, 200);
    assert_eq!(fixture.provider.refreshes(), before + 1);
}

#[test]
fn a_sign_out_during_a_refresh_wins() {
    let mut fixture = lapsed();
    let before = fixture.provider.refreshes();
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));
    let waiting = fixture.browser.begin("GET", "/page", &[], b"");
    wait_until("the provider is asked", || fixture.provider.refreshes() > before);
    let old = fixture.browser.clone();
    assert_eq!(fixture.browser.post("/oauth/signout", b"").status, 303);
    wait_until("the old token is revoked", || fixture.provider.revoked().len() == 1);

    release.send(()).unwrap();

    assert_eq!(read_response(&waiting, "GET").unwrap().status, 401);
    assert_eq!(old.clone().fetch("/page").status, 401);
}

#[test]
fn a_response_without_optional_tokens_is_normal() {
    let mut fixture = lapsed();
    fixture.provider.script(TokenReply::Bare);

    assert_eq!(fixture.browser.fetch("/page").status, 200);

    assert_eq!(fixture.upstream.last().header("x-forwarded-user"), Some("ada"));
    assert_eq!(refresh(&mut fixture.browser).status, 200); // by the refresh token that was kept
}

#[test]
fn a_provider_in_trouble_gets_a_rest_and_nobody_is_signed_out() {
    let troubles = [
        TokenReply::Raw(500, "", ""),
        TokenReply::Raw(503, "retry-after: 7\r\n", "down"),
        TokenReply::Raw(429, "retry-after: 7\r\n", ""),
        TokenReply::Raw(502, "content-type: text/html\r\n", "<html>bad gateway</html>"),
        TokenReply::Raw(200, "content-type: text/html\r\n", "<html>maintenance</html>"),
        TokenReply::Raw(403, "", "<html>blocked by a firewall</html>"),
        TokenReply::Reset,
    ];
    for trouble in troubles {
        let mut fixture = lapsed();
        let before = fixture.provider.refreshes();
        fixture.provider.script(trouble);

        let responses = [fixture.browser.fetch("/page"), fixture.browser.fetch("/page")];

        for response in responses {
            assert_eq!((response.status, response.json()["code"].as_str()), (503, Some("refresh_unavailable")));
            assert!(response.header("retry-after").is_some());
        }
        assert_eq!(fixture.provider.refreshes(), before + 1, "the provider is left alone for a while");
        assert_eq!(fixture.browser.fetch("/oauth/me").status, 200, "the session lives");
    }
}

#[test]
fn a_person_is_told_on_a_page_that_they_are_still_signed_in() {
    let mut fixture = lapsed();
    fixture.provider.script(TokenReply::Raw(500, "", ""));

    let response = fixture.browser.navigate("/page");

    assert_eq!(response.status, 503);
    assert!(response.header("content-type").unwrap().starts_with("text/html"));
    assert!(response.text().contains("refresh_unavailable"));
}

#[test]
fn a_refused_refresh_token_ends_the_session() {
    let mut fixture = lapsed();
    fixture.provider.script(TokenReply::Raw(400, "", r#"{"error":"invalid_grant"}"#));

    let response = fixture.browser.fetch("/page");

    assert_eq!((response.status, response.json()["code"].as_str()), (401, Some("session_required")));
    assert_eq!(fixture.browser.navigate("/page").status, 302);
    wait_until("the log tells of it", || fixture.handler.output().text().contains("refresh_refused"));
}

#[test]
fn a_refresh_that_speaks_of_someone_else_ends_the_session_and_is_revoked() {
    let mut fixture = lapsed();
    fixture.provider.script(TokenReply::Subject("eve"));

    assert_eq!(fixture.browser.fetch("/page").status, 401);

    wait_until("the newest token is revoked", || fixture.provider.revoked() == ["grant-1.refresh-token-3"]);
}

#[test]
fn a_forced_refresh_tells_how_it_ended() {
    let mut fixture = lapsed();
    fixture.provider.script(TokenReply::Raw(503, "", ""));
    let unavailable = refresh(&mut fixture.browser);
    let mut other = lapsed();
    other.provider.script(TokenReply::Raw(400, "", r#"{"error":"invalid_grant"}"#));

    let ended = refresh(&mut other.browser);

    assert_eq!((unavailable.status, unavailable.json()["code"].as_str()), (503, Some("refresh_unavailable")));
    assert_eq!((ended.status, ended.json()["code"].as_str()), (401, Some("session_required")));
}

#[test]
fn a_refused_client_is_reported_at_error_and_leads_people_to_sign_in() {
    let mut fixture = lapsed();
    let before = fixture.provider.refreshes();
    fixture.provider.script(TokenReply::Raw(401, "", r#"{"error":"invalid_client"}"#));

    let script = fixture.browser.fetch("/page");
    let navigation = fixture.browser.navigate("/page");

    assert_eq!((script.status, script.json()["code"].as_str()), (401, Some("session_required")));
    assert!(script.json()["login_url"].as_str().unwrap().starts_with("/oauth/signin"));
    assert_eq!(navigation.status, 302);
    assert_eq!(fixture.provider.refreshes(), before + 1, "the provider is left alone for a while");
    wait_until("the log says so", || {
        let log = fixture.handler.output().text();
        log.lines().any(|line| line.contains("ERROR") && line.contains("client_refused"))
    });
    let log = fixture.handler.output().text();
    assert_eq!(log.lines().filter(|line| line.contains("client_refused")).count(), 1, "{log}");
}

#[test]
fn a_lifetime_of_zero_makes_no_storm_of_refreshes() {
    let mut fixture = lapsed();
    fixture.provider.set_expires_in(0);
    let before = fixture.provider.refreshes();

    for _ in 0..20 {
        assert_eq!(fixture.browser.fetch("/page").status, 200);
    }

    assert_eq!(fixture.provider.refreshes(), before + 1);
}
