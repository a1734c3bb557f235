//! Export of metrics and spans to an OTLP receiver, Azure Monitor, or both. From threads of their own, so that no
//! request waits for them; what is on the way when the process is killed is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::Registry;
use url::Url;
use zeroize::Zeroizing;

use super::{Causes, metrics};

/// Timeout of a request to a receiver, from the first byte to the last of the response.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Maximum wait for unsent telemetry when the process ends.
const PARTING: Duration = Duration::from_secs(2);

/// Source of bearer tokens.
pub type Bearer = Arc<dyn Fn() -> BoxFuture<'static, Result<Zeroizing<String>, HttpError>> + Send + Sync>;

/// Settings of the exporters.
#[derive(Clone, Debug, Default)]
pub struct ExportersSettings {
    /// Name of the service (`OTEL_SERVICE_NAME`).
    pub service_name: String,
    /// Identifier of this instance.
    pub instance_id: String,
    /// An OTLP receiver (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    pub otlp: Option<Url>,
    /// Azure Monitor.
    pub application_insights: Option<ApplicationInsights>,
}

impl ExportersSettings {
    /// True if any receiver is configured.
    #[must_use]
    pub fn has_receiver(&self) -> bool {
        self.otlp.is_some() || self.application_insights.is_some()
    }
}

/// A resource of Azure Monitor.
#[derive(Clone)]
pub struct ApplicationInsights {
    /// Connection string (`APPLICATIONINSIGHTS_CONNECTION_STRING`).
    pub connection_string: String,
    /// True if the resource accepts telemetry from identities only.
    pub needs_identity: bool,
}

/// Invalid settings of a receiver.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be sent")]
pub struct ExportError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Running exporters; dropping them sends the remaining telemetry.
pub struct Exporters {
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
}

impl Exporters {
    /// Starts the exporters.
    ///
    /// # Errors
    /// When a receiver's settings can't be used.
    pub fn start(
        settings: &ExportersSettings,
        tls: &rustls::ClientConfig,
        bearer: Option<Bearer>,
    ) -> Result<Self, ExportError> {
        let client = Client::new(tls).map_err(ExportError)?;
        let mut traces = SdkTracerProvider::builder().with_resource(resource(settings));
        let mut meters = SdkMeterProvider::builder().with_resource(resource(settings));
        if let Some(otlp) = &settings.otlp {
            let signal = |path: &str| format!("{}/v1/{path}", otlp.as_str().trim_end_matches('/'));
            let spans = SpanExporter::builder().with_http().with_http_client(client.clone());
            traces = traces.with_batch_exporter(spans.with_endpoint(signal("traces")).build().map_err(failed)?);
            let exporter = MetricExporter::builder().with_http().with_http_client(client.clone());
            let exporter = exporter.with_endpoint(signal("metrics")).build();
            meters = meters.with_reader(PeriodicReader::builder(exporter.map_err(failed)?).build());
        }
        if let Some(insights) = &settings.application_insights {
            let client = Client { bearer: bearer.filter(|_| insights.needs_identity), ..client };
            let exporter = || {
                opentelemetry_application_insights::Exporter::new_from_connection_string(
                    &insights.connection_string,
                    client.clone(),
                )
                .map_err(ExportError)
            };
            traces = traces.with_batch_exporter(exporter()?);
            meters = meters.with_reader(PeriodicReader::builder(exporter()?).build());
        }
        let exporters = Self { traces: traces.build(), meters: meters.build() };
        metrics::start(&exporters.meters.meter("oauth-proxy"));
        Ok(exporters)
    }

    /// Tracing layer that exports spans.
    pub(super) fn spans(&self) -> impl Layer<Registry> + use<> {
        tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer("oauth-proxy"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("span", tracing::Level::TRACE))
    }
}

/// Sends the remaining telemetry at the end of the process.
impl Drop for Exporters {
    fn drop(&mut self) {
        // Best effort: what can't be sent now is lost, and nobody is left to tell.
        let _ = (self.traces.shutdown_with_timeout(PARTING), self.meters.shutdown_with_timeout(PARTING));
    }
}

fn failed(error: opentelemetry_otlp::ExporterBuildError) -> ExportError {
    ExportError(Box::new(error))
}

fn resource(settings: &ExportersSettings) -> Resource {
    Resource::builder()
        .with_service_name(settings.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", settings.instance_id.clone()))
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// HTTP client of a receiver. The library's threads have no runtime, so this has one.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
    bearer: Option<Bearer>,
    is_failing: Arc<AtomicBool>,
}

impl Client {
    fn new(tls: &rustls::ClientConfig) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(EXCHANGE)
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self { http, runtime: handle, bearer: None, is_failing: Arc::default() })
    }

    async fn exchange(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request)?;
        if let Some(bearer) = &self.bearer {
            let token = bearer().await?;
            let mut value = reqwest::header::HeaderValue::try_from(format!("Bearer {}", *token))?;
            value.set_sensitive(true);
            request.headers_mut().insert(reqwest::header::AUTHORIZATION, value);
        }
        let answer = self.http.execute(request).await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let mut response = Response::builder().status(status);
        if let Some(headers) = response.headers_mut() {
            headers.extend(answer.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(response.body(answer.bytes().await?)?)
    }

    /// Logs once that sending fails, and once that it works again.
    fn note(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let problem = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the receiver responded {}", response.status())),
            Err(error) => Some(Causes(&**error).to_string()),
        };
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_failing => {
                tracing::warn!(code = "telemetry_unsent", problem, "telemetry not sent: metrics and traces are lost")
            }
            None if was_failing => tracing::info!("telemetry sent again"),
            Some(_) | None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.runtime.spawn(self.clone().exchange(request)).await?;
        self.note(&outcome);
        outcome
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

impl fmt::Debug for ApplicationInsights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApplicationInsights(..)")
    }
}
