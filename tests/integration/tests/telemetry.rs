//! Metrics and traces, as a receiver gets them: OTLP, and Azure Monitor with the identity's token.

use azure_doubles::AzureDoubles;
use cosmos_emulator::CosmosEmulator;
use support::{Browser, Handler, Provider, Response, TelemetryReceiver, Upstream, wait_until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const QUICK: [(&str, &str); 2] = [("OTEL_METRIC_EXPORT_INTERVAL", "100"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];

struct Fixture {
    receiver: TelemetryReceiver,
    provider: Provider,
    upstream: Upstream,
    handler: Handler,
}

impl Fixture {
    /// A handler with sessions in Cosmos DB and keys in a vault that sends all it has to `receiver`.
    fn start(receiver: TelemetryReceiver) -> Self {
        let (provider, upstream) = (Provider::start(), Upstream::start());
        let (azure, cosmos) = (AzureDoubles::start(), CosmosEmulator::start());
        azure.vault.add_key_secret("cookie-key", 86_400);
        azure.vault.add_key_secret("token-key", 86_400);
        let own = [("UPSTREAM_URL", upstream.url.as_str()), ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str())];
        let settings = [&own[..], &QUICK, &azure.settings(), &cosmos.settings(), &provider.settings()].concat();
        let handler = Handler::start(&settings);
        // They serve as long as the test's process lives.
        std::mem::forget((azure, cosmos));
        Self { receiver, provider, upstream, handler }
    }

    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.handler.origin);
        browser.sign_in("/", &self.provider);
        browser
    }
}

fn refresh(browser: &mut Browser) -> Response {
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"")
}

#[test]
fn what_people_do_and_what_it_costs_arrives() {
    let fixture = Fixture::start(TelemetryReceiver::start());
    let mut browser = fixture.signed_in();
    assert_eq!(browser.fetch("/page").status, 200);
    assert_eq!(refresh(&mut browser).status, 200);
    assert_eq!(Browser::new(&fixture.handler.origin).fetch("/page").status, 401);
    Browser::new(&fixture.handler.origin).navigate("/oauth/callback?state=made-up&code=x");

    let metric = |name: &str, attributes: &[(&str, &str)]| fixture.receiver.wait_for_metric(name, attributes);

    assert!(metric("oauth_proxy.sign_ins", &[("outcome", "ok")]).sum >= 1.0);
    assert!(metric("oauth_proxy.sign_ins", &[("outcome", "login_unknown")]).sum >= 1.0);
    assert!(metric("oauth_proxy.refreshes", &[("outcome", "ok")]).sum >= 1.0);
    assert!(metric("oauth_proxy.refresh.duration", &[("outcome", "ok")]).count >= 1);
    assert!(metric("oauth_proxy.session.age", &[]).count >= 1);
    assert!(metric("oauth_proxy.start.duration", &[]).sum > 0.0);
    let route = [("http.route", "/"), ("http.response.status_code", "200"), ("http.request.method", "GET")];
    assert!(metric("http.server.request.duration", &route).count >= 1);
    let refused = [("http.route", "/"), ("http.response.status_code", "401"), ("error.type", "session_required")];
    assert!(metric("http.server.request.duration", &refused).count >= 1);
    for operation in ["create", "read", "replace"] {
        assert!(metric("db.client.operation.duration", &[("db.operation.name", operation)]).count >= 1);
        let charge = metric("azure.cosmosdb.client.operation.request_charge", &[("db.operation.name", operation)]);
        assert!(charge.sum > 0.0, "{operation}");
    }
    for purpose in ["cookie", "token"] {
        let age = metric("oauth_proxy.key.age", &[("purpose", purpose)]).sum;
        assert!((86_000.0..90_000.0).contains(&age), "{age}");
    }
}

#[test]
fn signing_out_is_counted_by_whose_wish_it_was() {
    let fixture = Fixture::start(TelemetryReceiver::start());
    let mut browser = fixture.signed_in();
    browser.send("POST", "/oauth/signout", &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], b"");
    fixture.signed_in();
    let form = format!("logout_token={}", fixture.provider.logout_token(&serde_json::json!({})));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    Browser::new(&fixture.handler.origin).send("POST", "/oauth/backchannel-logout", &headers, form.as_bytes());

    for by in ["person", "provider"] {
        assert!(fixture.receiver.wait_for_metric("oauth_proxy.sign_outs", &[("by", by)]).sum >= 1.0, "{by}");
    }
}

#[test]
fn a_refresh_that_fails_is_counted_with_its_reason() {
    let fixture = Fixture::start(TelemetryReceiver::start());
    let mut browser = fixture.signed_in();
    fixture.provider.script(support::TokenReply::Raw(503, "", ""));

    refresh(&mut browser);

    let metric = fixture.receiver.wait_for_metric("oauth_proxy.refreshes", &[("outcome", "provider_unavailable")]);
    assert!(metric.sum >= 1.0);
}

#[test]
fn a_caller_that_samples_nothing_hides_no_request() {
    let fixture = Fixture::start(TelemetryReceiver::start());
    let parent = format!("00-{TRACE}-{PARENT}-00");

    Browser::new(&fixture.handler.origin).send("GET", "/hidden", &[("traceparent", parent.as_str())], b"");

    let mut spans = Vec::new();
    wait_until("its span arrives", || {
        let is_refused =
            |span: &support::Span| span.attributes.get("error.type").is_some_and(|code| code == "session_required");
        spans = fixture.receiver.spans().into_iter().filter(is_refused).collect();
        !spans.is_empty()
    });
    assert!(spans[0].trace_id != TRACE && spans[0].parent_span_id.is_empty(), "{spans:?}");
}

#[test]
fn a_trace_comes_in_and_goes_on_to_the_upstream() {
    let fixture = Fixture::start(TelemetryReceiver::start());
    let mut browser = fixture.signed_in();
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=1"), ("sec-fetch-mode", "cors")];
    browser.send("GET", "/page?secret=1", &headers, b"");

    let mut spans = Vec::new();
    wait_until("both spans of the trace arrive", || {
        spans = fixture.receiver.spans().into_iter().filter(|span| span.trace_id == TRACE).collect();
        ["GET /", "upstream"].iter().all(|name| spans.iter().any(|span| span.name == *name))
    });

    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (server, client) = (span("GET /"), span("upstream"));
    assert_eq!(server.parent_span_id, PARENT);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(server.attributes["http.response.status_code"], "200");
    assert!(server.attributes.contains_key("faas.invocation_id"));
    let received = fixture.upstream.last();
    assert_eq!(received.header("traceparent"), Some(format!("00-{TRACE}-{}-01", client.span_id).as_str()));
    assert_eq!(received.header("tracestate"), Some("vendor=1"));
    let told = format!("{:?}", fixture.receiver.spans());
    assert!(!told.contains("secret") && !told.contains("/page"), "{told}");
}

#[test]
fn without_a_receiver_the_clients_own_trace_passes() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()].concat();
    let handler = Handler::start(&settings);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    let parent = format!("00-{TRACE}-{PARENT}-01");

    browser.send("GET", "/page", &[("traceparent", &parent), ("sec-fetch-mode", "cors")], b"");

    assert_eq!(upstream.last().header("traceparent"), Some(parent.as_str()));
}

/// A handler whose telemetry goes to Azure Monitor; `with_identity` is how Bicep sets it up.
fn monitored(azure: &AzureDoubles, provider: &Provider, upstream: &Upstream, with_identity: bool) -> Handler {
    azure.vault.add_key_secret("cookie-key", 86_400);
    azure.vault.add_key_secret("token-key", 86_400);
    let connection = azure.connection_string();
    let mut own = vec![
        ("UPSTREAM_URL", upstream.url.as_str()),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", connection.as_str()),
        ("OTEL_SERVICE_NAME", "portal"),
    ];
    if with_identity {
        own.push(("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "ClientId=x;Authorization=AAD"));
    }
    Handler::start(&[&own[..], &QUICK, &azure.settings(), &provider.settings()].concat())
}

#[test]
fn azure_monitor_gets_metrics_and_requests_with_the_identitys_token() {
    let (azure, provider, upstream) = (AzureDoubles::start(), Provider::start(), Upstream::start());
    let handler = monitored(&azure, &provider, &upstream, true);
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    browser.fetch("/page");

    let named = |kind: &str, name: &str| {
        azure.monitor.envelopes().into_iter().find(|envelope| {
            let base = &envelope["data"]["baseData"];
            let given = if kind == "MetricData" { &base["metrics"][0]["name"] } else { &base["name"] };
            envelope["data"]["baseType"] == kind && given == name
        })
    };
    wait_until("the metrics and the request arrive", || {
        named("MetricData", "oauth_proxy.sign_ins").is_some() && named("RequestData", "GET /").is_some()
    });

    let metric = named("MetricData", "oauth_proxy.sign_ins").unwrap();
    assert_eq!(metric["data"]["baseData"]["properties"]["outcome"], "ok");
    assert_eq!(metric["tags"]["ai.cloud.role"], "portal");
}

#[test]
fn azure_monitor_takes_nothing_from_nobody_and_people_are_served_all_the_same() {
    let (azure, provider, upstream) = (AzureDoubles::start(), Provider::start(), Upstream::start());
    let handler = monitored(&azure, &provider, &upstream, false);

    assert_eq!(Browser::new(&handler.origin).sign_in("/", &provider).status, 200);

    wait_until("the log tells it", || handler.output().text().contains("the receiver responded 401"));
    assert!(azure.monitor.envelopes().is_empty());
}

#[test]
fn a_receiver_that_refuses_is_told_of_once_and_stops_nothing() {
    let fixture = Fixture::start(TelemetryReceiver::responding(403));
    let mut browser = fixture.signed_in();
    assert_eq!(browser.fetch("/page").status, 200);

    let told = || fixture.handler.output().text().matches("telemetry_unsent").count();
    wait_until("the log tells it", || told() > 0);
    let before = fixture.receiver.received().len();
    wait_until("more is sent in vain", || fixture.receiver.received().len() > before + 3);

    assert_eq!(told(), 1);
}
