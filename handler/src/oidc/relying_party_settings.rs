//! The settings of a relying party. Apart from it, so that requests can name them without naming it.

use super::{ClientAuthentication, ClientRegistration, GroupOverage, ProviderDialect};

/// The settings of a relying party.
#[derive(Clone, Debug)]
pub struct RelyingPartySettings {
    /// The issuer, exactly as it names itself.
    pub issuer: String,
    /// Our registration at the Provider.
    pub registration: ClientRegistration,
    /// Our client authentication.
    pub authentication: ClientAuthentication,
    /// True if UserInfo is asked at sign-in and after a refresh.
    pub userinfo: bool,
    /// Audiences that ID and logout tokens may name beside our client identifier.
    pub trusted_audiences: Vec<String>,
    /// The groups of a person whose ID token only refers to them.
    pub group_overage: GroupOverage,
    /// The Provider's departures from the standards.
    pub dialect: ProviderDialect,
}
