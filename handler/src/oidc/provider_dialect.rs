//! Deviations of one Provider from the standards, and its additions. Data: it names no Provider.

use super::{ClaimAlias, ProviderMetadata, RequestParameters, SigningAlgorithm, TargetGrants};

/// Known facts about a Provider beside its metadata. The default follows the standards.
#[derive(Clone, Debug, Default)]
pub struct ProviderDialect {
    /// URL of the metadata, if not below the issuer (`METADATA_URL`). The document must still name the issuer.
    pub metadata_url: Option<String>,
    /// Additional parameters of authorization requests.
    pub authorize_parameters: RequestParameters,
    /// Additional parameters of code exchanges and refreshes.
    pub token_parameters: RequestParameters,
    /// Algorithm of ID and logout tokens; `None` derives one family from metadata and keys.
    pub id_token_signing_algorithm: Option<SigningAlgorithm>,
    /// The choice between a URL and a pushed request (RFC 9126).
    pub pushed_authorization_requests: PushedAuthorizationRequests,
    /// True if `scope` in a token response lists the access token's scopes instead of the grant's: a refresh then
    /// requests the scopes of the sign-in.
    pub scope_is_of_access_token: bool,
    /// Ways to an access token for another target than the sign-in's.
    pub target_grants: TargetGrants,
    /// Form of the Provider's logout.
    pub logout: LogoutDialect,
    /// The claim whose value is the `logout_hint`.
    pub logout_hint_claim: Option<&'static str>,
    /// The Provider's own names for standard claims.
    pub claim_aliases: &'static [ClaimAlias],
    /// Channel by which the Provider reports a logout, if known.
    pub logout_channel: Option<LogoutChannel>,
}

/// Channel by which a Provider reports a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutChannel {
    /// A request to us (OpenID Connect Back-Channel Logout 1.0).
    Back,
    /// A frame in its page (OpenID Connect Front-Channel Logout 1.0).
    Front,
    /// No report.
    None,
}

/// Form of the Provider's logout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogoutDialect {
    /// RP-Initiated Logout 1.0, if the metadata has an `end_session_endpoint`.
    #[default]
    RpInitiated,
    /// The same; without an `end_session_endpoint` the Provider's own.
    RpInitiatedOr(OwnLogout),
    /// The Provider's own, at the `end_session_endpoint` if there is one.
    Own(OwnLogout),
}

/// A logout with `client_id`, a URL to return to, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLogout {
    /// Its path at the origin of the authorization endpoint.
    pub path: &'static str,
    /// The parameter with the URL to return to.
    pub return_parameter: &'static str,
}

/// The choice between a URL and a pushed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedAuthorizationRequests {
    /// Pushed if the metadata demands it (RFC 9126 5).
    #[default]
    Auto,
    /// Always pushed.
    Always,
    /// Never pushed.
    Never,
}

impl PushedAuthorizationRequests {
    pub(super) const fn applies(self, metadata: &ProviderMetadata) -> bool {
        match self {
            Self::Auto => metadata.require_pushed_authorization_requests,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests;
