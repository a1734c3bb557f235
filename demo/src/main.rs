//! `cargo run -p demo`: a demo Provider, a small legacy application and the real handler, on loopback.
//!
//! One process tree: the handler runs in a child process of this same binary, as it does under the Functions host.

mod application;
mod arguments;
mod handler;
mod page;
mod provider;
mod terminal;

use std::net::TcpListener;
use std::process::ExitCode;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use oauth_proxy::random;

use arguments::{Arguments, Ports};
use provider::{Client, Provider};
use terminal::Terminal;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Handler) => handler::run(),
        Ok(Arguments::Demo { port }) => actix_web::rt::System::new().block_on(demo(port)),
        Err(usage) => {
            eprintln!("{usage}");
            ExitCode::from(2)
        }
    }
}

async fn demo(port: u16) -> ExitCode {
    match run(port).await {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(port: u16) -> Result<ExitCode, String> {
    let (provider_listener, application_listener) = (listen(port, 1)?, listen(port, 2)?);
    let ports = Ports::of(port, &provider_listener, &application_listener)?;
    let client = Client {
        id: "demo".to_owned(),
        secret: random::guid_pair(),
        redirect_uri: format!("{}/oauth/callback", ports.handler()),
        post_logout_redirect_uri: format!("{}/oauth/signedout", ports.handler()),
    };
    let terminal = Terminal::new();
    let mut child = handler::start(&ports, &client)?;
    let provider = Data::new(Provider::new(ports.provider(), client, terminal)?);

    let provider_server = HttpServer::new(move || App::new().app_data(provider.clone()).configure(provider::configure));
    let application_server = HttpServer::new(|| App::new().configure(application::configure));
    let provider_server = provider_server.workers(1).disable_signals().listen(provider_listener);
    let application_server = application_server.workers(1).disable_signals().listen(application_listener);
    actix_web::rt::spawn(provider_server.map_err(|cause| cause.to_string())?.run());
    actix_web::rt::spawn(application_server.map_err(|cause| cause.to_string())?.run());

    let is_ready = tokio::select! {
        is_ready = child.answers(&ports) => is_ready,
        () = handler::interrupted() => false,
    };
    if is_ready {
        terminal.welcome(&ports);
    }
    let code = tokio::select! {
        code = child.ended() => code,
        () = handler::interrupted() => ExitCode::SUCCESS,
    };
    child.stop().await;
    Ok(code)
}

/// The port `offset` above the first, or a free one when the first is 0.
fn listen(port: u16, offset: u16) -> Result<TcpListener, String> {
    let wanted = if port == 0 { 0 } else { port + offset };
    TcpListener::bind(("127.0.0.1", wanted)).map_err(|cause| {
        format!("port {wanted} cannot be used ({cause}); choose three others: cargo run -p demo -- --port 9000")
    })
}
