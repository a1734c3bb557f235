//! `cargo run -p cosmos-emulator -- --port 8191`: the emulator by hand, until it is interrupted.

use std::process::ExitCode;

use cosmos_emulator::CosmosEmulator;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Some(8191),
        ["--port", port] => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("Usage: cosmos-emulator [--port N]");
        return ExitCode::from(2);
    };
    let emulator = CosmosEmulator::start_at(port);
    for (name, value) in emulator.settings() {
        println!("{name}={value}");
    }
    loop {
        std::thread::park();
    }
}
