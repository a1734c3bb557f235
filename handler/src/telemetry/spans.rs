//! Spans: one for each request, and one for each call it makes; their context comes in and goes out as W3C Trace Context.
//!
//! A span costs next to nothing while nobody listens.

use hyper::header::{HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The headers of a request that name its trace (W3C Trace Context).
#[derive(Clone, Copy, Debug)]
pub struct IncomingContext<'a> {
    /// `traceparent`
    pub traceparent: Option<&'a str>,
    /// `tracestate`
    pub tracestate: Option<&'a str>,
}

/// The span of a request, within the trace that it came with.
#[must_use]
pub fn request_span(method: &str, route: &str, id: &str, incoming: IncomingContext<'_>) -> Span {
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
        let parent = TraceContextPropagator::new().extract(&incoming);
        // W3C Trace Context 2.2.5: the sampled flag is the caller's word. A caller that samples nothing records no span for
        // ours to belong to, and must not keep ours out of the operator's traces: our own sampler decides then.
        if parent.span().span_context().is_sampled() {
            // The parent can't be set twice, which is all that fails here.
            let _ = span.set_parent(parent);
        }
    }
    span
}

/// Records the response's status, and our code where it is a failure.
pub fn record_outcome(span: &Span, status: u16, code: Option<&str>) {
    span.record("http.response.status_code", status);
    if let Some(code) = code {
        span.record("error.type", code);
    }
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a call to `peer`, within the request's.
#[must_use]
pub fn client_span(peer: &'static str) -> Span {
    tracing::trace_span!(target: "span", "call", otel.name = peer, otel.kind = "client", peer.service = peer)
}

/// The headers that continue this span's trace; none while nobody listens, so that the client's own pass.
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
