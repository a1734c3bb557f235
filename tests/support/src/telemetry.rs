//! A receiver of telemetry on loopback: OTLP over HTTP.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};

use crate::{Received, Upstream, wait_until};

/// One point of a metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Number of recordings; 1 for a gauge.
    pub count: u64,
    /// Sum of the recordings.
    pub sum: f64,
}

/// A path, and what was sent to it.
type Body = (String, Vec<u8>);

/// One span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its trace, in hex.
    pub trace_id: String,
    /// Its own id, in hex.
    pub span_id: String,
    /// The id of the span it belongs to, in hex; empty for none.
    pub parent_span_id: String,
}

/// Takes what it is sent until the test's process ends.
pub struct TelemetryReceiver {
    /// URL of the receiver.
    pub url: String,
    http: Upstream,
    bodies: Arc<Mutex<Vec<Body>>>,
}

impl TelemetryReceiver {
    /// A receiver that responds to everything with `status`.
    #[must_use]
    pub fn responding(status: u16) -> Self {
        let bodies: Arc<Mutex<Vec<Body>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        let http = Upstream::responding(move |request, reader, stream| {
            let body = request.read_body(reader);
            let path = request.request_line.split(' ').nth(1).unwrap_or_default().to_owned();
            kept.lock().unwrap().push((path, body));
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.write_all(head.as_bytes()).is_ok()
        });
        Self { url: http.url.clone(), http, bodies }
    }

    /// A receiver that takes everything.
    #[must_use]
    pub fn start() -> Self {
        Self::responding(200)
    }

    /// The requests that brought it all.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.http.received()
    }

    /// The metrics so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let messages = self.decode::<ExportMetricsServiceRequest>("/v1/metrics");
        let resources = messages.into_iter().flat_map(|message| message.resource_metrics);
        let metrics = resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics);
        metrics.flat_map(|metric| points(&metric.name, metric.data)).collect()
    }

    /// The spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let messages = self.decode::<ExportTraceServiceRequest>("/v1/traces");
        let resources = messages.into_iter().flat_map(|message| message.resource_spans);
        let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
        spans
            .map(|span| Span {
                name: span.name,
                attributes: attributes(span.attributes),
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_span_id: hex(&span.parent_span_id),
            })
            .collect()
    }

    /// Waits for a metric of this name with these attributes.
    #[must_use]
    pub fn wait_for_metric(&self, name: &str, attributes: &[(&str, &str)]) -> Metric {
        let is_it = |metric: &Metric| {
            let has = |(key, value): &(&str, &str)| metric.attributes.get(*key).is_some_and(|given| given == value);
            metric.name == name && attributes.iter().all(has)
        };
        let mut found = None;
        wait_until(&format!("{name} {attributes:?} arrives"), || {
            found = self.metrics().into_iter().rfind(is_it);
            found.is_some()
        });
        found.unwrap()
    }

    fn decode<T: prost::Message + Default>(&self, path: &str) -> Vec<T> {
        let bodies = self.bodies.lock().unwrap().clone();
        bodies.iter().filter(|(given, _)| given == path).map(|(_, body)| T::decode(&**body).unwrap()).collect()
    }
}

fn points(name: &str, data: Option<Data>) -> Vec<Metric> {
    let number = |value: Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        #[allow(clippy::cast_precision_loss, reason = "counts in a test are small")]
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => 0.0,
    };
    let metric = |list, count, sum| Metric { name: name.to_owned(), attributes: attributes(list), count, sum };
    match data {
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.into_iter().map(|point| metric(point.attributes, 1, number(point.value))).collect()
        }
        Some(Data::Sum(sum)) => {
            sum.data_points.into_iter().map(|point| metric(point.attributes, 1, number(point.value))).collect()
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.into_iter();
            points.map(|point| metric(point.attributes, point.count, point.sum.unwrap_or(0.0))).collect()
        }
        Some(Data::ExponentialHistogram(_) | Data::Summary(_)) | None => Vec::new(),
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.clone().and_then(|value| value.value).map(text).unwrap_or_default();
    list.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
