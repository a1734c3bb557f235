//! WebSocket handshake (RFC 6455 4): forwarded like any request; the response is 101 only if the Upstream switches.
//!
//! Computes neither key nor digest: they belong to the two ends. Knows no session.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header as down;
use actix_web::web::Payload;
use hyper::header::{self as up, HeaderValue};
use hyper_util::rt::TokioIo;

use super::cutoff::Cutoff;
use super::error::ForwardError;
use super::forward::{ForwardRequest, Forwarder, failure, head};
use super::headers;
use super::relay::{Relay, WebSocketClient};
use super::request_body::RequestBody;

/// The only protocol that a connection is upgraded to.
const WEBSOCKET: &str = "websocket";

impl Forwarder {
    /// Forwards a handshake. If the Upstream switches protocols, the response is 101 and its body is the socket; any
    /// other response passes unchanged.
    ///
    /// # Errors
    /// If the handshake has a body, or there is no response head to pass on.
    pub async fn open_websocket(
        &self,
        mut request: ForwardRequest<'_>,
        payload: Payload,
        client: WebSocketClient,
    ) -> Result<HttpResponse, ForwardError> {
        check_no_body(request.headers)?;
        let upstream = request.route.upstream();
        let mut cutoff = Cutoff::new(request.cutoff.take());
        let mut message = head(upstream, &request, &mut RequestBody::Empty)?;
        message.headers_mut().insert(up::CONNECTION, HeaderValue::from_static("Upgrade"));
        message.headers_mut().insert(up::UPGRADE, HeaderValue::from_static(WEBSOCKET));

        // A new connection: it never returns to the pool, so none is taken from there, and nothing is resent.
        let mut connection = self.connect(upstream).await?;
        let sent = self.send(&mut connection, message, None, &mut cutoff).await;
        let response = sent.map_err(|error| failure(error, None))?;
        if response.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
            return self.respond(response, connection, None, cutoff, &request);
        }
        check_protocol(response.headers())?;

        let mut switched = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
        let mut switched = switched.upgrade(WEBSOCKET).finish();
        headers::copy_response(
            response.headers(),
            request.own_cookies,
            request.origin_mapping(),
            switched.headers_mut(),
        )?;
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| ForwardError::Broken(error.into()))?;
        if let Some(socket) = &client.socket {
            socket.keep_alive();
        }
        let relay = Relay { client, payload, cutoff, upstream_name: upstream.shared_name() };
        Ok(switched.set_body(BoxBody::new(relay.start(TokioIo::new(upgraded)))))
    }
}

/// Refuses a handshake with a body: the server reads everything after the head as the socket's bytes.
fn check_no_body(headers: &down::HeaderMap) -> Result<(), ForwardError> {
    let is_empty = headers.get(down::CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(down::TRANSFER_ENCODING) {
        return Ok(());
    }
    Err(ForwardError::BadRequest("a WebSocket handshake has no body"))
}

/// Refuses a 101 for another protocol (RFC 6455 4.1).
fn check_protocol(headers: &up::HeaderMap) -> Result<(), ForwardError> {
    let is_websocket = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes());
    if headers.get(up::UPGRADE).is_some_and(is_websocket) {
        return Ok(());
    }
    Err(ForwardError::Broken("it switched to another protocol".into()))
}
