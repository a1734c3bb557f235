//! Authorization request: the URL of the Provider for the browser (OIDC Core 3.1.2.1).

use url::Url;

use super::{LoginHints, PendingLogin, ProviderMetadata, RelyingPartySettings, ResponseMode, pkce};
use crate::clock::Timestamp;

/// URL of an authorization request. It contains state and nonce, so it prints nothing.
pub struct AuthorizationRequest {
    url: Url,
    parameters: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Creates the request and the pending login to keep until its response.
    #[must_use]
    pub fn begin(
        return_url: &str,
        hints: &LoginHints,
        settings: &RelyingPartySettings,
        provider: &ProviderMetadata,
        now: Timestamp,
    ) -> (Self, PendingLogin) {
        let further = hints.over(&settings.dialect.authorize_parameters);
        let max_age = further.iter().find(|(name, _)| name == "max_age").and_then(|(_, value)| value.parse().ok());
        let pending = PendingLogin::begin(return_url, max_age, now);
        let client = &settings.registration;
        let scope = client.scopes.join(" ");
        let challenge = pkce::code_challenge(pending.code_verifier());
        let mut ours = vec![
            ("response_type", "code"),
            ("client_id", &client.client_id),
            ("redirect_uri", &client.redirect_uri),
            ("scope", &scope),
            ("state", pending.state()),
            ("nonce", pending.nonce()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if client.response_mode == ResponseMode::FormPost {
            ours.push(("response_mode", "form_post"));
        }
        let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (Self::of(ours.chain(further).collect(), provider), pending)
    }

    /// The same request by reference (RFC 9126 4): the browser carries only the reference.
    pub(super) fn by_reference(&self, request_uri: &str, client_id: &str, provider: &ProviderMetadata) -> Self {
        let parameters = [("client_id", client_id), ("request_uri", request_uri)];
        Self::of(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), provider)
    }

    fn of(parameters: Vec<(String, String)>, provider: &ProviderMetadata) -> Self {
        let mut url = provider.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs(&parameters); // RFC 6749 3.1: the endpoint's own query is kept
        Self { url, parameters }
    }

    /// The URL for the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
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
    use crate::oidc::{ClientAuthentication, ClientRegistration, ProviderDialect, RequestParameters};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn begin(hints: &LoginHints, response_mode: ResponseMode) -> (HashMap<String, String>, PendingLogin) {
        begin_with(hints, response_mode, ProviderDialect::default())
    }

    fn begin_with(
        hints: &LoginHints,
        response_mode: ResponseMode,
        dialect: ProviderDialect,
    ) -> (HashMap<String, String>, PendingLogin) {
        let metadata = serde_json::json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/authorize?tenant=a",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
        });
        let provider = ProviderMetadata::parse(metadata.to_string().as_bytes(), "https://op.example").unwrap();
        let registration = ClientRegistration {
            client_id: "client".to_owned(),
            redirect_uri: "https://app.example/oauth/callback".to_owned(),
            scopes: vec!["openid".to_owned(), "profile".to_owned()],
            response_mode,
        };
        let settings = RelyingPartySettings {
            issuer: "https://op.example".to_owned(),
            registration,
            authentication: ClientAuthentication::None,
            userinfo: false,
            trusted_audiences: Vec::new(),
            group_overage: crate::oidc::GroupOverage::Ignore,
            dialect,
        };
        let (request, pending) = AuthorizationRequest::begin("/a", hints, &settings, &provider, NOW);
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
    #[test]
    fn configured_parameters_go_along_and_a_configured_max_age_is_remembered() {
        let parameters = RequestParameters::parse("audience=api&max_age=60", &RequestParameters::default()).unwrap();
        let dialect = ProviderDialect { authorize_parameters: parameters, ..ProviderDialect::default() };
        let hints = LoginHints::from_query(&[("max_age".to_owned(), "600".to_owned())]);

        let (query, pending) = begin_with(&hints, ResponseMode::Query, dialect);

        assert_eq!((query["audience"].as_str(), query["max_age"].as_str()), ("api", "60"));
        assert_eq!(pending.max_age(), Some(60));
    }
}
