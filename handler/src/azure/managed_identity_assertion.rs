//! A managed identity's token as our client assertion (RFC 7523 2.2): with workload identity federation there is no
//! client secret anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;
use zeroize::Zeroizing;

use super::credential::identity_error;
use super::{AccessError, AzureCredential};
use crate::clock::Timestamp;
use crate::oidc::{ClientAssertion, ClientAssertionError};

/// Scope of Entra ID's token exchange for federated identities.
const SCOPE: &str = "api://AzureADTokenExchange/.default";

/// Time budget of the identity's token. The token request follows, and a browser waits for both.
const BUDGET: Duration = Duration::from_secs(5);

/// Client assertion that is a managed identity's own token.
pub struct ManagedIdentityAssertion(AzureCredential);

impl ManagedIdentityAssertion {
    /// Client assertions of this identity.
    #[must_use]
    pub fn new(credential: AzureCredential) -> Self {
        Self(credential)
    }
}

#[async_trait]
impl ClientAssertion for ManagedIdentityAssertion {
    async fn assertion(
        &self,
        _client_id: &str,
        _token_endpoint: &Url,
        _now: Timestamp,
    ) -> Result<Zeroizing<String>, ClientAssertionError> {
        let asked = tokio::time::timeout(BUDGET, self.0.token.get_token(&[SCOPE], None)).await;
        let token = asked.map_err(|_| AccessError::Timeout).and_then(|token| token.map_err(identity_error));
        let token = token.map_err(|error| ClientAssertionError(Arc::new(error)))?;
        Ok(Zeroizing::new(token.token.secret().to_owned()))
    }
}

impl fmt::Debug for ManagedIdentityAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagedIdentityAssertion(..)")
    }
}
