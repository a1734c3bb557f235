//! Client of one vault: lists the versions of a secret and reads one.

use std::fmt;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use azure_security_keyvault_secrets::models::{SecretClientGetSecretOptions, SecretProperties};
use azure_security_keyvault_secrets::{ResourceExt as _, SecretClient, SecretClientOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use url::Url;
use zeroize::Zeroizing;

use super::key_versions::KeyVersion;
use super::{AccessError, AzureCredential};
use crate::clock::Timestamp;
use crate::crypto::{Key, KeyId};
use crate::transport_security::is_loopback;

const ROLE: &str = "Key Vault Secrets User";
const SECRET: &str = "secret";

/// Time budget of one list or read, retries included.
const BUDGET: Duration = Duration::from_secs(10);

/// The vault of `KEY_VAULT_URL`.
pub struct KeyVault {
    secrets: SecretClient,
}

impl KeyVault {
    /// The vault at `url`. Opens no connection yet.
    ///
    /// # Errors
    /// When the address can't be one of a vault.
    pub fn new(url: &Url, credential: &AzureCredential) -> Result<Self, AccessError> {
        let options = SecretClientOptions {
            client_options: (*credential.client_options).clone(),
            // An emulator on this machine fails the check of the vault's domain name.
            verify_challenge_resource: Some(!is_loopback(url)),
            ..SecretClientOptions::default()
        };
        let secrets = SecretClient::new(url.as_str(), credential.token.clone(), Some(options));
        Ok(Self { secrets: secrets.map_err(|error| AccessError::of(error, SECRET, ROLE))? })
    }

    pub(super) async fn versions(&self, name: &str) -> Result<Vec<KeyVersion>, AccessError> {
        let list = async {
            let pager = self.secrets.list_secret_properties_versions(name, None)?;
            pager.try_collect::<Vec<_>>().await
        };
        let listed = within_budget(list).await?;
        listed
            .iter()
            .map(|properties| version(properties).ok_or(AccessError::Response("a version without a name")))
            .collect()
    }

    pub(super) async fn key(&self, name: &str, version: &KeyId) -> Result<Key, AccessError> {
        let options = SecretClientGetSecretOptions {
            secret_version: Some(version.as_str().to_owned()),
            ..SecretClientGetSecretOptions::default()
        };
        let read = async { self.secrets.get_secret(name, Some(options)).await?.into_model() };
        let value = within_budget(read).await?.value.map(Zeroizing::new);
        let bytes = value.and_then(|value| STANDARD.decode(value.trim()).ok()).map(Zeroizing::new);
        let key = bytes.and_then(|bytes| Key::from_bytes(&bytes).ok());
        key.ok_or(AccessError::Response("the secret is not base64 of 32 bytes"))
    }
}

fn version(properties: &SecretProperties) -> Option<KeyVersion> {
    let attributes = properties.attributes.as_ref()?;
    let time = |time: OffsetDateTime| Timestamp::from_unix(time.unix_timestamp());
    Some(KeyVersion {
        kid: KeyId::parse(&properties.resource_id().ok()?.version?).ok()?,
        created: attributes.created.map(time)?,
        is_enabled: attributes.enabled.unwrap_or(false),
        not_before: attributes.not_before.map(time),
        expires: attributes.expires.map(time),
    })
}

async fn within_budget<T>(work: impl Future<Output = azure_core::Result<T>>) -> Result<T, AccessError> {
    let done = tokio::time::timeout(BUDGET, work).await.map_err(|_| AccessError::Timeout)?;
    done.map_err(|error| AccessError::of(error, SECRET, ROLE))
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault").field("url", &self.secrets.endpoint().as_str()).finish()
    }
}
