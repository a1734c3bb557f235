//! Probe of an Upstream for `oauth-proxy check`: DNS, connection, TLS, and a response to a `Host`.
//!
//! Has no session and accepts every status; the proxy itself uses `pool`.

use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector};
use hyper::header::LOCATION;

use super::origin_mapping::OriginMapping;
use super::own_login::is_prompted_for;
use super::public_side::PublicSide;
use super::routes::{Route, RouteTable};
use super::upstream_host::UpstreamHost;
use crate::tls::{is_certificate_error, with_hint};

/// Challenge of this service's own 401 (RFC 9110 11.6.1).
pub const SIGN_IN_CHALLENGE: &str = "Cookie realm=\"sign-in\"";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout from the DNS lookup to the response head.
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
    /// A port for https got plain HTTP.
    #[error("that port speaks TLS: write https in its URL")]
    PlainToTls,
}

/// Response head of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeResponse {
    /// Status code.
    pub status: u16,
    /// True for a redirect to the requested URL itself.
    pub redirects_to_itself: bool,
    /// True for a login of its own that browsers prompt for.
    pub asks_for_login: bool,
    /// True for the 401 of this service, which would forward to itself.
    pub is_this_service: bool,
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
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = Connector::new().rustls_0_23(Arc::new(tls));
    let connector = connector.timeout(CONNECT_TIMEOUT).handshake_timeout(CONNECT_TIMEOUT);
    let client = Client::builder().connector(connector).disable_redirects().timeout(RESPONSE_TIMEOUT).finish();
    let user_agent = concat!("apim-oauth-proxy/", env!("CARGO_PKG_VERSION"));
    let mapping = OriginMapping { public, route, routes };
    let request = client.get(route.upstream().url()).insert_header(("user-agent", user_agent)).force_close();
    let mut request = request.insert_header(("host", mapping.host_header(host).as_bytes()));
    for (name, value) in public.forwarded_headers() {
        request = request.insert_header((name.as_str(), value.as_bytes()));
    }
    let response = request.send().await;
    let is_refused = response.as_ref().map_or_else(is_hang_up, |response| response.status().as_u16() == 400);
    if is_refused && speaks_tls(route, &client).await {
        return Err(ProbeError::PlainToTls);
    }
    let response = response.map_err(failure)?;
    let location = response.headers().get("location").map(awc::http::header::HeaderValue::as_bytes);
    let redirects_to_itself = location.is_some_and(|location| {
        let seen = mapping.public_value(&LOCATION, location);
        let seen = seen.as_deref().unwrap_or(location);
        let path = seen.strip_prefix(public.origin().as_str().as_bytes()).unwrap_or(seen);
        matches!(path, b"" | b"/")
    });
    let challenges = || response.headers().get_all("www-authenticate").map(awc::http::header::HeaderValue::as_bytes);
    let status = response.status().as_u16();
    Ok(ProbeResponse {
        status,
        redirects_to_itself,
        asks_for_login: status == 401 && challenges().any(is_prompted_for),
        is_this_service: challenges().any(|challenge| challenge == SIGN_IN_CHALLENGE.as_bytes()),
    })
}

/// True if an http Upstream responds to a TLS handshake. Servers meet plain HTTP there with 400 or a closed connection.
async fn speaks_tls(route: &Route, client: &Client) -> bool {
    let url = route.upstream().url();
    let Some(rest) = url.strip_prefix("http://") else { return false };
    match client.get(format!("https://{rest}")).force_close().send().await {
        Ok(_) => true,
        // A certificate that is not trusted came in a handshake; bytes of HTTP did not.
        Err(SendRequestError::Connect(ConnectError::Io(error))) => is_certificate_error(&error),
        Err(_) => false,
    }
}

fn is_hang_up(error: &SendRequestError) -> bool {
    matches!(error, SendRequestError::Connect(ConnectError::Disconnected) | SendRequestError::Response(_))
}

fn failure(error: SendRequestError) -> ProbeError {
    match error {
        // awc's error for a connection that closed before the response.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            ProbeError::Response("it closes the connection".into())
        }
        SendRequestError::Connect(ConnectError::Resolver(error)) => ProbeError::Name(error.to_string()),
        SendRequestError::Connect(ConnectError::NoRecords) => ProbeError::Name("it has no address".into()),
        // An error of the operating system has a number, one of TLS has none.
        SendRequestError::Connect(ConnectError::Io(error)) if error.raw_os_error().is_none() => {
            ProbeError::Tls(with_hint(error).to_string())
        }
        SendRequestError::Connect(error) => ProbeError::Connection(error.to_string()),
        error => ProbeError::Response(error.to_string()),
    }
}
