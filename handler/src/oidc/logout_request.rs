//! The logout request (OpenID Connect RP-Initiated Logout 1.0): a URL that ends the session at the Provider.

use std::fmt;

use url::Url;

use super::RelyingParty;
use crate::clock::Timestamp;

/// An ID token with hundreds of groups makes a URL that no server on the way accepts. It is a hint; `client_id` and
/// the redirect URI say enough without it, and the Provider then asks the person.
const MAX_HINT_LENGTH: usize = 6 * 1024;

/// A URL at the Provider. It holds an ID token, so it prints nothing.
pub struct LogoutRequest(Url);

impl LogoutRequest {
    fn new(
        endpoint: &Url,
        id_token_hint: Option<&str>,
        client_id: &str,
        post_logout_redirect_uri: &str,
        state: Option<&str>,
    ) -> Self {
        let mut url = endpoint.clone();
        {
            let mut query = url.query_pairs_mut(); // the endpoint's own query is kept
            if let Some(hint) = id_token_hint.filter(|hint| hint.len() <= MAX_HINT_LENGTH) {
                query.append_pair("id_token_hint", hint);
            }
            query.append_pair("client_id", client_id);
            query.append_pair("post_logout_redirect_uri", post_logout_redirect_uri);
            if let Some(state) = state {
                query.append_pair("state", state);
            }
        }
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
    /// The request that signs a browser out at the Provider too. `None` when the Provider has no such endpoint, or its
    /// metadata cannot be had: a sign-out here never waits for one there.
    pub async fn logout_request(
        &self,
        id_token_hint: Option<&str>,
        post_logout_redirect_uri: &str,
        state: Option<&str>,
        now: Timestamp,
    ) -> Option<LogoutRequest> {
        let metadata = self.issuer.metadata(now).await.ok()?;
        let endpoint = metadata.end_session_endpoint.as_ref()?;
        let client_id = &self.settings().registration.client_id;
        Some(LogoutRequest::new(endpoint, id_token_hint, client_id, post_logout_redirect_uri, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(id_token_hint: Option<&str>, state: Option<&str>) -> Vec<(String, String)> {
        let endpoint = Url::parse("https://op.example/logout?tenant=a").unwrap();
        let request = LogoutRequest::new(&endpoint, id_token_hint, "client", "https://app.example/out", state);
        Url::parse(request.url()).unwrap().query_pairs().into_owned().collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_request_carries_what_rp_initiated_logout_asks_for() {
        let given = pairs(Some("eyJ.e.s"), Some("/after?a=b&c"));

        let all = [
            ("tenant", "a"),
            ("id_token_hint", "eyJ.e.s"),
            ("client_id", "client"),
            ("post_logout_redirect_uri", "https://app.example/out"),
            ("state", "/after?a=b&c"),
        ];
        assert_eq!(given, expected(&all));
    }

    #[test]
    fn a_hint_that_no_url_could_hold_is_left_out() {
        let given = pairs(Some(&"e".repeat(MAX_HINT_LENGTH + 1)), None);

        let rest = [("tenant", "a"), ("client_id", "client"), ("post_logout_redirect_uri", "https://app.example/out")];
        assert_eq!(given, expected(&rest));
    }

    #[test]
    fn a_request_prints_no_id_token() {
        let endpoint = Url::parse("https://op.example/logout").unwrap();

        let request = LogoutRequest::new(&endpoint, Some("eyJ"), "client", "https://app.example/out", None);

        assert_eq!(format!("{request:?}"), "LogoutRequest(..)");
    }
}
