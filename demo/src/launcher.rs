//! Starts the three parts, waits, and ends them together.
//!
//! Knows addresses and processes; what the parts do is theirs.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use oauth_proxy::random;
use tokio::net::TcpStream;
use url::Url;

use crate::application::Addresses;
use crate::arguments::Options;
use crate::database::{self, Database};
use crate::handler::{Behind, Handler, HandlerError, Settings};
use crate::inspector::{self, Inspector, generate_key};
use crate::part::Part;
use crate::ports::{Listeners, PortTaken};
use crate::provider::{self, Client, Provider};
use crate::story::Story;
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
    #[error("no key could be made")]
    Key,
    #[error("the demo could not be started: {0}")]
    Server(#[from] io::Error),
}

/// Runs until Ctrl-C, SIGTERM or the end of the handler.
pub(crate) async fn run(options: Options) -> Result<(), DemoError> {
    let listeners = Listeners::bind(options.first_port)?;
    let addresses = addresses(&listeners)?;
    let story = Arc::new(Story::default());
    let client = client(&addresses.handler, random::guid_pair());
    let (cookie_key, cookie_keys) = generate_key("demo-cookie").ok_or(DemoError::Key)?;
    let (token_key, token_keys) = generate_key("demo-token").ok_or(DemoError::Key)?;
    let database_url = format!("http://{}/", listeners.database.local_addr()?);
    let settings = Settings {
        address: listeners.handler.local_addr()?,
        public_base_url: addresses.handler.clone(),
        issuer: addresses.provider.clone(),
        client_id: client.id.clone(),
        client_secret: client.secret.clone(),
        application: application_behind(&addresses, &options),
        database: database_url.clone(),
        keys: [cookie_key, token_key],
    };
    let client_id = client.id.clone();
    let provider = Provider::new(addresses.provider.clone(), client, Arc::clone(&story));
    let provider = Data::new(provider.map_err(DemoError::Provider)?);
    let database = Data::new(Database::new(database_url, Arc::clone(&story)));
    let inspector = Data::new(Inspector {
        addresses: addresses.clone(),
        database: database.clone(),
        provider: provider.clone(),
        story: Arc::clone(&story),
        client_id,
        cookie_keys,
        token_keys,
        stolen: Mutex::default(),
    });
    let shown = (Data::new(addresses.clone()), Data::from(Arc::clone(&story)));
    let servers = [
        start(server(listeners.provider, move |service| provider::configure(service.app_data(provider.clone())))?),
        start(server(listeners.application, move |service| {
            application::configure(service.app_data(shown.0.clone()).app_data(shown.1.clone()));
        })?),
        start(server(listeners.inspector, move |service| inspector::configure(service.app_data(inspector.clone())))?),
        start(database_server(listeners.database, database)?),
    ];
    drop(listeners.handler); // held until now, so that nobody else was given it
    let mut handler = Handler::start(settings, story).await?;
    match &options.upstream {
        None => welcome::welcome(&addresses),
        Some(upstream) => {
            welcome::welcome_with(&addresses, upstream, options.token);
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

/// The handler has another host than the Provider, as in production: ports of one host share their cookies. The
/// inspector has the handler's host for that very reason.
fn addresses(listeners: &Listeners) -> io::Result<Addresses> {
    Ok(Addresses {
        handler: format!("http://localhost:{}", listeners.handler.local_addr()?.port()),
        provider: format!("http://{}", listeners.provider.local_addr()?),
        application: format!("http://{}", listeners.application.local_addr()?),
        inspector: Some(format!("http://localhost:{}", listeners.inspector.local_addr()?.port())),
    })
}

fn application_behind(addresses: &Addresses, options: &Options) -> Behind {
    match &options.upstream {
        None => Behind::Demo(addresses.application.clone()),
        Some(url) => Behind::Own { url: url.to_string(), token: options.token },
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
    terminal::print_event(
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
        backchannel_logout_uri: format!("{handler}/oauth/backchannel-logout"),
    }
}

pub(crate) fn server(
    listener: std::net::TcpListener,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(configure.clone()));
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

/// Azure's library speaks HTTP/2 from the first byte, also without TLS.
fn database_server(listener: std::net::TcpListener, database: Data<Database>) -> io::Result<Server> {
    let app = move || App::new().configure(|service| database::configure(service.app_data(database.clone())));
    Ok(HttpServer::new(app).workers(1).disable_signals().listen_auto_h2c(listener)?.run())
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
