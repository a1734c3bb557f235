//! Forwarded bytes: queries, encodings, bodies both ways, headers, and failing responses.
//!
//! Every case runs against the handler itself and, where there is one, through the Functions host.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use support::{Browser, Handler, LIMIT, Provider, Received, Upstream, read_response};

const MEGABYTE: usize = 1024 * 1024;

struct Fixture {
    upstream: Upstream,
    handler: Handler,
    browser: Browser,
}

fn fixture(upstream: Upstream, start: impl FnOnce(&[(&str, &str)]) -> Handler) -> Fixture {
    let provider = Provider::start();
    let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("LOG", "warn")];
    let handler = start(&[&settings[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/sign-in-done", &provider);
    Fixture { upstream, handler, browser }
}

/// Runs a case directly, and behind the Functions host where there is one.
fn everywhere(upstream: impl Fn() -> Upstream, case: impl Fn(&mut Fixture)) {
    case(&mut fixture(upstream(), Handler::start));
    if support::functions_host().is_some() {
        case(&mut fixture(upstream(), |settings| Handler::start_behind_the_host(settings).unwrap()));
    }
}

/// Upstream that serves the sign-in's page itself, and everything else by `respond`.
fn upstream(
    respond: impl Fn(&Received, &mut BufReader<TcpStream>, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> Upstream {
    Upstream::responding(move |request, reader, stream| {
        if request.request_line.ends_with("/sign-in-done") {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok();
        }
        respond(request, reader, stream)
    })
}

fn responding(response: &'static str) -> impl Fn() -> Upstream {
    move || upstream(move |_, _, stream| stream.write_all(response.as_bytes()).is_ok())
}

#[test]
fn queries_pass_as_they_are() {
    everywhere(Upstream::start, |fixture| {
        for query in ["a=1&a=2", "a=%2f%2F&b=+%20", "empty=&novalue&=x", "a[]=1&a[]=2", "u=https://x.example/?y", ""] {
            fixture.browser.fetch(&format!("/path?{query}"));
            let expected = if query.is_empty() { "GET /path".to_owned() } else { format!("GET /path?{query}") };
            // The host itself drops a question mark with nothing behind it.
            assert_eq!(fixture.upstream.last().request_line.trim_end_matches('?'), expected);
        }
    });
}

#[test]
fn paths_and_odd_queries_pass_in_the_bytes_they_came_in() {
    let mut fixture = fixture(Upstream::start(), Handler::start);
    let paths =
        ["/a%2Fb", "/%7euser", "/double//slash", "/a;v=1/b", "/D%5Cuser", "/100%25", "/%E2%82%AC", "/a,b:c@d!$&'()*+="];
    for target in paths.into_iter().chain(["/a?q=100%", "/a?p=C:\\x", "/a?q=%zz", "/a?"]) {
        fixture.browser.fetch(target);
        assert_eq!(fixture.upstream.last().request_line, format!("GET {target}"));
    }
}

/// The host decodes a path before it encodes it anew, and mends what is no percent-encoding in a query. Without Azure's
/// front end nobody tells what arrived.
#[test]
fn the_host_itself_rewrites_some_targets() {
    if support::functions_host().is_none() {
        return;
    }
    let mut fixture = fixture(Upstream::start(), |settings| Handler::start_behind_the_host(settings).unwrap());
    for (sent, seen) in
        [("/a%2Fb", "/a%252Fb"), ("/%7euser", "/~user"), ("/%e2%82%ac", "/%E2%82%AC"), ("/a?q=100%", "/a?q=100%25")]
    {
        fixture.browser.fetch(sent);
        assert_eq!(fixture.upstream.last().request_line, format!("GET {seen}"), "{sent}");
    }
}

#[test]
fn hostile_targets_are_refused_before_anything_else() {
    let fixture = fixture(Upstream::start(), Handler::start);
    let before = fixture.upstream.received().len();
    let table = [
        ("GET /a/../b HTTP/1.1\r\nhost: h\r\n\r\n", "target_dot_segment"),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nhost: h\r\n\r\n", "target_dot_segment"),
        ("GET /a/..;/b HTTP/1.1\r\nhost: h\r\n\r\n", "target_dot_segment"),
        ("GET /a%00 HTTP/1.1\r\nhost: h\r\n\r\n", "target_encoded_control"),
        ("GET /a/.%0a./b HTTP/1.1\r\nhost: h\r\n\r\n", "target_encoded_control"),
        ("GET /a%zz HTTP/1.1\r\nhost: h\r\n\r\n", "target_bad_escape"),
        ("GET http://evil.example/ HTTP/1.1\r\nhost: h\r\n\r\n", "bad_request"),
    ];
    for (request, code) in table {
        let mut stream = TcpStream::connect(fixture.handler.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let response = read_response(&stream, "GET").unwrap();
        assert_eq!((response.status, response.json()["code"].as_str()), (400, Some(code)), "{request}");
    }
    let malformed = [
        "GET /a HTTP/1.1\r\nhost: h\r\nhost: i\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /a\\b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx y: z\r\n\r\n",
    ];
    for request in malformed {
        let mut stream = TcpStream::connect(fixture.handler.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let cookie = format!("\r\ncookie: {}\r\n\r\n", fixture.browser.cookie_header());
        stream.write_all(request.replacen("\r\n\r\n", &cookie, 1).as_bytes()).unwrap();
        let status = read_response(&stream, "GET").unwrap().status;
        assert_eq!(status, 400, "{request}");
    }
    assert_eq!(fixture.upstream.received().len(), before);
}

#[test]
fn what_only_the_proxy_and_the_gateway_may_say_never_comes_from_a_client() {
    everywhere(Upstream::start, |fixture| {
        let forged = [
            ("authorization", "Bearer forged"),
            ("x-forwarded-user", "forged"),
            ("x-forwarded-for", "forged"),
            ("x-forwarded-host", "forged.example"),
            ("forwarded", "for=forged"),
            ("x_forwarded_user", "forged"),
            ("x-ms-client-principal", "forged"),
            ("x-ms-client-principal-name", "forged"),
            ("x-ms-token-aad-access-token", "forged"),
            ("x-proxy-id-token", "forged"),
            ("x-original-url", "/forged"),
            ("x-rewrite-url", "/forged"),
            ("x-gateway-token", "forged"),
            ("x-functions-key", "forged"),
            ("ocp-apim-subscription-key", "forged"),
            ("remote-user", "forged"),
            ("x-remote-user", "forged"),
            ("x-auth-request-email", "forged"),
            ("client-ip", "forged"),
            ("x-real-ip", "forged"),
            ("connection", "close, x-forwarded-proto, authorization"),
        ];

        fixture.browser.send("GET", "/page", &forged, b"");

        let seen = fixture.upstream.last();
        assert!(!seen.headers.iter().any(|(_, value)| value.contains("forged")), "{seen:?}");
        assert_eq!(seen.header("authorization"), Some("Bearer access-token-1"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
        let public = fixture.handler.origin.trim_start_matches("http://");
        assert_eq!(seen.header("x-forwarded-host"), Some(public));
        assert_eq!(seen.header("host"), Some(public));
        assert_eq!(seen.header("x-forwarded-port"), public.rsplit(':').next());
    });
}

#[test]
fn our_cookies_stay_between_us_and_the_browser() {
    everywhere(
        responding(
            "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: oauth-proxy-session=stolen\r\nset-cookie: b=2; Path=/\r\n\
             set-cookie: __Host-oauth-proxy-login-00000000=x\r\ncontent-length: 0\r\n\r\n",
        ),
        |fixture| {
            fixture.browser.cookies.insert("theirs".to_owned(), "x y".to_owned());

            let response = fixture.browser.clone().fetch("/page");

            assert_eq!(fixture.upstream.last().header("cookie"), Some("theirs=x y"));
            assert_eq!(response.headers_named("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2; Path=/"]);
        },
    );
}

#[test]
fn responses_keep_their_status_and_their_framing() {
    everywhere(
        || {
            upstream(|request, _, stream| {
                let response: &[u8] = match request.request_line.as_str() {
                    "HEAD /page" => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
                    "GET /empty" => b"HTTP/1.1 204 No Content\r\n\r\n",
                    "GET /same" => b"HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n",
                    "GET /range" => {
                        b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-3/9\r\ncontent-length: 4\r\n\r\nabcd"
                    }
                    "GET /gzip" => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\0\0",
                    "GET /teapot" => b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n",
                    "GET /early" => {
                        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                    }
                    _ => b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
                };
                stream.write_all(response).is_ok()
            })
        },
        |fixture| {
            let head = fixture.browser.send("HEAD", "/page", &[], b"");
            assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("1234"), 0));
            let empty = fixture.browser.fetch("/empty");
            assert_eq!((empty.status, empty.header("transfer-encoding"), empty.is_complete), (204, None, true));
            let same = fixture.browser.send("GET", "/same", &[("if-none-match", "\"e\"")], b"");
            assert_eq!((same.status, same.header("etag")), (304, Some("\"e\"")));
            assert_eq!(fixture.upstream.last().header("if-none-match"), Some("\"e\""));
            let range = fixture.browser.send("GET", "/range", &[("range", "bytes=0-3")], b"");
            assert_eq!((range.status, range.text().as_str()), (206, "abcd"));
            assert_eq!(fixture.upstream.last().header("range"), Some("bytes=0-3"));
            let gzip = fixture.browser.send("GET", "/gzip", &[("accept-encoding", "gzip")], b"");
            assert_eq!((gzip.header("content-encoding"), gzip.body.len()), (Some("gzip"), 4));
            assert_eq!(gzip.header("content-type"), None, "nothing is invented");
            assert_eq!(fixture.browser.fetch("/teapot").status, 418);
            assert_eq!(fixture.browser.fetch("/early").text(), "ok");
        },
    );
}

#[test]
fn bodies_arrive_whole_by_length_and_in_chunks() {
    everywhere(
        || {
            upstream(|request, reader, stream| {
                let body = request.read_body(reader);
                let framing = request.header("transfer-encoding").unwrap_or("length");
                let text = format!("{framing} {}", String::from_utf8_lossy(&body));
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).is_ok()
            })
        },
        |fixture| {
            assert_eq!(fixture.browser.post("/upload", b"a body").text(), "length a body");
            let headers = [("sec-fetch-site", "same-origin"), ("transfer-encoding", "chunked")];
            let mut stream = fixture.browser.begin("PUT", "/upload", &headers, b"");
            stream.write_all(b"3\r\none\r\n4;x=y\r\n two\r\n0\r\n\r\n").unwrap();
            assert_eq!(read_response(&stream, "PUT").unwrap().text(), "chunked one two");
            let headers = [("sec-fetch-site", "same-origin"), ("expect", "100-continue")];
            let stream = fixture.browser.begin("POST", "/upload", &headers, b"expected");
            assert_eq!(read_response(&stream, "POST").unwrap().text(), "length expected");
        },
    );
}

#[test]
fn events_arrive_one_by_one() {
    let (send, receive) = mpsc::channel::<&str>();
    let receive = std::sync::Mutex::new(receive);
    let upstream = upstream(move |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .unwrap();
        while let Ok(event) = receive.lock().unwrap().recv() {
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let fixture = match support::functions_host() {
        Some(_) => fixture(upstream, |settings| Handler::start_behind_the_host(settings).unwrap()),
        None => fixture(upstream, Handler::start),
    };
    let mut lines = BufReader::new(fixture.browser.begin("GET", "/events", &[], b"")).lines().map(Result::unwrap);

    for event in ["data: one", "data: two", "data: three"] {
        send.send(event).unwrap();
        assert!(lines.any(|line| line == event), "{event} arrived before the next was sent");
    }

    drop(send);
    assert!(lines.any(|line| line == "0"));
}

#[test]
fn a_hundred_megabytes_pass_each_way_at_once_in_little_memory() {
    let upstream = upstream(|_, reader, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 100 * MEGABYTE).unwrap();
        let mut piece = vec![0; MEGABYTE];
        for _ in 0..100 {
            reader.read_exact(&mut piece).unwrap(); // an echo that responds while it still reads
            stream.write_all(&piece).unwrap();
        }
        true
    });
    let fixture = fixture(upstream, Handler::start);
    let before = fixture.handler.peak_memory_kb();
    let length = (100 * MEGABYTE).to_string();
    let headers = [("sec-fetch-site", "same-origin"), ("content-length", length.as_str())];
    let mut stream = fixture.browser.begin("PUT", "/echo", &headers, b"");
    let mut sender = stream.try_clone().unwrap();
    let piece: Vec<u8> = (0..MEGABYTE).map(|byte| (byte % 251) as u8).collect();
    let expected = piece.clone();
    let sending = std::thread::spawn(move || (0..100).for_each(|_| sender.write_all(&piece).unwrap()));

    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let mut received = vec![0; MEGABYTE];
    for _ in 0..100 {
        stream.read_exact(&mut received).unwrap();
        assert!(received == expected);
    }
    sending.join().unwrap();

    let grown = fixture.handler.peak_memory_kb() - before;
    assert!(grown < 20 * 1024, "{grown} KB");
}

#[test]
fn a_hundred_megabytes_pass_through_the_host() {
    if support::functions_host().is_none() {
        return;
    }
    let upstream = upstream(|request, reader, stream| {
        let length: u64 = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut bytes = 0;
        let mut piece = vec![0; MEGABYTE];
        while bytes < length {
            bytes += reader.read(&mut piece).unwrap() as u64;
        }
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 99 * MEGABYTE).unwrap();
        (0..99).all(|_| stream.write_all(&piece).is_ok())
    });
    let fixture = fixture(upstream, |settings| Handler::start_behind_the_host(settings).unwrap());
    let length = (99 * MEGABYTE).to_string(); // the host's limit is 100
    let headers = [("sec-fetch-site", "same-origin"), ("content-length", length.as_str())];
    let mut stream = fixture.browser.begin("PUT", "/upload", &headers, b"");

    let piece = vec![0; MEGABYTE];
    (0..99).for_each(|_| stream.write_all(&piece).unwrap());
    let response = read_response(&stream, "PUT").unwrap();

    assert_eq!((response.status, response.is_complete, response.body.len()), (200, true, 99 * MEGABYTE));
}

#[test]
fn an_upstream_that_refuses_early_is_heard() {
    let mut fixture = fixture(
        upstream(|_, _, stream| {
            stream
                .write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
                .unwrap();
            false
        }),
        Handler::start,
    );
    let length = (50 * MEGABYTE).to_string();
    let headers = [("sec-fetch-site", "same-origin"), ("content-length", length.as_str())];
    let stream = fixture.browser.begin("POST", "/upload", &headers, b"");
    let mut sender = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let piece = vec![0; MEGABYTE];
        let _ = (0..50).try_for_each(|_| sender.write_all(&piece)); // nobody reads to the end
    });

    let response = read_response(&stream, "POST").unwrap();

    assert_eq!((response.status, response.text().as_str()), (413, "big"));
    assert_eq!(fixture.browser.fetch("/sign-in-done").status, 200, "others are served");
}

#[test]
fn a_response_that_breaks_off_never_looks_complete() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ] {
        everywhere(
            || {
                upstream(move |_, _, stream| {
                    stream.write_all(response.as_bytes()).unwrap();
                    stream.shutdown(Shutdown::Both).unwrap();
                    false
                })
            },
            |fixture| {
                // A reset may overtake the head: that is no complete response either.
                let received = read_response(&fixture.browser.begin("GET", "/page", &[], b""), "GET");
                assert!(received.is_err() || received.is_ok_and(|received| !received.is_complete), "{response}");
            },
        );
    }
}

#[test]
fn a_connection_that_went_stale_costs_a_get_nothing_and_a_post_is_never_sent_twice() {
    let requests = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let log = std::sync::Arc::clone(&requests);
    let upstream = upstream(move |request, _, stream| {
        log.lock().unwrap().push(request.request_line.clone());
        match request.request_line.as_str() {
            "GET /keep" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok(),
            // The first request on a kept connection finds it closed without a response.
            _ if log.lock().unwrap().iter().filter(|line| **line == request.request_line).count() == 1 => false,
            _ => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nagain").is_ok(),
        }
    });
    let provider = Provider::start();
    let settings = [("UPSTREAM_URL", upstream.url.as_str()), ("WORKERS", "1")];
    let handler = Handler::start(&[&settings[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/sign-in-done", &provider);

    browser.fetch("/keep");
    let got = browser.fetch("/stale");
    browser.fetch("/keep");
    let posted = browser.post("/order", b"");

    assert_eq!((got.status, got.text().as_str()), (200, "again"));
    assert_eq!((posted.status, posted.json()["code"].as_str()), (502, Some("upstream_broken")));
    assert_eq!(requests.lock().unwrap().iter().filter(|line| **line == "POST /order").count(), 1);
}

#[test]
fn an_upstream_that_is_down_is_told_apart_from_one_that_breaks() {
    let provider = Provider::start();
    let settings = [("UPSTREAM_URL", "http://127.0.0.1:1")];
    let handler = Handler::start(&[&settings[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);

    let page = browser.sign_in("/page", &provider);
    let script = browser.fetch("/page");

    assert_eq!(page.status, 502);
    assert!(page.text().contains("upstream_unreachable"));
    assert_eq!((script.status, script.json()["code"].as_str()), (502, Some("upstream_unreachable")));
}

#[test]
fn a_browser_that_goes_away_ends_the_upstreams_work() {
    let (begun, has_begun) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    let (begun, ended) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(ended));
    let upstream = upstream(move |_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").unwrap();
        begun.lock().unwrap().send(()).unwrap();
        let piece = [b"400\r\n".as_slice(), &[b'x'; 1024], b"\r\n"].concat();
        while stream.write_all(&piece).is_ok() {}
        ended.lock().unwrap().send(()).unwrap();
        false
    });
    let fixture = fixture(upstream, Handler::start);
    let stream = fixture.browser.begin("GET", "/endless", &[], b"");
    has_begun.recv_timeout(LIMIT).unwrap();

    drop(stream);

    has_ended.recv_timeout(LIMIT).unwrap();
}

#[test]
fn responses_to_signed_in_people_stay_out_of_shared_caches() {
    everywhere(
        responding("HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 0\r\n\r\n"),
        |fixture| {
            let response = fixture.browser.fetch("/page");

            assert_eq!(response.header("cache-control"), Some("private, max-age=60"));
            assert_eq!(response.header("vary"), None);
        },
    );
}

#[test]
fn a_persons_root_page_is_no_ping_of_the_hosts() {
    let Some(handler) = Handler::start_behind_the_host(&[
        ("UPSTREAM_URL", "http://127.0.0.1:1"),
        ("OIDC_ISSUER_URL", "http://127.0.0.1:1"),
        ("CLIENT_ID", "client"),
    ]) else {
        return;
    };

    let response = Browser::new(&handler.origin).navigate("/");

    assert_eq!((response.status, response.header("location")), (302, Some("/oauth/signin?redirect=%2F")));
}

#[test]
fn methods_that_are_not_forwarded_and_bodies_that_break_off_are_told() {
    // A response to the head alone could arrive before the body breaks off.
    let whole = |request: &Received, reader: &mut BufReader<TcpStream>, stream: &mut TcpStream| {
        request.read_body(reader);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
    };
    let fixture = fixture(upstream(whole), Handler::start);
    let session = [("sec-fetch-site", "same-origin")];

    let trace = read_response(&fixture.browser.begin("TRACE", "/page", &session, b""), "TRACE").unwrap();
    assert_eq!((trace.status, trace.json()["code"].as_str()), (400, Some("bad_request")));
    let mut stranger = Browser::new(&fixture.handler.origin);
    for method in ["TRACE", "CONNECT"] {
        let refused = stranger.send(method, "/page", &[], b"");
        assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("bad_request")), "{method}");
    }

    let headers = [("sec-fetch-site", "same-origin"), ("content-length", "100")];
    let stream = fixture.browser.begin("PUT", "/page", &headers, b"only this");
    stream.shutdown(Shutdown::Write).unwrap();
    let broken = read_response(&stream, "PUT");
    assert!(broken.is_err() || broken.is_ok_and(|broken| broken.status >= 400));
}

#[test]
fn an_upstream_that_switches_protocols_unasked_is_broken() {
    let mut fixture = fixture(
        upstream(|_, _, stream| {
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").is_ok()
        }),
        Handler::start,
    );

    let response = fixture.browser.fetch("/page");

    assert_eq!((response.status, response.json()["code"].as_str()), (502, Some("upstream_broken")));
}

#[test]
fn a_head_that_never_ends_holds_nobody_up() {
    let mut fixture = fixture(Upstream::start(), Handler::start);
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(fixture.handler.origin.trim_start_matches("http://")).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nx-slow: ").unwrap();
            stream
        })
        .collect();

    assert_eq!(fixture.browser.fetch("/page").status, 200);

    for mut stream in idle {
        stream.set_read_timeout(Some(LIMIT + Duration::from_secs(5))).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        assert!(response.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&response));
    }
}
