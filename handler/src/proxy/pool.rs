//! Connection pool of one worker to its Upstreams.
//!
//! One thread uses a pool, so it needs no lock. A connection out of the pool is owned by one exchange, and dropping it
//! closes its socket.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::client_socket::keep_alive;
use super::early_response_io::EarlyResponseIo;
use super::request_body::RequestBody;
use super::upstream::Upstream;

/// Maximum idle connections that a worker keeps to one Upstream.
const MAX_IDLE: usize = 64;

/// Size of a response read, and so the maximum response head; also the most of a request that waits for an Upstream
/// that doesn't read. hyper's own bound for each is 400 KiB. (Its `read_buf_exact_size` would be a little faster, and
/// leaves the second without ours: a hundred stuck uploads then hold 110 MB.)
pub const READ_AHEAD: usize = 16 * 1024;

/// One HTTP/1.1 connection to an Upstream.
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    upstream: usize,
    name: Arc<str>,
    idle_since: Instant,
    driver: rt::task::JoinHandle<()>,
}

impl Connection {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Handle that closes the socket, whoever holds the connection.
    pub(super) fn abort_handle(&self) -> AbortHandle {
        self.driver.abort_handle()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Idle connections per Upstream, the longest idle first.
pub(super) struct Pool {
    idle: RefCell<Vec<(usize, Vec<Connection>)>>,
    idle_timeout: Duration,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), idle_timeout })
    }

    /// Takes the most recently used connection that is still open.
    pub(super) fn take(&self, upstream: &Upstream) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let (_, connections) = idle.iter_mut().find(|(key, _)| *key == upstream.key())?;
        while let Some(connection) = connections.pop() {
            // Not ready means closed, or an Upstream that answered before it read the whole request.
            if connection.sender.is_ready() && connection.idle_since.elapsed() < self.idle_timeout {
                return Some(connection);
            }
        }
        None
    }

    /// Returns a connection after a complete response.
    pub(super) fn put(&self, mut connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let at = match idle.iter().position(|(key, _)| *key == connection.upstream) {
            Some(at) => at,
            None => {
                idle.push((connection.upstream, Vec::with_capacity(MAX_IDLE)));
                idle.len() - 1
            }
        };
        let connections = &mut idle[at].1;
        let is_stale = connections
            .first()
            .is_some_and(|first| connection.idle_since.duration_since(first.idle_since) >= self.idle_timeout);
        if is_stale || connections.len() >= MAX_IDLE {
            connections.remove(0);
        }
        connections.push(connection);
    }
}

/// Opens a connection: TCP with `TCP_NODELAY`, and TLS if the Upstream is `https`.
pub(super) async fn connect(upstream: &Upstream, tls: &TlsConnector) -> io::Result<Connection> {
    let tcp = TcpStream::connect(upstream.address()).await?;
    tcp.set_nodelay(true)?;
    keep_alive(&tcp); // a WebSocket may be silent for hours
    let tcp = EarlyResponseIo::new(tcp);
    match upstream.tls() {
        None => handshake(tcp, upstream).await,
        Some(name) => handshake(tls.connect(name.clone(), tcp).await?, upstream).await,
    }
}

async fn handshake<T>(io: T, upstream: &Upstream) -> io::Result<Connection>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    let (sender, driver) =
        client.max_buf_size(READ_AHEAD).handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
    let driver = rt::spawn(async move {
        // The error is reported by the connection's user, who gets it too.
        let _ = driver.with_upgrades().await;
    });
    Ok(Connection {
        sender,
        upstream: upstream.key(),
        name: upstream.shared_name(),
        idle_since: Instant::now(),
        driver,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest as _, dev, web};
    use bytes::Bytes;
    use futures_util::stream;

    use super::super::request_body::Upload;
    use super::*;

    const PIECE: usize = 4 * 1024;

    #[actix_web::test]
    async fn little_of_an_upload_waits_for_an_upstream_that_does_not_read() {
        let taken = Rc::new(Cell::new(0));
        let counted = Rc::clone(&taken);
        let pieces = stream::repeat_with(move || {
            counted.set(counted.get() + PIECE);
            Ok::<_, PayloadError>(Bytes::from_static(&[0; PIECE]))
        });
        let mut endless: dev::Payload = dev::Payload::Stream { payload: Box::pin(pieces) };
        let request = TestRequest::default().to_http_request();
        let payload = web::Payload::from_request(&request, &mut endless).await.unwrap();
        let upload = Rc::new(Upload::new());
        let mut message = hyper::Request::new(RequestBody::Streamed { payload, remaining: None, upload });
        *message.method_mut() = hyper::Method::POST;
        let (ours, _unread) = tokio::io::duplex(1);
        let mut connection = handshake(ours, &Upstream::parse("http://127.0.0.1:1").unwrap()).await.unwrap();

        let _answer = connection.sender.try_send_request(message);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }

        assert!((PIECE..=READ_AHEAD + PIECE).contains(&taken.get()), "{} bytes were taken", taken.get());
    }
}
