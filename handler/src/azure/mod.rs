//! The only user of Azure's libraries: sessions in Cosmos DB, keys in Key Vault, and the identity that reaches them.
//!
//! Implements the traits of `sessions`, `crypto` and `oidc`; knows no HTTP of ours and opens nothing sealed.

mod access_error;
mod cosmos_item;
mod cosmos_store;
mod credential;
mod key_vault;
mod key_vault_assertion;
mod key_vault_keys;
mod key_versions;
mod managed_identity_assertion;
mod monitor;
mod renewing_credential;

pub use access_error::AccessError;
pub use cosmos_store::{CosmosAuthorization, CosmosSettings, CosmosStore};
pub use credential::{AzureCredential, Identity};
pub use key_vault::KeyVault;
pub use key_vault_assertion::KeyVaultAssertion;
pub use key_vault_keys::{KeyVaultKeys, KeyVaultKeysSettings};
pub use managed_identity_assertion::ManagedIdentityAssertion;
pub use monitor::monitor_bearer;
