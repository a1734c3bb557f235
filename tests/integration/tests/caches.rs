//! Browser caches: responses that may be stored, and `Clear-Site-Data`.

use serde_json::json;
use support::{Browser, Handler, Provider, Response, Upstream};

struct Fixture {
    provider: Provider,
    handler: Handler,
}

impl Fixture {
    fn start(settings: &[(&str, &str)]) -> Self {
        let (provider, upstream) = (Provider::start(), Upstream::start());
        let all = [&[("UPSTREAM_URL", upstream.url.as_str())], settings, &provider.settings()].concat();
        let handler = Handler::start(&all);
        Self { provider, handler }
    }

    /// The response that starts a session of `sub` in this browser.
    fn sign_in(&self, browser: &mut Browser, sub: &str) -> Response {
        self.provider.set_claims(&json!({ "sub": sub }));
        let to_provider = browser.navigate("/oauth/signin");
        let back = self.provider.approve(to_provider.header("location").unwrap());
        let started = browser.navigate(&back);
        assert_eq!(started.status, 303, "{}", started.text());
        started
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.handler.origin)
    }
}

fn cleared(response: &Response) -> Option<&str> {
    response.header("clear-site-data")
}

#[test]
fn another_persons_sign_in_clears_the_cache_and_the_same_persons_does_not() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.browser();

    let first = fixture.sign_in(&mut browser, "ada");
    let again = fixture.sign_in(&mut browser, "ada");
    browser.cookies.retain(|name, _| name == "oauth-proxy-person"); // the others ended, or the browser was closed
    let next_day = fixture.sign_in(&mut browser, "ada");
    let other = fixture.sign_in(&mut browser, "bob");
    let back = fixture.sign_in(&mut browser, "ada");

    let all = [&first, &again, &next_day, &other, &back].map(cleared);
    assert_eq!(all, [Some("\"cache\""), None, None, Some("\"cache\""), Some("\"cache\"")]);
}

#[test]
fn a_sign_out_clears_the_cache_and_forgets_the_person() {
    let fixture = Fixture::start(&[]);
    for headers in
        [&[("sec-fetch-site", "same-origin")][..], &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]]
    {
        let mut browser = fixture.browser();
        fixture.sign_in(&mut browser, "ada");
        assert!(browser.cookies.contains_key("oauth-proxy-person"));

        let signed_out = browser.send("POST", "/oauth/signout", headers, b"");

        assert_eq!(cleared(&signed_out), Some("\"cache\""));
        assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
        assert_eq!(cleared(&browser.navigate("/oauth/signedout")), None);
    }
}

#[test]
fn a_sign_out_whose_session_is_over_clears_for_pages_of_ours_alone() {
    let fixture = Fixture::start(&[("CLEAR_SITE_DATA", "cache,cookies,storage")]);
    let all = "\"cache\", \"cookies\", \"storage\"";
    for (method, site, expected) in [
        ("POST", "same-origin", Some(all)),
        ("GET", "same-origin", Some(all)),
        ("GET", "cross-site", None),
        ("GET", "same-site", None),
        ("GET", "none", None),
        ("HEAD", "cross-site", None),
        ("HEAD", "same-origin", None),
    ] {
        let signed_out = fixture.browser().send(method, "/oauth/signout", &[("sec-fetch-site", site)], b"");
        assert_eq!((signed_out.status, cleared(&signed_out)), (303, expected), "{method} {site}");
    }
    let refused = fixture.browser().send("POST", "/oauth/signout", &[("sec-fetch-site", "cross-site")], b"");
    assert_eq!((refused.status, cleared(&refused)), (403, None));
    let asked = fixture.browser().send("GET", "/oauth/signout", &[], b"");
    assert_eq!(cleared(&asked), None, "nothing says where it comes from");
}

#[test]
fn nothing_is_cleared_where_the_operator_says_so() {
    let fixture = Fixture::start(&[("CLEAR_SITE_DATA", "none")]);
    let mut browser = fixture.browser();

    let first = fixture.sign_in(&mut browser, "ada");
    let other = fixture.sign_in(&mut browser, "bob");
    let signed_out = browser.post("/oauth/signout", b"");

    assert_eq!([&first, &other, &signed_out].map(cleared), [None; 3]);
}

#[test]
fn another_person_gets_none_of_the_applications_cookies() {
    let fixture = Fixture::start(&[("CLEAR_SITE_DATA", "cache,cookies,storage")]);
    let mut browser = fixture.browser();
    fixture.sign_in(&mut browser, "ada");
    browser.cookies.insert("JSESSIONID".to_owned(), "adas".to_owned());

    let same = fixture.sign_in(&mut browser, "ada");
    let kept = browser.cookies.contains_key("JSESSIONID");
    let other = fixture.sign_in(&mut browser, "bob");

    assert_eq!((cleared(&same), kept), (None, true));
    assert_eq!(cleared(&other), Some("\"cache\", \"storage\""), "\"cookies\" would take the new session along");
    let names: Vec<&String> = browser.cookies.keys().collect();
    assert_eq!(names, ["oauth-proxy-person", "oauth-proxy-rounds", "oauth-proxy-session"]);
    assert_eq!(browser.fetch("/page").status, 200);
}

#[test]
fn no_response_is_stored_where_the_operator_forbids_it() {
    let fixture = Fixture::start(&[("BROWSER_CACHE", "no-store")]);
    let mut browser = fixture.browser();
    fixture.sign_in(&mut browser, "ada");

    let page = browser.fetch("/page");

    assert_eq!(page.header("cache-control"), Some("private, no-store"));
}

#[test]
fn the_upstream_sees_no_cookie_that_names_the_person() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()].concat();
    let handler = Handler::start(&settings);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/page", &provider);
    browser.cookies.insert("theirs".to_owned(), "1".to_owned());

    browser.fetch("/page");

    assert!(browser.cookies.contains_key("oauth-proxy-person"));
    assert_eq!(upstream.last().header("cookie"), Some("theirs=1"));
}
