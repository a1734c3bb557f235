//! Our registration at the Provider (OIDC Dynamic Client Registration 2).

/// Transport of the code back to us (`response_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// Query of a `GET` (the default).
    Query,
    /// Form of a `POST` (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

/// Our registration at the Provider.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// Our client identifier.
    pub client_id: String,
    /// URL of the callback, exactly as registered.
    pub redirect_uri: String,
    /// The requested scopes, always with `openid`.
    pub scopes: Vec<String>,
    /// Transport of the authorization response.
    pub response_mode: ResponseMode,
}
