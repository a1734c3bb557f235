//! URLs as browsers write them: kept over a sign-in, never another origin's, and the rules of RFC 9110 and 9112 on ours.

use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;
use support::{Browser, Handler, LIMIT, Provider, Response, Upstream, read_response};
use url::Url;

const NAVIGATION: [(&str, &str); 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

impl Fixture {
    fn start(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start();
        let upstream = Upstream::start();
        let own = [("UPSTREAM_URL", upstream.url.as_str()), ("LOG", "warn")];
        let handler = Handler::start(&[&own[..], &provider.settings()[..], settings].concat());
        Self { provider, upstream, handler }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.handler.origin)
    }

    /// The `Location` that a sign-in ends at, which began at `begin`: a path of the application or a URL of ours.
    fn sign_in_from(&self, begin: &str) -> String {
        let mut browser = self.browser();
        let mut location = browser.navigate(begin).header("location").unwrap_or_default().to_owned();
        if location.starts_with("/oauth/signin") {
            location = browser.navigate(&location).header("location").unwrap().to_owned();
        }
        let arrived = browser.navigate(&self.provider.approve(&location));
        assert_eq!(arrived.status, 303, "{begin}: {}", arrived.text());
        arrived.header("location").unwrap().to_owned()
    }

    fn raw(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.handler.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn response(&self, method: &str, rest: &str) -> Response {
        read_response(&self.raw(&format!("{method} {rest}")), method).unwrap()
    }
}

/// The URL that a browser at our callback opens when it is sent to `location`.
fn opened(location: &str, origin: &str) -> (String, String) {
    let url = Url::parse(origin).unwrap().join("/oauth/callback?code=c&state=s").unwrap().join(location).unwrap();
    (url.origin().ascii_serialization(), url[url::Position::BeforePath..].to_owned())
}

fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// Targets as browsers send them: what the URL Standard's percent-encode sets leave raw stays raw.
const TARGETS: &[&str] = &[
    "/list?filter[status]=open",
    "/a?b=x|y",
    "/a?b=^`{}[]\\",
    "/a[0]|b",
    "/api/datasources/proxy/2//search",
    "/image/https%3A%2F%2Fh%2Fa.png",
    "/image/https://h/a.png",
    "//search",
    "//evil.example/a?b",
    "///",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "/D%5Cuser",
    "/it's?q=it%27s",
    "/a?q=100%",
    "/a?q=%zz&r=%00",
    "/a?next=https://x.example/?y=1&z=2",
    "/a?q=a+b%20c%2B",
    "/a?",
    "/%C3%BC;v=1/~x",
];

#[test]
fn a_person_comes_back_to_exactly_the_url_that_began_the_sign_in() {
    let fixture = Fixture::start(&[]);
    let origin = fixture.handler.origin.as_str();
    let long = format!("/long?{}", "filter[status]=open|new&".repeat(300));
    for target in TARGETS.iter().copied().chain([long.as_str()]) {
        let expected = (origin.to_owned(), target.to_owned());
        assert_eq!(opened(&fixture.sign_in_from(target), origin), expected, "a navigation to {target}");
        let redirect = format!("/oauth/signin?redirect={}", encoded(target));
        assert_eq!(opened(&fixture.sign_in_from(&redirect), origin), expected, "redirect={target}");
        let absolute = format!("/oauth/signin?redirect={}", encoded(&[origin, target].concat()));
        assert_eq!(opened(&fixture.sign_in_from(&absolute), origin), expected, "redirect={origin}{target}");
        let portal = format!("/oauth/signin?target_link_uri={}", encoded(&[origin, target].concat()));
        assert_eq!(opened(&fixture.sign_in_from(&portal), origin), expected, "target_link_uri={origin}{target}");
        let referrer = [origin, target].concat();
        let login_url =
            fixture.browser().send("GET", "/api", &[("referer", &referrer)], b"").json()["login_url"].clone();
        assert_eq!(
            opened(&fixture.sign_in_from(login_url.as_str().unwrap()), origin),
            expected,
            "login_url of {target}"
        );
    }
}

#[test]
fn a_fragment_that_the_application_passes_along_comes_back() {
    let fixture = Fixture::start(&[]);
    let redirect = format!("/oauth/signin?redirect={}", encoded("/app?a=1#/route/7?b=[c]"));

    assert_eq!(fixture.sign_in_from(&redirect), "/app?a=1#/route/7?b=[c]");
}

/// Each hostile value, and the path where it leads: the value as it is accepted, or the start page.
fn hostile_return_urls() -> Vec<(String, String)> {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../vectors/hostile_return_urls.json")).unwrap();
    assert!(rows.len() >= 160, "{}", rows.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(&row["value"]), row["accepted"].as_str().unwrap_or("/").to_owned())).collect()
}

#[test]
fn no_return_url_leaves_the_site() {
    let fixture = Fixture::start(&[]);
    let origin = fixture.handler.origin.as_str();
    for (value, path) in hostile_return_urls() {
        let expected = opened(&[origin, &path].concat(), origin);
        for parameter in ["redirect", "target_link_uri"] {
            let location = fixture.sign_in_from(&format!("/oauth/signin?{parameter}={}", encoded(&value)));
            assert_eq!(opened(&location, origin), expected, "{parameter}={value:?}");
            assert!(names_no_other_host(&location), "{location}");
        }
        let ended = fixture.browser().navigate(&format!("/oauth/signedout?state={}", encoded(&value)));
        let location = ended.header("location").unwrap_or("/");
        assert_eq!(opened(location, origin), expected, "signedout?state={value:?}");
        assert!(names_no_other_host(location), "{location}");
    }
}

/// True for a `Location` that no reader takes for a reference to a host: absolute, or a path of one slash.
fn names_no_other_host(location: &str) -> bool {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    !location.starts_with("//") && !path.contains('\\')
}

#[test]
fn no_url_that_resembles_this_origin_leaves_it() {
    let fixture = Fixture::start(&[]);
    let origin = fixture.handler.origin.as_str();
    let authority = origin.trim_start_matches("http://");
    let port = authority.rsplit(':').next().unwrap();
    for value in [
        format!("http://{authority}@evil.example/"),
        format!("http://user@{authority}/"),
        format!("http://{authority}.evil.example/"),
        format!("http://{authority}\\@evil.example/"),
        format!("http:\\\\{authority}/"),
        format!("https://{authority}/"),
        format!("http://localhost:{port}/"),
        "http://127.0.0.1/".to_owned(),
    ] {
        for parameter in ["redirect", "target_link_uri"] {
            let begin = format!("/oauth/signin?{parameter}={}", encoded(&value));
            assert_eq!(fixture.sign_in_from(&begin), "/", "{parameter}={value}");
        }
        let ended = fixture.browser().navigate(&format!("/oauth/signedout?state={}", encoded(&value)));
        assert_eq!((ended.status, ended.header("location")), (200, None), "{value}");
    }
}

#[test]
fn an_absolute_url_of_this_origin_is_no_open_redirect() {
    let fixture = Fixture::start(&[]);
    let authority = fixture.handler.origin.trim_start_matches("http://");
    for (given, expected) in [
        (format!("http://{authority}/a?b#c"), "/a?b#c"),
        (format!("HTTP://{authority}/a"), "/a"),
        (format!("http://{authority}"), "/"),
        (format!("http://{authority}?x"), "/?x"),
        (format!("http://{authority}/oauth/signout"), "/"),
    ] {
        assert_eq!(fixture.sign_in_from(&format!("/oauth/signin?redirect={}", encoded(&given))), expected, "{given}");
    }
}

#[test]
fn a_url_of_eight_kilobytes_comes_back_and_a_longer_one_is_reported() {
    let fixture = Fixture::start(&[]);
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));

    for longest in [target(8192), format!("/?{}", "[".repeat(8190))] {
        assert_eq!(fixture.sign_in_from(&longest), longest);
    }
    let mut browser = fixture.browser();
    let page = browser.navigate(&target(8193));
    let signin = browser.navigate(&format!("/oauth/signin?redirect={}", target(8193)));

    for told in [page, signin] {
        assert_eq!(told.status, 414);
        assert!(told.text().contains("<code>return_url_too_long</code>"), "{}", told.text());
        assert!(told.text().contains("href=\"/oauth/signin\""), "{}", told.text());
    }
    assert!(browser.cookies.is_empty());
}

/// The lines of `Set-Cookie` stay below what browsers take, and what a request carries below what servers take.
#[test]
fn login_cookies_are_bounded_in_number_and_in_bytes() {
    let fixture = Fixture::start(&[]);
    for (length, kept, limit) in [(20, 16, 6), (200, 10, 6), (1500, 2, 6), (7000, 1, 12)] {
        let mut browser = fixture.browser();
        let mut requests = Vec::new();
        for number in 0..20 {
            let target = format!("/{number}?{}", "x".repeat(length));
            let begun = browser.navigate(&format!("/oauth/signin?redirect={}", encoded(&target)));
            assert!(begun.headers_named("set-cookie").all(|cookie| cookie.len() <= 4096), "{length}");
            assert!(browser.cookie_header().len() <= limit * 1024, "{length}: {}", browser.cookie_header().len());
            requests.push((target, begun.header("location").unwrap().to_owned()));
        }
        let newest = requests.split_off(requests.len() - kept);
        for (target, request) in newest {
            let arrived = browser.navigate(&fixture.provider.approve(&request));
            assert_eq!((arrived.status, arrived.header("location")), (303, Some(target.as_str())), "{length}");
        }
        let left: Vec<&str> = browser.cookies.keys().map(String::as_str).collect();
        assert_eq!(left, ["oauth-proxy-person", "oauth-proxy-rounds", "oauth-proxy-session"], "{length}");
    }
}

#[test]
fn a_dozen_restored_tabs_end_each_at_its_own_page() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.browser();
    let tabs: Vec<String> = (0..12).map(|tab| format!("/tab/{tab}?q=[{tab}]")).collect();

    // Every tab is on its way to the provider before the first comes back.
    let mut begin = |tab: &String| {
        let signin = browser.navigate(tab).header("location").unwrap().to_owned();
        browser.navigate(&signin).header("location").unwrap().to_owned()
    };
    let requests: Vec<String> = tabs.iter().map(&mut begin).collect();
    let mut arrive = |request: &String| browser.navigate(&fixture.provider.approve(request));
    let arrived: Vec<Response> = requests.iter().map(&mut arrive).collect();

    for (tab, arrived) in tabs.iter().zip(arrived) {
        assert_eq!((arrived.status, arrived.header("location")), (303, Some(tab.as_str())));
    }
    assert_eq!(browser.navigate("/").status, 200);
}

#[test]
fn a_frame_without_a_session_gets_a_page_and_takes_no_slot() {
    let fixture = Fixture::start(&[]);
    let origin = fixture.handler.origin.clone();
    for destination in ["iframe", "frame", "embed", "object", "fencedframe"] {
        for (method, path) in
            [("GET", "/widget?a=[1]"), ("GET", "/oauth/signin?redirect=%2Fwidget"), ("POST", "/widget")]
        {
            let mut browser = fixture.browser();
            let fetch = [("sec-fetch-dest", destination), ("sec-fetch-site", "same-origin"), ("origin", &origin)];
            let page = browser.send(method, path, &[&NAVIGATION[..], &fetch].concat(), b"");

            // Browsers show nothing in an `object` that is an error.
            let status = if (method, destination) == ("GET", "object") { 200 } else { 401 };
            assert_eq!((page.status, page.header("location")), (status, None), "{destination} {path}");
            // A form waits in its page while the person signs in beside it.
            let link = if method == "GET" { "target=\"_top\">Sign in</a>" } else { ">Sign in in a new tab</a>" };
            assert!(page.text().contains(link), "{}", page.text());
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.ends_with("; frame-ancestors 'self'"), "{policy}");
            assert_eq!(page.header("x-frame-options"), Some("SAMEORIGIN"));
            assert!(browser.cookies.is_empty());
        }
    }
    let referrer = format!("{origin}/dashboard");
    let headers = [&NAVIGATION[..], &[("sec-fetch-dest", "iframe"), ("referer", &referrer)]].concat();
    let around = fixture.browser().send("GET", "/widget", &headers, b"");
    assert!(around.text().contains("href=\"/oauth/signin?redirect=%2Fdashboard\""), "{}", around.text());
    let document = [&NAVIGATION[..], &[("sec-fetch-dest", "document")]].concat();
    assert_eq!(fixture.browser().send("GET", "/widget", &document, b"").status, 302);
    let silent = [&NAVIGATION[..], &[("sec-fetch-dest", "iframe")]].concat();
    assert_eq!(fixture.browser().send("GET", "/oauth/signin?prompt=none", &silent, b"").status, 302);
}

#[test]
fn head_is_get_without_a_body_and_changes_nothing() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.browser();
    browser.sign_in("/", &fixture.provider);
    let begun = browser.navigate("/oauth/signin?redirect=%2Fnext").header("location").unwrap().to_owned();
    let callback = fixture.provider.approve(&begun);
    let sign_out = browser.fetch("/oauth/me").json()["logout_url"].as_str().unwrap().to_owned();
    let exchanges = fixture.provider.exchanges();
    let urls = [
        ("/oauth/signin", 302),
        (&callback, 303),
        (&sign_out, 200),
        ("/oauth/signedout", 200),
        ("/oauth/me", 200),
        ("/oauth/frontchannel-logout", 200),
        ("/oauth/frontchannel-logout?sid=sid-of-ada", 200),
        ("/oauth/health/live", 200),
        ("/oauth/health/ready", 200),
    ];
    for (url, status) in urls {
        let head = browser.send("HEAD", url, &[], b"");
        assert_eq!((head.status, head.headers_named("set-cookie").count()), (status, 0), "{url}");
    }
    assert_eq!(fixture.provider.exchanges(), exchanges);
    assert_eq!(browser.navigate(&callback).header("location"), Some("/next"));
    assert_eq!(fixture.browser().send("HEAD", "/oauth/me", &[], b"").status, 401);
    assert_eq!(fixture.browser().send("HEAD", "/oauth/callback?state=x&code=y", &NAVIGATION, b"").status, 400);
}

#[test]
fn every_url_of_ours_says_which_methods_it_has() {
    let fixture = Fixture::start(&[]);
    for (url, allowed) in [
        ("signin", "GET, HEAD, POST, OPTIONS"),
        ("login", "GET, HEAD, POST, OPTIONS"),
        ("callback", "GET, HEAD, POST, OPTIONS"),
        ("signout", "GET, HEAD, POST, OPTIONS"),
        ("signedout", "GET, HEAD, OPTIONS"),
        ("me", "GET, HEAD, OPTIONS"),
        ("refresh", "POST, OPTIONS"),
        ("backchannel-logout", "POST, OPTIONS"),
        ("frontchannel-logout", "GET, HEAD, OPTIONS"),
        ("health/live", "GET, HEAD, OPTIONS"),
        ("health/ready", "GET, HEAD, OPTIONS"),
    ] {
        let path = format!("/oauth/{url}");
        let mut browser = fixture.browser();
        let options = browser.send("OPTIONS", &path, &[], b"");
        let refused = browser.send("DELETE", &path, &[], b"");

        assert_eq!((options.status, options.header("allow")), (204, Some(allowed)), "{url}");
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allowed)), "{url}");
        assert_eq!(options.header("access-control-allow-origin"), None);
    }
}

#[test]
fn every_401_of_ours_names_a_scheme_that_no_browser_prompts_for() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.browser();
    let origin = fixture.handler.origin.clone();
    let of_ours = [("sec-fetch-site", "same-origin"), ("origin", origin.as_str()), ("x-csrf", "1")];
    let form = [&NAVIGATION[..], &of_ours].concat();
    let background = [("sec-fetch-mode", "cors")];
    let responses = [
        browser.fetch("/page"),
        browser.fetch("/oauth/me"),
        browser.send("POST", "/oauth/refresh", &of_ours, b""),
        browser.send("POST", "/form", &form, b"a=b"),
        browser.send("GET", "/oauth/signin", &background, b""),
        browser.send("GET", "/page", &[&NAVIGATION[..], &[("sec-fetch-dest", "iframe")]].concat(), b""),
    ];
    for response in responses {
        let challenge = response.header("www-authenticate");
        assert_eq!((response.status, challenge), (401, Some("Cookie realm=\"sign-in\"")), "{}", response.text());
    }
}

#[test]
fn a_probe_of_http_10_needs_no_host_and_gets_no_chunks() {
    let streams = Upstream::responding(|request, _, stream| {
        let is_sized = request.request_line.ends_with("/sized");
        let head = if is_sized { "content-length: 6\r\n" } else { "transfer-encoding: chunked\r\n" };
        let body = if is_sized { "sized!" } else { "5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n" };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").as_bytes()).is_ok()
    });
    let routes = format!(r#"[{{"path":"/","upstream":"{}","access":"anonymous"}}]"#, streams.url);
    let provider = Provider::start();
    let settings = [("ROUTES", routes.as_str()), ("LOG", "warn")];
    let handler = Handler::start(&[&settings[..], &provider.settings()[..]].concat());
    let fixture = Fixture { provider, upstream: streams, handler };

    for probe in ["/oauth/health/live HTTP/1.0\r\n\r\n", "/oauth/health/ready HTTP/1.0\r\nhost: h\r\n\r\n"] {
        assert_eq!(fixture.response("GET", probe).status, 200, "{probe}");
        assert_eq!(fixture.response("HEAD", probe).status, 200, "{probe}");
    }
    for connection in ["", "connection: keep-alive\r\n"] {
        let streamed = fixture.response("GET", &format!("/sse HTTP/1.0\r\n{connection}\r\n"));
        assert_eq!((streamed.status, streamed.header("transfer-encoding")), (200, None));
        assert_eq!((streamed.text().as_str(), streamed.header("connection")), ("firstlast", None));
        let sized = fixture.response("GET", &format!("/sized HTTP/1.0\r\n{connection}\r\n"));
        assert_eq!((sized.text().as_str(), sized.header("content-length")), ("sized!", Some("6")));
    }
    let modern = fixture.response("GET", "/sse HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    assert_eq!((modern.text().as_str(), modern.header("transfer-encoding")), ("firstlast", Some("chunked")));
    assert_eq!(fixture.response("GET", "/sse HTTP/1.1\r\n\r\n").status, 400, "1.1 needs a Host");
    assert!(fixture.upstream.received().len() >= 5);
}

#[test]
fn a_fragment_is_fetched_by_a_page_of_ours_where_it_is_kept() {
    let fixture = Fixture::start(&[("KEEP_FRAGMENT", "true")]);
    let mut browser = fixture.browser();
    let signin = browser.navigate("/app?a=[1]").header("location").unwrap().to_owned();

    let page = browser.navigate(&signin);
    let cookies = browser.cookies.len();
    let begin = |fragment: &str| fixture.sign_in_from(&format!("{signin}&fragment={}", encoded(fragment)));

    assert_eq!((page.status, cookies, page.header("x-frame-options")), (200, 0, Some("DENY")));
    assert!(page.text().contains(&format!("{signin}&amp;fragment=\"")), "{}", page.text());
    assert_eq!(begin(""), "/app?a=[1]");
    assert_eq!(begin("/route/7?b=[c]|d"), "/app?a=[1]#/route/7?b=[c]|d");
    assert_eq!(begin("%C3%BC \u{fc}"), "/app?a=[1]#%C3%BC%20%C3%BC");
    assert_eq!(begin("a\r\nb"), "/app?a=[1]", "no browser has this");
    let too_long = browser.navigate(&format!("{signin}&fragment={}", "x".repeat(8192)));
    assert_eq!(too_long.status, 414);
    let own = format!("/oauth/signin?redirect={}", encoded("/app#own"));
    assert_eq!(fixture.sign_in_from(&own), "/app#own", "the application's own fragment needs no page");
    assert_eq!(browser.send("HEAD", &signin, &NAVIGATION, b"").status, 302);
    assert_eq!(browser.fetch(&signin).status, 302, "nothing that could run a script");
}

#[test]
fn a_page_under_another_name_is_opened_under_the_public_one() {
    let fixture = Fixture::start(&[]);
    let origin = fixture.handler.origin.as_str();
    let port = origin.rsplit(':').next().unwrap();
    let page = "accept: text/html\r\nsec-fetch-mode: navigate\r\nconnection: close\r\n";
    for host in ["www.app.example".to_owned(), format!("localhost:{port}")] {
        for target in ["//list?filter[status]=open|x", "/oauth/signin?redirect=%2Fa", "/oauth/callback?code=c&state=s"]
        {
            let response = fixture.response("GET", &format!("{target} HTTP/1.1\r\nhost: {host}\r\n{page}\r\n"));
            assert_eq!((response.status, response.header("set-cookie")), (302, None), "{host} {target}");
            assert_eq!(response.header("location"), Some([origin, target].concat().as_str()));
        }
        for path in ["/oauth/health/live", "/oauth/health/ready"] {
            let probe = fixture.response("GET", &format!("{path} HTTP/1.1\r\nhost: {host}\r\n{page}\r\n"));
            assert_eq!(probe.status, 200, "{host}");
        }
        let script = fixture.response("GET", &format!("/api HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert_eq!(script.status, 401);
    }
    assert_eq!(fixture.upstream.received().len(), 0);
}

#[test]
fn a_proxy_that_replaces_host_is_served_after_a_few_redirects() {
    let fixture = Fixture::start(&[]);
    let page = "accept: text/html\r\nsec-fetch-mode: navigate\r\nconnection: close\r\n";
    let open = || fixture.response("GET", &format!("/a HTTP/1.1\r\nhost: in.example\r\n{page}\r\n"));

    // The start of the test asked for `health/live`, which does not count.
    let locations: Vec<_> = (0..20).map(|_| open().header("location").unwrap().to_owned()).collect();

    let looped = locations.iter().take_while(|location| location.starts_with("http://")).count();
    assert_eq!(looped, 8);
    assert!(locations[looped..].iter().all(|location| location == "/oauth/signin?redirect=%2Fa"), "{locations:?}");
    let log = fixture.handler.output();
    support::wait_until("the stop is logged", || log.text().contains("alias_redirects_stopped"));
}

#[test]
fn only_a_proved_gateway_names_the_host_that_was_used() {
    let secret = "a-secret-of-thirty-two-characters";
    let fixture = Fixture::start(&[("GATEWAY_PROOF", "shared_secret"), ("GATEWAY_PROOF_SECRETS", secret)]);
    let mut browser = fixture.browser();
    let mut open = |headers: &[(&str, &str)]| browser.send("GET", "/a", &[&NAVIGATION[..], headers].concat(), b"");

    let alias = open(&[("x-gateway-token", secret), ("x-gateway-host", "gw.azure-api.net")]);
    let public = open(&[("x-gateway-token", secret), ("x-gateway-host", "127.0.0.1")]);
    let unproved = open(&[("x-gateway-host", "gw.azure-api.net")]);

    assert_eq!(alias.header("location"), Some(format!("{}/a", fixture.handler.origin).as_str()));
    assert_eq!(public.header("location"), Some("/oauth/signin?redirect=%2Fa"));
    assert_eq!(unproved.status, 403);
}
