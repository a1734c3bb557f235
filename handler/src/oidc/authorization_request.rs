//! The authorization request: the URL that a browser is sent to (OIDC Core 3.1.2.1).

use url::Url;

use super::{PendingLogin, ProviderMetadata, pkce};
use crate::clock::Timestamp;

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

/// Parameters that whoever starts a sign-in may pass through to the Provider.
#[derive(Clone, Debug, Default)]
pub struct LoginHints(Vec<(String, String)>);

impl LoginHints {
    /// The only names that pass.
    pub const NAMES: [&str; 6] = ["prompt", "login_hint", "domain_hint", "acr_values", "max_age", "ui_locales"];

    /// Keeps the first value of each allowed name, drops everything else.
    #[must_use]
    pub fn from_query(pairs: &[(String, String)]) -> Self {
        let first = |name: &&str| pairs.iter().find(|(given, _)| given == name).cloned();
        Self(Self::NAMES.iter().filter_map(first).collect())
    }

    fn max_age(&self) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == "max_age")?.1.parse().ok()
    }
}

/// A URL at the Provider. It holds state and nonce, so it prints nothing.
pub struct AuthorizationRequest(Url);

impl AuthorizationRequest {
    /// Begins a sign-in: the request, and what must be remembered until its response.
    #[must_use]
    pub fn begin(
        return_url: &str,
        hints: &LoginHints,
        client: &ClientRegistration,
        provider: &ProviderMetadata,
        now: Timestamp,
    ) -> (Self, PendingLogin) {
        let pending = PendingLogin::begin(return_url, hints.max_age(), now);
        let mut url = provider.authorization_endpoint.clone();
        {
            let mut query = url.query_pairs_mut(); // RFC 6749 3.1: the endpoint's own query is kept
            query.append_pair("response_type", "code");
            query.append_pair("client_id", &client.client_id);
            query.append_pair("redirect_uri", &client.redirect_uri);
            query.append_pair("scope", &client.scopes.join(" "));
            query.append_pair("state", pending.state());
            query.append_pair("nonce", pending.nonce());
            query.append_pair("code_challenge", &pkce::code_challenge(pending.code_verifier()));
            query.append_pair("code_challenge_method", "S256");
            if client.response_mode == ResponseMode::FormPost {
                query.append_pair("response_mode", "form_post");
            }
            query.extend_pairs(&hints.0);
        }
        (Self(url), pending)
    }

    /// The URL for the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.as_str()
    }
}

impl std::fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorizationRequest(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn begin(hints: &LoginHints, response_mode: ResponseMode) -> (HashMap<String, String>, PendingLogin) {
        let metadata = serde_json::json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/authorize?tenant=a",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
        });
        let provider = ProviderMetadata::parse(metadata.to_string().as_bytes(), "https://op.example").unwrap();
        let client = ClientRegistration {
            client_id: "client".to_owned(),
            redirect_uri: "https://app.example/oauth/callback".to_owned(),
            scopes: vec!["openid".to_owned(), "profile".to_owned()],
            response_mode,
        };
        let (request, pending) = AuthorizationRequest::begin("/a", hints, &client, &provider, NOW);
        let url = Url::parse(request.url()).unwrap();
        (url.query_pairs().into_owned().collect(), pending)
    }

    #[test]
    fn the_request_carries_what_oidc_core_asks_for() {
        let (query, pending) = begin(&LoginHints::default(), ResponseMode::Query);

        let expected = [
            ("tenant", "a"),
            ("response_type", "code"),
            ("client_id", "client"),
            ("redirect_uri", "https://app.example/oauth/callback"),
            ("scope", "openid profile"),
            ("state", pending.state()),
            ("nonce", pending.nonce()),
            ("code_challenge", &pkce::code_challenge(pending.code_verifier())),
            ("code_challenge_method", "S256"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query, HashMap::from(expected));
    }

    #[test]
    fn form_post_is_asked_for_when_configured() {
        let (query, _) = begin(&LoginHints::default(), ResponseMode::FormPost);

        assert_eq!(query["response_mode"], "form_post");
    }

    #[test]
    fn only_allowed_hints_pass_and_each_once() {
        let given = [("prompt", "login"), ("prompt", "none"), ("client_id", "evil"), ("max_age", "60")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));

        let (query, pending) = begin(&LoginHints::from_query(&given), ResponseMode::Query);

        assert_eq!((query["prompt"].as_str(), query["client_id"].as_str()), ("login", "client"));
        assert_eq!(pending.max_age(), Some(60));
    }
}
