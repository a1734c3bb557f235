//! Microsoft's own in-memory Cosmos DB emulator, which ships inside its driver, as a server for any number of processes.
//!
//! Around it stands what it lacks: time to live by a clock that tests control, authentication, the network's faults,
//! and a count of calls and request units. Its request units are a model, not the service.

mod authorization;
mod backend;
mod control;
mod operation;
mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

pub use control::{Control, Count, Fault};
pub use operation::Operation;

/// The account's key: the one that every Cosmos DB emulator has, documented by Microsoft.
pub const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";
/// The database that is there from the start.
pub const DATABASE: &str = "oauth-proxy";
/// The container that is there from the start: partition key `/id`, `defaultTtl` -1.
pub const CONTAINER: &str = "sessions";

/// A running emulator; it ends when this is dropped.
pub struct CosmosEmulator {
    /// Endpoint, `http` on loopback.
    pub endpoint: String,
    /// Test control: faults and counters.
    pub control: Arc<Control>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl CosmosEmulator {
    /// Starts one on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(0)
    }

    /// Starts one on this port of 127.0.0.1, on a thread of its own.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let control = Arc::new(Control::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (base, served) = (endpoint.parse().unwrap(), Arc::clone(&control));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let backend = backend::Backend::new(base).await;
                ready.send(()).unwrap();
                tokio::select! {
                    () = server::serve(listener, backend, served) => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().expect("the emulator starts");
        Self { endpoint, control, _stop: stop }
    }

    /// The settings that make a handler use it.
    #[must_use]
    pub fn settings(&self) -> [(&str, &str); 5] {
        [
            ("SESSION_STORE", "cosmos"),
            ("COSMOS_ENDPOINT", &self.endpoint),
            ("COSMOS_DATABASE", DATABASE),
            ("COSMOS_CONTAINER", CONTAINER),
            ("COSMOS_KEY", KEY),
        ]
    }
}
