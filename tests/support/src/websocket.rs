//! Both ends of a WebSocket: an application that accepts sockets, and a browser that opens them.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::Response;
use tungstenite::handshake::derive_accept_key;
use tungstenite::http::{HeaderName, HeaderValue, Request};
use tungstenite::protocol::Role;
use tungstenite::{HandshakeError, WebSocket};

use crate::upstream::Received;
use crate::{Browser, LIMIT};

/// A refused handshake: its status, its headers and what came of its body.
pub type Refused = tungstenite::http::Response<Option<Vec<u8>>>;

/// The frames of one end over any stream.
pub type Socket<S> = WebSocket<S>;

/// True if an application was sent a handshake.
#[must_use]
pub fn is_handshake(request: &Received) -> bool {
    request.header("upgrade") == Some("websocket")
}

/// The 101 of an application, with more header lines.
///
/// # Panics
/// Without a `Sec-WebSocket-Key`.
#[must_use]
pub fn switching(request: &Received, more: &[&str]) -> String {
    let accept = derive_accept_key(request.header("sec-websocket-key").expect("a key").as_bytes());
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n{more}\r\n"
    )
}

/// Accepts a handshake on an application's side.
///
/// # Panics
/// When the connection is gone.
#[must_use]
pub fn accept(
    request: &Received,
    reader: &BufReader<TcpStream>,
    stream: &TcpStream,
    more: &[&str],
) -> Socket<TcpStream> {
    let mut stream = stream.try_clone().unwrap();
    stream.write_all(switching(request, more).as_bytes()).unwrap();
    WebSocket::from_partially_read(stream, reader.buffer().to_vec(), Role::Server, None)
}

/// Sends every message back until the socket is closed; true if that was by its handshake (RFC 6455 7.1.4).
pub fn echo<S: Read + Write>(mut socket: Socket<S>) -> bool {
    loop {
        match socket.read() {
            Ok(message) if message.is_text() || message.is_binary() => {
                if socket.send(message).is_err() {
                    return false;
                }
            }
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return true,
            Err(_) => return false,
        }
    }
}

impl Browser {
    /// The head of a handshake of a page of this site, with the cookies of the site.
    #[must_use]
    pub fn handshake(&self, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let host = self.origin().trim_start_matches("http://");
        let mut request = format!("ws://{host}{path}").into_client_request().expect("a request");
        let cookies = self.cookie_header();
        let own = [("origin", self.origin()), ("cookie", cookies.as_str()), ("sec-fetch-mode", "websocket")];
        for (name, value) in own.iter().chain(headers) {
            let name: HeaderName = name.parse().expect("a name");
            match *value {
                "" => request.headers_mut().remove(name),
                value => request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value")),
            };
        }
        request
    }

    /// Opens a socket from a page of this site. A header without a value is left out.
    ///
    /// # Errors
    /// The response, when it is not 101.
    pub fn open_socket(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Socket<TcpStream>, Response), Box<Refused>> {
        let stream = TcpStream::connect(self.origin().trim_start_matches("http://")).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        match tungstenite::client(self.handshake(path, headers), stream) {
            Ok(opened) => Ok(opened),
            Err(HandshakeError::Failure(tungstenite::Error::Http(refused))) => Err(refused),
            Err(other) => panic!("no handshake: {other}"),
        }
    }
}

/// Reads to the end of the connection, which may be a reset.
///
/// # Panics
/// When it is still open after [`LIMIT`].
pub fn read_to_its_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert!(!read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock), "the connection is still open");
    rest
}
