//! The wire to the Provider: one request, one bounded response, no redirects, no retry.
//!
//! Knows no endpoint and no message. Tells failures before the request was sent from those after.

#[cfg(test)]
mod scripted;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Method;
use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use awc::{Client, ClientResponse, Connector};
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::ProviderError;
use super::client_authentication::AuthenticatedForm;
#[cfg(test)]
pub(crate) use scripted::{ScriptedRequest, ScriptedWire};

/// No document of a Provider is larger: a JWK Set of a hundred keys with certificates stays below.
pub(super) const MAX_BODY_LENGTH: usize = 256 * 1024;

/// For the connection with its lookup, and once more for TLS. Time for one lost SYN; a browser waits behind it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// From the first byte of the lookup to the last of the response. Below the ten seconds after which people reload,
/// and well below the lease of a refresh.
const SEND_TIMEOUT: Duration = Duration::from_secs(8);

/// The longest request, with its wait for a connection.
pub(super) const MAX_SEND_TIME: Duration = Duration::from_secs(CONNECTION_WAIT.as_secs() + SEND_TIMEOUT.as_secs());

/// A longer `Retry-After` is cut.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Connections under way for one purpose of a worker. Each request has its own.
const MAX_CONNECTIONS: usize = 100;

/// Requests that wait for one of them; the next is refused at once. A Provider that takes half a second serves so many
/// within [`CONNECTION_WAIT`].
const MAX_WAITING: usize = 400;

/// The wait for one of them, before [`SEND_TIMEOUT`] begins: a request that times out while it waits was not sent.
const CONNECTION_WAIT: Duration = Duration::from_secs(2);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A worker's client for one purpose.
#[derive(Clone)]
pub(super) struct Http {
    wire: Wire,
    timeout: Duration,
    limit: Rc<ConnectionLimit>,
}

struct ConnectionLimit {
    /// Connections and those who wait for one.
    admitted: Semaphore,
    connections: Semaphore,
}

#[derive(Clone)]
enum Wire {
    Network(Client),
    #[cfg(test)]
    Scripted(ScriptedWire),
}

/// A response of any status.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

struct Request<'a> {
    method: Method,
    url: &'a str,
    authorization: Option<&'a str>,
    /// Of a POST.
    content_type: &'static str,
    /// Empty for a GET.
    body: String,
}

impl Http {
    pub(super) fn new(tls: &rustls::ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector::new().rustls_0_23(Arc::new(tls)).limit(0); // `ConnectionLimit` counts, by purpose
        let connector = connector.timeout(CONNECT_TIMEOUT).handshake_timeout(CONNECT_TIMEOUT);
        let client = Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        Self { wire: Wire::Network(client), timeout: SEND_TIMEOUT, limit: Rc::default() }
    }

    /// A client without sockets, for simulations in virtual time.
    #[cfg(test)]
    pub(super) fn scripted(wire: ScriptedWire) -> Self {
        Self { wire: Wire::Scripted(wire), timeout: SEND_TIMEOUT, limit: Rc::default() }
    }

    /// The same client with a shorter timeout, for tests of silence.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same client for another purpose, with connections of its own.
    pub(super) fn with_own_connections(&self) -> Self {
        Self { limit: Rc::default(), ..self.clone() }
    }

    pub(super) async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Response, ProviderError> {
        let authorization = bearer.map(|token| Zeroizing::new(format!("Bearer {token}")));
        let authorization = authorization.as_ref().map(|header| header.as_str());
        self.send(Request { method: Method::GET, url, authorization, content_type: FORM, body: String::new() }).await
    }

    pub(super) async fn post(&self, url: &str, form: AuthenticatedForm) -> Result<Response, ProviderError> {
        let authorization = form.authorization.as_ref().map(|header| header.as_str());
        self.send(Request { method: Method::POST, url, authorization, content_type: FORM, body: form.body }).await
    }

    pub(super) async fn post_json(&self, url: &str, bearer: &str, json: &str) -> Result<Response, ProviderError> {
        let authorization = Zeroizing::new(format!("Bearer {bearer}"));
        let authorization = Some(authorization.as_str());
        self.send(Request { method: Method::POST, url, authorization, content_type: JSON, body: json.to_owned() }).await
    }

    async fn send(&self, request: Request<'_>) -> Result<Response, ProviderError> {
        let _connection = self.limit.acquire().await?;
        let span = tracing::trace_span!(target: "span", "call", otel.name = "provider", otel.kind = "client",
            peer.service = "provider");
        let response = self.wire.send(request).instrument(span);
        tokio::time::timeout(self.timeout, response).await.unwrap_or(Err(ProviderError::NoResponse))
    }
}

impl ConnectionLimit {
    /// A place among the connections, until it is dropped.
    async fn acquire(&self) -> Result<[SemaphorePermit<'_>; 2], ProviderError> {
        let busy = || ProviderError::Unreachable("too many requests wait for a connection".into());
        let Ok(admitted) = self.admitted.try_acquire() else { return Err(busy()) };
        match tokio::time::timeout(CONNECTION_WAIT, self.connections.acquire()).await {
            Ok(Ok(connection)) => Ok([admitted, connection]),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

impl Default for ConnectionLimit {
    fn default() -> Self {
        let admitted = Semaphore::new(MAX_CONNECTIONS + MAX_WAITING);
        Self { admitted, connections: Semaphore::new(MAX_CONNECTIONS) }
    }
}

impl Wire {
    async fn send(&self, request: Request<'_>) -> Result<Response, ProviderError> {
        match self {
            Self::Network(client) => send_over_network(client, request).await,
            #[cfg(test)]
            Self::Scripted(wire) => wire.send(request).await,
        }
    }
}

async fn send_over_network(client: &Client, request: Request<'_>) -> Result<Response, ProviderError> {
    let mut outgoing = client.request(request.method.clone(), request.url);
    if request.method == Method::POST {
        outgoing = outgoing.insert_header((CONTENT_TYPE, request.content_type));
    }
    if let Some(authorization) = request.authorization {
        outgoing = outgoing.insert_header((AUTHORIZATION, authorization));
    }
    // A pooled connection that the other side has just closed looks like a response that was lost, and a code
    // or a refresh token cannot be sent twice to find out: every request has its own connection.
    let outgoing = outgoing.insert_header((ACCEPT, "application/json")).no_decompress().force_close();
    let mut response = outgoing.send_body(request.body).await.map_err(|error| failure(&error))?;
    let body = response.body().limit(MAX_BODY_LENGTH).await.map_err(|_| ProviderError::NoResponse)?;
    // awc takes the end of a connection for the end of a body. (Of a chunked body too; but half a JSON object is no
    // JSON object.)
    if number(&response, &CONTENT_LENGTH).is_some_and(|promised| promised != body.len() as u64) {
        return Err(ProviderError::NoResponse);
    }
    let retry_after = number(&response, &RETRY_AFTER).map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    Ok(Response { status: response.status().as_u16(), retry_after, body })
}

impl Response {
    /// The body of a 200.
    pub(super) fn ok(self) -> Result<Bytes, ProviderError> {
        if self.status == 200 { Ok(self.body) } else { Err(ProviderError::Status(self.status)) }
    }
}

/// A header that is a number; `Retry-After` may also be a date, which is not worth a parser.
fn number<S>(response: &ClientResponse<S>, name: &HeaderName) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// awc reports a missing response as `Connect(Disconnected)`, though the connection was made.
fn failure(error: &SendRequestError) -> ProviderError {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => ProviderError::NoResponse,
        SendRequestError::Connect(error) => ProviderError::Unreachable(error.to_string().into()),
        SendRequestError::Url(_) | SendRequestError::Http(_) => ProviderError::Unreachable(error.to_string().into()),
        _ => ProviderError::NoResponse,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_hundred_requests_hang_four_hundred_wait_briefly_and_the_next_is_refused_at_once() {
        let http = Http::scripted(ScriptedWire::new(|_| std::future::pending()));
        let started = Instant::now();
        let request = async |_| {
            let error = http.get("https://op.example/", None).await.err().unwrap();
            (started.elapsed().as_secs(), error.may_have_acted())
        };

        let mut ends = BTreeMap::new();
        for end in join_all((0..501).map(request)).await {
            *ends.entry(end).or_insert(0) += 1;
        }

        assert_eq!(ends, BTreeMap::from([((0, false), 1), ((2, false), 400), ((8, true), 100)]));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_connection_that_becomes_free_is_the_next_requests() {
        let http = Http::scripted(ScriptedWire::new(|_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Response::json(200, &serde_json::Value::Null))
        }));
        let request = async |_| http.get("https://op.example/", None).await.is_ok();

        let outcomes = join_all((0..200).map(request)).await;

        assert_eq!(outcomes.iter().filter(|is_ok| **is_ok).count(), 200);
    }
}
