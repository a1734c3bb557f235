//! WebSockets through the handler: the handshake's checks, every byte of the socket, and its end.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use support::websocket::{Refused, accept, echo, is_handshake, read_to_its_end, switching};
use support::{Browser, Handler, LIMIT, Provider, Received, Upstream, read_answer, wait_until};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

const MEGABYTE: usize = 1024 * 1024;

/// A write that takes longer is one that the other end does not read.
const STALL: Duration = Duration::from_millis(500);

struct Fixture {
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
    /// What an upstream's thread reports of its socket, by the socket's path.
    ended: mpsc::Receiver<String>,
}

/// Serves a socket of an application, and says what came of it.
type Serve = fn(&Received, &mut BufReader<TcpStream>, &mut TcpStream) -> String;

impl Fixture {
    /// An application that serves sockets in its own way and everything else with `ok`.
    fn start(serve: Serve, settings: &[(&str, &str)]) -> Self {
        let (ends, ended) = mpsc::channel();
        let ends = Mutex::new(ends);
        let upstream = Upstream::answering(move |request, reader, stream| {
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

    fn echoing(settings: &[(&str, &str)]) -> Self {
        Self::start(
            |request, reader, stream| match echo(accept(request, reader, stream, &[])) {
                true => "closed".to_owned(),
                false => "broken".to_owned(),
            },
            settings,
        )
    }

    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        assert_eq!(browser.sign_in("/", &self.provider).status, 200);
        browser
    }

    fn handshakes(&self) -> usize {
        self.upstream.received().iter().filter(|request| is_handshake(request)).count()
    }

    fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.handler.output().text().contains(text));
        assert!(!self.handler.output().text().contains("ERROR"), "{}", self.handler.output().text());
    }
}

fn code(refused: &Refused) -> Value {
    let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap_or_default()).unwrap_or_default();
    body["code"].clone()
}

/// Raw bytes to and from an upstream's socket, with what was read along with the handshake.
fn raw(request: &Received, reader: &BufReader<TcpStream>, stream: &TcpStream) -> (Vec<u8>, TcpStream) {
    let mut socket = stream.try_clone().unwrap();
    socket.write_all(switching(request, &[]).as_bytes()).unwrap();
    (reader.buffer().to_vec(), socket)
}

/// Sends a handshake in raw bytes, with `more` behind it in the same write, and reads through the head of the 101.
fn raw_client(browser: &Browser, path: &str, more: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let head = raw_head(browser, path, "");
    client.write_all(&[head.as_bytes(), more].concat()).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

fn raw_head(browser: &Browser, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: h\r\norigin: {}\r\ncookie: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n{more}\r\n",
        browser.origin(),
        browser.cookie_header()
    )
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_handshake_passes_as_any_request_and_its_response_as_any_response() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let more = [
                "sec-websocket-protocol: v2.chat",
                "sec-websocket-extensions: permessage-deflate; client_max_window_bits=10",
                "set-cookie: own=1; Path=/",
                "set-cookie: oauth-proxy-session=forged; Path=/",
                "x-application: yes",
            ];
            echo(accept(request, reader, stream, &more)).to_string()
        },
        &[],
    );
    let browser = fixture.signed_in();
    let offered = [
        ("sec-websocket-protocol", "v2.chat, v1.chat"),
        ("authorization", "Bearer forged"),
        ("x-forwarded-user", "forged"),
        ("connection", "keep-alive, Upgrade, X-Hop"),
        ("x-hop", "1"),
    ];

    let (mut socket, response) = browser.open_socket("/chat?room=1&room=2", &offered).unwrap();

    let received = fixture.upstream.last();
    assert_eq!(received.request_line, "GET /chat?room=1&room=2");
    assert_eq!(received.header("connection"), Some("Upgrade"));
    assert_eq!(received.header("sec-websocket-version"), Some("13"));
    assert_eq!(received.header("sec-websocket-protocol"), Some("v2.chat, v1.chat"));
    assert_eq!(received.header("origin"), Some(fixture.handler.origin.as_str()));
    assert!(received.header("authorization").is_some_and(|token| token.starts_with("Bearer access-")), "{received:?}");
    for name in ["x-forwarded-user", "x-hop", "cookie", "content-length", "transfer-encoding"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("sec-websocket-protocol"), Some("v2.chat"));
    assert_eq!(header("sec-websocket-extensions"), Some("permessage-deflate; client_max_window_bits=10"));
    assert_eq!((header("x-application"), header("set-cookie")), (Some("yes"), Some("own=1; Path=/")));
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 1);
    for name in ["content-length", "transfer-encoding"] {
        assert_eq!(header(name), None, "{name}");
    }
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hello"));
}

#[test]
fn messages_of_every_kind_and_size_come_back_as_they_were() {
    let fixture = Fixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();
    let large: Vec<u8> = (0..4 * MEGABYTE).map(|at| (at % 251) as u8).collect();

    for message in
        [Message::text(""), Message::text("größer"), Message::binary(vec![0, 255, 0]), Message::binary(large)]
    {
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message, "{} bytes", message.len());
    }
    socket.send(Message::Ping(b"are you there".to_vec().into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"are you there".to_vec().into()));
    for number in 0..5_000 {
        socket.send(Message::text(number.to_string())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(number.to_string()));
    }
}

#[test]
fn both_ends_may_send_without_reading_for_a_while() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let mut sending = socket.try_clone().unwrap();
            let sender = std::thread::spawn(move || sending.write_all(&vec![b'u'; 8 * MEGABYTE]).is_ok());
            let sent = sender.join().unwrap(); // everything before it reads
            let mut rest = vec![0; 8 * MEGABYTE - read.len()];
            let is_read = socket.read_exact(&mut rest).is_ok();
            read.extend(rest);
            format!("{sent} {is_read} {}", read.iter().all(|byte| *byte == b'c'))
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");
    let mut sending = client.try_clone().unwrap();

    let sender = std::thread::spawn(move || sending.write_all(&vec![b'c'; 8 * MEGABYTE]).is_ok());
    let mut received = vec![0; 8 * MEGABYTE];
    client.read_exact(&mut received).unwrap();

    assert!(received.iter().all(|byte| *byte == b'u'));
    assert!(sender.join().unwrap());
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "true true true");
}

#[test]
fn bytes_right_behind_either_head_are_the_first_of_the_socket() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let head = switching(request, &[]);
            stream.write_all(&[head.as_bytes(), b"first"].concat()).unwrap();
            let mut buffer = [0; 5];
            reader.read_exact(&mut buffer).unwrap();
            String::from_utf8(buffer.to_vec()).unwrap()
        },
        &[],
    );

    let mut client = raw_client(&fixture.signed_in(), "/raw", b"early");

    let mut first = [0; 5];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "early");
}

#[test]
fn a_socket_may_follow_a_response_on_the_same_connection() {
    let fixture = Fixture::echoing(&[]);
    let browser = fixture.signed_in();
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let cookie = browser.cookie_header();
    client.write_all(format!("GET / HTTP/1.1\r\nhost: h\r\ncookie: {cookie}\r\n\r\n").as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    client.read_exact(&mut [0; 2]).unwrap();

    client.write_all(raw_head(&browser, "/chat", "").as_bytes()).unwrap();

    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    client.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).unwrap();
    let mut frame = [0; 4];
    client.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, &[0x81, 2, b'h', b'i']);
}

#[test]
fn a_close_of_the_client_is_replied_to_and_ends_both_connections() {
    let fixture = Fixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    let frame = CloseFrame { code: CloseCode::Library(4_001), reason: "done".into() };
    socket.close(Some(frame.clone())).unwrap();

    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "closed");
    fixture.wait_for_log("websocket closed");
}

#[test]
fn a_close_of_the_upstream_arrives_with_its_code_and_reason() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let mut socket = accept(request, reader, stream, &[]);
            socket.send(Message::text("last words")).unwrap();
            socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "restart".into() })).unwrap();
            while socket.read().is_ok() {}
            "closed".to_owned()
        },
        &[],
    );
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    assert_eq!(socket.read().unwrap(), Message::text("last words"));
    let frame = CloseFrame { code: CloseCode::Away, reason: "restart".into() };
    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    let _ = socket.flush();
    assert_eq!(read_to_its_end(socket.get_mut()), b"");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "closed");
}

#[test]
fn everything_an_upstream_sent_arrives_though_it_hung_up_at_once() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let (_, mut socket) = raw(request, reader, stream);
            socket.write_all(&vec![b'u'; 4 * MEGABYTE]).unwrap();
            socket.shutdown(Shutdown::Both).unwrap();
            String::new()
        },
        &[],
    );

    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    assert_eq!(read_to_its_end(&mut client).len(), 4 * MEGABYTE);
    fixture.wait_for_log("ended_by=\"upstream\"");
}

#[test]
fn the_end_of_a_client_reaches_the_upstream_which_may_finish() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            socket.read_to_end(&mut read).unwrap();
            socket.write_all(b"got it all").unwrap();
            String::from_utf8(read).unwrap()
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    client.write_all(b"and goodbye").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    assert_eq!(read_to_its_end(&mut client), b"got it all");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "and goodbye");
}

#[test]
fn a_client_that_vanishes_ends_the_upstreams_socket() {
    let fixture = Fixture::echoing(&[]);

    drop(fixture.signed_in().open_socket("/chat", &[]).unwrap());

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
    fixture.wait_for_log("ended_by=\"client\"");
}

/// An upstream whose certificate the handler trusts, and the folder that holds its authority.
fn tls_upstream() -> (String, tempfile::TempDir) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), key.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let private_key = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private_key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let tls = rustls::ServerConnection::new(config).unwrap();
                echo(tungstenite::accept(rustls::StreamOwned::new(tls, stream)).unwrap())
            });
        }
    });
    (format!("https://localhost:{port}"), folder)
}

#[test]
fn an_upstream_behind_tls_serves_sockets_as_well() {
    let (url, folder) = tls_upstream();
    let provider = Provider::start();
    let routes = json!([{ "path": "/", "upstream": url, "access": "anonymous" }]).to_string();
    let authority = folder.path().join("ca.pem");
    let own = [("ROUTES", routes.as_str()), ("SSL_CERT_FILE", authority.to_str().unwrap())];
    let handler = Handler::start(&[&own[..], &provider.settings()].concat());
    let (mut socket, _) = Browser::new(&handler.origin).open_socket("/chat", &[]).unwrap();

    for message in [Message::text("over TLS"), Message::binary(vec![7; 2 * MEGABYTE])] {
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message);
    }
    socket.close(None).unwrap();

    assert!(matches!(socket.read(), Ok(Message::Close(_))));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn a_handshake_needs_a_session_and_the_public_origin() {
    let fixture = Fixture::echoing(&[]);
    let browser = fixture.signed_in();
    let table: [(&[(&str, &str)], u16, &str, &str); 8] = [
        (&[("cookie", "")], 401, "session_required", "no session"),
        (&[("cookie", "oauth-proxy-session=forged")], 401, "session_required", "a forged session"),
        (&[("origin", "")], 403, "csrf_rejected", "no origin"),
        (&[("origin", "https://evil.example")], 403, "csrf_rejected", "another site's page"),
        (&[("origin", "null")], 403, "csrf_rejected", "a sandboxed page"),
        (&[("origin", "http://127.0.0.1")], 403, "csrf_rejected", "another port"),
        (&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], 403, "csrf_rejected", "both"),
        (&[("content-length", "2")], 400, "bad_request", "a body"),
    ];
    for (headers, status, expected, why) in table {
        let refused = browser.open_socket("/chat", headers).unwrap_err();
        assert_eq!((refused.status().as_u16(), code(&refused).as_str()), (status, Some(expected)), "{why}");
    }
    assert_eq!(fixture.handshakes(), 0);
    let refused = browser.open_socket("/chat", &[("cookie", "")]).unwrap_err();
    let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).unwrap();
    assert_eq!(body["login_url"], "/oauth/signin");

    assert!(browser.open_socket("/chat", &[]).is_ok());
    // Without a session there is nothing to protect: the application decides, as it does without us.
    assert!(browser.open_socket("/open/chat", &[("origin", "https://other.example"), ("cookie", "")]).is_ok());
}

#[test]
fn a_chunked_body_behind_a_handshake_is_refused() {
    let fixture = Fixture::echoing(&[]);
    let browser = fixture.signed_in();
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();

    client.write_all(raw_head(&browser, "/chat", "transfer-encoding: chunked\r\n").as_bytes()).unwrap();

    assert_eq!(read_answer(&client, "GET").unwrap().status, 400);
    assert_eq!(fixture.handshakes(), 0);
}

#[test]
fn an_upstream_that_does_not_switch_responds_as_to_any_request() {
    let fixture = Fixture::start(
        |request, _, stream| {
            let response: &[u8] = match request.request_line.as_str() {
                "GET /forbidden" => b"HTTP/1.1 403 Forbidden\r\nx-why: origin\r\ncontent-length: 4\r\n\r\nstop",
                "GET /old" => {
                    b"HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13, 8\r\ncontent-length: 0\r\n\r\n"
                }
                "GET /page" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
                _ => b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
            };
            stream.write_all(response).unwrap();
            String::new()
        },
        &[],
    );
    let browser = fixture.signed_in();

    let refused = |path: &str| *browser.open_socket(path, &[]).unwrap_err();

    let forbidden = refused("/forbidden");
    assert_eq!((forbidden.status().as_u16(), forbidden.headers()["x-why"].to_str().unwrap()), (403, "origin"));
    assert_eq!(forbidden.body().as_deref(), Some(&b"stop"[..]));
    let old = refused("/old");
    assert_eq!((old.status().as_u16(), old.headers()["sec-websocket-version"].to_str().unwrap()), (426, "13, 8"));
    assert_eq!(refused("/page").status().as_u16(), 200);
    let another = refused("/another");
    assert_eq!((another.status().as_u16(), code(&another)), (502, "upstream_broken".into()));
}

#[test]
fn another_protocol_is_not_offered_to_the_upstream() {
    let fixture = Fixture::echoing(&[]);
    let mut browser = fixture.signed_in();
    for (connection, protocol) in
        [("Upgrade, HTTP2-Settings", "h2c"), ("Upgrade", "websocket, h2c"), ("Upgrade", "TLS/1.0"), ("x", "websocket")]
    {
        let headers = [("connection", connection), ("upgrade", protocol), ("http2-settings", "AAMAAABkAARAAAAA")];

        let response = browser.send("GET", "/plain", &headers, b"");

        let received = fixture.upstream.last();
        assert_eq!((response.status, received.request_line.as_str()), (200, "GET /plain"), "{protocol}");
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(received.header(name), None, "{protocol}");
        }
    }
}

#[test]
fn a_sign_out_ends_the_sockets_of_its_session_but_not_those_of_a_route_that_lets_them_outlive_it() {
    let fixture = Fixture::echoing(&[]);
    let mut browser = fixture.signed_in();
    let (mut socket, _) = browser.open_socket("/chat", &[]).unwrap();
    let (mut outliving, _) = browser.open_socket("/live/chat", &[]).unwrap();

    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert!(socket.read().is_err(), "it ends without a close frame");
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
    fixture.wait_for_log("session_ended");
    fixture.wait_for_log("ended_by=\"session\"");
    outliving.send(Message::text("still here")).unwrap();
    assert_eq!(outliving.read().unwrap(), Message::text("still here"));
    assert_eq!(browser.open_socket("/chat", &[]).unwrap_err().status().as_u16(), 401);
}

#[test]
fn the_absolute_end_of_a_session_ends_its_sockets() {
    let fixture = Fixture::echoing(&[("SESSION_MAX_LIFETIME", "3s"), ("SESSION_IDLE_TIMEOUT", "3s")]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    assert!(socket.read().is_err());

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "broken");
}

/// Sends until nobody reads, reports it, and reads to the end.
fn flood(request: &Received, reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> String {
    let (_, mut socket) = raw(request, reader, stream);
    socket.set_write_timeout(Some(STALL)).unwrap();
    while socket.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    stalled();
    let _ = socket.read_to_end(&mut Vec::new());
    "over".to_owned()
}

static STALLED: Mutex<usize> = Mutex::new(0);

fn stalled() {
    *STALLED.lock().unwrap() += 1;
}

#[test]
fn what_a_client_does_not_read_stays_with_the_upstream_and_a_sign_out_ends_it_all_the_same() {
    let fixture = Fixture::start(flood, &[]);
    let mut browser = fixture.signed_in();
    let before = fixture.handler.peak_memory_kb();
    let mut client = raw_client(&browser, "/flood", b"");

    wait_until("the upstream cannot send any more", || *STALLED.lock().unwrap() > 0);
    let grown = fixture.handler.peak_memory_kb() - before;
    assert_eq!(browser.post("/oauth/signout", b"").status, 303);

    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), "over");
    assert!(grown < 2 * 1024, "{grown} KB for a client that does not read");
    fixture.wait_for_log("ended_by=\"session\"");
    read_to_its_end(&mut client);
}

#[test]
fn what_an_upstream_does_not_read_stays_with_the_client() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let (go, wait) = mpsc::channel::<()>();
            *RESUME.lock().unwrap() = Some(go);
            wait.recv().unwrap();
            socket.read_to_end(&mut read).unwrap();
            read.len().to_string()
        },
        &[],
    );
    let browser = fixture.signed_in();
    let before = fixture.handler.peak_memory_kb();
    let mut client = raw_client(&browser, "/stuck", b"");
    client.set_write_timeout(Some(STALL)).unwrap();

    let mut sent = 0;
    loop {
        match client.write(&[b'x'; 64 * 1024]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }

    let grown = fixture.handler.peak_memory_kb() - before;
    assert!(grown < 2 * 1024, "{grown} KB for an upstream that does not read {sent} bytes");
    RESUME.lock().unwrap().take().unwrap().send(()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(fixture.ended.recv_timeout(LIMIT).unwrap(), sent.to_string());
}

static RESUME: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

#[test]
fn a_stop_of_the_process_does_not_wait_for_sockets() {
    let mut fixture = Fixture::echoing(&[]);
    let (mut socket, _) = fixture.signed_in().open_socket("/chat", &[]).unwrap();

    fixture.handler.terminate();

    assert!(socket.read().is_err());
    assert_eq!(fixture.handler.wait(), Some(0));
    fixture.wait_for_log("ended_by=\"shutdown\"");
}

#[test]
fn a_handshake_slides_the_session() {
    let fixture = Fixture::echoing(&[("SESSION_IDLE_TIMEOUT", "9s")]);
    let browser = fixture.signed_in();
    wait_until("the cookie is to be issued again", || browser.clone().fetch("/").header("set-cookie").is_some());

    let (_, response) = browser.open_socket("/chat", &[]).unwrap();

    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("oauth-proxy-session="), "{cookie}");
}

#[test]
fn the_log_counts_the_bytes_of_a_socket() {
    let fixture = Fixture::start(
        |request, reader, stream| {
            let (mut read, mut socket) = raw(request, reader, stream);
            let mut rest = vec![0; 1_000 - read.len()];
            socket.read_exact(&mut rest).unwrap();
            read.extend(rest);
            socket.write_all(&read[..10]).unwrap();
            String::new()
        },
        &[],
    );
    let mut client = raw_client(&fixture.signed_in(), "/raw", b"");

    client.write_all(&[b'c'; 1_000]).unwrap();

    assert_eq!(read_to_its_end(&mut client), [b'c'; 10]);
    fixture.wait_for_log("bytes_from_client=1000 bytes_from_upstream=10");
}

#[test]
fn behind_the_functions_host_a_handshake_is_refused_and_the_operator_told_once() {
    let upstream = Upstream::start();
    let provider = Provider::start();
    let settings = [("UPSTREAM_URL", upstream.url.as_str())];
    let Some(handler) = Handler::start_behind_the_host(&[&settings[..], &provider.settings()].concat()) else { return };
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    let before = upstream.received().len();

    let stripped = [("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA=="), ("sec-websocket-version", "13")];
    let script = browser.send("GET", "/chat", &stripped, b"");
    let person = browser.send("GET", "/chat", &[&stripped[..], &[("accept", "text/html")]].concat(), b"");
    let whole = browser.open_socket("/chat", &[]).unwrap_err();

    assert_eq!((script.status, script.json()["code"].as_str()), (501, Some("websocket_unsupported")));
    assert_eq!((person.status, person.header("content-type")), (501, Some("text/html; charset=utf-8")));
    assert_eq!(whole.status().as_u16(), 501);
    assert_eq!(upstream.received().len(), before);
    wait_until("it is logged", || handler.output().text().contains("websocket refused"));
    assert_eq!(handler.output().text().matches("websocket refused").count(), 1);
}
