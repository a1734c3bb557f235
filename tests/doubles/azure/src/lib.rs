//! Key Vault, Azure Monitor's ingestion and the managed identity endpoint of App Service, over real TLS, for tests of the real libraries.
//!
//! They copy what the services do to a client: challenge first, pages, attributes, roles, firewalls, throttling,
//! outages. Written from their REST references; a pass here is no proof of Azure.

mod fault;
mod identity;
mod monitor;
mod server;
mod tls;
mod vault;

use std::path::Path;
use std::sync::Arc;

pub use fault::{Fault, Faults};
pub use identity::{CLIENT_ID, Identity, OBJECT_ID};
pub use monitor::Monitor;
pub use vault::Vault;

use server::Server;
use tls::Authority;

/// The secret that App Service shares with an instance (`IDENTITY_HEADER`).
const IDENTITY_HEADER: &str = "an-identity-header";

/// All services; they end when this is dropped.
pub struct AzureDoubles {
    /// Hands out tokens, and is the issuer of them.
    pub identity: Arc<Identity>,
    /// Keeps secrets and keys.
    pub vault: Arc<Vault>,
    /// Takes telemetry.
    pub monitor: Arc<Monitor>,
    authority: Authority,
    identity_origin: String,
    vault_origin: String,
    identity_endpoint: String,
    monitor_origin: String,
    _servers: [Server; 3],
}

impl AzureDoubles {
    /// Starts all on free ports of loopback.
    #[must_use]
    pub fn start() -> Self {
        let authority = Authority::new();
        let identity = Arc::new(Identity::new());
        let vault = Arc::new(Vault::new(Arc::clone(&identity)));
        let monitor = Arc::new(Monitor::new(Arc::clone(&identity)));
        let identity_server = Server::start(&authority, Arc::clone(&identity) as _);
        let vault_server = Server::start(&authority, Arc::clone(&vault) as _);
        let monitor_server = Server::start(&authority, Arc::clone(&monitor) as _);
        Self {
            identity_endpoint: format!("{}/msi/token", identity_server.origin),
            identity_origin: identity_server.origin.clone(),
            vault_origin: vault_server.origin.clone(),
            monitor_origin: monitor_server.origin.clone(),
            identity,
            vault,
            monitor,
            authority,
            _servers: [identity_server, vault_server, monitor_server],
        }
    }

    /// The settings that make a handler use vault and identity.
    #[must_use]
    pub fn settings(&self) -> [(&str, &str); 6] {
        [
            ("KEY_VAULT_URL", &self.vault_origin),
            ("AZURE_CREDENTIAL", "managed_identity"),
            ("AZURE_CLIENT_ID", CLIENT_ID),
            ("IDENTITY_ENDPOINT", &self.identity_endpoint),
            ("IDENTITY_HEADER", IDENTITY_HEADER),
            ("SSL_CERT_FILE", self.certificate_file().to_str().expect("a plain path")),
        ]
    }

    /// Connection string of the Azure Monitor double.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!("InstrumentationKey={CLIENT_ID};IngestionEndpoint={}/", self.monitor_origin)
    }

    /// The issuer of the identity's tokens, as their `iss` and its metadata have it.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/tenant/", self.identity_origin)
    }

    /// The certificate that makes a client trust them all.
    #[must_use]
    pub fn certificate_file(&self) -> &Path {
        self.authority.file()
    }
}
