//! How forwarding behaves on the wire: a real server, raw Upstreams, all on loopback.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn relay(
    req: HttpRequest,
    payload: web::Payload,
    to: web::Data<Upstream>,
    by: web::Data<Forwarder>,
) -> HttpResponse {
    let own_cookies = OwnCookies::new(vec!["session".to_owned()]);
    let request = ForwardRequest {
        method: req.method(),
        target: RequestTarget::parse(req.uri().path_and_query().unwrap().as_str()).unwrap(),
        headers: req.headers(),
        injected: Vec::new(),
        own_cookies: &own_cookies,
        authenticated: false,
    };
    match by.forward(&to, &request, payload).await {
        Ok(answer) => answer,
        Err(error) => HttpResponse::BadGateway().body(error.code()),
    }
}

/// A proxy before an Upstream that gives each connection's requests the next of `answers`, then hangs up.
async fn proxy(connections: Vec<Vec<&'static str>>) -> TcpStream {
    patient_proxy(connections, ForwarderSettings::default()).await
}

async fn patient_proxy(connections: Vec<Vec<&'static str>>, settings: ForwarderSettings) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    rt::spawn(async move {
        for answers in connections {
            let (mut socket, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    if socket.read_buf(&mut seen).await.unwrap() == 0 {
                        break;
                    }
                }
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    let server = HttpServer::new(move || {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        App::new()
            .app_data(web::Data::new(Upstream::parse(&url).unwrap()))
            .app_data(web::Data::new(Forwarder::new(Arc::new(tls), settings)))
            .default_service(web::to(relay))
    });
    let server = server.workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    rt::spawn(server.run());
    TcpStream::connect(address).await.unwrap()
}

async fn ask(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: session=x\r\nSet-Cookie: b=2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: p\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";

#[actix_web::test]
async fn several_set_cookies_pass_and_ours_does_not() {
    let mut client = proxy(vec![vec![OK]]).await;

    let answer = ask(&mut client, LAST).await;

    assert!(answer.contains("set-cookie: a=1") && answer.contains("set-cookie: b=2"), "{answer}");
    assert!(!answer.contains("session") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[actix_web::test]
async fn a_get_on_a_stale_connection_is_sent_again() {
    let mut client = proxy(vec![vec![OK, ""], vec![OK]]).await;

    let answers = ask(&mut client, &format!("{GET}{LAST}")).await;

    assert_eq!(answers.matches("200 OK").count(), 2, "{answers}");
}

#[actix_web::test]
async fn a_304_writes_no_stray_chunk() {
    let mut client = proxy(vec![vec!["HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"]]).await;

    let answer = ask(&mut client, LAST).await;

    assert!(answer.ends_with("\r\n\r\n") && !answer.contains("chunked"), "{answer}");
}

#[actix_web::test]
async fn an_upstream_that_dies_in_its_body_never_looks_complete() {
    let mut client = proxy(vec![vec!["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"]]).await;

    let answer = ask(&mut client, GET).await;

    assert!(answer.contains("ok") && !answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[actix_web::test]
async fn an_early_413_reaches_the_client() {
    let mut client = proxy(vec![vec!["HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"]]).await;

    let answer = ask(&mut client, "POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\nx").await;

    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// An answer whose head is so many bytes long.
fn long_head(length: usize) -> &'static str {
    let frame = |name: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: {name}\r\n\r\n");
    let padding = "a".repeat(length - frame("").len());
    format!("{}ok", frame(&padding)).leak()
}

#[actix_web::test]
async fn a_response_head_as_long_as_is_read_ahead_passes() {
    let mut client = proxy(vec![vec![long_head(READ_AHEAD)]]).await;

    let answer = ask(&mut client, LAST).await;

    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[actix_web::test]
async fn a_longer_response_head_is_refused() {
    let mut client = proxy(vec![vec![long_head(READ_AHEAD + 1)]]).await;

    let answer = ask(&mut client, LAST).await;

    assert!(answer.starts_with("HTTP/1.1 502") && answer.ends_with("upstream_broken"), "{answer}");
}

#[actix_web::test]
async fn an_upstream_that_says_nothing_is_given_up() {
    let settings = ForwarderSettings { response_timeout: Duration::from_millis(1), ..ForwarderSettings::default() };
    let mut client = patient_proxy(vec![vec!["", OK]], settings).await;

    let answer = ask(&mut client, LAST).await;

    assert!(answer.ends_with("upstream_timeout"), "{answer}");
}
