//! The address to listen on: the Functions host's port, or one of our own.

use std::net::SocketAddr;

use super::reader::{Reader, Setting};

const FUNCTIONS_CUSTOMHANDLER_PORT: Setting =
    Setting { name: "FUNCTIONS_CUSTOMHANDLER_PORT", expected: "a port", example: "40123" };
const LISTEN_ADDR: Setting =
    Setting { name: "LISTEN_ADDR", expected: "an address and a port", example: "127.0.0.1:7071" };

/// Where requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The Functions host, at this port of 127.0.0.1.
    FunctionsHost(u16),
    /// Anyone who reaches this address.
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

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Listener> {
    if reader.optional(FUNCTIONS_CUSTOMHANDLER_PORT).is_some() {
        let port = reader.parse_or(FUNCTIONS_CUSTOMHANDLER_PORT, 0, |text| text.parse().ok());
        return port.map(Listener::FunctionsHost);
    }
    let default = SocketAddr::from(([127, 0, 0, 1], 7071));
    reader.parse_or(LISTEN_ADDR, default, |text| text.parse().ok()).map(Listener::Address)
}
