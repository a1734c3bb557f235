//! Log lines: JSON on stdout for the Functions host, readable text for a person at a terminal.
//!
//! stdout, because the host takes every line on stderr for an error. Knows nothing of what is logged.

use std::io::IsTerminal as _;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging at the levels of `filter`. What is held is written when the guard is dropped.
pub fn start(format: Format, filter: &str) -> WorkerGuard {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        Format::Text => lines.with_ansi(std::io::stdout().is_terminal()).init(),
    }
    guard
}
