//! Forwarding of one request to an Upstream: request out, response back, both streamed and concurrent.
//!
//! Knows no session; it forwards the request that it is given and removes the headers that no client may send.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use futures_core::future::LocalBoxFuture;
use hyper::body::{Body as _, Incoming};
use hyper::header as up;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::caching::BrowserCache;
use super::cookies::OwnCookies;
use super::cutoff::Cutoff;
use super::error::ForwardError;
use super::forgeable::HeaderRules;
use super::headers;
use super::host_headers;
use super::method::is_safe;
use super::origin_mapping::OriginMapping;
use super::own_login::warn_if_replaced;
use super::pool::{self, Connection, Pool, PoolSettings};
use super::public_side::PublicSide;
use super::request_body::{RequestBody, Upload};
use super::response_body::{NoBody, ResponseBody};
use super::routes::{Route, RouteTable};
use super::target::RequestTarget;
use super::token_placement::TokenPlacement;
use super::upstream::Upstream;
use super::watch::Watches;
use super::webdav::map_destination;

/// Request to forward, without its body, and the context that the client did not send.
pub struct ForwardRequest<'a> {
    /// Route of the target, which determines the Upstream.
    pub route: &'a Route,
    /// Route table that contains the route.
    pub routes: &'a RouteTable,
    /// Public origin, as browsers see it.
    pub public: &'a PublicSide,
    /// The method, unchanged.
    pub method: &'a Method,
    /// The target, forwarded in the bytes that were validated.
    pub target: RequestTarget<'a>,
    /// Headers of the client.
    pub headers: &'a HeaderMap,
    /// Client headers that are removed.
    pub header_rules: &'a HeaderRules,
    /// Our own headers: each replaces the client's header of the same name.
    pub injected: Vec<(up::HeaderName, up::HeaderValue)>,
    /// Our own cookies, hidden from every Upstream.
    pub own_cookies: &'a OwnCookies,
    /// True if the response belongs to a signed-in person and must stay out of shared caches.
    pub authenticated: bool,
    /// Cuts the request on completion, at any time: without a response head, or with an incomplete message.
    /// Polled only once the request has lasted for [`ForwarderSettings::unchecked`].
    pub cutoff: Option<LocalBoxFuture<'static, ()>>,
}

impl<'a> ForwardRequest<'a> {
    pub(super) fn origin_mapping(&self) -> OriginMapping<'a> {
        OriginMapping { public: self.public, route: self.route, routes: self.routes }
    }
}

/// Timeouts and limits of a forwarder, and its treatment of response headers.
#[derive(Debug, Clone, Copy)]
pub struct ForwarderSettings {
    /// Timeout of a connection, TLS included.
    pub connect_timeout: Duration,
    /// Timeout of the response head, from the last byte of the request on.
    pub response_timeout: Duration,
    /// Timeout of the next bytes of a client's body that the Upstream has room for.
    pub body_timeout: Duration,
    /// Keep-alive timeout: for the next request on an idle connection.
    pub idle_timeout: Duration,
    /// Maximum idle connections to one Upstream that a worker keeps.
    pub max_idle: usize,
    /// Grace period for the response head, and again for the end of the body, before [`ForwardRequest::cutoff`] is
    /// polled: most requests are over by then.
    pub unchecked: Duration,
    /// Browser caching of responses to signed-in people.
    pub browser_cache: BrowserCache,
    /// True if response headers pass through the Functions host, which can't write every byte.
    pub is_under_functions_host: bool,
}

impl Default for ForwarderSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // Below the host's own 240 s, so that the response is ours and explains the error.
            response_timeout: Duration::from_secs(230),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            max_idle: 512,
            unchecked: Duration::from_secs(1),
            browser_cache: BrowserCache::Allow,
            is_under_functions_host: false,
        }
    }
}

/// Forwards requests over the connections of one worker. A clone shares them.
#[derive(Clone)]
pub struct Forwarder {
    pool: Rc<Pool>,
    watches: Rc<Watches>,
    tls: TlsConnector,
    settings: ForwarderSettings,
}

/// Error of a forwarded request without a response head.
pub(super) enum ExchangeError {
    Unsent(Box<hyper::Request<RequestBody>>),
    Sent(hyper::Error),
    Late,
    Stalled,
    Cut,
}

impl Forwarder {
    /// A forwarder without connections; make one per worker.
    #[must_use]
    pub fn new(tls: Arc<rustls::ClientConfig>, settings: ForwarderSettings) -> Self {
        let mut tls = (*tls).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let ForwarderSettings { max_idle, idle_timeout, .. } = settings;
        let pool = Pool::new(PoolSettings { max_idle, idle_timeout });
        let watches = Watches::new(settings.unchecked / 2); // a task starts in the second period
        Self { pool, watches, tls: Arc::new(tls).into(), settings }
    }

    /// Sends the request and returns with the response head; the body is streamed afterwards.
    ///
    /// # Errors
    /// If there is no response head to pass on.
    pub async fn forward(
        &self,
        mut request: ForwardRequest<'_>,
        payload: Payload,
    ) -> Result<HttpResponse, ForwardError> {
        let upstream = &**request.route.upstream();
        let mut cutoff = Cutoff::new(request.cutoff.take());
        let request = &request;
        let (mut body, upload) = request_body(request.headers, payload)?;
        let mut message = head(upstream, request, &mut body)?;
        // RFC 9110 9.2.2: resend only a safe request without a body.
        let mut may_resend = upload.is_none() && is_safe(request.method);
        let mut pooled = self.pool.take(upstream);

        loop {
            let was_pooled = pooled.is_some();
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                None => self.connect(upstream).await?,
            };
            match self.send(&mut connection, message, upload.as_deref(), &mut cutoff).await {
                Ok(response) => {
                    if request.authenticated {
                        warn_if_replaced(response.status().as_u16(), response.headers(), request.route);
                    }
                    let mut response = self.respond(response, connection, upload, cutoff, request)?;
                    if self.settings.is_under_functions_host {
                        host_headers::restrict(response.headers_mut(), upstream.name());
                    }
                    return Ok(response);
                }
                Err(ExchangeError::Unsent(unsent)) if was_pooled => {
                    message = *unsent;
                    pooled = self.pool.take(upstream);
                }
                Err(ExchangeError::Sent(error)) if was_pooled && may_resend && !error.is_parse() => {
                    may_resend = false;
                    message = head(upstream, request, &mut RequestBody::Empty)?;
                }
                Err(error) => return Err(failure(error, upload.as_deref())),
            }
        }
    }

    pub(super) async fn connect(&self, upstream: &Upstream) -> Result<Connection, ForwardError> {
        // Boxed: a TLS handshake is large and rare, and every request would reserve its size.
        timeout(self.settings.connect_timeout, Box::pin(pool::connect(upstream, &self.tls)))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(ForwardError::Connect)
    }

    pub(super) async fn send(
        &self,
        connection: &mut Connection,
        message: hyper::Request<RequestBody>,
        upload: Option<&Upload>,
        cutoff: &mut Cutoff,
    ) -> Result<hyper::Response<Incoming>, ExchangeError> {
        let sent = connection.sender.try_send_request(message);
        match self.within_limits(upload, cutoff, sent).await? {
            Ok(response) => Ok(response),
            Err(mut error) => Err(match error.take_message() {
                Some(unsent) => ExchangeError::Unsent(Box::new(unsent)),
                None => ExchangeError::Sent(error.into_error()),
            }),
        }
    }

    /// Output of `work`, unless the response timeout (from the upload's last progress on) expires or
    /// `cutoff` completes first.
    async fn within_limits<F: Future>(
        &self,
        upload: Option<&Upload>,
        cutoff: &mut Cutoff,
        work: F,
    ) -> Result<F::Output, ExchangeError> {
        let mut work = pin!(work);
        let limit = self.settings.response_timeout;
        let start = Instant::now();
        if cutoff.is_given()
            && let Ok(done) = timeout_at((start + self.settings.unchecked.min(limit)).into(), &mut work).await
        {
            return Ok(done);
        }
        // During an upload, check periodically for a stalled client.
        let step = if upload.is_some() { limit.min(self.settings.body_timeout) } else { limit };
        let mut deadline = start + step;
        loop {
            let waited = cutoff.or(timeout_at(deadline.into(), &mut work)).await.ok_or(ExchangeError::Cut)?;
            if let Ok(done) = waited {
                return Ok(done);
            }
            deadline = self.next_deadline(upload.ok_or(ExchangeError::Late)?, Instant::now())?;
        }
    }

    /// Next check of an unfinished upload: 230 s for the Upstream, less for a client.
    fn next_deadline(&self, upload: &Upload, now: Instant) -> Result<Instant, ExchangeError> {
        let ForwarderSettings { response_timeout, body_timeout, .. } = self.settings;
        if let Some(since) = upload.waiting_since.get()
            && now >= since + body_timeout
        {
            return Err(ExchangeError::Stalled);
        }
        let last = upload.last_progress.get() + response_timeout;
        if last <= now {
            return Err(ExchangeError::Late);
        }
        let next = upload.waiting_since.get().unwrap_or(now) + body_timeout;
        Ok(last.min(next))
    }

    pub(super) fn respond(
        &self,
        response: hyper::Response<Incoming>,
        connection: Connection,
        upload: Option<Rc<Upload>>,
        cutoff: Cutoff,
        request: &ForwardRequest<'_>,
    ) -> Result<HttpResponse, ForwardError> {
        let (head, incoming) = response.into_parts();
        let status = StatusCode::from_u16(head.status.as_u16());
        // Handshakes never get here with 101, and nothing else asks for an upgrade (RFC 9110 15.2.2).
        let status = status.ok().filter(|status| !status.is_informational());
        let status = status.ok_or_else(|| ForwardError::Broken("an unusable status".into()))?;
        // RFC 9112 6.3: chunked encoding overrides a length.
        let is_chunked = head.headers.contains_key(up::TRANSFER_ENCODING);
        let length = head.headers.get(up::CONTENT_LENGTH).filter(|_| !is_chunked);
        let has_no_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);

        let size = match length.and_then(|value| value.to_str().ok()?.parse().ok()) {
            Some(length) => BodySize::Sized(length),
            None => incoming
                .size_hint()
                .exact()
                .filter(|_| *request.method != Method::HEAD)
                .map_or(BodySize::Stream, BodySize::Sized),
        };
        let is_over = incoming.is_end_stream();
        let watch = if is_over { None } else { self.watches.start(cutoff, connection.abort_handle()) };
        let connection = Some(connection);
        let mut body = ResponseBody { incoming, size, connection, upload, pool: Rc::clone(&self.pool), watch };
        if is_over {
            body.release();
        }
        let body = if has_no_body { BoxBody::new(NoBody) } else { BoxBody::new(body) };

        let mut response = HttpResponse::with_body(status, body);
        let mapping = request.origin_mapping();
        headers::copy_response(&head.headers, request.own_cookies, mapping, response.headers_mut())?;
        if status == StatusCode::NOT_MODIFIED
            && let Some(Ok(length)) = length.map(|value| HeaderValue::from_bytes(value.as_bytes()))
        {
            response.headers_mut().insert(actix_web::http::header::CONTENT_LENGTH, length);
        }
        if request.authenticated {
            self.settings.browser_cache.restrict(status, response.headers_mut());
        }
        Ok(response)
    }
}

pub(super) fn failure(error: ExchangeError, upload: Option<&Upload>) -> ForwardError {
    if upload.is_some_and(|upload| upload.is_broken.get()) {
        return ForwardError::BadRequest("the request body ended early");
    }
    match error {
        ExchangeError::Late => ForwardError::Timeout,
        ExchangeError::Stalled => ForwardError::ClientStalled,
        ExchangeError::Cut => ForwardError::Cut,
        ExchangeError::Sent(error) => ForwardError::Broken(error.into()),
        ExchangeError::Unsent(_) => ForwardError::Broken("the connection closed at once".into()),
    }
}

/// Body of the client's request, with its framing: by length, in chunks, or absent (RFC 9112 6.3).
fn request_body(headers: &HeaderMap, payload: Payload) -> Result<(RequestBody, Option<Rc<Upload>>), ForwardError> {
    use actix_web::http::header::TRANSFER_ENCODING;
    let remaining = content_length(headers)?;
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    if !is_chunked && remaining.is_none_or(|length| length == 0) {
        return Ok((RequestBody::Empty, None));
    }
    let upload = Rc::new(Upload::new());
    let remaining = remaining.filter(|_| !is_chunked);
    Ok((RequestBody::Streamed { payload, remaining, upload: Rc::clone(&upload) }, Some(upload)))
}

/// Length of the client's body: digits and nothing else (RFC 9110 8.6).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ForwardError> {
    let Some(value) = headers.get(actix_web::http::header::CONTENT_LENGTH) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Some).ok_or(ForwardError::BadRequest("the content length is no number"))
}

/// Request head for the Upstream. Takes the body out of `body`.
pub(super) fn head(
    upstream: &Upstream,
    request: &ForwardRequest<'_>,
    body: &mut RequestBody,
) -> Result<hyper::Request<RequestBody>, ForwardError> {
    use ForwardError::BadRequest;
    let target = [upstream.base_path(), request.target.as_str()].concat();
    let uri = hyper::http::uri::PathAndQuery::try_from(target)
        .map_err(|_| BadRequest("the target holds a forbidden byte"))?;
    let method = hyper::Method::from_bytes(request.method.as_str().as_bytes())
        .map_err(|_| BadRequest("the method is no token"))?;

    let mut message = hyper::Request::new(std::mem::replace(body, RequestBody::Empty));
    *message.method_mut() = method;
    *message.uri_mut() = hyper::Uri::from(uri);
    *message.headers_mut() = request_headers(request)?;
    Ok(message)
}

fn request_headers(request: &ForwardRequest<'_>) -> Result<up::HeaderMap, ForwardError> {
    let mut headers = up::HeaderMap::with_capacity(request.headers.len() + request.injected.len() + 2);
    let rules = ClientHeaderRules {
        strip: request.header_rules,
        token: request.route.token(),
        own_cookies: request.own_cookies,
    };
    copy_client_headers(request.headers, rules, &mut headers)?;

    // RFC 9112 6.3: a length together with chunks was refused long before. `010` goes out as 10: some readers of RFC
    // 9110 8.6's digits take a leading zero for octal.
    if let Some(length) = content_length(request.headers)? {
        headers.insert(up::CONTENT_LENGTH, length.into());
    }
    let mapping = request.origin_mapping();
    map_destination(request.method, request.target, &mut headers, mapping)?;
    headers.insert(up::HOST, mapping.host_header(request.route.host()));
    for (name, value) in &request.injected {
        headers.insert(name.clone(), value.clone());
    }
    Ok(headers)
}

/// Rules for the client headers of a route.
#[derive(Clone, Copy, Debug)]
pub struct ClientHeaderRules<'a> {
    /// Names to remove.
    pub strip: &'a HeaderRules,
    /// Placement of the access token, which also decides about `Authorization`.
    pub token: &'a TokenPlacement,
    /// Cookies to remove.
    pub own_cookies: &'a OwnCookies,
}

/// Copies the allowed client headers: none of its connection, of ours, of another proxy, and no cookie of ours.
///
/// # Errors
/// [`ForwardError::BadRequest`] where its `Connection` header names too many, or a value cannot be forwarded.
pub fn copy_client_headers(
    from: &HeaderMap,
    rules: ClientHeaderRules<'_>,
    to: &mut up::HeaderMap,
) -> Result<(), ForwardError> {
    use actix_web::http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST};
    let named = headers::ConnectionOptions::parse(from.get_all(CONNECTION).map(HeaderValue::as_bytes))
        .map_err(|headers::TooManyOptions| ForwardError::BadRequest("the Connection header names too many headers"))?;
    for (name, value) in from {
        let text = name.as_str();
        let is_stripped = *name == HOST
            || (*name == AUTHORIZATION && !rules.token.passes_authorization())
            || headers::is_hop_by_hop(text)
            || rules.strip.strips(text)
            || named.contains(text);
        if is_stripped {
            continue;
        }
        if *name != COOKIE {
            to.append(up_name(name)?, up_value(value.as_bytes())?);
        } else if let Some(kept) = rules.own_cookies.strip(value.as_bytes()) {
            to.append(up::COOKIE, up_value(&kept)?);
        }
    }
    Ok(())
}

fn up_name(name: &HeaderName) -> Result<up::HeaderName, ForwardError> {
    up::HeaderName::from_bytes(name.as_str().as_bytes())
        .map_err(|_| ForwardError::BadRequest("a header name is no token"))
}

fn up_value(value: &[u8]) -> Result<up::HeaderValue, ForwardError> {
    up::HeaderValue::from_bytes(value).map_err(|_| ForwardError::BadRequest("a header value holds a forbidden byte"))
}
