//! All metrics of the handler. Names follow OpenTelemetry's semantic conventions where they exist.
//!
//! Nothing is recorded, and next to nothing spent, until [`start`] is called.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// Methods used as labels; any other is `_OTHER`, because anyone can invent methods (semantic conventions).
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Histogram buckets in seconds: from an access to memory to a browser's timeout.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Histogram buckets in seconds: from a minute to a day.
const AGES: [f64; 9] = [60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0];

/// Histogram buckets in request units of one call.
const REQUEST_UNITS: [f64; 9] = [1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 25.0, 50.0];

struct Instruments {
    requests: Histogram<f64>,
    sign_ins: Counter<u64>,
    sign_outs: Counter<u64>,
    refreshes: Counter<u64>,
    refresh_duration: Histogram<f64>,
    route_token_duration: Histogram<f64>,
    lease_wait: Histogram<f64>,
    session_age: Histogram<f64>,
    store_calls: Histogram<f64>,
    request_charge: Histogram<f64>,
    key_age: Gauge<f64>,
    key_expires_in: Gauge<f64>,
    start: Histogram<f64>,
}

/// Starts recording.
pub fn start(meter: &Meter) {
    let seconds = |name: &'static str, about: &'static str, boundaries: &[f64]| {
        meter.f64_histogram(name).with_unit("s").with_description(about).with_boundaries(boundaries.to_vec()).build()
    };
    let count = |name: &'static str, about: &'static str| meter.u64_counter(name).with_description(about).build();
    let gauge =
        |name: &'static str, about: &'static str| meter.f64_gauge(name).with_unit("s").with_description(about).build();
    let instruments = Instruments {
        requests: seconds("http.server.request.duration", "until the head of the answer", &SECONDS),
        sign_ins: count("oauth_proxy.sign_ins", "callbacks that ended, by outcome"),
        sign_outs: count("oauth_proxy.sign_outs", "sessions that were ended, by whom"),
        refreshes: count("oauth_proxy.refreshes", "refreshes that were tried, by outcome"),
        refresh_duration: seconds("oauth_proxy.refresh.duration", "the provider's answer and the write", &SECONDS),
        route_token_duration: seconds("oauth_proxy.route_token.duration", "a route's token, and its write", &SECONDS),
        lease_wait: seconds("oauth_proxy.refresh.lease_wait", "waiting for another instance's refresh", &SECONDS),
        session_age: seconds("oauth_proxy.session.age", "age of the session of a request", &AGES),
        store_calls: seconds("db.client.operation.duration", "a call to the store", &SECONDS),
        request_charge: meter
            .f64_histogram("azure.cosmosdb.client.operation.request_charge")
            .with_unit("{request_unit}")
            .with_description("what Cosmos DB charged for a call")
            .with_boundaries(REQUEST_UNITS.to_vec())
            .build(),
        key_age: gauge("oauth_proxy.key.age", "age of the key that seals"),
        key_expires_in: gauge("oauth_proxy.key.expires_in", "time left to the key that seals, if it has an end"),
        start: seconds("oauth_proxy.start.duration", "from the process's start to listening", &SECONDS),
    };
    let _ = INSTRUMENTS.set(instruments); // a second start changes nothing
}

/// Records a completed request.
pub fn request(method: &str, route: &str, status: u16, code: Option<&'static str>, took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let method = METHODS.iter().find(|known| **known == method).unwrap_or(&"_OTHER");
    let mut attributes = vec![
        KeyValue::new("http.request.method", *method),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(status)),
    ];
    attributes.extend(code.map(|code| KeyValue::new("error.type", code)));
    instruments.requests.record(took.as_secs_f64(), &attributes);
}

/// Records a completed sign-in: `ok`, or the code of its failure.
pub fn sign_in(outcome: &'static str) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.sign_ins.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// Records sessions that the `person` or the `provider` ended.
pub fn sign_out(by: &'static str, sessions: usize) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.sign_outs.add(u64::try_from(sessions).unwrap_or(u64::MAX), &[KeyValue::new("by", by)]);
}

/// Records a refresh attempt.
pub fn refresh(outcome: &'static str, took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let attributes = [KeyValue::new("outcome", outcome)];
    instruments.refreshes.add(1, &attributes);
    instruments.refresh_duration.record(took.as_secs_f64(), &attributes);
}

/// Records a request for the token of a route.
pub fn route_token(outcome: &'static str, took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.route_token_duration.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
}

/// Records a refresh's wait for the lease of another instance.
pub fn lease_wait(took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.lease_wait.record(took.as_secs_f64(), &[]);
}

/// Records the age of a request's session.
pub fn session_age(age: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.session_age.record(age.as_secs_f64(), &[]);
}

/// Records a call of the store, its failure, and its charge if reported.
pub fn store_call(operation: &'static str, failure: Option<&'static str>, charge: Option<f64>, took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let mut attributes =
        vec![KeyValue::new("db.system.name", "azure.cosmosdb"), KeyValue::new("db.operation.name", operation)];
    attributes.extend(failure.map(|failure| KeyValue::new("error.type", failure)));
    instruments.store_calls.record(took.as_secs_f64(), &attributes);
    if let Some(charge) = charge {
        instruments.request_charge.record(charge, &attributes);
    }
}

/// Records the sealing key's age, for `cookie`s or `token`s.
pub fn key(purpose: &'static str, age: Duration, expires_in: Option<Duration>) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    let attributes = [KeyValue::new("purpose", purpose)];
    instruments.key_age.record(age.as_secs_f64(), &attributes);
    if let Some(left) = expires_in {
        instruments.key_expires_in.record(left.as_secs_f64(), &attributes);
    }
}

/// Records the start-up time of a listening process.
pub fn listening(took: Duration) {
    let Some(instruments) = INSTRUMENTS.get() else { return };
    instruments.start.record(took.as_secs_f64(), &[]);
}
