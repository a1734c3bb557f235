//! The application's name: the authority that it sees, and the names in its responses that become public.
//!
//! Every case runs against the handler itself and, where there is one, through the Functions host.

use std::io::Write as _;

use support::{Browser, Handler, Provider, Upstream, functions_host};
use url::form_urlencoded;

/// Runs a case with what starts the handler: directly, and behind the Functions host where there is one.
fn everywhere(case: impl Fn(&dyn Fn(&[(&str, &str)]) -> Handler)) {
    case(&Handler::start);
    if functions_host().is_some() {
        case(&|settings| Handler::start_behind_the_host(settings).unwrap());
    }
}

fn signed_in(start: impl FnOnce(&[(&str, &str)]) -> Handler, settings: &[(&str, &str)]) -> (Handler, Browser) {
    let provider = Provider::start();
    let handler = start(&[settings, &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    (handler, browser)
}

fn authority(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// An application that responds with the header lines that its query asks for; in them `OWN` is its own authority and
/// `HOST` what it read in `Host`.
fn application() -> Upstream {
    Upstream::responding(|request, _, stream| {
        let own = stream.local_addr().unwrap().to_string();
        let query = request.request_line.split_once('?').map_or("", |(_, query)| query);
        let lines: String =
            form_urlencoded::parse(query.as_bytes()).map(|(name, line)| format!("{name}: {line}\r\n")).collect();
        let lines = lines.replace("OWN", &own).replace("HOST", request.header("host").unwrap());
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n").as_bytes()).is_ok()
    })
}

/// The target that makes it respond with these headers.
fn asking_for(path: &str, headers: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(headers).finish();
    format!("{path}?{query}")
}

#[test]
fn an_upstream_sees_the_name_that_is_configured() {
    everywhere(|start| {
        let upstream = Upstream::start();
        let routes = serde_json::json!([
            {"path": "/", "upstream": upstream.url},
            {"path": "/public", "upstream": upstream.url, "host": "public"},
            {"path": "/own", "upstream": upstream.url, "host": "upstream"},
            {"path": "/open", "upstream": upstream.url, "host": "upstream", "access": "anonymous"},
        ])
        .to_string();
        for (setting, by_default) in [("", "public"), ("public", "public"), ("upstream", "own")] {
            let (handler, mut browser) = signed_in(start, &[("ROUTES", &routes), ("UPSTREAM_HOST", setting)]);
            let (public, own) = (authority(&handler.origin), authority(&upstream.url));
            let default = if by_default == "own" { own } else { public };
            for (path, expected) in [("/x", default), ("/public/x", public), ("/own/x", own), ("/open/x", own)] {
                browser.fetch(path);

                let seen = upstream.last();
                let value = |name| seen.header(name);
                assert_eq!(value("host"), Some(expected), "{setting:?} {path}");
                assert_eq!(value("x-forwarded-host"), Some(public), "{setting:?} {path}");
                assert_eq!(value("x-forwarded-proto"), Some("http"), "{setting:?} {path}");
                assert_eq!(value("x-forwarded-port"), public.rsplit(':').next(), "{setting:?} {path}");
                assert_eq!(value("x-forwarded-prefix"), None, "{setting:?} {path}");
            }
        }
    });
}

#[test]
fn an_application_that_builds_urls_from_its_host_needs_no_help() {
    everywhere(|start| {
        let upstream = application();
        for setting in ["public", "upstream"] {
            let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("UPSTREAM_HOST", setting)];
            let (handler, mut browser) = signed_in(start, &settings);

            let response = browser.fetch(&asking_for("/a", &[("location", "http://HOST/dir/")]));

            let expected = format!("{}/dir/", handler.origin);
            assert_eq!(response.header("location"), Some(expected.as_str()), "{setting}");
        }
    });
}

#[test]
fn names_of_the_inside_become_public_and_all_else_stays() {
    everywhere(|start| {
        let upstream = application();
        let (handler, browser) = signed_in(start, &[("UPSTREAM_URL", &upstream.url)]);
        let public = handler.origin.as_str();
        let host = authority(public).split(':').next().unwrap();
        let table = [
            ("location", "http://OWN/dir/", format!("{public}/dir/")),
            ("location", "//OWN/dir/", format!("{public}/dir/")),
            ("location", "https://OWN/dir/", format!("{public}/dir/")),
            ("location", "/dir/", "/dir/".to_owned()),
            (
                "location",
                "https://op.example/?back=http://inside/",
                "https://op.example/?back=http://inside/".to_owned(),
            ),
            ("location", "http://inside@evil.example/", "http://inside@evil.example/".to_owned()),
            ("content-location", "http://OWN/dir/index.html", format!("{public}/dir/index.html")),
            ("refresh", "0;url=http://OWN/x", format!("0;url={public}/x")),
            ("refresh", "5; URL='http://OWN/x'", format!("5; URL='{public}/x'")),
            ("set-cookie", "a=1; Domain=localhost; Path=/", format!("a=1; Domain={host}; Path=/")),
            ("set-cookie", "a=1; Domain=.example", "a=1; Domain=.example".to_owned()),
            ("link", "<http://inside/x>; rel=next", "<http://inside/x>; rel=next".to_owned()),
            ("access-control-allow-origin", "http://inside", "http://inside".to_owned()),
        ];
        for (name, value, expected) in table {
            let response = browser.clone().fetch(&asking_for("/a", &[(name, value)]));

            assert_eq!(response.header(name), Some(expected.as_str()), "{name}: {value}");
        }
    });
}

#[test]
fn a_base_path_is_added_to_requests_and_taken_off_responses() {
    everywhere(|start| {
        let upstream = application();
        let (handler, mut browser) = signed_in(start, &[("UPSTREAM_URL", &format!("{}/base", upstream.url))]);
        let public = &handler.origin;

        let headers = [("location", "http://HOST/base/next?q"), ("set-cookie", "JSESSIONID=1; Path=/base; HttpOnly")];
        let response = browser.fetch(&asking_for("/x", &headers));

        assert!(upstream.last().request_line.starts_with("GET /base/x?"));
        assert_eq!(response.header("location"), Some(format!("{public}/next?q").as_str()));
        assert_eq!(response.header("set-cookie"), Some("JSESSIONID=1; Path=/; HttpOnly"));
    });
}

#[test]
fn a_destination_gets_the_base_path_and_never_leaves_it() {
    let upstream = application();
    let base = format!("{}/base", upstream.url);
    let (handler, browser) = signed_in(Handler::start, &[("UPSTREAM_URL", &base)]);
    let table = [
        (format!("{}/b%20c", handler.origin), Some(format!("{}/base/b%20c", handler.origin))),
        ("/b".to_owned(), Some("/base/b".to_owned())),
        ("http://elsewhere.example/b".to_owned(), Some("http://elsewhere.example/b".to_owned())),
        (format!("{}/../b", handler.origin), None),
        ("/%2e%2e/b".to_owned(), None),
        ("/b#c".to_owned(), None),
        ("b".to_owned(), None),
    ];
    for (destination, expected) in table {
        for method in ["MOVE", "COPY"] {
            let before = upstream.received().len();
            let headers = [("sec-fetch-site", "same-origin"), ("destination", destination.as_str())];

            let response = browser.clone().send(method, "/a", &headers, b"");

            let seen = upstream.received().get(before).and_then(|seen| seen.header("destination").map(str::to_owned));
            assert_eq!(seen, expected, "{method} {destination}");
            assert_eq!(response.status, if expected.is_some() { 200 } else { 400 }, "{method} {destination}");
        }
    }
    browser.clone().send("PUT", "/a", &[("sec-fetch-site", "same-origin"), ("destination", "b")], b"");
    assert_eq!(upstream.last().header("destination"), Some("b"), "of COPY and MOVE alone");
}

#[test]
fn a_destination_leads_to_the_route_of_its_request() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    let routes = serde_json::json!([
        {"path": "/", "upstream": upstream.url, "host": "upstream"},
        {"path": "/other", "upstream": other.url},
        {"path": "/open", "upstream": upstream.url, "access": "anonymous", "host": "upstream"},
    ])
    .to_string();
    let (handler, browser) = signed_in(Handler::start, &[("ROUTES", &routes)]);
    let public = handler.origin.as_str();
    let move_to = |path: &str, destinations: &[&str]| {
        let same_site = [("sec-fetch-site", "same-origin")].into_iter();
        let headers: Vec<_> = same_site.chain(destinations.iter().map(|value| ("destination", *value))).collect();
        browser.clone().send("MOVE", path, &headers, b"").status
    };
    let table = [
        ("/a", format!("{public}/b%20c"), Some(format!("{}/b%20c", upstream.url))),
        ("/a", "/b".to_owned(), Some("/b".to_owned())),
        ("/a", format!("{public}/open/b"), Some(format!("{}/open/b", upstream.url))),
        ("/open/a", format!("{public}/open/b"), Some(format!("{}/open/b", upstream.url))),
        ("/a", format!("{public}/other/b"), None),
        ("/a", format!("{public}/b/../other"), None),
        ("/a", "b".to_owned(), None),
        ("/open/a", format!("{public}/b"), None), // past the session
        ("/open/a", "/b".to_owned(), None),
        ("/open/a", format!("{}/b", upstream.url), None),
        ("/open/a", "http://elsewhere.example/b".to_owned(), None),
        ("/open/a", format!("http://user@{}/open/b", authority(public)), None),
        ("/open/a", format!("{public}/%6fpen/../b"), None),
        ("/open/a", format!("{public}/OPEN/b"), None),
        ("/open/a", public.to_owned(), None),
    ];
    for (path, destination, expected) in table {
        let before = upstream.received().len();

        let status = move_to(path, &[&destination]);

        assert_eq!(status, if expected.is_some() { 200 } else { 400 }, "{path} {destination}");
        let seen = upstream.received().get(before).and_then(|seen| seen.header("destination").map(str::to_owned));
        assert_eq!(seen, expected, "{path} {destination}");
    }
    assert_eq!(move_to("/a", &["/b", "/other/b"]), 400);
    assert!(other.received().is_empty());
}
