//! Log lines: JSON on stdout for the Functions host, readable text for a person at a terminal.
//!
//! stdout, because the host takes every line on stderr for an error. Knows nothing of what is logged.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Exporters;

/// How many lines wait for a slow reader before requests do.
const LINES: usize = 4_096;

/// How many bytes of lines are written at once.
const BUFFER: usize = 64 * 1024;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging what `filter` lets through, and sending what `exporters` send. Lines that wait are written when the
/// guard is dropped.
pub fn start(format: Format, filter: Targets, exporters: Option<&Exporters>) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).lossy(false).finish(stdout());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Text => lines.with_ansi(std::io::stdout().is_terminal()).boxed(),
    };
    match exporters {
        // One filter for everything is the fastest there is.
        None => Registry::default().with(lines).with(filter).init(),
        Some(exporters) => {
            Registry::default().with(vec![lines.with_filter(filter).boxed(), exporters.spans().boxed()]).init()
        }
    }
    guard
}

/// Standard output without the library's own buffer, which would write every line by itself: lines that come
/// together are written together, and none waits for another.
fn stdout() -> Box<dyn Write + Send> {
    let stdout = std::io::stdout();
    match stdout.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(BufWriter::with_capacity(BUFFER, File::from(descriptor))),
        Err(_) => Box::new(stdout),
    }
}
