//! `cargo run -p demo`: a demo Provider, a small legacy application and the real handler, on loopback. With `--upstream`
//! an application of one's own takes the small one's place.
//!
//! Provider and application run here. The handler is a process of its own, as it is in production: this
//! program once more, with the one argument `handler`.

#![warn(clippy::unwrap_used)]

use std::process::ExitCode;

use crate::arguments::{Arguments, USAGE};

mod alone;
mod application;
mod arguments;
mod cookies;
mod database;
mod handler;
mod inspector;
mod launcher;
mod page;
mod part;
mod ports;
mod provider;
mod story;
mod terminal;
mod welcome;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [handler::ARGUMENT] {
        return handler::serve();
    }
    match alone::Alone::parse(&arguments) {
        Some(Ok(part)) => return exit(actix_web::rt::System::new().block_on(part.run())),
        Some(Err(usage)) => {
            terminal::print_error(&usage);
            return ExitCode::from(2);
        }
        None => {}
    }
    let options = match arguments::parse(&arguments) {
        Ok(Arguments::Run(options)) => options,
        Ok(Arguments::Help) => {
            terminal::print(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            terminal::print_error(&mistake);
            return ExitCode::from(2);
        }
    };
    exit(actix_web::rt::System::new().block_on(launcher::run(options)))
}

fn exit(ended: Result<(), launcher::DemoError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
