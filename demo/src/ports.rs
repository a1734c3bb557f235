//! Which ports the demo listens at: three in a row, or any that are free.
//!
//! Knows nothing of who listens.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Where the handler listens, unless `--port` says otherwise; the Provider and the application follow.
const DEFAULT: u16 = 8080;

const USAGE: &str = "\
Usage: cargo run -p demo [-- --port N]

  --port N   the handler listens at N, the Provider at N+1, the application at N+2 (default 8080);
             0 takes any three free ports";

/// The three listeners of the demo, bound at once so that none takes another's port.
pub(crate) struct Listeners {
    pub(crate) handler: TcpListener,
    pub(crate) provider: TcpListener,
    pub(crate) application: TcpListener,
}

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("Port {port} is not free ({source}). Stop what listens there, or choose another: cargo run -p demo -- --port {}", suggestion(*.port))]
pub(crate) struct PortTaken {
    port: u16,
    source: io::Error,
}

/// What `--port` says; the usage for anything else.
pub(crate) fn first_port(arguments: &[String]) -> Result<u16, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = match arguments.as_slice() {
        [] => return Ok(DEFAULT),
        ["--port", number] => *number,
        [argument] => argument.strip_prefix("--port=").ok_or(USAGE)?,
        _ => return Err(USAGE.to_owned()),
    };
    let port = number.parse().ok().filter(|port: &u16| port.checked_add(2).is_some());
    port.ok_or_else(|| format!("--port takes a number from 0 to 65533, not {number:?}\n\n{USAGE}"))
}

impl Listeners {
    /// Binds `first` and the two that follow, or three free ports when it is 0.
    pub(crate) fn bind(first: u16) -> Result<Self, PortTaken> {
        let port = |offset: u16| if first == 0 { 0 } else { first + offset };
        Ok(Self { handler: bind(port(0))?, provider: bind(port(1))?, application: bind(port(2))? })
    }
}

fn bind(port: u16) -> Result<TcpListener, PortTaken> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| PortTaken { port, source })
}

/// Far from the port that is taken, so that all three are likely to be free.
fn suggestion(port: u16) -> u16 {
    if port < 60_000 { port / 1_000 * 1_000 + 1_000 } else { 9_000 }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, Listeners, USAGE, first_port};

    fn parse(arguments: &[&str]) -> Result<u16, String> {
        first_port(&arguments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_port_is_read_in_both_spellings() {
        assert_eq!(parse(&[]), Ok(DEFAULT));
        assert_eq!(parse(&["--port", "9000"]), Ok(9000));
        assert_eq!(parse(&["--port=0"]), Ok(0));
    }

    #[test]
    fn anything_else_is_answered_with_the_usage() {
        for (arguments, reason) in [
            (&["--help"][..], "an argument that we don't know"),
            (&["--port"], "no number"),
            (&["--port", "65534"], "no room for three"),
            (&["--port", "http"], "not a number"),
            (&["--port", "1", "2"], "too much"),
        ] {
            assert!(parse(arguments).is_err_and(|text| text.ends_with(USAGE)), "{reason}");
        }
    }

    #[test]
    fn a_taken_port_is_named_and_another_suggested() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();

        let refused = Listeners::bind(port).err().unwrap().to_string();

        assert!(refused.starts_with(&format!("Port {port} is not free")), "{refused}");
        assert!(refused.contains("-- --port "), "{refused}");
    }
}
