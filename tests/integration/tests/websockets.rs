//! The handshake of a WebSocket: what is checked, what passes, and who is refused.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};
use support::websocket::{Refused, accept, echo, read_to_its_end};
use support::{Browser, Handler, LIMIT, Provider, SocketFixture, Upstream, raw_head, read_response, wait_until};
use tungstenite::Message;

const MEGABYTE: usize = 1024 * 1024;

fn code(refused: &Refused) -> Value {
    let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap_or_default()).unwrap_or_default();
    body["code"].clone()
}

#[test]
fn a_handshake_passes_as_any_request_and_its_response_as_any_response() {
    let fixture = SocketFixture::start(
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

/// The headers, the expected status and code, and the reason.
type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, &'a str);

#[test]
fn a_handshake_needs_a_session_and_the_public_origin() {
    let fixture = SocketFixture::echoing(&[]);
    let browser = fixture.signed_in();
    let table: [Row<'_>; 8] = [
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
    let fixture = SocketFixture::echoing(&[]);
    let browser = fixture.signed_in();
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();

    client.write_all(raw_head(&browser, "/chat", "transfer-encoding: chunked\r\n").as_bytes()).unwrap();

    assert_eq!(read_response(&client, "GET").unwrap().status, 400);
    assert_eq!(fixture.handshakes(), 0);
}

#[test]
fn an_upstream_that_does_not_switch_responds_as_to_any_request() {
    let fixture = SocketFixture::start(
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
    let fixture = SocketFixture::echoing(&[]);
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
fn a_handshake_slides_the_session() {
    let fixture = SocketFixture::echoing(&[("SESSION_IDLE_TIMEOUT", "9s")]);
    let browser = fixture.signed_in();
    wait_until("the cookie is to be issued again", || browser.clone().fetch("/").header("set-cookie").is_some());

    let (_, response) = browser.open_socket("/chat", &[]).unwrap();

    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("oauth-proxy-session="), "{cookie}");
}

#[test]
fn a_handshake_that_lost_its_upgrade_on_the_way_is_refused() {
    let fixture = SocketFixture::echoing(&[]);
    let mut browser = fixture.signed_in();
    let before = fixture.upstream.received().len();
    let table: [&[(&str, &str)]; 3] =
        [&[], &[("connection", "close")], &[("connection", "keep-alive, upgrade"), ("upgrade", "websocket, h2c")]];
    for headers in table {
        let key = [("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA=="), ("sec-websocket-version", "13")];

        let response = browser.send("GET", "/chat", &[&key[..], headers].concat(), b"");

        assert_eq!((response.status, response.json()["code"].as_str()), (501, Some("websocket_unsupported")));
    }
    assert_eq!(fixture.upstream.received().len(), before);
}

/// The server takes everything after such a request for the bytes of a socket.
#[test]
fn bytes_behind_a_request_that_only_looks_like_a_handshake_are_no_second_request() {
    let fixture = SocketFixture::echoing(&[]);
    let browser = fixture.signed_in();
    let before = fixture.upstream.received().len();
    let mut client = TcpStream::connect(browser.origin().trim_start_matches("http://")).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "POST /form HTTP/1.1\r\nhost: h\r\norigin: {}\r\ncookie: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         content-length: 4\r\n\r\nbody",
        browser.origin(),
        browser.cookie_header()
    );

    client.write_all(format!("{head}GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).unwrap();

    let rest = String::from_utf8(read_to_its_end(&mut client)).unwrap();
    assert_eq!((rest.matches("HTTP/1.1 ").count(), rest.starts_with("HTTP/1.1 200 ")), (1, true), "{rest}");
    let received = fixture.upstream.received();
    assert_eq!((received.len() - before, received.last().unwrap().request_line.as_str()), (1, "POST /form"));
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

#[test]
fn a_person_whose_sockets_do_not_pass_is_told_once() {
    let fixture = SocketFixture::echoing(&[]);
    let mut browser = fixture.signed_in();
    let origin = browser.origin().to_owned();
    let handshake = [("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA=="), ("origin", origin.as_str())];
    let visit = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let refuse = |browser: &mut Browser, headers: &[(&str, &str)]| {
        assert_eq!(browser.send("GET", "/chat", headers, b"").status, 501);
    };

    for _ in 0..3 {
        refuse(&mut browser, &[handshake[0], ("origin", "https://evil.example")]);
    }
    assert!(
        !browser.send("GET", "/", &visit, b"").text().contains("websocket_unsupported"),
        "another site counts nothing"
    );
    for _ in 0..3 {
        refuse(&mut browser, &handshake);
    }
    let page = browser.send("GET", "//app?a=1", &visit, b"");
    let after = browser.send("GET", "//app?a=1", &visit, b"");

    let text = page.text();
    assert!(page.status == 200 && text.contains("websocket_unsupported"), "{text}");
    assert!(text.contains(&format!("href=\"{origin}//app?a=1\"")), "{text}");
    assert!(!after.text().contains("websocket_unsupported"));
    let received = fixture.upstream.last();
    assert_eq!(received.request_line, "GET //app?a=1");
}
