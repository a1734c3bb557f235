//! Settings of the receivers of metrics and traces, under OpenTelemetry's and Azure Monitor's own names.

use url::Url;

use super::Environment;
use super::reader::{Reader, Setting};
use crate::random;
use crate::telemetry::{ApplicationInsights, ExportersSettings};
use crate::transport_security::is_https_or_loopback;

const OTEL_SERVICE_NAME: Setting = Setting { name: "OTEL_SERVICE_NAME", expected: "a name", example: "oauth-proxy" };
const OTEL_EXPORTER_OTLP_ENDPOINT: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    expected: "the https address of an OTLP receiver that speaks HTTP with protobuf (http only on loopback)",
    example: "https://collector.internal:4318",
};
const OTEL_EXPORTER_OTLP_HEADERS: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    expected: "headers for the receiver, as name=value separated by commas",
    example: "x-api-key=<secret>",
};
const APPLICATIONINSIGHTS_CONNECTION_STRING: Setting = Setting {
    name: "APPLICATIONINSIGHTS_CONNECTION_STRING",
    expected: "the connection string of an Application Insights resource, with an https IngestionEndpoint",
    example: "InstrumentationKey=<id>;IngestionEndpoint=https://westeurope.in.applicationinsights.azure.com/",
};
const APPLICATIONINSIGHTS_AUTHENTICATION_STRING: Setting = Setting {
    name: "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    expected: "parts separated by semicolons, Authorization=AAD among them",
    example: "Authorization=AAD",
};

pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Option<ExportersSettings> {
    let site = environment.value("WEBSITE_SITE_NAME").unwrap_or("oauth-proxy");
    let service_name =
        reader.parse_or(OTEL_SERVICE_NAME, site.to_owned(), |text| (!text.is_empty()).then(|| text.to_owned()));
    let endpoint = reader.parse_or(OTEL_EXPORTER_OTLP_ENDPOINT, None, |text| {
        Url::parse(text).ok().filter(is_https_or_loopback).map(Some)
    });
    let headers = reader.parse_or(OTEL_EXPORTER_OTLP_HEADERS, (), |text| {
        text.split(',').all(|pair| pair.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty())).then_some(())
    });
    let needs_identity = reader.parse_or(APPLICATIONINSIGHTS_AUTHENTICATION_STRING, false, |text| {
        text.split(';').any(|part| part.trim().eq_ignore_ascii_case("Authorization=AAD")).then_some(true)
    });
    let connection_string = reader.parse_or(APPLICATIONINSIGHTS_CONNECTION_STRING, None, |text| {
        is_connection_string(text).then(|| Some(text.to_owned()))
    });
    let (needs_identity, connection_string, ()) = (needs_identity?, connection_string?, headers?);
    Some(ExportersSettings {
        service_name: service_name?,
        instance_id: random::guid_pair()[..8].to_owned(),
        otlp: endpoint?,
        application_insights: connection_string
            .map(|connection_string| ApplicationInsights { connection_string, needs_identity }),
    })
}

/// True for a connection string with an instrumentation key and no endpoint in plain http.
fn is_connection_string(text: &str) -> bool {
    let value = |name: &str| {
        let pairs = text.split(';').filter_map(|part| part.split_once('='));
        pairs.map(|(given, value)| (given.trim(), value)).find(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let has_key = value("InstrumentationKey").is_some_and(|(_, key)| uuid::Uuid::try_parse(key.trim()).is_ok());
    let is_secure = |(_, url): (&str, &str)| Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    has_key && value("IngestionEndpoint").is_none_or(is_secure)
}
