//! HTTP/1.1 over sockets: one connection per request, direct or through a proxy, closed after the response.
//!
//! Has no pool and no retry. A request is written only to an established connection, so a connect error means that
//! it was not sent.

use std::io::{self, Read as _};
use std::pin::pin;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST,
    HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT,
};
use hyper::http::request::Builder;
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method, Uri, upgrade};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::message::{MAX_BODY_LENGTH, MAX_RETRY_AFTER, Request, Response, SEND_TIMEOUT};
use crate::clock::Timestamp;
use crate::egress::Egress;
use crate::oidc::ProviderError;
use crate::tls;

/// Timeout of lookup, TCP, a proxy's tunnel and TLS together. Allows for one lost SYN; a browser waits behind it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const _: () = assert!(
    CONNECT_TIMEOUT.as_millis() < SEND_TIMEOUT.as_millis(),
    "or a timeout of the whole could not tell if the request was sent"
);

/// Maximum size of a response's header section, and size of a read.
const MAX_HEAD_LENGTH: usize = 64 * 1024;

/// Value of `User-Agent` (RFC 9110 10.1.5); firewalls refuse requests without one.
const OUR_USER_AGENT: &str = concat!("apim-oauth-proxy/", env!("CARGO_PKG_VERSION"));

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Sends one request over its own connection.
pub(super) async fn send(egress: &Egress, request: Request<'_>) -> Result<Response, ProviderError> {
    let url: Uri = request.url.parse().map_err(unreachable)?;
    let proxy = egress.proxy(&url);
    let message = message(request, &url, proxy.as_ref()).map_err(unreachable)?;
    let connecting = timeout(CONNECT_TIMEOUT, connect(&url, proxy.as_ref(), &egress.tls())).await;
    let connection = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unreachable)?;

    let (mut sender, driver) = http1().handshake(TokioIo::new(connection)).await.map_err(unreachable)?;
    let sending = async {
        let response = sender.send_request(message).await.map_err(|error| failure(&error))?;
        read(response).await
    };
    drive(driver, sending).await
}

fn message(
    request: Request<'_>,
    url: &Uri,
    proxy: Option<&Intercept>,
) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    // RFC 9112 3.2.2: a forwarding proxy needs the whole URL. Inside a tunnel a proxy sees nothing of the request.
    let forwarding_proxy = proxy.filter(|_| !is_https(url));
    let target = match (forwarding_proxy, url.path_and_query()) {
        (None, Some(path)) => Uri::from(path.clone()),
        (None, None) | (Some(_), _) => url.clone(),
    };
    let message = addressed(request.method.clone(), target, &host_header(url), forwarding_proxy)
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close");
    let message = match request.authorization {
        Some(authorization) => message.header(AUTHORIZATION, sensitive(authorization)?),
        None => message,
    };
    let message = match request.method {
        Method::POST => message.header(CONTENT_TYPE, request.content_type),
        _ => message,
    };
    message.body(Full::from(request.body))
}

/// Request head that is common to our requests and a proxy's `CONNECT`.
fn addressed(method: Method, target: Uri, host: &str, proxy: Option<&Intercept>) -> Builder {
    let message = hyper::Request::builder().method(method).uri(target).header(HOST, host);
    let message = message.header(USER_AGENT, OUR_USER_AGENT);
    match proxy.and_then(Intercept::basic_auth) {
        Some(credentials) => message.header(PROXY_AUTHORIZATION, credentials),
        None => message,
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, hyper::http::Error> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Connects to `url`'s own server or to a forwarding proxy.
async fn connect(url: &Uri, proxy: Option<&Intercept>, tls: &TlsConnector) -> io::Result<Box<dyn Io>> {
    let Some(proxy) = proxy else { return open(url, tls).await };
    let connection = open(proxy.uri(), tls).await.map_err(|error| named("the proxy", &error))?;
    if !is_https(url) {
        return Ok(connection);
    }
    let tunnel = tunnel(connection, url, proxy).await.map_err(|error| named("the proxy", &error))?;
    secure(tunnel, url, tls).await
}

async fn open(url: &Uri, tls: &TlsConnector) -> io::Result<Box<dyn Io>> {
    let tcp = TcpStream::connect((host(url), port(url))).await?;
    tcp.set_nodelay(true)?;
    if is_https(url) { secure(tcp, url, tls).await } else { Ok(Box::new(tcp)) }
}

async fn secure(connection: impl Io + 'static, url: &Uri, connector: &TlsConnector) -> io::Result<Box<dyn Io>> {
    let name = ServerName::try_from(host(url).to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(connector.connect(name, connection).await.map_err(tls::with_hint)?))
}

/// Opens a tunnel with `CONNECT` (RFC 9110 9.3.6).
async fn tunnel(connection: Box<dyn Io>, url: &Uri, proxy: &Intercept) -> io::Result<impl Io + use<>> {
    let authority = format!("{}:{}", url.host().unwrap_or_default(), port(url));
    let target = Uri::try_from(authority.as_str()).map_err(io::Error::other)?;
    let message = addressed(Method::CONNECT, target, &authority, Some(proxy)).body(Empty::<Bytes>::new());
    let message = message.map_err(io::Error::other)?;
    let (mut sender, driver) = http1().handshake(TokioIo::new(connection)).await.map_err(io::Error::other)?;
    let opening = async {
        let response = sender.send_request(message).await.map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(format!("it refuses the tunnel with status {}", response.status().as_u16())));
        }
        upgrade::on(response).await.map_err(io::Error::other)
    };
    drive(driver.with_upgrades(), opening).await.map(TokioIo::new)
}

fn http1() -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1.max_buf_size(MAX_HEAD_LENGTH);
    http1.allow_obsolete_multiline_headers_in_responses(true); // RFC 9112 5.2: a user agent MUST read them
    http1
}

/// Drives a connection until `sending` completes, then closes its socket.
async fn drive<T>(connection: impl Future, sending: impl Future<Output = T>) -> T {
    match select(pin!(sending), pin!(connection)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((_, sending)) => sending.await, // a connection that ended: it sees why
    }
}

async fn read(response: hyper::Response<Incoming>) -> Result<Response, ProviderError> {
    let (head, body) = response.into_parts();
    let body = decode(read_body(&head, body).await?, &head.headers)?;
    let retry_after = retry_after(&head.headers);
    let date = head.headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
    Ok(Response { status: head.status.as_u16(), retry_after, date, body })
}

async fn read_body(head: &Parts, mut body: Incoming) -> Result<Bytes, ProviderError> {
    // RFC 9112 6.3: without either the body ends with its connection.
    let has_length = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            // Without TLS's close_notify (RFC 9112 9.8) the body may be cut. But half a JSON object is no JSON object,
            // and old servers end this way.
            Err(error) if !has_length && is_unexpected_end(&error) => break,
            Err(error) if error.is_incomplete_message() || is_unexpected_end(&error) => {
                return Err(ProviderError::Unreadable("it ends early"));
            }
            Err(error) => return Err(failure(&error)),
        };
        let Ok(data) = frame.into_data() else { continue }; // trailers
        if whole.len() + data.len() > MAX_BODY_LENGTH {
            return Err(ProviderError::Unreadable("it has more than 256 KiB"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// Decompresses a body (RFC 9110 8.4). Some servers ignore `identity`, and a rotated token must not be lost by that.
fn decode(body: Bytes, headers: &HeaderMap) -> Result<Bytes, ProviderError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let coding = codings.next().map_or("", |coding| coding.to_str().unwrap_or("unknown")).trim().to_ascii_lowercase();
    match coding.as_str() {
        _ if codings.next().is_some() => Err(ProviderError::Unreadable("its content coding is unknown")),
        "" | "identity" => Ok(body),
        "gzip" | "x-gzip" => expand(MultiGzDecoder::new(&*body)),
        // RFC 9110 8.4.1.2: `deflate` is zlib's format, but some servers send raw deflate.
        "deflate" => expand(ZlibDecoder::new(&*body)).or_else(|_| expand(DeflateDecoder::new(&*body))),
        _ => Err(ProviderError::Unreadable("its content coding is unknown")),
    }
}

fn expand(decoder: impl io::Read) -> Result<Bytes, ProviderError> {
    let mut whole = Vec::new();
    match decoder.take(MAX_BODY_LENGTH as u64 + 1).read_to_end(&mut whole) {
        Ok(length) if length > MAX_BODY_LENGTH => Err(ProviderError::Unreadable("it has more than 256 KiB")),
        Ok(_) => Ok(whole.into()),
        Err(_) => Err(ProviderError::Unreadable("its content coding is damaged")),
    }
}

/// Value of `Retry-After` (RFC 9110 10.2.3), capped. The date form is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER))
}

/// Parses an HTTP date (RFC 9110 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix(i64::try_from(since_epoch.as_secs()).ok()?))
}

fn is_unexpected_end(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::UnexpectedEof)
}

/// Failure after the connection was established: the Provider may have the request.
fn failure(error: &hyper::Error) -> ProviderError {
    match error.is_parse() {
        true => ProviderError::Unreadable("it is no HTTP/1.1, or its header section has more than 64 KiB"),
        false => ProviderError::NoResponse,
    }
}

fn unreachable(error: impl std::fmt::Display) -> ProviderError {
    ProviderError::Unreachable(error.to_string().into())
}

fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn is_https(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// Host for DNS and TLS: no brackets around IPv6.
fn host(url: &Uri) -> &str {
    let host = url.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if is_https(url) { 443 } else { 80 })
}

/// Value of `Host`, without user information (RFC 9110 7.2).
fn host_header(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
