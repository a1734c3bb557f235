//! The client as the Provider knows it (OIDC Dynamic Client Registration 2).

/// The way of the code back to us (`response_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of a `GET` (the default).
    Query,
    /// In the form of a `POST` (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

/// Our registration at the Provider.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// Our identifier at the Provider.
    pub client_id: String,
    /// The callback's URL, exactly as registered.
    pub redirect_uri: String,
    /// The requested scopes, always with `openid`.
    pub scopes: Vec<String>,
    /// The way of the response.
    pub response_mode: ResponseMode,
}
