//! `oauth-proxy`: serves, or runs one of its commands.

#![warn(clippy::unwrap_used)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    oauth_proxy::cli::run(&arguments)
}
