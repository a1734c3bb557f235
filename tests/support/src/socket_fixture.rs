//! A handler before an application with WebSockets, and a client that speaks to it in raw bytes.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

use serde_json::json;

use crate::upstream::{Received, Upstream};
use crate::websocket::{accept, echo, is_handshake, switching};
use crate::{Browser, Handler, LIMIT, Provider, wait_until};

/// A handler before an application with sockets: `/live` outlives its session, `/open` needs none.
pub struct SocketFixture {
    /// The Provider.
    pub provider: Provider,
    /// The application.
    pub upstream: Upstream,
    /// The handler.
    pub handler: Handler,
    /// Reports of the application's threads about their sockets.
    pub ended: mpsc::Receiver<String>,
}

/// Serves a socket of an application, and says what came of it.
pub type Serve = fn(&Received, &mut BufReader<TcpStream>, &mut TcpStream) -> String;

impl SocketFixture {
    /// An application that serves sockets in its own way and everything else with `ok`.
    #[must_use]
    pub fn start(serve: Serve, settings: &[(&str, &str)]) -> Self {
        let (ends, ended) = mpsc::channel();
        let ends = Mutex::new(ends);
        let upstream = Upstream::responding(move |request, reader, stream| {
            if !is_handshake(request) {
                return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok();
            }
            let end = serve(request, reader, stream);
            let _ = ends.lock().unwrap().send(end);
            false
        });
        let provider = Provider::start();
        let routes = json!([
            { "path": "/", "upstream": upstream.url },
            { "path": "/live", "upstream": upstream.url, "streams": "outlive" },
            { "path": "/open", "upstream": upstream.url, "access": "anonymous" },
        ]);
        let routes = routes.to_string();
        let own = [("ROUTES", routes.as_str()), ("SESSION_CACHE_TTL", "1s")];
        let handler = Handler::start(&[&own[..], &provider.settings(), settings].concat());
        Self { provider, upstream, handler, ended }
    }

    /// An application that sends every message back: `closed` by its handshake, or `broken`.
    #[must_use]
    pub fn echoing(settings: &[(&str, &str)]) -> Self {
        Self::start(
            |request, reader, stream| match echo(accept(request, reader, stream, &[])) {
                true => "closed".to_owned(),
                false => "broken".to_owned(),
            },
            settings,
        )
    }

    /// A browser with a session.
    ///
    /// # Panics
    /// When the sign-in fails.
    #[must_use]
    pub fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }

    /// Handshakes that reached the application.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.upstream.received().iter().filter(|request| is_handshake(request)).count()
    }

    /// Waits until the handler's log has the text, and no error.
    ///
    /// # Panics
    /// When it has an error.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.handler.output().text().contains(text));
        assert!(!self.handler.output().text().contains("ERROR"), "{}", self.handler.output().text());
    }
}

/// Raw bytes to and from an application's socket, with what was read along with the handshake.
///
/// # Panics
/// When the connection is gone.
#[must_use]
pub fn raw(request: &Received, reader: &BufReader<TcpStream>, stream: &TcpStream) -> (Vec<u8>, TcpStream) {
    let mut socket = stream.try_clone().unwrap();
    socket.write_all(switching(request, &[]).as_bytes()).unwrap();
    (reader.buffer().to_vec(), socket)
}

/// Sends a handshake in raw bytes, with `more` behind it in the same write, and reads through the head of the 101.
///
/// # Panics
/// When the response is another.
#[must_use]
pub fn raw_client(browser: &Browser, path: &str, more: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let head = raw_head(browser, path, "");
    client.write_all(&[head.as_bytes(), more].concat()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

/// The head of a handshake, with more header lines.
#[must_use]
pub fn raw_head(browser: &Browser, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: h\r\norigin: {}\r\ncookie: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n{more}\r\n",
        browser.origin(),
        browser.cookie_header()
    )
}

/// Reads through the head of a response.
///
/// # Panics
/// When the connection ends before.
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
