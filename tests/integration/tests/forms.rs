//! Forms that meet no session, and forms of other sites: kept, sent again, or refused, and never sent unasked.

use std::io::Write;
use std::sync::mpsc;

use serde_json::json;
use support::{Browser, Handler, Provider, Response, TokenReply, Upstream, read_response, wait_for_lapse};
use url::form_urlencoded::Serializer;

struct Fixture {
    provider: Provider,
    handler: Handler,
    /// The target, the type and the body of each post that reached the application.
    posts: mpsc::Receiver<(String, String, Vec<u8>)>,
}

impl Fixture {
    /// An application that takes forms of other sites below `/pay`, but not below `/pay/admin`.
    fn start() -> Self {
        let (sender, posts) = mpsc::channel();
        let upstream = Upstream::responding(move |request, reader, stream| {
            let body = request.read_body(reader);
            if let Some(target) = request.request_line.strip_prefix("POST ") {
                let content_type = request.header("content-type").unwrap_or_default().to_owned();
                sender.send((target.to_owned(), content_type, body)).unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
        });
        let provider = Provider::start();
        let routes = json!([
            { "path": "/", "upstream": upstream.url },
            { "path": "/pay", "upstream": upstream.url, "cross_site": "allow" },
            { "path": "/pay/admin", "upstream": upstream.url },
        ]);
        let routes = routes.to_string();
        let handler = Handler::start(&[&[("ROUTES", routes.as_str())][..], &provider.settings()[..]].concat());
        Self { provider, handler, posts }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.handler.origin)
    }

    fn sign_in(&self, browser: &mut Browser, sub: &str) {
        self.provider.set_claims(&json!({ "sub": sub, "name": format!("{sub} <b>") }));
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
    }

    /// A browser whose session can't be used any more, though its record is still there: a refresh is refused.
    fn lapsed(&self, sub: &str) -> Browser {
        let mut browser = self.browser();
        self.provider.set_expires_in(1);
        self.sign_in(&mut browser, sub);
        self.provider.set_expires_in(3600);
        wait_for_lapse();
        self.provider.script(TokenReply::Raw(401, "", r#"{"error":"invalid_client"}"#));
        browser
    }

    fn assert_nothing_was_passed_on(&self, reason: &str) {
        assert!(self.posts.try_recv().is_err(), "{reason}");
    }
}

type Header = (&'static str, &'static str);
type Headers<'a> = &'a [(&'a str, &'a str)];

const URLENCODED: Header = ("content-type", "application/x-www-form-urlencoded");
const NAVIGATION: [Header; 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
const OURS: Header = ("sec-fetch-site", "same-origin");
const CROSS_SITE: Header = ("sec-fetch-site", "cross-site");

fn post(browser: &mut Browser, path: &str, more: &[(&str, &str)], body: &[u8]) -> Response {
    browser.send("POST", path, &[&NAVIGATION[..], more].concat(), body)
}

/// The form that a page keeps, sealed.
fn kept(page: &Response) -> Option<String> {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form\" value=\"")?;
    Some(rest.split('"').next().unwrap().to_owned())
}

fn send_again(browser: &mut Browser, sealed: &str) -> Response {
    let body = Serializer::new(String::new()).append_pair("form", sealed).finish();
    post(browser, "/oauth/resend", &[URLENCODED, OURS], body.as_bytes())
}

fn multipart(head: &str, content: &str) -> Vec<u8> {
    format!("--b\r\nContent-Disposition: form-data; name=\"{head}\r\n\r\n{content}\r\n--b--\r\n").into_bytes()
}

const MULTIPART: Header = ("content-type", "multipart/form-data; boundary=b");

#[test]
fn a_form_without_a_session_is_kept_by_its_page_and_by_nothing_else() {
    let fixture = Fixture::start();
    for (content_type, body) in [(URLENCODED, b"note=typed".to_vec()), (MULTIPART, multipart("note\"", "typed"))] {
        let page = post(&mut fixture.browser(), "/form?a=%22", &[content_type, OURS], &body);

        let text = page.text();
        assert_eq!((page.status, page.header("cache-control")), (401, Some("no-store")));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        assert!(text.contains("Nothing of what you sent was passed on. This page keeps it."), "{text}");
        assert!(text.contains("href=\"/oauth/signin?redirect=%2Foauth%2Fresend\" target=\"_blank\""), "{text}");
        assert!(kept(&page).is_some() && !text.contains("typed") && page.headers_named("set-cookie").count() == 0);
        fixture.assert_nothing_was_passed_on("no session");
    }
}

#[test]
fn a_form_is_sent_again_at_once_by_its_own_person() {
    let fixture = Fixture::start();
    let mut browser = fixture.lapsed("ada");
    let page = post(&mut browser, "/form?a=1&b", &[URLENCODED, OURS], b"submit=1&note=caf%E9%0D%0A");
    assert_eq!(page.status, 401);
    fixture.sign_in(&mut browser, "ada");

    let sending = send_again(&mut browser, &kept(&page).unwrap());

    let text = sending.text();
    let form = format!(
        "<form method=\"post\" action=\"{}/form?a=1&amp;b\" enctype=\"application/x-www-form-urlencoded\" \
         accept-charset=\"windows-1252\" autocomplete=\"off\"><input type=\"hidden\" name=\"submit\" value=\"1\">\
         <input type=\"hidden\" name=\"note\" value=\"caf\u{e9}&#13;&#10;\"><button>Continue</button></form>",
        fixture.handler.origin
    );
    assert!(sending.status == 200 && text.contains(&form), "{text}");
    assert!(text.contains("<script>") && sending.header("content-security-policy").unwrap().contains("script-src"));
    fixture.assert_nothing_was_passed_on("the browser sends it");
}

#[test]
fn nobody_elses_session_sends_a_form() {
    let fixture = Fixture::start();
    let mut browser = fixture.lapsed("ada");
    let page = post(&mut browser, "/form", &[URLENCODED, OURS], b"note=typed");
    fixture.sign_in(&mut browser, "bob");

    let refused = send_again(&mut browser, &kept(&page).unwrap());

    let text = refused.text();
    assert_eq!(refused.status, 403);
    assert!(text.contains("form_of_another_person") && !text.contains("typed") && !text.contains("<script"), "{text}");
    assert!(text.contains("/oauth/signin?redirect=%2Foauth%2Fresend&amp;prompt=login"), "{text}");
    browser.cookies.clear();
    fixture.sign_in(&mut browser, "ada");
    assert!(send_again(&mut browser, &kept(&refused).unwrap()).text().contains("value=\"typed\""));
}

#[test]
fn a_form_of_an_unknown_person_is_sent_by_a_click_that_names_the_sender() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    let page = post(&mut browser, "/form", &[URLENCODED, OURS], b"note=typed");
    fixture.sign_in(&mut browser, "bob");

    let question = send_again(&mut browser, &kept(&page).unwrap());

    let text = question.text();
    assert_eq!(question.status, 200);
    assert!(text.contains("<button>Send as bob &lt;b&gt;</button>") && text.contains("value=\"typed\""), "{text}");
    assert!(!text.contains("<script") && !question.header("content-security-policy").unwrap().contains("script-src"));
}

#[test]
fn a_form_that_the_page_cannot_keep_is_told_so() {
    let fixture = Fixture::start();
    let large = vec![b'a'; 64 * 1024 + 1];
    let file = multipart("file\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "x");
    let many = "a=&".repeat(2_001);
    let target = format!("/{}", "a".repeat(17 * 1024));
    let elsewhere = "may come from another site";
    let table: [(&str, Headers<'_>, &[u8], &str, &str); 13] = [
        ("/form", &[URLENCODED, CROSS_SITE], b"a=1", elsewhere, "another site"),
        ("/form", &[URLENCODED, ("sec-fetch-site", "same-site")], b"a=1", elsewhere, "a sibling"),
        ("/form", &[URLENCODED, ("origin", "https://evil.example")], b"a=1", elsewhere, "another origin"),
        ("/form", &[URLENCODED, ("origin", "null")], b"a=1", elsewhere, "a sandbox"),
        ("/form", &[URLENCODED], b"a=1", elsewhere, "nothing says where it comes from"),
        ("/form", &[URLENCODED, OURS], &large, "too large", "a byte more than 64 KiB"),
        ("/form", &[URLENCODED, OURS], many.as_bytes(), "too large", "too many fields"),
        (&target, &[URLENCODED, OURS], b"a=1", "too large", "a long target"),
        ("/form", &[MULTIPART, OURS], &file, "cannot keep its files", "a file"),
        ("/form", &[MULTIPART, OURS], b"no parts", "cannot keep it", "a broken form"),
        ("/form", &[("content-type", "text/plain"), OURS], b"a=1", "cannot keep it", "a form as text"),
        ("/form", &[("content-type", "application/json"), OURS], b"{}", "cannot keep it", "no form"),
        ("/form", &[OURS], b"", "cannot keep it", "no type"),
    ];
    for (path, headers, body, expected, reason) in table {
        let page = post(&mut fixture.browser(), path, headers, body);

        let text = page.text();
        assert_eq!((page.status, kept(&page)), (401, None), "{reason}");
        assert!(text.contains(expected) && text.contains("passed on"), "{reason}: {text}");
        assert_eq!(text.contains("reload it"), expected != elsewhere, "{reason}");
        fixture.assert_nothing_was_passed_on(reason);
    }
}

#[test]
fn a_chunked_form_beyond_the_limit_is_not_kept() {
    let fixture = Fixture::start();
    let headers = [&NAVIGATION[..], &[URLENCODED, OURS, ("transfer-encoding", "chunked")]].concat();
    let mut stream = fixture.browser().begin("POST", "/form", &headers, b"");
    let body = vec![b'a'; 70 * 1024];
    write!(stream, "{:x}\r\n", body.len()).unwrap();
    stream.write_all(&[&body[..], b"\r\n0\r\n\r\n"].concat()).unwrap();

    let page = read_response(&stream, "POST").unwrap();

    assert!(page.status == 401 && kept(&page).is_none() && page.text().contains("too large"));
}

#[test]
fn a_form_of_64_kib_comes_back() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    let value = "a".repeat(64 * 1024 - 2);
    let page = post(&mut browser, "/form", &[URLENCODED, OURS], format!("n={value}").as_bytes());
    fixture.sign_in(&mut browser, "ada");

    let question = send_again(&mut browser, &kept(&page).unwrap());

    assert!(question.status == 200 && question.text().contains(&format!("value=\"{value}\"")));
}

#[test]
fn a_form_that_meets_a_failure_is_kept_for_its_session() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    fixture.provider.set_expires_in(1);
    fixture.sign_in(&mut browser, "ada");
    fixture.provider.set_expires_in(3600);
    wait_for_lapse();
    fixture.provider.script(TokenReply::Raw(503, "", "{}"));

    let page = post(&mut browser, "/form", &[URLENCODED, OURS], b"note=typed");

    let text = page.text();
    assert_eq!((page.status, page.header("retry-after").is_some()), (503, true));
    assert!(text.contains("refresh_unavailable") && text.contains("Nothing of what you sent was passed on."), "{text}");
    assert!(!text.contains("Sign in"), "{text}");
    let sending = send_again(&mut browser, &kept(&page).unwrap());
    assert!(sending.text().contains("<script>"), "the session is the same");
}

#[test]
fn a_page_of_a_failed_upstream_says_if_the_form_may_have_arrived() {
    let nowhere = "http://127.0.0.1:9".to_owned();
    let hangs_up = Upstream::responding(|request, reader, stream| {
        let is_post = request.request_line.starts_with("POST");
        request.read_body(reader);
        !is_post && stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
    });
    for (path, code, expected) in [
        ("/nowhere", "upstream_unreachable", "Nothing of what you sent was passed on. Reload this page"),
        ("/form", "upstream_broken", "What you sent may have arrived. Look before you send it again."),
    ] {
        let provider = Provider::start();
        let routes = json!([{ "path": "/", "upstream": hangs_up.url }, { "path": "/nowhere", "upstream": nowhere }]);
        let routes = routes.to_string();
        let handler = Handler::start(&[&[("ROUTES", routes.as_str())][..], &provider.settings()[..]].concat());
        let mut browser = Browser::new(&handler.origin);
        browser.sign_in("/", &provider);

        let page = post(&mut browser, path, &[URLENCODED, OURS], b"note=typed");
        let read = browser.navigate("/nowhere");

        assert_eq!((page.status, page.text().contains(code)), (502, true), "{}", page.text());
        assert!(page.text().contains(expected), "{}", page.text());
        assert!(!read.text().contains("you sent"), "nothing was sent: {}", read.text());
    }
}

#[test]
fn what_is_no_kept_form_of_ours_is_not_sent() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    let page = post(&mut browser, "/form", &[URLENCODED, OURS], b"note=typed");
    let sealed = kept(&page).unwrap();
    let good = Serializer::new(String::new()).append_pair("form", &sealed).finish();
    fixture.sign_in(&mut browser, "ada");
    let table: [(Headers<'_>, &[u8], u16, &str, &str); 7] = [
        (&[URLENCODED, CROSS_SITE], good.as_bytes(), 403, "csrf_rejected", "a page of another site"),
        (&[URLENCODED, ("origin", "null")], good.as_bytes(), 403, "csrf_rejected", "a sandboxed page"),
        (&[URLENCODED], good.as_bytes(), 403, "csrf_rejected", "nothing says where it comes from"),
        (&[URLENCODED, OURS], b"", 400, "kept_form_invalid", "nothing"),
        (&[URLENCODED, OURS], b"form=1.k.AAAA", 400, "kept_form_invalid", "made up"),
        (&[URLENCODED, OURS], &good.as_bytes()[..good.len() - 4], 400, "kept_form_invalid", "cut"),
        (&[URLENCODED, OURS], &vec![b'a'; 257 * 1024], 400, "kept_form_invalid", "too large"),
    ];
    for (headers, body, status, code, reason) in table {
        let refused = post(&mut browser, "/oauth/resend", headers, body);
        assert!(refused.status == status && refused.text().contains(code), "{reason}: {}", refused.text());
    }
    let without_session = send_again(&mut fixture.browser(), &sealed);
    assert_eq!((without_session.status, kept(&without_session)), (401, Some(sealed)), "it stays in the page");
}

#[test]
fn the_sign_in_of_the_other_tab_ends_at_a_page_that_says_what_to_do() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    let page = browser.navigate("/oauth/resend");
    assert_eq!(page.header("location"), Some("/oauth/signin?redirect=%2Foauth%2Fresend"));

    let end = browser.sign_in("/oauth/resend", &fixture.provider);

    assert!(end.status == 200 && end.text().contains("Close this tab"), "{}", end.text());
}

#[test]
fn a_script_without_a_session_reads_nothing_of_pages() {
    let fixture = Fixture::start();
    for headers in [&[("sec-fetch-mode", "cors"), OURS][..], &[("sec-fetch-mode", "no-cors"), CROSS_SITE], &[]] {
        let refused = fixture.browser().send("POST", "/form", headers, b"a=1");

        let problem = refused.json();
        assert_eq!((refused.status, problem["code"].as_str()), (401, Some("session_required")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("not passed on") && !detail.contains("page"), "{detail}");
        assert!(problem["login_url"].is_string());
    }
}

#[test]
fn a_form_of_another_site_is_sent_again_from_here_where_the_route_allows_it() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    fixture.sign_in(&mut browser, "ada");
    for (from, reason) in [
        (CROSS_SITE, "a payment service"),
        (("origin", "https://sso.example"), "the same in a browser without Fetch Metadata"),
        (("origin", "null"), "a page without a referrer"),
    ] {
        // The browser sends no SameSite=Lax cookie with it.
        let page = post(&mut fixture.browser(), "/pay/return?a=1", &[URLENCODED, from], b"SAMLResponse=PHNhbWw%2B&b=2");

        let text = page.text();
        assert_eq!(page.status, 200, "{reason}: {text}");
        assert!(text.contains(&format!("action=\"{}/pay/return?a=1\"", fixture.handler.origin)), "{text}");
        assert!(text.contains("name=\"SAMLResponse\" value=\"PHNhbWw+\"") && text.contains("<script>"), "{text}");
        assert_eq!(
            (page.header("referrer-policy"), page.header("cache-control")),
            (Some("same-origin"), Some("no-store"))
        );
        fixture.assert_nothing_was_passed_on(reason);
    }

    let arrived = post(&mut browser, "/pay/return?a=1", &[URLENCODED, OURS], b"SAMLResponse=PHNhbWw%2B&b=2");

    assert_eq!(arrived.status, 200);
    let (target, _, body) = fixture.posts.recv().unwrap();
    assert_eq!((target.as_str(), &body[..]), ("/pay/return?a=1", b"SAMLResponse=PHNhbWw%2B&b=2".as_slice()));
}

#[test]
fn a_form_that_was_sent_again_and_still_has_no_session_is_kept_and_does_not_loop() {
    let fixture = Fixture::start();
    for from in [OURS, ("origin", &*fixture.handler.origin), ("sec-fetch-site", "none")] {
        let page = post(&mut fixture.browser(), "/pay/return", &[URLENCODED, from], b"a=1");

        assert!(page.status == 401 && kept(&page).is_some() && !page.text().contains("<script"), "{from:?}");
    }
    let unsaid = post(&mut fixture.browser(), "/pay/return", &[URLENCODED], b"a=1");
    assert_eq!((unsaid.status, kept(&unsaid)), (401, None), "nothing says where it comes from");
}

#[test]
fn a_form_of_a_sibling_passes_directly_where_the_route_allows_it() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    fixture.sign_in(&mut browser, "ada");
    let file = multipart("file\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "x");
    for (content_type, body) in [(URLENCODED, &b"a=1"[..]), (MULTIPART, &file)] {
        for from in [("sec-fetch-site", "same-site"), CROSS_SITE, ("origin", "https://sibling.example")] {
            let passed = post(&mut browser, "/pay/return", &[content_type, from], body);

            assert_eq!((passed.status, passed.text().as_str()), (200, "ok"), "{from:?}");
            assert_eq!(fixture.posts.recv().unwrap().2, body);
        }
    }
}

#[test]
fn other_requests_of_other_sites_are_refused_as_everywhere() {
    let fixture = Fixture::start();
    let mut browser = fixture.browser();
    fixture.sign_in(&mut browser, "ada");
    let navigation = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), CROSS_SITE];
    let script = [("sec-fetch-mode", "no-cors"), CROSS_SITE, URLENCODED];
    let typed = |content_type| [&navigation[..], &[("content-type", content_type)]].concat();
    let form = typed(URLENCODED.1);
    let table: [(&str, &str, Headers<'_>, &str); 11] = [
        ("POST", "/form", &form, "a route without the member"),
        ("POST", "/pay/admin", &form, "a longer route without the member"),
        ("POST", "/pay/%61dmin", &form, "another spelling of it"),
        ("POST", "/pay//admin", &form, "another spelling of it"),
        ("POST", "/PAY/return", &form, "another case"),
        ("POST", "/pay/return", &script, "a script"),
        ("POST", "/pay/return", &typed("text/plain"), "a form as text"),
        ("POST", "/pay/return", &typed("application/json"), "no form"),
        ("POST", "/pay/return", &navigation, "no type"),
        ("PUT", "/pay/return", &form, "another method"),
        ("DELETE", "/pay/return", &form, "another method"),
    ];
    for (method, path, headers, reason) in table {
        let refused = browser.send(method, path, headers, b"a=1");
        assert!(refused.status == 403 && refused.text().contains("csrf_rejected"), "{reason}: {}", refused.text());
        let nobody = fixture.browser().send(method, path, headers, b"a=1");
        assert!(nobody.status == 401 && !nobody.text().contains("<script"), "{reason}: {}", nobody.text());
        fixture.assert_nothing_was_passed_on(reason);
    }
}

#[test]
fn a_form_of_another_site_that_cannot_be_taken_in_is_told_so() {
    let fixture = Fixture::start();
    let file = multipart("file\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "x");
    let largest = format!("a={}", "x".repeat(256 * 1024 - 2));
    let beyond = format!("{largest}x");
    let many = "a=&".repeat(2_001);
    let table: [(Header, &[u8], u16, &str); 6] = [
        (URLENCODED, largest.as_bytes(), 200, "Continue"),
        (URLENCODED, beyond.as_bytes(), 413, "form_too_large"),
        (URLENCODED, many.as_bytes(), 413, "form_too_large"),
        (MULTIPART, &file, 415, "form_unsupported"),
        (MULTIPART, b"no parts", 415, "form_unsupported"),
        (URLENCODED, b"=1", 415, "form_unsupported"),
    ];
    for (content_type, body, status, expected) in table {
        let page = post(&mut fixture.browser(), "/pay/return", &[content_type, CROSS_SITE], body);
        assert!(page.status == status && page.text().contains(expected), "{status} {}", page.status);
        fixture.assert_nothing_was_passed_on(expected);
    }
}

#[test]
fn pages_of_forms_may_be_shown_in_a_frame_of_this_site_alone() {
    let fixture = Fixture::start();
    let in_frame = ("sec-fetch-dest", "iframe");
    let mut browser = fixture.lapsed("ada");
    let unsent = post(&mut browser, "/form", &[URLENCODED, OURS, in_frame], b"note=typed");
    let sealed = kept(&unsent).unwrap();
    let again = Serializer::new(String::new()).append_pair("form", &sealed).finish();
    fixture.sign_in(&mut browser, "bob");
    let of_another = post(&mut browser, "/oauth/resend", &[URLENCODED, OURS, in_frame], again.as_bytes());
    browser.cookies.clear();
    fixture.sign_in(&mut browser, "ada");
    let sending = post(&mut browser, "/oauth/resend", &[URLENCODED, OURS, in_frame], again.as_bytes());
    let from_elsewhere = post(&mut fixture.browser(), "/pay/done", &[URLENCODED, CROSS_SITE, in_frame], b"paid=1");
    let at_the_top = send_again(&mut browser, &sealed);

    let table = [
        (&unsent, 401, "'self'", "a form without a session"),
        (&of_another, 403, "'self'", "a form of another person"),
        (&sending, 200, "'self'", "a form that is sent again"),
        (&from_elsewhere, 200, "'self'", "a form of another site"),
        (&at_the_top, 200, "'none'", "no frame asked"),
    ];
    for (page, status, ancestors, reason) in table {
        let policy = page.header("content-security-policy").unwrap();
        assert_eq!(page.status, status, "{reason}");
        assert!(policy.contains(&format!("frame-ancestors {ancestors}")), "{reason}: {policy}");
        let by_old_browsers = if ancestors == "'none'" { "DENY" } else { "SAMEORIGIN" };
        assert_eq!(page.header("x-frame-options"), Some(by_old_browsers), "{reason}");
    }
}
