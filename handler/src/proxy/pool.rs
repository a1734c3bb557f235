//! Connection pool of one worker to its Upstreams.
//!
//! One thread uses a pool, so it needs no lock. A connection out of the pool is owned by one exchange, and dropping it
//! closes its socket.
//!
//! The pool follows the load: it keeps every connection that was in use within the idle timeout, up to a limit. The one
//! used last is taken first, so those that the load no longer needs grow old, and are closed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hint::black_box;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::client_socket::keep_alive;
use super::early_response_io::EarlyResponseIo;
use super::request_body::RequestBody;
use super::upstream::Upstream;
use crate::tls::with_hint;

/// Size of a response read, and the maximum response head; also the most of a request that waits for an Upstream that
/// doesn't read. hyper's own bound for each is 400 KiB. (Its `read_buf_exact_size` would be a little faster, and leaves
/// the last without ours: a hundred stuck uploads then hold 110 MB.)
pub const READ_AHEAD: usize = 32 * 1024;

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

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolSettings {
    /// Maximum idle connections to one Upstream.
    pub(super) max_idle: usize,
    /// Keep-alive timeout: for the next request on an idle connection.
    pub(super) idle_timeout: Duration,
}

/// Idle connections per Upstream.
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    is_swept: Cell<bool>,
    settings: PoolSettings,
}

/// Idle connections to one Upstream, the longest idle first.
struct Idle {
    upstream: usize,
    connections: VecDeque<Connection>,
}

impl Pool {
    pub(super) fn new(settings: PoolSettings) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), is_swept: Cell::default(), settings })
    }

    /// Takes the most recently used connection that is still open.
    pub(super) fn take(&self, upstream: &Upstream) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let idle = idle.iter_mut().find(|idle| idle.upstream == upstream.key())?;
        while let Some(connection) = idle.connections.pop_back() {
            // Not ready means closed, or an Upstream that responded before it read the whole request.
            if connection.sender.is_ready() && connection.idle_since.elapsed() < self.settings.idle_timeout {
                return Some(connection);
            }
        }
        None
    }

    /// Returns a connection after a complete response.
    pub(super) fn put(self: &Rc<Self>, mut connection: Connection) {
        if connection.sender.is_closed() || self.settings.max_idle == 0 {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let at = match idle.iter().position(|idle| idle.upstream == connection.upstream) {
            Some(at) => at,
            None => {
                idle.push(Idle { upstream: connection.upstream, connections: VecDeque::new() });
                idle.len() - 1
            }
        };
        let connections = &mut idle[at].connections;
        if connections.len() >= self.settings.max_idle {
            connections.pop_front();
        }
        connections.push_back(connection);
        if !self.is_swept.replace(true) {
            rt::spawn(Self::sweep(Rc::downgrade(self), self.settings.idle_timeout / SWEEPS));
        }
    }

    /// Closes connections that are idle for too long; ends a period after the last.
    async fn sweep(pool: Weak<Self>, period: Duration) {
        loop {
            sleep(period).await;
            return_freed_memory();
            let Some(pool) = pool.upgrade() else { return };
            if !pool.close_stale(Instant::now()) {
                return;
            }
        }
    }

    /// False if no connection was left before.
    fn close_stale(&self, now: Instant) -> bool {
        let is_stale = |connection: &mut Connection| {
            now.saturating_duration_since(connection.idle_since) >= self.settings.idle_timeout
                || connection.sender.is_closed()
        };
        let mut idle = self.idle.borrow_mut();
        let was_any_left = idle.iter().any(|idle| !idle.connections.is_empty());
        for Idle { connections, .. } in idle.iter_mut() {
            connections.retain_mut(|connection| !is_stale(connection));
            if connections.len() < connections.capacity() / 4 {
                connections.shrink_to_fit();
            }
        }
        self.is_swept.set(was_any_left);
        was_any_left
    }
}

/// Makes the allocator return the memory of closed connections to the system. It does so a second after a page was
/// freed, but only when it frees another, and a worker without requests frees none.
fn return_freed_memory() {
    const MORE_THAN_IT_KEEPS: usize = 1024 * 1024;
    drop(black_box(Vec::<u8>::with_capacity(MORE_THAN_IT_KEEPS)));
}

/// Sweeps within one idle timeout: an idle connection outlives its timeout by a quarter at most.
const SWEEPS: u32 = 4;

/// Opens a connection: TCP with `TCP_NODELAY`, and TLS if the Upstream is `https`.
pub(super) async fn connect(upstream: &Upstream, tls: &TlsConnector) -> io::Result<Connection> {
    let tcp = TcpStream::connect(upstream.address()).await?;
    tcp.set_nodelay(true)?;
    keep_alive(&tcp); // a WebSocket may be silent for hours
    let tcp = EarlyResponseIo::new(tcp);
    match upstream.tls() {
        None => handshake(tcp, upstream).await,
        Some(name) => {
            let stream = tls.connect(name.clone(), tcp).await.map_err(with_hint)?;
            handshake(stream, upstream).await
        }
    }
}

async fn handshake<T>(io: T, upstream: &Upstream) -> io::Result<Connection>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(READ_AHEAD).max_header_size(READ_AHEAD);
    let (sender, driver) = client.handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
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
    use tokio::io::{AsyncReadExt as _, DuplexStream};
    use tokio::task::yield_now;

    use super::super::request_body::Upload;
    use super::*;

    const PIECE: usize = 4 * 1024;

    const UPSTREAM: &str = "http://127.0.0.1:1";

    fn pool(max_idle: usize, idle_timeout: Duration) -> Rc<Pool> {
        Pool::new(PoolSettings { max_idle, idle_timeout })
    }

    /// Connections to `upstream` and the Upstream's ends of them.
    async fn connections(upstream: &Upstream, count: usize) -> (Vec<Connection>, Vec<DuplexStream>) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (near, far) = tokio::io::duplex(1_024);
            ours.push(handshake(near, upstream).await.unwrap());
            theirs.push(far);
        }
        (ours, theirs)
    }

    async fn is_closed(end: &mut DuplexStream) -> bool {
        end.read(&mut [0; 1]).await.unwrap() == 0
    }

    #[actix_web::test]
    async fn as_many_connections_are_kept_as_were_in_use() {
        let upstream = Upstream::parse(UPSTREAM).unwrap();
        let pool = pool(1_000, Duration::MAX);
        let (used, _theirs) = connections(&upstream, 300).await;

        used.into_iter().for_each(|connection| pool.put(connection));
        for _ in 0..1_000 {
            yield_now().await; // until every connection's task has said that it is ready
        }

        let taken: Vec<_> = std::iter::from_fn(|| pool.take(&upstream)).collect();
        assert_eq!(taken.len(), 300);
    }

    #[actix_web::test]
    async fn one_connection_too_many_closes_the_one_that_was_idle_longest() {
        let upstream = Upstream::parse(UPSTREAM).unwrap();
        let pool = pool(2, Duration::MAX);
        let (used, mut theirs) = connections(&upstream, 3).await;

        used.into_iter().for_each(|connection| pool.put(connection));

        assert!(is_closed(&mut theirs[0]).await);
        assert_eq!(std::iter::from_fn(|| pool.take(&upstream)).count(), 2);
    }

    #[actix_web::test]
    async fn a_pool_for_nothing_closes_every_connection() {
        let upstream = Upstream::parse(UPSTREAM).unwrap();
        let pool = pool(0, Duration::MAX);
        let (mut used, mut theirs) = connections(&upstream, 1).await;

        pool.put(used.remove(0));

        assert!(is_closed(&mut theirs[0]).await);
    }

    #[actix_web::test]
    async fn a_connection_that_nobody_uses_is_closed_though_nobody_asks_for_one() {
        let upstream = Upstream::parse(UPSTREAM).unwrap();
        let pool = pool(10, Duration::ZERO);
        let (mut used, mut theirs) = connections(&upstream, 1).await;

        pool.put(used.remove(0));

        assert!(is_closed(&mut theirs[0]).await);
        assert!(pool.idle.borrow().iter().all(|idle| idle.connections.is_empty()));
        let (mut used, mut theirs) = connections(&upstream, 1).await;
        pool.put(used.remove(0));
        assert!(is_closed(&mut theirs[0]).await, "sweeping starts again");
    }

    #[actix_web::test]
    async fn only_those_that_the_load_no_longer_needs_grow_old() {
        let upstream = Upstream::parse(UPSTREAM).unwrap();
        let pool = pool(10, Duration::from_secs(60));
        let (used, mut theirs) = connections(&upstream, 2).await;
        used.into_iter().for_each(|connection| pool.put(connection));
        let later = Instant::now() + Duration::from_secs(60);
        yield_now().await;
        let again = pool.take(&upstream).unwrap();
        while Instant::now() + Duration::from_secs(60) == later {} // the clock must tick once
        pool.put(again);

        assert!(pool.close_stale(later));

        assert!(is_closed(&mut theirs[0]).await);
        assert!(pool.take(&upstream).is_some());
    }

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

        let _response = connection.sender.try_send_request(message);
        for _ in 0..1_000 {
            yield_now().await;
        }

        assert!((PIECE..=READ_AHEAD + PIECE).contains(&taken.get()), "{} bytes were taken", taken.get());
    }
}
