//! One part of the demo in a process of its own, for `compose.yaml`: the Provider or the application.
//!
//! In a container a part listens beyond loopback, or nobody outside could reach it. The issuer stays on loopback all the
//! same, so the Provider signs nobody in who isn't at this machine.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::web::Data;
use url::Url;

use crate::application::{self, Addresses};
use crate::launcher::{DemoError, asked_to_stop, client, server, start};
use crate::part::Part;
use crate::provider::{self, Provider};
use crate::story::Story;
use crate::terminal;

const USAGE: &str = "\
Usage: demo provider --listen=ADDRESS:PORT --url=URL --handler=URL --client-secret=SECRET
       demo application --listen=ADDRESS:PORT --url=URL --handler=URL --provider=URL

  --listen         where it listens; beyond loopback only in a container whose port is published on 127.0.0.1
  --url            its own origin: the issuer, or what pages show; the issuer must be on loopback
  --handler        the origin of the handler, as the browser sees it
  --client-secret  the handler's CLIENT_SECRET
  --provider       the origin of the Provider";

/// A part and what it is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    Provider { listen: SocketAddr, url: String, handler: String, client_secret: String },
    Application { listen: SocketAddr, addresses: Addresses },
}

impl Alone {
    /// Parses the arguments: `None` if they name no part, the usage if they are invalid.
    pub(crate) fn parse(arguments: &[String]) -> Option<Result<Self, String>> {
        let (part, rest) = arguments.split_first()?;
        let needs = match part.as_str() {
            "provider" => ["--listen", "--url", "--handler", "--client-secret"],
            "application" => ["--listen", "--url", "--handler", "--provider"],
            _ => return None,
        };
        let mistake = |what: &str| format!("{part}: {what}\n\n{USAGE}");
        let mut values = Vec::new();
        for name in needs {
            let value = rest.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
            let Some(value) = value else { return Some(Err(mistake(&format!("{name}=… is missing")))) };
            values.push(value.to_owned());
        }
        let [listen, url, handler, last] = values.try_into().ok()?;
        if rest.len() != needs.len() {
            return Some(Err(mistake("there is an argument too many")));
        }
        let Ok(listen) = listen.parse() else { return Some(Err(mistake("--listen takes an address and a port"))) };
        if part == "application" {
            let addresses = Addresses { handler, provider: last, application: url, inspector: None };
            return Some(Ok(Self::Application { listen, addresses }));
        }
        if !is_on_loopback(&url) {
            return Some(Err(mistake("--url must be http on loopback: its passwords are on its sign-in page")));
        }
        Some(Ok(Self::Provider { listen, url, handler, client_secret: last }))
    }

    /// Serves until it is asked to stop.
    pub(crate) async fn run(self) -> Result<(), DemoError> {
        let (part, listen, server) = match self {
            Self::Provider { listen, url, handler, client_secret } => {
                let client = client(&handler, client_secret);
                let story = Arc::new(Story::default());
                let provider = Data::new(Provider::new(url, client, story).map_err(DemoError::Provider)?);
                let configure = move |service: &mut actix_web::web::ServiceConfig| {
                    provider::configure(service.app_data(provider.clone()));
                };
                (Part::Provider, listen, server(TcpListener::bind(listen)?, configure)?)
            }
            Self::Application { listen, addresses } => {
                let shown = (Data::new(addresses), Data::new(Story::default()));
                let configure = move |service: &mut actix_web::web::ServiceConfig| {
                    application::configure(service.app_data(shown.0.clone()).app_data(shown.1.clone()));
                };
                (Part::Application, listen, server(TcpListener::bind(listen)?, configure)?)
            }
        };
        let server = start(server);
        terminal::print_event(part, &format!("listens on {listen}"));
        asked_to_stop().await;
        server.stop(false).await;
        Ok(())
    }
}

fn is_on_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) && url.path() == "/"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Result<Alone, String>> {
        Alone::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_part_is_read() {
        let provider = parse("provider --listen=0.0.0.0:1 --url=http://127.0.0.1:1 --handler=h --client-secret=a=b");
        let application = parse("application --provider=p --handler=h --url=http://application:3 --listen=0.0.0.0:3");

        let secret = |part: Option<Result<Alone, String>>| match part {
            Some(Ok(Alone::Provider { client_secret, .. })) => Some(client_secret),
            _ => None,
        };
        assert_eq!(secret(provider).as_deref(), Some("a=b"));
        assert!(matches!(application, Some(Ok(Alone::Application { listen, .. })) if listen.port() == 3));
        assert_eq!(parse("--port 9000"), None, "the whole demo");
    }

    #[test]
    fn a_part_that_cannot_be_meant_is_answered_with_the_usage() {
        let with_url = |url: &str| format!("provider --listen=0.0.0.0:1 --url={url} --handler=h --client-secret=s");
        for (line, what) in [
            ("provider".to_owned(), "--listen=… is missing"),
            ("provider --listen=0.0.0.0:1 --url=http://127.0.0.1:1".to_owned(), "--handler=… is missing"),
            ("application --listen=here --url=u --handler=h --provider=p".to_owned(), "an address and a port"),
            ("application --listen=0.0.0.0:1 --url=u --handler=h --provider=p x".to_owned(), "an argument too many"),
            (with_url("http://provider:8081"), "must be http on loopback"),
            (with_url("https://127.0.0.1:8081"), "must be http on loopback"),
            (with_url("http://10.0.0.1:8081"), "must be http on loopback"),
        ] {
            let refused = parse(&line).unwrap().unwrap_err();
            assert!(refused.contains(what) && refused.ends_with(USAGE), "{line}: {refused}");
        }
    }
}
