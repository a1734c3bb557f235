//! Spans of requests and of the calls they make; their context is propagated as W3C Trace Context.
//!
//! A span costs next to nothing while nobody listens.

use hyper::header::{HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Trace headers of a request (W3C Trace Context).
#[derive(Clone, Copy, Debug)]
pub struct IncomingContext<'a> {
    /// `traceparent`
    pub traceparent: Option<&'a str>,
    /// `tracestate`
    pub tracestate: Option<&'a str>,
}

/// Span of a request, as a child of the incoming trace.
#[must_use]
pub fn request_span<'a>(method: &str, route: &str, id: &str, incoming: impl FnOnce() -> IncomingContext<'a>) -> Span {
    let span = tracing::trace_span!(
        target: "span",
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        error.type = Empty,
        faas.invocation_id = id,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("{method} {route}"));
        let parent = TraceContextPropagator::new().extract(&incoming());
        // W3C Trace Context 2.2.5: the sampled flag is the caller's word. A caller that samples nothing records no span for
        // ours to belong to, and must not keep ours out of the operator's traces: our own sampler decides then.
        if parent.span().span_context().is_sampled() {
            // Fails only if the parent is already set.
            let _ = span.set_parent(parent);
        }
    }
    span
}

/// Records the response's status, and our error code.
pub fn record_outcome(span: &Span, status: u16, code: Option<&str>) {
    span.record("http.response.status_code", status);
    if let Some(code) = code {
        span.record("error.type", code);
    }
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// Span of a call to `peer`, as a child of the request's.
#[must_use]
pub fn client_span(peer: &'static str) -> Span {
    tracing::trace_span!(target: "span", "call", otel.name = peer, otel.kind = "client", peer.service = peer)
}

/// Trace headers for an outgoing request; none without a receiver, so that the client's own pass.
#[must_use]
pub fn outgoing_context(span: &Span) -> Vec<(HeaderName, HeaderValue)> {
    let mut outgoing = Outgoing(Vec::new());
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut outgoing);
    }
    outgoing.0
}

impl Extractor for IncomingContext<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

struct Outgoing(Vec<(HeaderName, HeaderValue)>);

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse(), HeaderValue::try_from(value))
            && !value.is_empty()
        {
            self.0.push((name, value));
        }
    }
}
