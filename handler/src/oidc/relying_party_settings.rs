//! Settings of a relying party, in a file of their own so that requests depend on them and not on the relying party.

use super::{ClientAuthentication, ClientRegistration, GroupOverage, ProviderDialect};

/// The settings of a relying party.
#[derive(Clone, Debug)]
pub struct RelyingPartySettings {
    /// The issuer identifier, byte for byte.
    pub issuer: String,
    /// Our registration at the Provider.
    pub registration: ClientRegistration,
    /// Our client authentication.
    pub authentication: ClientAuthentication,
    /// True if UserInfo is requested at sign-in and after a refresh.
    pub userinfo: bool,
    /// Audiences that ID and logout tokens may name beside our client identifier.
    pub trusted_audiences: Vec<String>,
    /// Source of a person's groups when the ID token only refers to them.
    pub group_overage: GroupOverage,
    /// The Provider's deviations from the standards.
    pub dialect: ProviderDialect,
}
