//! Telemetry: log lines, metrics and spans. Knows nothing of the events it reports.

mod export;
mod format;
mod line_buffers;
mod logs;
pub mod metrics;
mod request_line;
mod spans;

pub use export::{ApplicationInsights, Bearer, ExportError, Exporters, ExportersSettings};
pub use format::Format;
pub use line_buffers::FlushGuard;
pub use logs::start;
pub use request_line::CompletedRequest;
pub use spans::{IncomingContext, client_span, outgoing_context, record_outcome, request_span};

/// Displays an error with its sources.
pub struct Causes<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
