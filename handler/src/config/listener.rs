//! The address to listen on: the Functions host's port, or one of our own.

use std::net::SocketAddr;

use super::reader::{Reader, Setting};
use crate::web::RoutePrefix;

const FUNCTIONS_CUSTOMHANDLER_PORT: Setting =
    Setting { name: "FUNCTIONS_CUSTOMHANDLER_PORT", expected: "a port", example: "40123" };
const LISTEN_ADDR: Setting =
    Setting { name: "LISTEN_ADDR", expected: "an address and a port", example: "127.0.0.1:7071" };

const ROUTE_PREFIX: Setting = Setting {
    name: "AzureFunctionsJobHost__extensions__http__routePrefix",
    expected: "plain segments of a-z, A-Z, 0-9, - and _ that are not below admin or runtime",
    example: "app",
};

/// Listening address, and the sender of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The Functions host's custom handler port, on 127.0.0.1.
    FunctionsHost(u16),
    /// Any client that reaches this address.
    Address(SocketAddr),
}

impl Listener {
    /// The address to bind.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        match self {
            Self::FunctionsHost(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            Self::Address(address) => address,
        }
    }
}

/// Route prefix that this app setting gives the host in place of `host.json`'s. Without a host there is none.
pub(super) fn route_prefix(reader: &mut Reader<'_>, listener: Option<Listener>) -> Option<RoutePrefix> {
    match listener {
        Some(Listener::FunctionsHost(_)) => {
            reader.parse_or(ROUTE_PREFIX, RoutePrefix::default(), |text| text.parse().ok())
        }
        Some(Listener::Address(_)) | None => Some(RoutePrefix::default()),
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Listener> {
    if reader.optional(FUNCTIONS_CUSTOMHANDLER_PORT).is_some() {
        let port = reader.parse_or(FUNCTIONS_CUSTOMHANDLER_PORT, 0, |text| text.parse().ok());
        return port.map(Listener::FunctionsHost);
    }
    let default = SocketAddr::from(([127, 0, 0, 1], 7071));
    reader.parse_or(LISTEN_ADDR, default, |text| text.parse().ok()).map(Listener::Address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// The parsed prefix, and the variables with a mistake.
    fn read_from(environment: Environment) -> (Option<RoutePrefix>, Vec<&'static str>) {
        let mut reader = Reader::new(&environment);
        let listener = read(&mut reader);
        let prefix = route_prefix(&mut reader, listener);
        (prefix, reader.finish().iter().map(|mistake| mistake.variable).collect())
    }

    const PORT: (&str, &str) = ("FUNCTIONS_CUSTOMHANDLER_PORT", "40123");

    #[test]
    fn the_prefix_is_the_hosts() {
        for (environment, expected, why) in [
            (Environment::from([PORT]), "", "none is set"),
            (Environment::from([PORT, (ROUTE_PREFIX.name, "app")]), "app", "the app setting"),
            (Environment::from([(ROUTE_PREFIX.name, "app")]), "", "without a host nobody adds it"),
        ] {
            assert_eq!(read_from(environment), (expected.parse().ok(), vec![]), "{why}");
        }
    }

    #[test]
    fn a_prefix_that_changes_paths_is_a_mistake() {
        for text in ["a b", "../x", "admin", "a%2Fb", "{x}"] {
            let (prefix, mistakes) = read_from(Environment::from([PORT, (ROUTE_PREFIX.name, text)]));
            assert_eq!((prefix, mistakes), (None, vec![ROUTE_PREFIX.name]), "{text}");
        }
    }
}
