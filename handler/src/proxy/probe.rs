//! Probe of an Upstream for `oauth-proxy check`: DNS, connection, TLS, and a response to a `Host`.
//!
//! Has no session and accepts every status; the proxy itself uses `pool`.

use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::origin_mapping::OriginMapping;
use super::public_side::PublicSide;
use super::routes::{Route, RouteTable};
use super::upstream::Upstream;
use super::upstream_host::UpstreamHost;
use crate::tls::with_hint;

/// Timeout of DNS lookup and TCP connection together, and another one of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of the response head.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);

/// Reason why an Upstream did not respond.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name has no address.
    #[error("its name cannot be resolved: {0}")]
    Name(String),
    /// The connection failed.
    #[error("it cannot be connected to: {0}")]
    Connection(String),
    /// The TLS handshake failed, or the certificate is not trusted.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// No HTTP response before the timeout.
    #[error("it does not respond: {0}")]
    Response(String),
}

/// Response head of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeResponse {
    /// Status code.
    pub status: u16,
    /// True for a redirect to the requested URL itself.
    pub redirects_to_itself: bool,
}

/// Requests the base URL of a route's Upstream with a given `Host`, without following a redirect. Connection and
/// certificate are those of the Upstream's own name.
///
/// # Errors
/// See [`ProbeError`].
pub async fn probe(
    route: &Route,
    host: UpstreamHost,
    routes: &RouteTable,
    public: &PublicSide,
    tls: &rustls::ClientConfig,
) -> Result<ProbeResponse, ProbeError> {
    let mapping = OriginMapping { public, route, routes };
    let request = request(&mapping, host).map_err(|error| ProbeError::Response(error.to_string()))?;
    let upstream = route.upstream();
    let tcp = timeout(CONNECT_TIMEOUT, connect(upstream)).await.unwrap_or_else(|_| Err(no_connection()))?;
    let head = match upstream.tls() {
        None => respond(tcp, request).await?,
        Some(name) => {
            let handshake = TlsConnector::from(Arc::new(tls.clone())).connect(name.clone(), tcp);
            let handshake = timeout(CONNECT_TIMEOUT, handshake).await;
            let handshake = handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            respond(handshake.map_err(tls_failure)?, request).await?
        }
    };
    let redirects_to_itself = head.headers().get(LOCATION).is_some_and(|location| {
        let location = location.as_bytes();
        let seen = mapping.public_value(&LOCATION, location);
        let seen = seen.as_deref().unwrap_or(location);
        let path = seen.strip_prefix(public.origin().as_str().as_bytes()).unwrap_or(seen);
        matches!(path, b"" | b"/")
    });
    Ok(ProbeResponse { status: head.status().as_u16(), redirects_to_itself })
}

fn request(mapping: &OriginMapping<'_>, host: UpstreamHost) -> hyper::http::Result<hyper::Request<Empty<Bytes>>> {
    let mut request = hyper::Request::get(format!("{}/", mapping.route.upstream().base_path()))
        .header(HOST, mapping.host_header(host))
        .header(USER_AGENT, concat!("apim-oauth-proxy/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    for (name, value) in mapping.public.forwarded_headers() {
        request = request.header(name, value);
    }
    request.body(Empty::new())
}

async fn connect(upstream: &Upstream) -> Result<TcpStream, ProbeError> {
    let addresses = lookup_host(upstream.address()).await.map_err(|error| ProbeError::Name(error.to_string()))?;
    let mut failure = ProbeError::Name("it has no address".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = ProbeError::Connection(error.to_string()),
        }
    }
    Err(failure)
}

/// Sends the request and reads the head of the response; the connection ends with it.
async fn respond(
    io: impl AsyncRead + AsyncWrite + Unpin,
    request: hyper::Request<Empty<Bytes>>,
) -> Result<hyper::Response<hyper::body::Incoming>, ProbeError> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(io)).await.map_err(|error| no_response(&error))?;
    let sending = async {
        match select(pin!(sender.send_request(request)), pin!(driver)).await {
            Either::Left((response, _)) => response,
            Either::Right((_, sending)) => sending.await, // a connection that ended: it sees why
        }
    };
    let response = timeout(RESPONSE_TIMEOUT, sending).await;
    response.map_err(|_| ProbeError::Response("timeout".to_owned()))?.map_err(|error| no_response(&error))
}

fn no_connection() -> ProbeError {
    ProbeError::Connection("timeout".to_owned())
}

/// The error of a handshake. A system error has a number, a TLS error has none.
fn tls_failure(error: io::Error) -> ProbeError {
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::TimedOut {
        return ProbeError::Connection(error.to_string());
    }
    ProbeError::Tls(with_hint(error).to_string())
}

fn no_response(error: &hyper::Error) -> ProbeError {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return ProbeError::Response("it closes the connection".to_owned());
    }
    ProbeError::Response(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}
