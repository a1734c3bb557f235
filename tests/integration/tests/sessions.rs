//! Sessions, seen from outside: who gets in, how they are told otherwise, and how they leave.

use serde_json::Value;
use support::{Browser, Handler, Provider, Response, Upstream, read_response, wait_until};
use url::Url;

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

impl Fixture {
    fn with(more: &[(&str, &str)]) -> Self {
        let (provider, upstream) = (Provider::start(), Upstream::start());
        let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()[..], more].concat();
        let handler = Handler::start(&settings);
        Self { provider, upstream, handler }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.handler.origin)
    }

    fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }
}

const SESSION: &str = "oauth-proxy-session";

fn assert_asks_for_a_session(response: &Response, why: &str) {
    assert_eq!(response.status, 401, "{why}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{why}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{why}");
    let problem = response.json();
    assert_eq!(problem["code"], "session_required", "{why}");
    assert!(problem["login_url"].as_str().unwrap().starts_with("/oauth/signin"), "{why}: {problem}");
    assert!(problem["request_id"].is_string(), "{why}");
}

#[test]
fn a_sign_in_leads_to_the_very_page_one_wanted() {
    let fixture = Fixture::with(&[]);

    let response = fixture.browser().sign_in("/deep/link?a=1&a=2&b=%20x", &fixture.provider);

    assert_eq!(response.status, 200);
    assert_eq!(fixture.upstream.last().request_line, "GET /deep/link?a=1&a=2&b=%20x");
    assert_eq!(fixture.upstream.last().header("authorization"), Some("Bearer access-token-1"));
}

#[test]
fn whatever_is_wrong_with_a_cookie_a_script_gets_401_and_a_person_goes_to_sign_in() {
    let fixture = Fixture::with(&[]);
    let good = fixture.signed_in().cookies[SESSION].clone();
    let mut signed_out = fixture.signed_in();
    let ended = signed_out.cookies[SESSION].clone();
    signed_out.post("/oauth/signout", b"");
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'B' } else { 'A' });
    let unknown = good.replacen(good.split('.').nth(1).unwrap(), "another", 1);
    let before = fixture.upstream.received().len();
    let table = [
        ("", "no cookie"),
        ("oauth-proxy-session=", "an empty one"),
        ("oauth-proxy-session=x", "no sealed value"),
        (&format!("{SESSION}={flipped}"), "one bit flipped"),
        (&format!("{SESSION}={unknown}"), "a key that isn't there"),
        (&format!("{SESSION}={ended}"), "signed out"),
        (&format!("{SESSION}={good}; {SESSION}={good}"), "two of them"),
        (&format!("Oauth-Proxy-Session={good}"), "another name"),
        (&format!("oauth%2Dproxy-session={good}"), "an encoded name"),
        (&format!("oauth-proxy-login-00000000={good}"), "the place of another cookie"),
    ];
    for (cookie, why) in table {
        let mut browser = fixture.browser();

        let script = browser.send("GET", "/page", &[("cookie", cookie)], b"");
        let unsafe_script =
            browser.send("POST", "/page", &[("cookie", cookie), ("sec-fetch-site", "same-origin")], b"x");
        let navigation = browser.send("GET", "/page?x=1", &[("cookie", cookie), ("accept", "text/html")], b"");

        assert_asks_for_a_session(&script, why);
        assert_asks_for_a_session(&unsafe_script, why);
        assert_eq!(navigation.status, 302, "{why}");
        assert_eq!(navigation.header("location"), Some("/oauth/signin?redirect=%2Fpage%3Fx%3D1"), "{why}");
    }
    assert_eq!(fixture.upstream.received().len(), before, "nothing reached the upstream");
}

#[test]
fn a_form_sent_without_a_session_gets_a_page_that_leads_back_to_it() {
    let fixture = Fixture::with(&[]);
    let referer = format!("{}/form?id=7", fixture.handler.origin);
    let headers = [("sec-fetch-mode", "navigate"), ("referer", referer.as_str())];

    let response = fixture.browser().send("POST", "/save", &headers, b"a=1");

    assert_eq!(response.status, 401);
    assert!(response.text().contains("href=\"/oauth/signin?redirect=%2Fform%3Fid%3D7\""), "{}", response.text());
}

#[test]
fn a_session_ends_when_it_is_idle() {
    let fixture = Fixture::with(&[("SESSION_IDLE_TIMEOUT", "2s")]);
    let browser = fixture.signed_in();

    wait_until("the session is over", || browser.clone().fetch("/oauth/me?slide=false").status == 401);

    assert_asks_for_a_session(&browser.clone().fetch("/page"), "idle");
}

#[test]
fn a_cookie_of_the_application_that_is_no_text_hides_no_session() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    browser.cookies.insert("legacy".to_owned(), "J\u{f6}rg".to_owned());

    assert_eq!(browser.fetch("/page").status, 200);

    assert_eq!(fixture.upstream.last().header("cookie"), Some("legacy=J\u{f6}rg"));
}

#[test]
fn a_session_that_is_used_slides_but_not_beyond_its_absolute_end() {
    let fixture = Fixture::with(&[("SESSION_IDLE_TIMEOUT", "2s"), ("SESSION_MAX_LIFETIME", "4s")]);
    let mut browser = fixture.signed_in();
    let first = browser.cookies[SESSION].clone();

    wait_until("the cookie is issued again", || {
        assert_eq!(browser.fetch("/page").status, 200);
        browser.cookies[SESSION] != first
    });

    wait_until("the absolute end is reached", || browser.fetch("/page").status == 401);
}

#[test]
fn me_tells_the_claims_and_never_a_token() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();

    let response = browser.fetch("/oauth/me");

    let me = response.json();
    assert_eq!((me["sub"].as_str(), me["name"].as_str()), (Some("ada"), Some("Ada Lovelace")));
    assert!(me["session_expires_in"].as_u64().is_some_and(|seconds| (1_790..=1_800).contains(&seconds)), "{me}");
    assert!(me["logout_url"].as_str().unwrap().starts_with("/oauth/signout?token="), "{me}");
    let without_link = response.text().replace("/oauth/signout?token=", "");
    assert!(!without_link.contains("token") && me["nonce"] == Value::Null, "{me}");
    assert_asks_for_a_session(&fixture.browser().navigate("/oauth/me"), "a script's URL, whoever asks");
}

#[test]
fn a_sign_out_ends_the_session_everywhere() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    let old = browser.clone();
    let logout_url = browser.fetch("/oauth/me").json()["logout_url"].as_str().unwrap().to_owned();

    let response = browser.navigate(&logout_url);

    assert_eq!(response.status, 303);
    let location = url::Url::parse(response.header("location").unwrap()).unwrap();
    let query: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    assert!(location.as_str().starts_with(&format!("{}/end_session?", fixture.provider.issuer)), "{location}");
    assert!(query.iter().any(|(name, _)| name == "id_token_hint"), "{query:?}");
    let own_page = format!("{}/oauth/signedout", fixture.handler.origin);
    assert!(query.contains(&("post_logout_redirect_uri".to_owned(), own_page)), "{query:?}");
    assert!(!browser.cookies.contains_key(SESSION));
    assert_asks_for_a_session(&old.clone().fetch("/page"), "the old cookie again");
    wait_until("the refresh token is revoked", || fixture.provider.revoked() == ["grant-1.refresh-token-1"]);
}

#[test]
fn a_sign_out_link_under_its_older_name_still_works() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    let logout_url = browser.fetch("/oauth/me").json()["logout_url"].as_str().unwrap().to_owned();

    let response = browser.navigate(&logout_url.replace("?token=", "?sid="));

    assert_eq!(response.status, 303);
    assert!(!browser.cookies.contains_key(SESSION));
}

#[test]
fn a_link_without_the_sessions_own_token_signs_nobody_out() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();

    for link in [
        "/oauth/signout",
        "/oauth/signout?token=",
        "/oauth/signout?token=AAAAAAAAAAAAAAAAAAAAAA",
        "/oauth/signout?sid=AAAAAAAAAAAAAAAAAAAAAA",
        "/oauth/logout",
    ] {
        let asked = browser.navigate(link);
        assert_eq!(asked.status, 200, "{link}");
        assert!(asked.text().contains("action=\"/oauth/signout\""), "{link}");
    }

    assert_eq!(browser.fetch("/page").status, 200);
}

#[test]
fn a_sign_out_may_end_at_a_path_of_this_site_only() {
    let fixture = Fixture::with(&[]);
    let state = |redirect: &str| {
        let response = fixture.signed_in().post(&format!("/oauth/signout?redirect={redirect}"), b"");
        let location = url::Url::parse(response.header("location").unwrap()).unwrap();
        location.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned())
    };

    assert_eq!(state("%2Fbye%3Fa%3D1"), Some("/bye?a=1".to_owned()));
    assert_eq!(state("https%3A%2F%2Fevil.example"), None);
    let after = |query: &str| fixture.browser().navigate(&format!("/oauth/signedout{query}"));
    assert_eq!(after("?state=%2Fbye%3Fa%3D1").header("location"), Some("/bye?a=1"));
    let on_origin = format!("{}//evil.example", fixture.handler.origin);
    assert_eq!(after("?state=%2F%2Fevil.example").header("location"), Some(on_origin.as_str()));
    assert_eq!(after("?state=%2F%5Cevil.example").status, 200);
    assert_eq!(after("").status, 200);
}

#[test]
fn the_page_after_a_sign_out_is_true_for_whoever_opens_it() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    let cookies = browser.cookies.clone();

    let early = browser.navigate("/oauth/signedout").text();
    browser.post("/oauth/signout", b"");
    browser.cookies = cookies; // of another tab, say, whose session has ended
    let late = browser.navigate("/oauth/signedout").text();

    assert!(early.contains("Your session has not ended") && early.contains("action=\"/oauth/signout\""), "{early}");
    assert!(late.contains("<h1>You are signed out</h1>"), "{late}");
}

#[test]
fn only_pages_of_this_site_change_anything() {
    let fixture = Fixture::with(&[]);
    let browser = fixture.signed_in();
    let origin = fixture.handler.origin.as_str();
    let table: &[(&[(&str, &str)], u16)] = &[
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "none")], 200),
        (&[("origin", origin)], 200),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", origin)], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[], 403),
    ];
    for path in ["/save", "/oauth/signout"] {
        for (headers, expected) in table.iter().filter(|(_, expected)| path == "/save" || *expected == 403) {
            let response = browser.clone().send("POST", path, headers, b"");
            assert_eq!(response.status, *expected, "{path} {headers:?}");
        }
    }
    let refused = browser.clone().send("POST", "/oauth/refresh", &[("sec-fetch-site", "same-origin")], b"");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("csrf_rejected")));
}

/// A sign-in that a portal begins (OIDC Core 4), by `GET` or by a form, followed to the request to the Provider.
fn initiate(browser: &mut Browser, method: &str, parameters: &[(&str, &str)]) -> Response {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    let encoded = encoded.extend_pairs(parameters).finish();
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://portal.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    if method == "GET" {
        return browser.send("GET", &format!("/oauth/signin?{encoded}"), &headers[..3], b"");
    }
    let cookies = std::mem::take(&mut browser.cookies); // SameSite=Lax
    let response = browser.send("POST", "/oauth/signin", &headers, encoded.as_bytes());
    browser.cookies = cookies;
    if response.status != 303 {
        return response;
    }
    let location = response.header("location").unwrap().to_owned();
    assert!(location.starts_with("/oauth/signin?") && response.header("set-cookie").is_none(), "{location}");
    browser.navigate(&location)
}

#[test]
fn a_portal_begins_a_sign_in_that_ends_at_the_page_it_names_if_that_is_ours() {
    let fixture = Fixture::with(&[]);
    let origin = fixture.handler.origin.clone();
    let issuer = fixture.provider.issuer.clone();
    let own = |path: &str| format!("{origin}{path}");
    let table = [
        (own("/deep?a=1&b=%20x"), "/deep?a=1&b=%20x", "our own URL"),
        ("/deep".to_owned(), "/deep", "a path of ours"),
        (own("/"), "/", "the start"),
        (origin.clone(), "/", "the bare origin"),
        (own("//evil.example"), &own("//evil.example"), "two slashes behind our origin: a path of it"),
        (own("/\\evil.example"), "/", "a backslash behind our origin"),
        (own("/a/../b"), "/", "dot segments"),
        (own("/oauth/signout"), "/", "our own sign-out"),
        (format!("{origin}.evil.example/"), "/", "a longer host"),
        (format!("{origin}@evil.example/"), "/", "our origin as a user"),
        (format!("{origin}0/"), "/", "a longer port"),
        ("https://evil.example/deep".to_owned(), "/", "another site"),
        ("//evil.example".to_owned(), &own("//evil.example"), "a path that could name a host"),
        ("javascript:alert(1)".to_owned(), "/", "a script"),
        (String::new(), "/", "nothing"),
    ];
    for (target, expected, reason) in table {
        for method in ["GET", "POST"] {
            let mut browser = fixture.browser();
            let parameters = [("iss", issuer.as_str()), ("login_hint", "a d+a@x"), ("target_link_uri", &target)];

            let to_provider = initiate(&mut browser, method, &parameters);

            let location = Url::parse(to_provider.header("location").unwrap()).unwrap();
            let hint = location.query_pairs().find(|(name, _)| name == "login_hint").unwrap().1.into_owned();
            assert_eq!((to_provider.status, hint.as_str()), (302, "a d+a@x"), "{method} {reason}");
            assert!(!location.query_pairs().any(|(name, _)| name == "iss" || name == "target_link_uri"), "{location}");
            let back = browser.navigate(&fixture.provider.approve(location.as_str()));
            assert_eq!((back.status, back.header("location")), (303, Some(expected)), "{method} {reason}");
        }
    }
}

#[test]
fn a_sign_in_that_is_meant_for_another_issuer_does_not_begin() {
    let fixture = Fixture::with(&[]);
    let issuer = fixture.provider.issuer.as_str();
    let slash = format!("{issuer}/");
    for method in ["GET", "POST"] {
        for (issuers, reason) in [
            (vec!["https://evil.example"], "another"),
            (vec![slash.as_str()], "ours with a slash: compared as text"),
            (vec![issuer, "https://evil.example"], "ours and another"),
        ] {
            let parameters: Vec<(&str, &str)> = issuers.into_iter().map(|issuer| ("iss", issuer)).collect();

            let refused = initiate(&mut fixture.browser(), method, &parameters);

            assert_eq!((refused.status, refused.header("set-cookie")), (400, None), "{method} {reason}");
            assert!(refused.text().contains("issuer_mismatch"), "{method} {reason}: {}", refused.text());
        }
        for parameters in [&[][..], &[("iss", "")], &[("iss", issuer)]] {
            assert_eq!(initiate(&mut fixture.browser(), method, parameters).status, 302, "{method} {parameters:?}");
        }
    }
}

#[test]
fn our_own_redirect_goes_before_a_target_link() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();

    let to_provider = initiate(&mut browser, "POST", &[("target_link_uri", "/there"), ("redirect", "/here")]);

    let back = browser.navigate(&fixture.provider.approve(to_provider.header("location").unwrap()));
    assert_eq!(back.header("location"), Some("/here"));
}

#[test]
fn a_portal_that_posts_twenty_times_leaves_sixteen_cookies_and_replaces_the_session() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    let mut older = browser.clone();

    let requests: Vec<String> =
        (0..20).map(|_| initiate(&mut browser, "POST", &[]).header("location").unwrap().to_owned()).collect();
    let back = browser.navigate(&fixture.provider.approve(requests.last().unwrap()));

    assert_eq!(back.status, 303);
    assert!(browser.cookies.keys().filter(|name| name.starts_with("oauth-proxy-login-")).count() == 15);
    wait_until("the older session is over", || older.fetch("/page").status == 401);
}

#[test]
fn a_form_that_is_no_form_begins_no_sign_in() {
    let fixture = Fixture::with(&[]);
    let navigation = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
    let script = [("sec-fetch-mode", "cors")];
    for (headers, body, status, reason) in [
        (&navigation[..], vec![0xff, 0xfe], 400, "no text"),
        (&navigation[..], vec![b'a'; 65 * 1024], 413, "too large"),
        (&script[..], b"iss=x".to_vec(), 401, "a script can't show a sign-in page"),
    ] {
        assert_eq!(fixture.browser().send("POST", "/oauth/signin", headers, &body).status, status, "{reason}");
    }
}

#[test]
fn twenty_abandoned_sign_ins_leave_the_sixteen_newest() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();

    let requests: Vec<String> =
        (0..20).map(|_| browser.navigate("/oauth/signin").header("location").unwrap().to_owned()).collect();

    assert_eq!(browser.cookies.keys().filter(|name| name.starts_with("oauth-proxy-login-")).count(), 16);
    let finishes = |request: &String| browser.clone().navigate(&fixture.provider.approve(request)).status == 303;
    let finished: Vec<bool> = requests.iter().map(finishes).collect();
    assert_eq!(finished, [[false; 4].as_slice(), &[true; 16]].concat());
}

#[test]
fn two_tabs_that_sign_in_at_once_both_arrive() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let one = browser.navigate("/oauth/signin?redirect=/one").header("location").unwrap().to_owned();
    let two = browser.navigate("/oauth/signin?redirect=/two").header("location").unwrap().to_owned();

    let first = browser.navigate(&fixture.provider.approve(&two));
    let second = browser.navigate(&fixture.provider.approve(&one));

    assert_eq!((first.header("location"), second.header("location")), (Some("/two"), Some("/one")));
    assert_eq!(browser.fetch("/page").status, 200);
}

#[test]
fn a_callback_delivered_twice_spends_its_code_once_and_keeps_its_session() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin?redirect=/page");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());
    let at_once: Vec<_> = (0..8).map(|_| browser.begin("GET", &callback, &[("accept", "text/html")], b"")).collect();

    let responses: Vec<Response> = at_once.iter().map(|stream| read_response(stream, "GET").unwrap()).collect();
    let afterwards = browser.clone().navigate(&callback);

    assert!(responses.iter().chain([&afterwards]).all(|response| response.status == 303));
    assert_eq!(fixture.provider.exchanges(), 1);
    for response in &responses {
        let cookie = response.headers_named("set-cookie").find(|cookie| cookie.starts_with(SESSION)).unwrap();
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(fixture.browser().send("GET", "/page", &[("cookie", cookie)], b"").status, 200);
    }
}

#[test]
fn a_callback_delivered_again_after_the_sign_out_brings_nothing_back() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());
    let before = browser.clone();
    browser.navigate(&callback);
    browser.post("/oauth/signout", b"");

    let again = before.clone().navigate(&callback);

    assert_eq!(again.status, 400);
    assert!(again.text().contains("login_over"));
    assert_eq!(fixture.provider.exchanges(), 1);
}

#[test]
fn a_callback_of_another_browser_is_refused() {
    let fixture = Fixture::with(&[]);
    let to_provider = fixture.browser().navigate("/oauth/signin");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());

    let refused = fixture.browser().navigate(&callback);

    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("login_unknown"));
    assert_eq!(fixture.provider.exchanges(), 0);
}

#[test]
fn signing_in_again_ends_the_older_session() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.signed_in();
    let older = browser.clone();
    let to_provider = browser.navigate("/oauth/signin");

    browser.navigate(&fixture.provider.approve(to_provider.header("location").unwrap()));

    assert_eq!(browser.fetch("/page").status, 200);
    assert_asks_for_a_session(&older.clone().fetch("/page"), "the older session");
    // RFC 7009 2.1: to revoke the older token could end the grant of the new session, and the codes of other tabs.
    let logout_url = browser.fetch("/oauth/me").json()["logout_url"].as_str().unwrap().to_owned();
    browser.navigate(&logout_url);
    wait_until("the newer refresh token is revoked", || !fixture.provider.revoked().is_empty());
    assert_eq!(fixture.provider.revoked(), ["grant-2.refresh-token-2"], "and it alone");
}

#[test]
fn a_refusal_of_the_provider_is_told_on_a_page() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let to_provider = url::Url::parse(browser.navigate("/oauth/signin").header("location").unwrap()).unwrap();
    let state = to_provider.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();

    let response = browser.navigate(&format!("/oauth/callback?error=access_denied&state={state}"));

    assert_eq!(response.status, 403);
    assert!(response.text().contains("login_cancelled"), "{}", response.text());
}

#[test]
fn a_callback_that_is_no_authorization_response_is_refused() {
    let fixture = Fixture::with(&[]);
    let too_large = vec![b'a'; 65 * 1024];
    let table: [(&[u8], u16, &str); 4] = [
        (b"code=a", 400, "state_missing"),
        (b"state=a", 400, "code_missing"),
        (b"code=\xff\xfe&state=a", 400, "bad_request"),
        (&too_large, 413, "form_too_large"),
    ];
    for (form, status, code) in table {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let response = fixture.browser().send("POST", "/oauth/callback", &headers, form);
        assert_eq!((response.status, response.json()["code"].as_str()), (status, Some(code)));
    }
    let repeated = fixture.browser().fetch("/oauth/callback?code=a&code=b&state=c");
    assert_eq!(repeated.json()["code"].as_str(), Some("parameter_repeated"));
}

#[test]
fn someone_who_is_signed_in_and_goes_back_to_a_callback_is_told_nothing() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());
    browser.navigate(&callback);

    let again = browser.navigate(&callback);
    browser.cookies.insert(SESSION.to_owned(), "stale".to_owned());
    let stale = browser.navigate(&callback);

    assert_eq!((again.status, again.header("location")), (303, Some("/")));
    assert!(stale.status == 400 && stale.text().contains("login_unknown"));
}

#[test]
fn a_login_that_is_used_is_refused_unless_its_person_is_signed_in() {
    let fixture = Fixture::with(&[]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin?redirect=/page");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());
    let before = browser.clone();
    browser.navigate(&callback);
    let made_up = callback.replace("code=", "code=made-up-");

    let stranger = before.clone().navigate(&made_up);
    browser.cookies.extend(before.cookies);
    let person = browser.navigate(&made_up);

    assert!(stranger.status == 400 && stranger.text().contains("login_used"), "{}", stranger.text());
    assert_eq!((person.status, person.header("location")), (303, Some("/page")));
    assert_eq!(fixture.provider.exchanges(), 1);
    assert_eq!(browser.fetch("/page").status, 200);
}

#[test]
fn cookies_of_an_https_site_are_as_strict_as_they_can_be() {
    let fixture = Fixture::with(&[("PUBLIC_BASE_URL", "https://app.example")]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin");
    let callback = fixture.provider.approve(to_provider.header("location").unwrap());
    let callback = callback.trim_start_matches("https://app.example");

    let response = browser.navigate(callback);

    let cookies: Vec<&str> =
        response.headers_named("set-cookie").chain(to_provider.headers_named("set-cookie")).collect();
    assert_eq!(cookies.len(), 5);
    for cookie in &cookies {
        assert!(cookie.starts_with("__Host-oauth-proxy-"), "{cookie}");
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    }
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-oauth-proxy-session=")).unwrap();
    assert!(session.len() < 400 && !session.contains("Max-Age"), "{session}");
    let signed_out = browser.send("POST", "/oauth/signout", &[("sec-fetch-site", "same-origin")], b"");
    let deletion = signed_out.header("set-cookie").unwrap();
    assert_eq!(deletion, "__Host-oauth-proxy-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
}

#[test]
fn a_form_post_callback_brings_its_cookie_across_sites() {
    let fixture = Fixture::with(&[("PUBLIC_BASE_URL", "https://app.example"), ("RESPONSE_MODE", "form_post")]);
    let mut browser = fixture.browser();
    let to_provider = browser.navigate("/oauth/signin?redirect=/page");
    let request = to_provider.header("location").unwrap();
    assert!(request.contains("response_mode=form_post"));
    assert!(to_provider.header("set-cookie").unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=None"));
    let callback = fixture.provider.approve(request);
    let form = callback.split_once('?').unwrap().1;

    let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("origin", "null")];
    let response = browser.send("POST", "/oauth/callback", &headers, form.as_bytes());

    assert_eq!((response.status, response.header("location")), (303, Some("/page")));
}

#[test]
fn an_anonymous_route_needs_nobody_and_is_told_of_nobody() {
    let upstream = Upstream::start();
    let routes = format!(
        r#"[{{"path":"/","upstream":"{0}"}},{{"path":"/public","upstream":"{0}","access":"anonymous"}}]"#,
        upstream.url
    );
    let fixture = Fixture::with(&[("UPSTREAM_URL", ""), ("ROUTES", &routes)]);
    let mut browser = fixture.signed_in();

    assert_eq!(browser.fetch("/public/page").status, 200);

    assert_eq!(upstream.last().header("authorization"), None);
    assert_eq!(fixture.browser().fetch("/public/page").status, 200);
    assert_asks_for_a_session(&fixture.browser().fetch("/publicity"), "another segment");
}

#[test]
fn our_urls_serve_their_methods_only() {
    let fixture = Fixture::with(&[]);

    let refused = fixture.browser().post("/oauth/me", b"");
    let nothing = fixture.browser().fetch("/oauth/nothing");

    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert_eq!((nothing.status, nothing.json()["code"].as_str()), (404, Some("route_not_found")));
}

#[test]
fn readiness_tells_what_is_missing() {
    let fixture = Fixture::with(&[]);
    let ready = fixture.browser().fetch("/oauth/health/ready");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("ready")));
    let alone = Handler::start(&[
        ("UPSTREAM_URL", fixture.upstream.url.as_str()),
        ("OIDC_ISSUER_URL", "http://127.0.0.1:1"),
        ("CLIENT_ID", "client"),
    ]);

    let mut browser = Browser::new(&alone.origin);
    let (not_ready, sign_in) = (browser.fetch("/oauth/health/ready"), browser.navigate("/oauth/signin"));

    assert_eq!((not_ready.status, not_ready.json()["provider"].as_str()), (503, Some("down")));
    assert_eq!(sign_in.status, 503);
    assert!(sign_in.text().contains("provider_unavailable") && sign_in.header("retry-after").is_some());
}

#[test]
fn a_background_request_never_begins_a_sign_in() {
    let fixture = Fixture::with(&[]);

    for headers in [[("sec-fetch-mode", "cors")], [("sec-fetch-mode", "no-cors")]] {
        let response = fixture.browser().send("GET", "/oauth/signin", &headers, b"");
        assert_asks_for_a_session(&response, "a script");
        assert_eq!(response.header("set-cookie"), None);
    }
}
