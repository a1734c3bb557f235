//! The wire to the Provider: one request, one bounded answer, no redirects, no second try.
//!
//! Knows no endpoint and no message. Says of every failure whether the Provider may have acted on the request.

use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use awc::{Client, ClientRequest, ClientResponse, Connector};
use bytes::Bytes;
use tracing::Instrument as _;

use super::ProviderError;
use super::client_authentication::AuthenticatedForm;

/// No document of a Provider is larger: a JWK Set of a hundred keys with certificates stays below.
pub(super) const LARGEST: usize = 256 * 1024;

/// For the connection with its lookup, and once more for TLS. Time for one lost SYN; a browser waits behind it.
const CONNECT: Duration = Duration::from_secs(3);

/// From the first byte of the lookup to the last of the answer. Below the ten seconds after which people reload,
/// and well below the lease of a refresh.
const EXCHANGE: Duration = Duration::from_secs(8);

/// The longest `Retry-After` that is believed.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// A worker's client.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    exchange: Duration,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new(tls: &rustls::ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector::new().rustls_0_23(Arc::new(tls)).timeout(CONNECT).handshake_timeout(CONNECT);
        let client = Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        Self { client, exchange: EXCHANGE }
    }

    /// The same client with less patience, so that a test needs none.
    #[cfg(test)]
    pub(super) fn with_patience(self, exchange: Duration) -> Self {
        Self { exchange, ..self }
    }

    pub(super) async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Answer, ProviderError> {
        let mut request = self.client.get(url);
        if let Some(token) = bearer {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        self.send(request, String::new()).await
    }

    pub(super) async fn post(&self, url: &str, form: AuthenticatedForm) -> Result<Answer, ProviderError> {
        let mut request = self.client.post(url).insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        if let Some(authorization) = &form.authorization {
            request = request.insert_header((AUTHORIZATION, authorization.as_str()));
        }
        self.send(request, form.body).await
    }

    async fn send(&self, request: ClientRequest, body: String) -> Result<Answer, ProviderError> {
        // A pooled connection that the other side has just closed looks like an answer that was lost, and a code
        // or a refresh token cannot be sent twice to find out: every exchange has its own connection.
        let request = request.insert_header((ACCEPT, "application/json")).no_decompress().force_close();
        let exchange = async {
            let mut answer = request.send_body(body).await.map_err(|error| failure(&error))?;
            let body = answer.body().limit(LARGEST).await.map_err(|_| ProviderError::NoAnswer)?;
            // awc takes the end of a connection for the end of a body. (Of a chunked body too; but half a JSON object
            // is no JSON object.)
            if number(&answer, &CONTENT_LENGTH).is_some_and(|promised| promised != body.len() as u64) {
                return Err(ProviderError::NoAnswer);
            }
            let retry_after =
                number(&answer, &RETRY_AFTER).map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY));
            Ok(Answer { status: answer.status().as_u16(), retry_after, body })
        };
        let span = tracing::trace_span!(target: "span", "call", otel.name = "provider", otel.kind = "client",
            peer.service = "provider");
        let answered = tokio::time::timeout(self.exchange, exchange.instrument(span)).await;
        answered.unwrap_or(Err(ProviderError::NoAnswer))
    }
}

impl Answer {
    /// The body of a 200.
    pub(super) fn ok(self) -> Result<Bytes, ProviderError> {
        if self.status == 200 { Ok(self.body) } else { Err(ProviderError::Status(self.status)) }
    }
}

/// A header that is a number; `Retry-After` may also be a date, which is not worth a parser.
fn number<S>(answer: &ClientResponse<S>, name: &HeaderName) -> Option<u64> {
    answer.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// `Connect(Disconnected)` is what awc says when the answer did not come, not when the connection did not.
fn failure(error: &SendRequestError) -> ProviderError {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => ProviderError::NoAnswer,
        SendRequestError::Connect(error) => ProviderError::Unreachable(error.to_string().into()),
        SendRequestError::Url(_) | SendRequestError::Http(_) => ProviderError::Unreachable(error.to_string().into()),
        _ => ProviderError::NoAnswer,
    }
}
