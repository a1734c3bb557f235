//! Log lines: JSON on stdout for the Functions host, readable text for a person at a terminal.
//!
//! stdout, because the host takes every line on stderr for an error. Knows nothing of what is logged.

use std::fs::File;
use std::io::{IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Exporters;
use super::format::{Format, layer};
use super::line_buffers::{FLUSH_INTERVAL, FlushGuard, LineBuffers, LineWriter};
use super::request_line;

/// Starts logging the events that `filter` admits, and sending those of `exporters`. Lines that wait are written when
/// the guard is dropped.
pub fn start(format: Format, filter: Targets, exporters: Option<&Exporters>) -> FlushGuard {
    let has_colours = format == Format::Text && std::io::stdout().is_terminal();
    let (buffers, guard) = LineBuffers::start(stdout(), FLUSH_INTERVAL);
    if !has_colours && filter.would_enable("request", &Level::INFO) {
        request_line::start(format, Arc::clone(&buffers));
    }
    let lines = layer(format, has_colours, LineWriter(buffers));
    match exporters {
        // One filter for everything is the fastest there is.
        None => Registry::default().with(lines).with(filter).init(),
        Some(exporters) => {
            Registry::default().with(vec![lines.with_filter(filter).boxed(), exporters.spans().boxed()]).init()
        }
    }
    guard
}

/// Standard output without the library's own buffer, which would write every line by itself.
fn stdout() -> Box<dyn Write + Send> {
    let stdout = std::io::stdout();
    match stdout.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(stdout),
    }
}
