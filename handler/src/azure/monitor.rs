//! Tokens for Azure Monitor, which takes telemetry from identities only.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::AzureCredential;
use super::credential::identity_error;
use crate::telemetry::Bearer;

const SCOPE: &str = "https://monitor.azure.com/.default";

/// Bearer tokens of this identity; the credential caches each until it expires.
#[must_use]
pub fn monitor_bearer(credential: AzureCredential) -> Bearer {
    Arc::new(move || {
        let credential = credential.clone();
        Box::pin(async move {
            let token = credential.token.get_token(&[SCOPE], None).await.map_err(identity_error)?;
            Ok(Zeroizing::new(token.token.secret().to_owned()))
        })
    })
}
