//! Ports of the demo: five in a row, or any that are free.
//!
//! Knows nothing of the listeners' protocols.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The five listeners of the demo, bound at once so that none takes another's port.
pub(crate) struct Listeners {
    pub(crate) handler: TcpListener,
    pub(crate) provider: TcpListener,
    pub(crate) application: TcpListener,
    pub(crate) inspector: TcpListener,
    pub(crate) database: TcpListener,
}

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("Port {port} is not free ({source}). Stop what listens there, or choose another: --port {}", suggestion(*.port))]
pub(crate) struct PortTaken {
    port: u16,
    source: io::Error,
}

impl Listeners {
    /// Binds `first` and the four that follow, or five free ports when it is 0.
    pub(crate) fn bind(first: u16) -> Result<Self, PortTaken> {
        let port = |offset: u16| if first == 0 { 0 } else { first + offset };
        Ok(Self {
            handler: bind(port(0))?,
            provider: bind(port(1))?,
            application: bind(port(2))?,
            inspector: bind(port(3))?,
            database: bind(port(4))?,
        })
    }
}

fn bind(port: u16) -> Result<TcpListener, PortTaken> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| PortTaken { port, source })
}

/// Far from the port that is taken, so that all five are likely to be free.
fn suggestion(port: u16) -> u16 {
    if port < 60_000 { port / 1_000 * 1_000 + 1_000 } else { 9_000 }
}

#[cfg(test)]
mod tests {
    use super::Listeners;

    #[test]
    fn a_taken_port_is_named_and_another_suggested() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();

        let refused = Listeners::bind(port).err().unwrap().to_string();

        assert!(refused.starts_with(&format!("Port {port} is not free")), "{refused}");
        assert!(refused.contains("--port "), "{refused}");
    }
}
