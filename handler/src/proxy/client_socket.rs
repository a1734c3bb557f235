//! A second handle to a client's connection, which the HTTP server owns.
//!
//! The server closes a connection only after it has written everything, and lingers for a second if the client may
//! still send. A WebSocket must end at once, even if its client does not read. Knows no HTTP.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// The socket of a client's connection. A clone shares it; it stays open until the last one is dropped.
#[derive(Clone, Debug)]
pub struct ClientSocket(Rc<TcpStream>);

impl ClientSocket {
    /// A handle to the connection of `stream`. `None` if the process has no file descriptor left.
    #[must_use]
    pub fn of(stream: &impl AsFd) -> Option<Self> {
        let duplicate = stream.as_fd().try_clone_to_owned().ok()?;
        Some(Self(Rc::new(TcpStream::from(duplicate))))
    }

    /// Shuts down the reading side, so that the server closes once everything is written.
    pub(super) fn stop_reading(&self) {
        let _ = self.0.shutdown(Shutdown::Read); // fails only if the client was faster
    }

    /// Closes both directions; unwritten bytes are lost.
    pub(super) fn close(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// Enables TCP keep-alive; see [`keep_alive`].
    pub(super) fn keep_alive(&self) {
        keep_alive(&*self.0);
    }
}

/// Enables TCP keep-alive after a minute of silence: a vanished peer is noticed within two minutes.
pub(super) fn keep_alive(socket: &impl AsFd) {
    let probes = TcpKeepalive::new().with_time(KEEP_ALIVE_IDLE).with_interval(KEEP_ALIVE_INTERVAL);
    let probes = probes.with_retries(KEEP_ALIVE_RETRIES);
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "TCP keep-alive not set");
    }
}

const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn closing_the_handle_ends_the_connection_that_the_server_still_holds() {
        let (mut client, mut server) = connection();

        ClientSocket::of(&server).unwrap().close();

        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_server_whose_handle_stops_reading_reads_the_end_and_can_still_write() {
        let (mut client, mut server) = connection();

        ClientSocket::of(&server).unwrap().stop_reading();

        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_vanished_peer_is_noticed_within_two_minutes() {
        let (_client, server) = connection();

        ClientSocket::of(&server).unwrap().keep_alive();

        let socket = SockRef::from(&server);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE_IDLE);
        let silence = KEEP_ALIVE_IDLE + KEEP_ALIVE_INTERVAL * KEEP_ALIVE_RETRIES;
        assert!(silence <= Duration::from_secs(120));
    }
}
