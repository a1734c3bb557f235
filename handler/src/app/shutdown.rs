//! The end of the process by a signal: work that must not be lost is finished first.
//!
//! Knows no session; the caller says what must be drained.

use std::future::Future;
use std::io;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use futures_util::future::join;
use tokio::time::timeout;

/// The longest drain. Enough for a refresh at a slow Provider (25 s) whose write is retried (12 s), but not if its
/// client assertion, its lease and the last attempt are slow besides. With the 5 s that the server then gives its
/// connections the process ends before a grace period of 60 s does.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(45);

/// The two signals that ask the process to end.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes over both from their default, which is to end the process at once.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs the server until a signal: then `drain` completes while it still responds, and it stops. A second signal stops it
/// at once.
///
/// # Errors
/// When the server fails.
pub(super) async fn run(
    mut server: Server,
    mut signal: impl AsyncFnMut(),
    drain: impl Future<Output = ()>,
) -> io::Result<()> {
    tokio::select! {
        ended = &mut server => return ended,
        () = signal() => tracing::info!("stopping: draining refreshes and sign-ins"),
    }
    let handle = server.handle();
    let stop = async {
        if timeout(DRAIN_LIMIT, drain).await.is_err() {
            tracing::error!(code = "drain_timeout", "drain timed out: refreshes or sign-ins in progress may be lost");
        }
        handle.stop(true).await;
    };
    tokio::select! {
        (ended, ()) = join(&mut server, stop) => ended,
        () = signal() => {
            tracing::warn!("stopped without drain: second signal");
            Ok(()) // dropping the server forces its workers to stop, also in the middle of a graceful stop
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::SocketAddr;

    use actix_web::{App, HttpResponse, HttpServer, rt, web};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    fn server() -> (Server, SocketAddr) {
        let server = HttpServer::new(|| App::new().default_service(web::to(HttpResponse::Ok)));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        (server.run(), address)
    }

    async fn get(address: SocketAddr) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        response
    }

    #[actix_web::test]
    async fn requests_are_served_until_the_drain_is_complete_and_none_after_it() {
        let (server, address) = server();
        let (signal, mut signals) = mpsc::unbounded_channel();
        let (begun, has_begun) = oneshot::channel();
        let (finish, finished) = oneshot::channel::<()>();
        let drain = async move {
            begun.send(()).unwrap();
            finished.await.unwrap();
        };
        let running = rt::spawn(run(server, async move || signals.recv().await.unwrap(), drain));

        signal.send(()).unwrap();
        has_begun.await.unwrap();
        let while_draining = get(address).await;
        finish.send(()).unwrap();

        running.await.unwrap().unwrap();
        assert!(while_draining.starts_with("HTTP/1.1 200"), "{while_draining}");
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[actix_web::test]
    async fn a_second_signal_does_not_wait_for_the_drain() {
        let (server, address) = server();
        let (signal, mut signals) = mpsc::unbounded_channel();
        signal.send(()).unwrap();
        signal.send(()).unwrap();

        run(server, async move || signals.recv().await.unwrap(), pending()).await.unwrap();

        assert!(TcpStream::connect(address).await.is_err());
    }

    #[actix_web::test]
    async fn a_drain_that_never_completes_is_given_up() {
        tokio::time::pause(); // the limit passes as soon as nothing else is to do
        let (server, address) = server();
        let (signal, mut signals) = mpsc::unbounded_channel();
        signal.send(()).unwrap();

        run(server, async move || signals.recv().await.unwrap(), pending()).await.unwrap();

        assert!(TcpStream::connect(address).await.is_err());
        drop(signal); // no second signal before the end
    }
}
