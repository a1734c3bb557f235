//! Relay of an upgraded connection: bytes in both directions, until either side or the session ends it.
//!
//! Parses no frame: extensions, fragments and close codes belong to the two ends. Each socket has a task of its
//! own, because the server polls no response body while its client does not read.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt;
use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, split};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client_socket::ClientSocket;
use super::cutoff::Cutoff;
use super::pool::READ_AHEAD;

/// Timeout for an Upstream's last bytes after the client has ended its own direction.
const HALF_CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Client's side of a socket, and the events that end it from outside.
pub struct WebSocketClient {
    /// The client's connection; without it a cut takes effect when the client reads again.
    pub socket: Option<ClientSocket>,
    /// Cancelled when the process ends: sockets do not delay it.
    pub stopping: CancellationToken,
    /// Request identifier of the handshake in the log.
    pub request_id: String,
}

/// A socket after its handshake.
pub(super) struct Relay {
    pub(super) client: WebSocketClient,
    pub(super) payload: Payload,
    pub(super) cutoff: Cutoff,
    pub(super) upstream_name: Arc<str>,
}

/// Bytes to the client: the body of the response 101.
pub(super) struct RelayBody(mpsc::Receiver<Bytes>);

/// End of a socket, by the side that ended it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    /// The client ended its direction, and the Upstream did not follow before the timeout.
    HalfClosed,
    Upstream,
    Session,
    Shutdown,
}

impl Relay {
    /// Starts the task; it ends if the body is dropped.
    pub(super) fn start(self, upstream: impl AsyncRead + AsyncWrite + 'static) -> RelayBody {
        let (to_client, body) = mpsc::channel(1);
        rt::spawn(self.run(upstream, to_client));
        RelayBody(body)
    }

    async fn run(mut self, upstream: impl AsyncRead + AsyncWrite, to_client: mpsc::Sender<Bytes>) {
        let started = Instant::now();
        let from_client = Cell::new(0);
        let from_upstream = Cell::new(0);
        let end = {
            let (mut reader, mut writer) = split(upstream);
            let upload = upload(&mut self.payload, &mut writer, &from_client);
            let download = download(&mut reader, &to_client, &from_upstream);
            let stopping = self.client.stopping.clone();
            let relayed = async {
                tokio::select! {
                    end = relay(upload, download) => end,
                    () = to_client.closed() => End::Client,
                    () = stopping.cancelled() => End::Shutdown,
                }
            };
            self.cutoff.or(relayed).await.unwrap_or(End::Session)
        };
        if let Some(socket) = &self.client.socket {
            match end {
                End::Client | End::Upstream => socket.stop_reading(), // what is there is still written
                End::HalfClosed | End::Session | End::Shutdown => socket.close(),
            }
        }
        drop(to_client); // only now: the server must find the socket ended
        let Self { client: WebSocketClient { request_id, .. }, upstream_name, .. } = self;
        tracing::info!(
            target: "request",
            ended_by = end.name(),
            request.id = request_id.as_str(),
            upstream.name = &*upstream_name,
            bytes_from_client = from_client.get(),
            bytes_from_upstream = from_upstream.get(),
            duration_ms = started.elapsed().as_secs_f64() * 1_000.0,
            "websocket closed"
        );
    }
}

/// Relays both directions. The Upstream's end ends the socket; the client's end is passed on, and the Upstream may
/// finish.
async fn relay(upload: impl Future<Output = ()>, download: impl Future<Output = ()>) -> End {
    let mut download = pin!(download);
    tokio::select! {
        biased;
        () = &mut download => return End::Upstream,
        () = upload => {}
    }
    match timeout(HALF_CLOSE_LIMIT, download).await {
        Ok(()) => End::Client,
        Err(_) => End::HalfClosed,
    }
}

/// Completes at the client's last byte. Bytes that the Upstream no longer reads are discarded: it may still send.
async fn upload(payload: &mut Payload, writer: &mut (impl AsyncWrite + Unpin), count: &Cell<u64>) {
    let mut is_refused = false;
    // The server reports the end of a client's stream as an error: an upgraded message has no other end.
    while let Some(Ok(bytes)) = payload.next().await {
        count.set(count.get() + bytes.len() as u64);
        if !is_refused {
            is_refused = writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err();
        }
    }
    let _ = writer.shutdown().await;
}

/// Completes at the Upstream's end.
async fn download(reader: &mut (impl AsyncRead + Unpin), to_client: &mpsc::Sender<Bytes>, count: &Cell<u64>) {
    while let Some(bytes) = read(reader).await {
        count.set(count.get() + bytes.len() as u64);
        // Bounded to one read here and one in the channel; then the Upstream has to wait.
        if to_client.send(bytes).await.is_err() {
            return;
        }
    }
}

/// Reads the next bytes; `None` at the end or on an error. Holds no buffer while it waits: most sockets are silent.
async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    poll_fn(|cx| {
        let mut scratch = [MaybeUninit::uninit(); READ_AHEAD];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        let read = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
        let is_over = read.is_err() || buffer.filled().is_empty();
        Poll::Ready((!is_over).then(|| Bytes::copy_from_slice(buffer.filled())))
    })
    .await
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Client | Self::HalfClosed => "client",
            Self::Upstream => "upstream",
            Self::Session => "session",
            Self::Shutdown => "shutdown",
        }
    }
}

impl MessageBody for RelayBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io;
    use std::rc::Rc;

    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest as _, dev};
    use futures_util::stream;

    use super::*;

    const PIECE: usize = 4 * 1024;

    #[actix_web::test]
    async fn an_upstream_that_never_ends_after_its_client_is_cut() {
        tokio::time::pause(); // the limit passes as soon as nothing else is to do

        assert_eq!(relay(ready(()), pending()).await, End::HalfClosed);
    }

    #[actix_web::test]
    async fn the_first_to_end_is_named() {
        assert_eq!(relay(pending(), ready(())).await, End::Upstream);
        assert_eq!(relay(ready(()), async { tokio::task::yield_now().await }).await, End::Client);
    }

    /// Stream that reads nothing: every write fails.
    struct Refusing;

    impl AsyncWrite for Refusing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn payload(bytes: impl futures_core::Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Payload {
        let mut payload: dev::Payload = dev::Payload::Stream { payload: Box::pin(bytes) };
        Payload::from_request(&TestRequest::default().to_http_request(), &mut payload).await.unwrap()
    }

    #[actix_web::test]
    async fn an_upstream_that_takes_no_more_does_not_hide_the_end_of_the_client() {
        let pieces = stream::iter([Ok(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"two"))]);
        let count = Cell::new(0);

        upload(&mut payload(pieces).await, &mut Refusing, &count).await;

        assert_eq!(count.get(), 6);
    }

    #[actix_web::test]
    async fn little_waits_for_a_client_that_does_not_read() {
        let (ours, mut theirs) = tokio::io::duplex(READ_AHEAD);
        let endless = stream::pending::<Result<Bytes, PayloadError>>();
        let payload = payload(endless).await;
        let client = WebSocketClient { socket: None, stopping: CancellationToken::new(), request_id: String::new() };
        let relay = Relay { client, payload, cutoff: Cutoff::new(None), upstream_name: "app".into() };

        let _body = relay.start(ours);
        let taken = Rc::new(Cell::new(0));
        let counted = Rc::clone(&taken);
        rt::spawn(async move {
            while theirs.write_all(&[0; PIECE]).await.is_ok() {
                counted.set(counted.get() + PIECE);
            }
        });
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }

        assert!((PIECE..=4 * READ_AHEAD).contains(&taken.get()), "{} bytes were taken", taken.get());
    }
}
