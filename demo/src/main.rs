//! `cargo run -p demo`: a demo Provider, a small legacy application and the real handler, on loopback.
//!
//! Provider and application run here. The handler is a process of its own, as it is in production: this
//! program once more, with the one argument `handler`.

use std::process::ExitCode;

mod alone;
mod application;
mod cookies;
mod handler;
mod launcher;
mod page;
mod part;
mod ports;
mod provider;
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
            terminal::complain(&usage);
            return ExitCode::from(2);
        }
        None => {}
    }
    let first_port = match ports::first_port(&arguments) {
        Ok(port) => port,
        Err(usage) => {
            terminal::complain(&usage);
            return ExitCode::from(2);
        }
    };
    exit(actix_web::rt::System::new().block_on(launcher::run(first_port)))
}

fn exit(ended: Result<(), launcher::DemoError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
