//! Made-up input for every parser that meets the outside: nothing panics, and each keeps its promise.
//!
//! Runs on stable Rust and by number, so a run repeats: the corpus in its own bytes first, then seeded mutations of it.
//! `main.rs` runs as long as it is asked to, `tests/replay.rs` for a moment.

mod mutate;
mod targets;
pub mod worst;

use std::fs;
use std::path::{Path, PathBuf};

pub use mutate::Mutator;
pub use targets::{TARGETS, Target};

/// The inputs to start from, the same order in every run.
///
/// # Panics
/// When there is no corpus for the target.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| inputs(&fs::read(file).unwrap())).collect()
}

/// One input a line, in which `\xHH` stands for a byte.
fn inputs(file: &[u8]) -> Vec<Vec<u8>> {
    let lines = String::from_utf8_lossy(file).lines().map(unescaped).collect::<Vec<_>>();
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}

/// Runs the corpus, then so many mutations of it.
pub fn run(target: &Target, seed: u64, executions: u64) {
    let corpus = corpus(target.name);
    corpus.iter().for_each(|input| (target.run)(input));
    let mut mutator = Mutator::new(seed, corpus);
    for _ in 0..executions {
        (target.run)(mutator.next());
    }
}
