//! `private_key_jwt` with a key that never leaves its vault: the vault makes the signature.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_security_keyvault_keys::models::{
    CurveName, KeyClientSignOptions, KeyType, SignParameters, SignatureAlgorithm,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceExt as _};
use jsonwebtoken::Algorithm;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

use super::{AccessError, AzureCredential};
use crate::clock::Timestamp;
use crate::crypto::base64url;
use crate::oidc::{ClientAssertion, ClientAssertionError, assertion_to_sign};
use crate::transport_security::is_loopback;

const ROLE: &str = "Key Vault Crypto User";
const KEY: &str = "key";

/// Time budget of one key lookup or one signature; the token request comes after it.
const BUDGET: Duration = Duration::from_secs(5);

/// Client assertion signed by a key in a vault.
pub struct KeyVaultAssertion {
    keys: KeyClient,
    name: String,
    key_id: Option<String>,
    version: OnceCell<SigningVersion>,
}

/// Version of the key that was the newest at the first signature; it signs until the process ends, so that a
/// newer one can be registered at the Provider first.
struct SigningVersion {
    version: String,
    algorithm: Algorithm,
}

impl KeyVaultAssertion {
    /// Assertions by the key `name` of the vault at `url`; `key_id` names its public half at the Provider, or else
    /// its version does.
    ///
    /// # Errors
    /// When the address can't be one of a vault.
    pub fn new(
        url: &Url,
        name: String,
        key_id: Option<String>,
        credential: &AzureCredential,
    ) -> Result<Self, AccessError> {
        let options = KeyClientOptions {
            client_options: (*credential.client_options).clone(),
            verify_challenge_resource: Some(!is_loopback(url)),
            ..KeyClientOptions::default()
        };
        let keys = KeyClient::new(url.as_str(), credential.token.clone(), Some(options));
        let keys = keys.map_err(|error| AccessError::of(error, KEY, ROLE))?;
        Ok(Self { keys, name, key_id, version: OnceCell::new() })
    }

    async fn newest(&self) -> Result<SigningVersion, AccessError> {
        let read = async { self.keys.get_key(&self.name, None).await?.into_model() };
        let key = within_budget(read).await?;
        let version = key.resource_id().ok().and_then(|id| id.version);
        let key = key.key.ok_or(AccessError::Response("a key without its public half"))?;
        let algorithm = match (key.kty, key.crv) {
            (Some(KeyType::Rsa | KeyType::RsaHsm), _) => Algorithm::RS256,
            (Some(KeyType::Ec | KeyType::EcHsm), Some(CurveName::P256)) => Algorithm::ES256,
            _ => return Err(AccessError::Response("the key is neither RSA nor EC on P-256")),
        };
        let version = version.ok_or(AccessError::Response("a key without a version"))?;
        Ok(SigningVersion { version, algorithm })
    }

    async fn sign(&self, client_id: &str, token_endpoint: &Url, now: Timestamp) -> Result<String, AccessError> {
        let signing = self.version.get_or_try_init(|| self.newest()).await?;
        let key_id = self.key_id.as_deref().unwrap_or(&signing.version);
        let signed = assertion_to_sign(signing.algorithm, Some(key_id), client_id, token_endpoint, now);
        let algorithm =
            if signing.algorithm == Algorithm::ES256 { SignatureAlgorithm::Es256 } else { SignatureAlgorithm::Rs256 };
        let parameters = SignParameters { algorithm: Some(algorithm), value: Some(Sha256::digest(&signed).to_vec()) };
        let options =
            KeyClientSignOptions { key_version: Some(signing.version.clone()), ..KeyClientSignOptions::default() };
        let sign = async { self.keys.sign(&self.name, parameters.try_into()?, Some(options)).await?.into_model() };
        let signature = within_budget(sign).await?.result.ok_or(AccessError::Response("no signature"))?;
        Ok(format!("{signed}.{}", base64url(&signature)))
    }
}

#[async_trait]
impl ClientAssertion for KeyVaultAssertion {
    async fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &Url,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, ClientAssertionError> {
        let signed = self.sign(client_id, token_endpoint, now).await;
        signed.map(Zeroizing::new).map_err(|error| ClientAssertionError(Arc::new(error)))
    }
}

async fn within_budget<T>(work: impl Future<Output = azure_core::Result<T>>) -> Result<T, AccessError> {
    let done = tokio::time::timeout(BUDGET, work).await.map_err(|_| AccessError::Timeout)?;
    done.map_err(|error| AccessError::of(error, KEY, ROLE))
}

impl fmt::Debug for KeyVaultAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVaultAssertion").field("name", &self.name).finish_non_exhaustive()
    }
}
