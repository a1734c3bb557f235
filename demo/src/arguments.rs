//! The command line of the demo, and the three addresses that follow from it.

use std::net::TcpListener;

const USAGE: &str = "Usage: cargo run -p demo [-- --port N]

  --port N   the handler's port; the Provider takes N+1, the application N+2 (default 8080; 0 takes free ones)";

/// What to run.
pub(crate) enum Arguments {
    /// The whole demo; the handler's port.
    Demo { port: u16 },
    /// The handler alone: how the demo starts its own child.
    Handler,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let arguments: Vec<String> = arguments.collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(Self::Demo { port: 8080 }),
            ["handler"] => Ok(Self::Handler),
            ["--port", port] => match port.parse() {
                Ok(port) if port <= u16::MAX - 2 => Ok(Self::Demo { port }),
                _ => Err(USAGE.to_owned()),
            },
            _ => Err(USAGE.to_owned()),
        }
    }
}

/// Where the three parts listen.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    handler: u16,
    provider: u16,
    application: u16,
}

impl Ports {
    /// The handler's port is free now; its child binds it a moment later.
    pub(crate) fn of(port: u16, provider: &TcpListener, application: &TcpListener) -> Result<Self, String> {
        let taken = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        let handler =
            TcpListener::bind(("127.0.0.1", port)).and_then(|listener| taken(&listener)).map_err(|cause| {
                format!("port {port} cannot be used ({cause}); choose three others: cargo run -p demo -- --port 9000")
            })?;
        let unknown = |cause: std::io::Error| cause.to_string();
        Ok(Self {
            handler,
            provider: taken(provider).map_err(unknown)?,
            application: taken(application).map_err(unknown)?,
        })
    }

    /// The origin to open.
    pub(crate) fn handler(&self) -> String {
        format!("http://127.0.0.1:{}", self.handler)
    }

    /// The issuer.
    pub(crate) fn provider(&self) -> String {
        format!("http://127.0.0.1:{}", self.provider)
    }

    /// The Upstream.
    pub(crate) fn application(&self) -> String {
        format!("http://127.0.0.1:{}", self.application)
    }
}
