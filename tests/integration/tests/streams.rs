//! Requests that are still under way when their session ends: their streams, and their cookies.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::json;
use support::{Browser, Handler, LIMIT, Provider, Received, Upstream, read_response, wait_until};

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
    /// One more event of `/feed` or `/ticker`.
    feed: mpsc::Sender<&'static str>,
    /// The path of each request whose connection ended.
    ended: mpsc::Receiver<String>,
    /// One message for each `/flood` that nobody reads any more.
    stalled: mpsc::Receiver<()>,
}

/// A write that takes longer is one that the other end does not read.
const STALL: Duration = Duration::from_millis(500);

impl Fixture {
    /// An Upstream whose `/feed/slow` responds when it is told an event, and whose `/events` sends one event and whose
    /// `/upload` never responds, each to the connection's end. Its `/flood` sends until nobody reads, and reads then.
    fn start(settings: &[(&str, &str)]) -> Self {
        let (feed, events) = mpsc::channel::<&str>();
        let (ends, ended) = mpsc::channel();
        let (stalls, stalled) = mpsc::channel();
        let (events, ends, stalls) = (Mutex::new(events), Mutex::new(ends), Mutex::new(stalls));
        let upstream = Upstream::responding(move |received: &Received, reader, stream| {
            let path = received.request_line.split(' ').nth(1).unwrap().to_owned();
            if path == "/" {
                return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok();
            }
            if path == "/upload" {
                let _ = reader.read_to_end(&mut Vec::new());
                let _ = ends.lock().unwrap().send(path);
                return false;
            }
            if path == "/flood" {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                stream.set_write_timeout(Some(STALL)).unwrap();
                while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {}
                let _ = stalls.lock().unwrap().send(());
                let _ = reader.read_to_end(&mut Vec::new());
                let _ = ends.lock().unwrap().send(path);
                return false;
            }
            if path == "/feed/slow" {
                events.lock().unwrap().recv().unwrap();
                return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok();
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&chunk("first")).unwrap();
            if path != "/events" {
                events.lock().unwrap().iter().all(|event| stream.write_all(&chunk(event)).is_ok());
            } else {
                let _ = reader.read_to_end(&mut Vec::new());
            }
            let _ = ends.lock().unwrap().send(path);
            false
        });
        let provider = Provider::start();
        let routes = json!([
            { "path": "/", "upstream": upstream.url },
            { "path": "/feed", "upstream": upstream.url, "streams": "outlive" },
        ]);
        let routes = routes.to_string();
        let own = [("ROUTES", routes.as_str()), ("SESSION_CACHE_TTL", "1s")];
        let handler = Handler::start(&[&own[..], &provider.settings(), settings].concat());
        Self { provider, upstream, handler, feed, ended, stalled }
    }

    fn is_asked(&self, path: &str) -> bool {
        self.upstream.received().iter().any(|received| received.request_line == format!("GET {path}"))
    }

    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }
}

fn chunk(event: &str) -> Vec<u8> {
    let event = format!("data: {event}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// An open event stream, as the browser reads it.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(path: &str, browser: &Browser) -> Self {
        let mut events = Self(BufReader::new(browser.begin("GET", path, &[], b"")));
        events.read_through("data: first\n");
        events
    }

    fn read_through(&mut self, line: &str) {
        let mut read = String::new();
        while read != line {
            read.clear();
            assert_ne!(self.0.read_line(&mut read).unwrap(), 0, "the stream ended before {line:?}");
        }
    }

    /// Everything up to the end of the connection.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// An upload that goes on until its connection ends, by a client that reads nothing of the response.
fn flood_and_upload(browser: &Browser) -> TcpStream {
    let headers = [("transfer-encoding", "chunked"), ("sec-fetch-site", "same-origin")];
    let client = browser.begin("POST", "/flood", &headers, b"");
    let mut upload = client.try_clone().unwrap();
    std::thread::spawn(move || {
        while upload.write_all(&chunk("part")).is_ok() {
            std::thread::sleep(Duration::from_millis(10)); // its pace
        }
    });
    client
}

/// Reads to the end of the connection, which may be a reset, and fails if there is none.
fn read_to_its_end(mut client: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = client.read_to_end(&mut rest);
    assert!(!read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the connection is still open");
    rest
}

const LAST_CHUNK: &str = "0\r\n\r\n";

#[test]
fn a_sign_out_cuts_the_streams_of_its_session_but_not_those_of_a_route_that_lets_them_outlive_it() {
    let fixture = Fixture::start(&[("LOG", "info,oauth_proxy=debug")]);
    let mut browser = fixture.signed_in();
    let events = Events::open("/events", &browser);
    let mut feed = Events::open("/feed", &browser);

    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    let rest = events.rest();
    assert!(!rest.contains(LAST_CHUNK), "a cut stream must not look complete: {rest:?}");
    assert_eq!(fixture.ended.recv().unwrap(), "/events");
    fixture.feed.send("second").unwrap();
    feed.read_through("data: second\n");
    wait_until("it is logged", || fixture.handler.output().text().contains("session_ended"));
    assert!(!fixture.handler.output().text().contains("ERROR"), "{}", fixture.handler.output().text());
}

#[test]
fn the_absolute_end_of_a_session_cuts_its_streams() {
    let fixture = Fixture::start(&[("SESSION_MAX_LIFETIME", "3s"), ("SESSION_IDLE_TIMEOUT", "3s")]);
    let browser = fixture.signed_in();

    let rest = Events::open("/events", &browser).rest();

    assert!(!rest.contains(LAST_CHUNK), "{rest:?}");
    assert_eq!(fixture.ended.recv().unwrap(), "/events");
}

#[test]
fn a_sign_out_cuts_an_upload_whose_client_does_not_read_the_response() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    let client = flood_and_upload(&browser);
    fixture.stalled.recv_timeout(LIMIT).unwrap();

    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "/flood");
    assert!(!read_to_its_end(client).ends_with(LAST_CHUNK.as_bytes()), "a cut response must not look complete");
}

#[test]
fn the_absolute_end_of_a_session_cuts_an_upload_whose_client_does_not_read_the_response() {
    let fixture = Fixture::start(&[("SESSION_MAX_LIFETIME", "3s"), ("SESSION_IDLE_TIMEOUT", "3s")]);

    let _client = flood_and_upload(&fixture.signed_in());

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "/flood");
}

#[test]
fn a_sign_out_cuts_a_download_whose_client_does_not_read_it() {
    let fixture = Fixture::start(&[]);
    let mut browser = fixture.signed_in();
    let client = browser.begin("GET", "/flood", &[], b"");
    fixture.stalled.recv_timeout(LIMIT).unwrap();

    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "/flood");
    assert!(!read_to_its_end(client).ends_with(LAST_CHUNK.as_bytes()), "a cut response must not look complete");
}

#[test]
fn an_upload_whose_session_ends_before_the_response_gets_401() {
    let fixture = Fixture::start(&[("SESSION_MAX_LIFETIME", "3s"), ("SESSION_IDLE_TIMEOUT", "3s")]);
    let headers = [("content-length", "9"), ("sec-fetch-site", "same-origin")];

    let upload = fixture.signed_in().begin("POST", "/upload", &headers, b"part");

    let response = read_response(&upload, "POST").unwrap();
    let problem = response.json();
    assert_eq!((response.status, problem["code"].as_str()), (401, Some("session_ended")), "{problem}");
    assert_eq!(problem["login_url"], "/oauth/signin");
    assert_eq!(fixture.ended.recv().unwrap(), "/upload");
}

#[test]
fn idle_time_cuts_no_stream() {
    let fixture = Fixture::start(&[("SESSION_IDLE_TIMEOUT", "2s")]);
    let mut idle = fixture.signed_in();
    let mut ticker = Events::open("/ticker", &idle);
    wait_until("the session is idle", || idle.fetch("/oauth/me?slide=false").status == 401);

    // A cut comes after one more look at the session, and by then the other one was looked at too.
    let mut other = fixture.signed_in();
    let events = Events::open("/events", &other);
    other.post("/oauth/signout", b"");
    events.rest();

    fixture.feed.send("second").unwrap();
    ticker.read_through("data: second\n");
}

#[test]
fn a_slow_response_of_an_ended_session_sets_no_cookie_over_the_new_ones() {
    let fixture = Fixture::start(&[("SESSION_IDLE_TIMEOUT", "9s")]);
    let mut browser = fixture.signed_in();
    let old = browser.clone();
    wait_until("the cookie is to be issued again", || old.clone().fetch("/").header("set-cookie").is_some());
    let slow = old.begin("GET", "/feed/slow", &[], b"");
    wait_until("the upstream works on it", || fixture.is_asked("/feed/slow"));

    browser.post("/oauth/signout", b"");
    assert_eq!(browser.sign_in("/", &fixture.provider).status, 200);
    fixture.feed.send("respond").unwrap();

    let response = read_response(&slow, "GET").unwrap();
    assert_eq!((response.status, response.header("set-cookie")), (200, None));
}

#[test]
fn a_slow_response_of_a_living_session_slides_it() {
    let fixture = Fixture::start(&[("SESSION_IDLE_TIMEOUT", "9s")]);
    let browser = fixture.signed_in();
    wait_until("the cookie is to be issued again", || browser.clone().fetch("/").header("set-cookie").is_some());
    let slow = browser.begin("GET", "/feed/slow", &[], b"");

    fixture.feed.send("respond").unwrap();

    assert!(read_response(&slow, "GET").unwrap().header("set-cookie").is_some());
}
