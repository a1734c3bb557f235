//! Log line and metric of a logout by the Provider, for both channels.

use super::request::Request;
use crate::telemetry::metrics;

/// Reports the number of sessions ended by the Provider; each session also has a line of its own.
pub(super) fn report_provider_logout(request: &Request<'_>, ended: usize) {
    tracing::info!(target: "audit", event = "provider_logout", request.id = request.id.as_str(), sessions = ended,
        "sessions ended by the provider");
    metrics::sign_out("provider", ended);
}
