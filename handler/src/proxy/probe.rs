//! One request to an Upstream, for `oauth-proxy check`: does it resolve, connect, speak TLS and respond?
//!
//! Carries no session and judges no status; the proxy itself uses `pool`.

use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector};

use super::upstream::Upstream;
use crate::tls::with_hint;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// From the lookup to the head of the response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);

/// Why an Upstream did not respond.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Name(String),
    /// No connection.
    #[error("it cannot be connected to: {0}")]
    Connection(String),
    /// No TLS, or a certificate that nothing here trusts.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// No response in time, or none that is HTTP.
    #[error("it does not respond: {0}")]
    Response(String),
}

/// Gets the base URL of an Upstream and returns the status of the response, without following a redirect.
///
/// # Errors
/// See [`ProbeError`].
pub async fn probe(upstream: &Upstream, tls: &rustls::ClientConfig) -> Result<u16, ProbeError> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = Connector::new().rustls_0_23(Arc::new(tls));
    let connector = connector.timeout(CONNECT_TIMEOUT).handshake_timeout(CONNECT_TIMEOUT);
    let client = Client::builder().connector(connector).disable_redirects().timeout(RESPONSE_TIMEOUT).finish();
    let user_agent = concat!("apim-oauth-proxy/", env!("CARGO_PKG_VERSION"));
    let request = client.get(upstream.url()).insert_header(("user-agent", user_agent)).force_close();
    request.send().await.map(|response| response.status().as_u16()).map_err(failure)
}

fn failure(error: SendRequestError) -> ProbeError {
    match error {
        // awc's word for a connection that was made and closed before the response.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            ProbeError::Response("it closes the connection".into())
        }
        SendRequestError::Connect(ConnectError::Resolver(error)) => ProbeError::Name(error.to_string()),
        SendRequestError::Connect(ConnectError::NoRecords) => ProbeError::Name("it has no address".into()),
        // An error of the system has a number, one of TLS has none.
        SendRequestError::Connect(ConnectError::Io(error)) if error.raw_os_error().is_none() => {
            ProbeError::Tls(with_hint(error).to_string())
        }
        SendRequestError::Connect(error) => ProbeError::Connection(error.to_string()),
        error => ProbeError::Response(error.to_string()),
    }
}
