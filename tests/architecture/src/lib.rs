//! Reads the handler's sources for `tests/`: which file imports which.

mod import_graph;
mod tokens;

pub use import_graph::ImportGraph;
