//! Logout request (OpenID Connect RP-Initiated Logout 1.0): a URL that ends the session at the Provider.

use std::fmt;

use url::Url;

use super::{Claims, LogoutDialect, RelyingParty};
use crate::clock::Timestamp;

/// Maximum length of `id_token_hint`; a longer one is omitted, since no server on the way accepts the URL. Then
/// `client_id` and the redirect URI identify us, and the Provider asks the person.
const MAX_HINT_LENGTH: usize = 6 * 1024;

/// URL of the Provider's logout. It contains an ID token, so it prints nothing.
pub struct LogoutRequest(Url);

impl LogoutRequest {
    fn new(endpoint: &Url, parameters: &[(&str, Option<&str>)]) -> Self {
        let mut url = endpoint.clone();
        let given = parameters.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        url.query_pairs_mut().extend_pairs(given); // the endpoint's own query is kept
        Self(url)
    }

    /// The URL for the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for LogoutRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogoutRequest(..)")
    }
}

impl RelyingParty {
    /// Builds the URL that also signs the browser out at the Provider, in the Provider's dialect. `None` if the
    /// Provider has no such endpoint, or its metadata cannot be fetched: a sign-out never waits for the Provider.
    pub async fn logout_request(
        &self,
        id_token_hint: Option<&str>,
        claims: Option<&Claims>,
        post_logout_redirect_uri: &str,
        state: Option<&str>,
        now: Timestamp,
    ) -> Option<LogoutRequest> {
        let metadata = self.issuer.metadata(now).await.ok()?;
        let dialect = &self.settings().dialect;
        let client_id = Some(self.settings().registration.client_id.as_str());
        let end_session = metadata.end_session_endpoint.as_ref();
        let own = match (dialect.logout, end_session) {
            (LogoutDialect::RpInitiated, None) => return None,
            (LogoutDialect::RpInitiated | LogoutDialect::RpInitiatedOr(_), Some(endpoint)) => {
                let hint = |claim| claims.and_then(|claims| claims.text(claim));
                let parameters = [
                    ("id_token_hint", id_token_hint.filter(|hint| hint.len() <= MAX_HINT_LENGTH)),
                    ("logout_hint", dialect.logout_hint_claim.and_then(hint)),
                    ("client_id", client_id),
                    ("post_logout_redirect_uri", Some(post_logout_redirect_uri)),
                    ("state", state),
                ];
                return Some(LogoutRequest::new(endpoint, &parameters));
            }
            (LogoutDialect::RpInitiatedOr(own) | LogoutDialect::Own(own), _) => own,
        };
        let at_authorization_endpoint = || metadata.authorization_endpoint.join(own.path).ok();
        let endpoint = end_session.cloned().or_else(at_authorization_endpoint)?;
        let parameters = [("client_id", client_id), (own.return_parameter, Some(post_logout_redirect_uri))];
        Some(LogoutRequest::new(&endpoint, &parameters))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::oidc::{OwnLogout, ProviderDialect, RelyingPartySettings, Response, ScriptedWire};
    use crate::testing::relying_party_settings;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const OWN: OwnLogout = OwnLogout { path: "/v2/logout", return_parameter: "returnTo" };

    /// URL of a sign-out with this ID token and state; the metadata may lack an `end_session_endpoint`.
    async fn url(
        dialect: ProviderDialect,
        id_token_hint: &str,
        state: Option<&str>,
        has_end_session_endpoint: bool,
    ) -> Option<String> {
        let mut metadata = json!({
            "issuer": "https://op.example", "authorization_endpoint": "https://op.example/oauth2/authorize?a=b",
            "token_endpoint": "https://op.example/token", "jwks_uri": "https://op.example/jwks",
        });
        if has_end_session_endpoint {
            metadata["end_session_endpoint"] = "https://op.example/logout?tenant=a".into();
        }
        let wire = ScriptedWire::new(move |_| std::future::ready(Ok(Response::json(200, &metadata))));
        let settings = RelyingPartySettings { dialect, ..relying_party_settings("https://op.example") };
        let party = RelyingParty::scripted(Arc::new(settings), Arc::default(), wire);
        let claims = serde_json::from_value(json!({"sub": "ada", "login_hint": "O.ada"})).unwrap();
        let request = party.logout_request(Some(id_token_hint), Some(&claims), "https://app/out", state, NOW).await?;
        assert_eq!(format!("{request:?}"), "LogoutRequest(..)");
        Some(request.url().to_owned())
    }

    #[tokio::test(flavor = "local")]
    async fn the_request_carries_what_rp_initiated_logout_asks_for() {
        let url = url(ProviderDialect::default(), "eyJ.e.s", Some("/after?a=b&c"), true).await.unwrap();

        let expected = "https://op.example/logout?tenant=a&id_token_hint=eyJ.e.s&client_id=client\
            &post_logout_redirect_uri=https%3A%2F%2Fapp%2Fout&state=%2Fafter%3Fa%3Db%26c";
        assert_eq!(url, expected);
    }

    #[tokio::test(flavor = "local")]
    async fn a_hint_that_no_url_could_hold_is_left_out() {
        let url = url(ProviderDialect::default(), &"e".repeat(MAX_HINT_LENGTH + 1), None, true).await.unwrap();

        let expected =
            "https://op.example/logout?tenant=a&client_id=client&post_logout_redirect_uri=https%3A%2F%2Fapp%2Fout";
        assert_eq!(url, expected);
    }

    #[tokio::test(flavor = "local")]
    async fn a_providers_own_claim_is_the_logout_hint() {
        let dialect = ProviderDialect { logout_hint_claim: Some("login_hint"), ..ProviderDialect::default() };

        let url = url(dialect, "eyJ", None, true).await.unwrap();

        assert!(url.contains("&logout_hint=O.ada&"), "{url}");
    }

    #[tokio::test(flavor = "local")]
    async fn a_providers_own_logout_has_its_own_parameters_and_place() {
        let at = async |logout, has_end_session_endpoint| {
            let dialect = ProviderDialect { logout, ..ProviderDialect::default() };
            url(dialect, "eyJ", Some("/a"), has_end_session_endpoint).await
        };

        let own = "client_id=client&returnTo=https%3A%2F%2Fapp%2Fout";
        let at_origin = Some(format!("https://op.example/v2/logout?{own}"));
        assert_eq!(at(LogoutDialect::RpInitiated, false).await, None);
        assert_eq!(at(LogoutDialect::RpInitiatedOr(OWN), false).await, at_origin);
        assert_eq!(at(LogoutDialect::Own(OWN), false).await, at_origin);
        assert_eq!(at(LogoutDialect::Own(OWN), true).await, Some(format!("https://op.example/logout?tenant=a&{own}")));
        assert!(at(LogoutDialect::RpInitiatedOr(OWN), true).await.unwrap().contains("post_logout_redirect_uri"));
    }
}
