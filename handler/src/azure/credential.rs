//! Our identity towards Azure services: a managed identity there, a developer's own sign-in here. Chosen by
//! configuration, never by trial.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};

use super::AccessError;
use super::access_error::Source;
use super::renewing_credential::RenewingCredential;

/// Retry budget of a call to Azure services.
const RETRY_BUDGET: azure_core::time::Duration = azure_core::time::Duration::seconds(3);

/// Identity for Azure services (`AZURE_CREDENTIAL`, `AZURE_CLIENT_ID`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Managed identity of the Function App.
    Managed {
        /// Client identifier of a user-assigned identity; `None` for the system-assigned one.
        client_id: Option<String>,
    },
    /// The account signed in to `az` or `azd` on this machine.
    DeveloperTools,
}

/// Credential that issues tokens, and the connections it uses.
#[derive(Clone)]
pub struct AzureCredential {
    pub(super) token: Arc<dyn TokenCredential>,
    pub(super) client_options: Arc<ClientOptions>,
}

impl AzureCredential {
    /// The credential of an identity, over connections that trust what `tls` trusts. Opens none yet.
    ///
    /// # Errors
    /// [`AccessError::Identity`] where this machine can't have such an identity.
    pub fn new(identity: &Identity, tls: &rustls::ClientConfig) -> Result<Self, AccessError> {
        let client_options = client_options(tls)?;
        let token: Arc<dyn TokenCredential> = match identity {
            Identity::Managed { client_id } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: client_options.clone(),
                };
                ManagedIdentityCredential::new(Some(options)).map_err(identity_error)?
            }
            Identity::DeveloperTools => DeveloperToolsCredential::new(None).map_err(identity_error)?,
        };
        let token = Arc::new(RenewingCredential::new(token));
        Ok(Self { token, client_options: Arc::new(client_options) })
    }
}

fn client_options(tls: &rustls::ClientConfig) -> Result<ClientOptions, AccessError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(8))
        .build()
        .map_err(|error| AccessError::Identity(Source::new(error)))?;
    let retry = ExponentialRetryOptions { max_retries: 3, max_total_elapsed: RETRY_BUDGET, ..Default::default() };
    Ok(ClientOptions {
        transport: Some(Transport::new(Arc::new(client))),
        retry: RetryOptions::exponential(retry),
        ..Default::default()
    })
}

pub(super) fn identity_error(error: azure_core::Error) -> AccessError {
    AccessError::Identity(Source::new(error))
}

impl fmt::Debug for AzureCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureCredential(..)")
    }
}
