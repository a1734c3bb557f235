//! Starts the three parts, waits, and ends them together.
//!
//! Knows addresses and processes; what the parts do is theirs.

use std::io;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};

use crate::application::Addresses;
use crate::handler::{Handler, HandlerError, Settings};
use crate::ports::{Listeners, PortTaken};
use crate::provider::{self, Client, Provider};
use crate::{application, welcome};

const CLIENT_ID: &str = "demo";

/// Why the demo doesn't run, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Port(#[from] PortTaken),
    #[error(transparent)]
    Handler(#[from] HandlerError),
    #[error("the demo Provider could not be started: {0}")]
    Provider(String),
    #[error("the demo could not be started: {0}")]
    Server(#[from] io::Error),
}

/// Runs until Ctrl-C, SIGTERM or the end of the handler.
pub(crate) async fn run(first_port: u16) -> Result<(), DemoError> {
    let listeners = Listeners::bind(first_port)?;
    let handler_address = listeners.handler.local_addr()?;
    // Another host than the Provider's, as in production: ports of one host would share their cookies.
    let public_base_url = format!("http://localhost:{}", handler_address.port());
    let issuer = format!("http://{}", listeners.provider.local_addr()?);
    let application_url = format!("http://{}", listeners.application.local_addr()?);

    let client = Client {
        id: CLIENT_ID.to_owned(),
        secret: oauth_proxy::random::guid_pair(),
        redirect_uri: format!("{public_base_url}/oauth/callback"),
        post_logout_redirect_uri: format!("{public_base_url}/oauth/signedout"),
    };
    let settings = Settings {
        address: handler_address,
        public_base_url: public_base_url.clone(),
        issuer: issuer.clone(),
        client_id: client.id.clone(),
        client_secret: client.secret.clone(),
        application: application_url.clone(),
    };
    let addresses =
        Addresses { handler: public_base_url.clone(), provider: issuer.clone(), application: application_url.clone() };
    let provider = Data::new(Provider::new(issuer, client).map_err(DemoError::Provider)?);
    let servers = [
        start(server(listeners.provider, move |service| {
            service.app_data(provider.clone());
            provider::configure(service);
        })?),
        start(server(listeners.application, move |service| {
            service.app_data(Data::new(addresses.clone()));
            application::configure(service);
        })?),
    ];
    drop(listeners.handler); // held until now, so that nobody else was given it
    let mut handler = Handler::start(settings).await?;
    welcome::welcome(&public_base_url, &application_url);

    let ended = tokio::select! {
        () = asked_to_stop() => Ok(()),
        error = handler.watch() => Err(DemoError::Handler(error)),
    };
    handler.stop().await;
    for server in servers {
        server.stop(false).await; // an event stream would never end by itself
    }
    ended
}

fn server(
    listener: std::net::TcpListener,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(configure.clone()));
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

fn start(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(server);
    handle
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}
