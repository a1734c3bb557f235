//! Log lines: JSON on stdout for the Functions host, readable text for a person at a terminal.
//!
//! stdout, because the host takes every line on stderr for an error. Knows nothing of what is logged.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Starts logging what `filter` lets through. Lines that wait are written when the guard is dropped.
pub fn start(format: Format, filter: Targets) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).lossy(false).finish(stdout());
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        Format::Json => {
            registry.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
        }
        Format::Text => registry.with(lines.with_ansi(std::io::stdout().is_terminal())).init(),
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

/// An error and the errors behind it.
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
