//! The ways in which one Provider departs from the standards, or adds to them. Data: it names no Provider.

use super::{ClaimAlias, ProviderMetadata, RequestParameters, SigningAlgorithm};

/// Everything known of a Provider besides its metadata. The default is a Provider that keeps to the standards.
#[derive(Clone, Debug, Default)]
pub struct ProviderDialect {
    /// The metadata's URL, where it is not below the issuer (`METADATA_URL`). The document must name the issuer all the
    /// same.
    pub metadata_url: Option<String>,
    /// Further parameters of authorization requests.
    pub authorize_parameters: RequestParameters,
    /// Further parameters of code exchanges and refreshes.
    pub token_parameters: RequestParameters,
    /// The only algorithm of ID and logout tokens; `None` derives one family from metadata and keys.
    pub id_token_signing_algorithm: Option<SigningAlgorithm>,
    /// The choice between a URL and a pushed request (RFC 9126).
    pub pushed_authorization_requests: PushedAuthorizationRequests,
    /// True if `scope` in a token response names the access token's scopes and not the grant's: a refresh then asks for
    /// what the sign-in asked for.
    pub scope_is_of_access_token: bool,
    /// The Provider's logout.
    pub logout: LogoutDialect,
    /// The claim whose value is the `logout_hint`.
    pub logout_hint_claim: Option<&'static str>,
    /// The Provider's own names of standard claims.
    pub claim_aliases: &'static [ClaimAlias],
    /// The way in which the Provider tells of a logout, if that is known.
    pub logout_channel: Option<LogoutChannel>,
}

/// The way in which a Provider tells clients of a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutChannel {
    /// It calls us (OpenID Connect Back-Channel Logout 1.0).
    Back,
    /// Its page frames ours (OpenID Connect Front-Channel Logout 1.0).
    Front,
    /// It tells nobody.
    None,
}

/// The Provider's logout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogoutDialect {
    /// RP-Initiated Logout 1.0, where the metadata has an `end_session_endpoint`.
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
