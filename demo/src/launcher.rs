//! Starts the three parts, waits, and ends them together.
//!
//! Knows addresses and processes; what the parts do is theirs.

use std::io;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use oauth_proxy::random;
use tokio::net::TcpStream;
use url::Url;

use crate::application::Addresses;
use crate::arguments::Options;
use crate::handler::{Behind, Handler, HandlerError, Settings};
use crate::part::Part;
use crate::ports::{Listeners, PortTaken};
use crate::provider::{self, Client, Provider};
use crate::{application, terminal, welcome};

/// From the lookup of a name to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reason why the demo does not start, or has ended.
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
pub(crate) async fn run(options: Options) -> Result<(), DemoError> {
    let listeners = Listeners::bind(options.first_port)?;
    let addresses = addresses(&listeners)?;
    let client = client(&addresses.handler, random::guid_pair());
    let settings = Settings {
        address: listeners.handler.local_addr()?,
        public_base_url: addresses.handler.clone(),
        issuer: addresses.provider.clone(),
        client_id: client.id.clone(),
        client_secret: client.secret.clone(),
        application: application_behind(&addresses, options.upstream.as_ref()),
    };
    let provider = Data::new(Provider::new(addresses.provider.clone(), client).map_err(DemoError::Provider)?);
    let shown = Data::new(addresses.clone());
    let servers = [
        start(server(listeners.provider, move |service| provider::configure(service.app_data(provider.clone())))?),
        start(server(listeners.application, move |service| application::configure(service.app_data(shown.clone())))?),
    ];
    drop(listeners.handler); // held until now, so that nobody else was given it
    let mut handler = Handler::start(settings).await?;
    match &options.upstream {
        None => welcome::welcome(&addresses.handler, &addresses.application),
        Some(upstream) => {
            welcome::welcome_with(&addresses.handler, upstream);
            warn_unless_reachable(upstream).await;
        }
    }

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

/// The handler has another host than the Provider, as in production: ports of one host would share their cookies.
fn addresses(listeners: &Listeners) -> io::Result<Addresses> {
    Ok(Addresses {
        handler: format!("http://localhost:{}", listeners.handler.local_addr()?.port()),
        provider: format!("http://{}", listeners.provider.local_addr()?),
        application: format!("http://{}", listeners.application.local_addr()?),
    })
}

fn application_behind(addresses: &Addresses, upstream: Option<&Url>) -> Behind {
    match upstream {
        None => Behind::Demo(addresses.application.clone()),
        Some(url) => Behind::Own(url.to_string()),
    }
}

/// An application that is not up yet may come later: the handler connects when it is asked for something.
async fn warn_unless_reachable(upstream: &Url) {
    let (Some(host), Some(port)) = (upstream.host_str(), upstream.port_or_known_default()) else { return };
    let host = host.trim_matches(['[', ']']);
    let reason = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no connection in 3 s".to_owned(),
    };
    terminal::tell(
        Part::Application,
        &format!("{upstream} is not reachable ({reason}); its pages are 502 until it is"),
    );
}

/// The handler as the Provider knows it.
pub(crate) fn client(handler: &str, secret: String) -> Client {
    Client {
        id: "demo".to_owned(),
        secret,
        redirect_uri: format!("{handler}/oauth/callback"),
        post_logout_redirect_uri: format!("{handler}/oauth/signedout"),
    }
}

pub(crate) fn server(
    listener: std::net::TcpListener,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(configure.clone()));
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

pub(crate) fn start(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(server);
    handle
}

#[cfg(unix)]
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}
