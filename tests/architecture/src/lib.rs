//! Reads the handler's sources for `tests/`: which file imports which.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod import_graph;
mod tokens;

pub use import_graph::ImportGraph;
