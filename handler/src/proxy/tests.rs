//! Forwarding on the wire: a real server and raw Upstreams, all on loopback.

mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use futures_core::future::LocalBoxFuture;

/// Trigger that cuts the next request.
type Cut = Arc<Mutex<Option<oneshot::Receiver<()>>>>;

async fn relay(
    req: HttpRequest,
    payload: web::Payload,
    routes: web::Data<RouteTable>,
    public: web::Data<PublicSide>,
    by: web::Data<Forwarder>,
    cut: web::Data<Cut>,
) -> HttpResponse {
    let cut = cut.lock().unwrap().take();
    let own_cookies = OwnCookies::new(vec!["session".to_owned()]);
    let target = RequestTarget::parse(req.uri().path_and_query().unwrap().as_str()).unwrap();
    let request = ForwardRequest {
        route: routes.find(target.path()).unwrap().unwrap(),
        routes: &routes,
        public: &public,
        method: req.method(),
        target,
        headers: req.headers(),
        header_rules: &HeaderRules::default(),
        injected: Vec::new(),
        own_cookies: &own_cookies,
        authenticated: false,
        cutoff: cut.map(|cut| -> LocalBoxFuture<'static, ()> {
            Box::pin(async {
                cut.await.unwrap();
            })
        }),
    };
    match by.forward(request, payload).await {
        Ok(response) => response,
        Err(error) => HttpResponse::BadGateway().body(error.code()),
    }
}

/// Proxy in front of an Upstream that responds to each connection's requests with the next of `responses`, then closes.
async fn proxy(connections: Vec<Vec<&'static str>>) -> TcpStream {
    patient_proxy(connections, ForwarderSettings::default()).await
}

async fn patient_proxy(connections: Vec<Vec<&'static str>>, settings: ForwarderSettings) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    rt::spawn(async move {
        for responses in connections {
            let (mut socket, _) = listener.accept().await.unwrap();
            for response in responses {
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    if socket.read_buf(&mut seen).await.unwrap() == 0 {
                        break;
                    }
                }
                socket.write_all(response.as_bytes()).await.unwrap();
            }
        }
    });
    TcpStream::connect(serve(url, settings, None)).await.unwrap()
}

/// Starts a proxy in front of the Upstream at `url`; returns the proxy's address.
fn serve(url: String, settings: ForwarderSettings, cut: Option<oneshot::Receiver<()>>) -> SocketAddr {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    serve_routes(format!(r#"[{{"path":"/","upstream":"{url}"}}]"#), tls, settings, cut)
}

fn serve_routes(
    routes: String,
    tls: rustls::ClientConfig,
    settings: ForwarderSettings,
    cut: Option<oneshot::Receiver<()>>,
) -> SocketAddr {
    let cut: Cut = Arc::new(Mutex::new(cut));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(RouteTable::parse(&routes).unwrap()))
            .app_data(web::Data::new(PublicSide::new("https://app.example".parse().unwrap())))
            .app_data(web::Data::new(Arc::clone(&cut)))
            .app_data(web::Data::new(Forwarder::new(Arc::new(tls.clone()), settings)))
            .default_service(web::to(relay))
    });
    let server = server.workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    rt::spawn(server.run());
    address
}

async fn ask(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    response
}

const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: session=x\r\nSet-Cookie: b=2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: p\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";

#[actix_web::test]
async fn several_set_cookies_pass_and_ours_does_not() {
    let mut client = proxy(vec![vec![OK]]).await;

    let response = ask(&mut client, LAST).await;

    assert!(response.contains("set-cookie: a=1") && response.contains("set-cookie: b=2"), "{response}");
    assert!(!response.contains("session") && response.ends_with("\r\n\r\nok"), "{response}");
}

#[actix_web::test]
async fn a_get_on_a_stale_connection_is_sent_again() {
    let mut client = proxy(vec![vec![OK, ""], vec![OK]]).await;

    let responses = ask(&mut client, &format!("{GET}{LAST}")).await;

    assert_eq!(responses.matches("200 OK").count(), 2, "{responses}");
}

#[actix_web::test]
async fn a_304_writes_no_stray_chunk() {
    let mut client = proxy(vec![vec!["HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"]]).await;

    let response = ask(&mut client, LAST).await;

    assert!(response.ends_with("\r\n\r\n") && !response.contains("chunked"), "{response}");
}

#[actix_web::test]
async fn an_upstream_that_dies_in_its_body_never_looks_complete() {
    let mut client = proxy(vec![vec!["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"]]).await;

    let response = ask(&mut client, GET).await;

    assert!(response.contains("ok") && !response.ends_with("0\r\n\r\n"), "{response}");
}

#[actix_web::test]
async fn an_early_413_reaches_the_client() {
    let mut client = proxy(vec![vec!["HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"]]).await;

    let response = ask(&mut client, "POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\nx").await;

    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
}

/// Response with a head of this many bytes.
fn long_head(length: usize) -> &'static str {
    let frame = |name: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: {name}\r\n\r\n");
    let padding = "a".repeat(length - frame("").len());
    format!("{}ok", frame(&padding)).leak()
}

#[actix_web::test]
async fn a_response_head_as_long_as_is_read_ahead_passes() {
    let mut client = proxy(vec![vec![long_head(READ_AHEAD)]]).await;

    let response = ask(&mut client, LAST).await;

    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("\r\n\r\nok"), "{response}");
}

#[actix_web::test]
async fn a_longer_response_head_is_refused() {
    let mut client = proxy(vec![vec![long_head(READ_AHEAD + 1)]]).await;

    let response = ask(&mut client, LAST).await;

    assert!(response.starts_with("HTTP/1.1 502") && response.ends_with("upstream_broken"), "{response}");
}

#[actix_web::test]
async fn an_upstream_that_says_nothing_is_given_up() {
    let settings = ForwarderSettings { response_timeout: Duration::from_millis(1), ..ForwarderSettings::default() };
    let mut client = patient_proxy(vec![vec!["", OK]], settings).await;

    let response = ask(&mut client, LAST).await;

    assert!(response.ends_with("upstream_timeout"), "{response}");
}

/// Forwarded request that the test can cut: the client's socket, and the Upstream's after it has read `request`.
struct CuttableExchange {
    client: TcpStream,
    upstream: TcpStream,
    cut: oneshot::Sender<()>,
}

impl CuttableExchange {
    async fn begin(request: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = ForwarderSettings { unchecked: Duration::ZERO, ..ForwarderSettings::default() };
        let (cut, receiver) = oneshot::channel();
        let mut client = TcpStream::connect(serve(url, settings, Some(receiver))).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        read_through(&mut upstream, &request[request.find("\r\n\r\n").unwrap()..]).await;
        Self { client, upstream, cut }
    }

    /// Lets the Upstream send `response`, cuts once the client has read its end, and returns all that follows.
    async fn cut_after(mut self, response: &str) -> String {
        self.upstream.write_all(response.as_bytes()).await.unwrap();
        read_through(&mut self.client, &response[response.len() - 2..]).await;
        self.cut.send(()).unwrap();
        let mut rest = String::new();
        self.client.read_to_string(&mut rest).await.unwrap();
        self.upstream.read_to_end(&mut Vec::new()).await.unwrap(); // the end of its connection
        rest
    }
}

async fn read_through(socket: &mut TcpStream, end: &str) {
    let mut seen = Vec::new();
    while !seen.windows(end.len()).any(|part| part == end.as_bytes()) {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\nxy";

#[actix_web::test]
async fn an_event_stream_that_is_cut_never_looks_complete() {
    let exchange = CuttableExchange::begin(GET).await;

    let rest = exchange.cut_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevnt").await;

    assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
}

#[actix_web::test]
async fn a_download_that_is_cut_is_shorter_than_its_length() {
    let exchange = CuttableExchange::begin(GET).await;

    let rest = exchange.cut_after("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok").await;

    assert_eq!(rest, "");
}

#[actix_web::test]
async fn an_upload_that_is_cut_before_the_response_head_gets_an_error() {
    let CuttableExchange { mut client, mut upstream, cut } = CuttableExchange::begin(UPLOAD).await;

    cut.send(()).unwrap();

    read_through(&mut client, "exchange_cut").await;
    upstream.read_to_end(&mut Vec::new()).await.unwrap(); // the end of its connection
}

#[actix_web::test]
async fn a_request_that_waits_for_its_response_head_is_cut() {
    let CuttableExchange { mut client, mut upstream, cut } = CuttableExchange::begin(GET).await;

    cut.send(()).unwrap();

    read_through(&mut client, "exchange_cut").await;
    upstream.read_to_end(&mut Vec::new()).await.unwrap(); // the end of its connection
}

#[actix_web::test]
async fn an_upload_that_is_cut_after_the_response_head_ends_both_ways() {
    let exchange = CuttableExchange::begin(UPLOAD).await;

    let rest = exchange.cut_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok").await;

    assert!(!rest.contains("0\r\n\r\n"), "{rest:?}");
}

#[actix_web::test]
async fn an_upstream_that_never_pauses_is_cut() {
    let CuttableExchange { mut client, mut upstream, cut } = CuttableExchange::begin(GET).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let sent = rt::spawn(async move { while upstream.write_all(&[0; 64 * 1024]).await.is_ok() {} });
    client.read_exact(&mut vec![0; 1024 * 1024]).await.unwrap();

    cut.send(()).unwrap();

    let _ = client.read_to_end(&mut Vec::new()).await; // to its end, or its reset
    sent.await.unwrap();
}

#[actix_web::test]
async fn an_exchange_that_ends_before_it_is_cut_is_whole() {
    let CuttableExchange { mut client, mut upstream, cut: _cut } = CuttableExchange::begin(GET).await;
    upstream.write_all(OK.as_bytes()).await.unwrap();
    read_through(&mut client, "\r\n\r\nok").await;

    client.write_all(LAST.as_bytes()).await.unwrap();

    read_through(&mut upstream, "\r\n\r\n").await; // the same connection: it went back to the pool
}
