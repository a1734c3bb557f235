//! HTTP client for the Provider: one request, one bounded response, no redirect, no retry.
//!
//! Knows no endpoint and no message. Distinguishes failures before the request was sent from those after.

mod message;
mod network;
#[cfg(test)]
mod scripted;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::ProviderError;
use super::client_authentication::AuthenticatedForm;
use crate::egress::Egress;
#[cfg(test)]
pub(super) use message::MAX_BODY_LENGTH;
pub(crate) use message::Response;
use message::{Request, SEND_TIMEOUT};
#[cfg(test)]
pub(crate) use scripted::{ScriptedRequest, ScriptedWire};

/// Maximum duration of a request, wait for a connection included.
pub(super) const MAX_SEND_TIME: Duration = Duration::from_secs(CONNECTION_WAIT.as_secs() + SEND_TIMEOUT.as_secs());

/// Maximum time until a request is sent: the wait for a connection, and its establishment.
pub const MAX_TIME_TO_SEND: Duration =
    Duration::from_secs(CONNECTION_WAIT.as_secs() + network::CONNECT_TIMEOUT.as_secs());

/// Maximum connections of a worker for one purpose. Each request has its own connection.
const MAX_CONNECTIONS: usize = 100;

/// Maximum requests that wait for a connection; the next fails at once. A Provider that takes half a second serves this
/// many within [`CONNECTION_WAIT`].
const MAX_WAITING: usize = 400;

/// Timeout of the wait for a connection, before [`SEND_TIMEOUT`] begins: a request that times out here was not sent.
const CONNECTION_WAIT: Duration = Duration::from_secs(2);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// HTTP client of a worker for one purpose.
#[derive(Clone)]
pub(super) struct Http {
    wire: Wire,
    timeout: Duration,
    limit: Rc<ConnectionLimit>,
}

struct ConnectionLimit {
    /// Semaphore of connections and waiting requests.
    admitted: Semaphore,
    connections: Semaphore,
}

#[derive(Clone)]
enum Wire {
    Network(Egress),
    #[cfg(test)]
    Scripted(ScriptedWire),
}

impl Http {
    pub(super) fn new(egress: &Egress) -> Self {
        Self { wire: Wire::Network(egress.clone()), timeout: SEND_TIMEOUT, limit: Rc::default() }
    }

    /// A client without sockets, for simulations in virtual time.
    #[cfg(test)]
    pub(super) fn scripted(wire: ScriptedWire) -> Self {
        Self { wire: Wire::Scripted(wire), timeout: SEND_TIMEOUT, limit: Rc::default() }
    }

    /// The same client with a shorter timeout, for tests of a silent Provider.
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
    /// Acquires a connection slot until it is dropped.
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
            // Boxed: otherwise every request's future reserves its size.
            Self::Network(egress) => Box::pin(network::send(egress, request)).await,
            #[cfg(test)]
            Self::Scripted(wire) => wire.send(request).await,
        }
    }
}

impl Response {
    /// Body of a 200; an error for any other status.
    pub(super) fn ok(self) -> Result<Bytes, ProviderError> {
        if self.status == 200 { Ok(self.body) } else { Err(ProviderError::Status(self.status)) }
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
