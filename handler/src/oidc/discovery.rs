//! The Provider's metadata (OpenID Connect Discovery 1.0, RFC 8414).

use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use crate::transport_security::is_https_or_loopback;

/// The members of `/.well-known/openid-configuration` that we use; others are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct ProviderMetadata {
    /// The issuer identifier, equal to the configured one.
    pub issuer: String,
    /// The browser's way in.
    pub authorization_endpoint: Url,
    /// Exchanges codes and refresh tokens.
    pub token_endpoint: Url,
    /// The JWK Set.
    pub jwks_uri: Url,
    /// UserInfo, if there is one.
    pub userinfo_endpoint: Option<Url>,
    /// RFC 7009, if there is one.
    pub revocation_endpoint: Option<Url>,
    /// RP-initiated logout, if there is one.
    pub end_session_endpoint: Option<Url>,
    /// RFC 9207 section 3: every authorization response carries `iss`.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    /// The algorithms of ID tokens; empty if the Provider lists none.
    #[serde(default)]
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// RFC 9126, if there is one.
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// RFC 9126 section 5: no other authorization request is accepted.
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,
}

/// Why a document is not the metadata of our Provider.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Not JSON, or a required member is missing or has another type.
    #[error("the provider's metadata cannot be read")]
    Malformed(#[source] Arc<serde_json::Error>),
    /// OIDC Discovery 4.3: the document speaks for another issuer.
    #[error("the provider's metadata is for issuer {found}, not the configured one")]
    Issuer {
        /// The issuer that the document names, without control characters, at most 200 letters of it.
        found: String,
    },
    /// An endpoint is neither https nor on loopback.
    #[error("the provider's {endpoint} is not https")]
    Insecure {
        /// The metadata's member.
        endpoint: &'static str,
    },
}

impl ProviderMetadata {
    /// The metadata's URL for an issuer (OIDC Discovery 4.1).
    #[must_use]
    pub fn url_for(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads a metadata document that must speak for `issuer`.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let metadata: Self =
            serde_json::from_slice(document).map_err(|error| DiscoveryError::Malformed(Arc::new(error)))?;
        if metadata.issuer != issuer {
            let printable = metadata.issuer.chars().filter(|letter| !letter.is_control());
            return Err(DiscoveryError::Issuer { found: printable.take(MAX_ISSUER_LENGTH).collect() });
        }
        let insecure = metadata.endpoints().into_iter().find(|(_, url)| !url.is_none_or(is_https_or_loopback));
        if let Some((endpoint, _)) = insecure {
            return Err(DiscoveryError::Insecure { endpoint });
        }
        Ok(metadata)
    }

    fn endpoints(&self) -> [(&'static str, Option<&Url>); 7] {
        [
            ("authorization_endpoint", Some(&self.authorization_endpoint)),
            ("token_endpoint", Some(&self.token_endpoint)),
            ("jwks_uri", Some(&self.jwks_uri)),
            ("userinfo_endpoint", self.userinfo_endpoint.as_ref()),
            ("revocation_endpoint", self.revocation_endpoint.as_ref()),
            ("end_session_endpoint", self.end_session_endpoint.as_ref()),
            ("pushed_authorization_request_endpoint", self.pushed_authorization_request_endpoint.as_ref()),
        ]
    }
}

/// So much of a stranger's text fits a log line.
const MAX_ISSUER_LENGTH: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(change: Value) -> Result<ProviderMetadata, DiscoveryError> {
        let mut document = json!({
            "issuer": "https://op.example/",
            "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
            "something_new": {"nobody": "knows"},
        });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        ProviderMetadata::parse(document.to_string().as_bytes(), "https://op.example/")
    }

    #[test]
    fn unknown_members_and_a_trailing_slash_are_no_failure() {
        let metadata = parse(json!({})).unwrap();

        assert_eq!(metadata.issuer, "https://op.example/");
        let url = ProviderMetadata::url_for("https://op.example/");
        assert_eq!(url, "https://op.example/.well-known/openid-configuration");
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        for issuer in ["https://op.example", "https://evil.example/", "https://OP.example/", ""] {
            assert!(matches!(parse(json!({ "issuer": issuer })), Err(DiscoveryError::Issuer { .. })), "{issuer}");
        }
    }

    #[test]
    fn another_issuers_name_is_told_in_a_form_that_a_log_can_hold() {
        let refused =
            parse(json!({ "issuer": format!("https://evil.example\n\u{1b}[2J{}", "a".repeat(300)) })).unwrap_err();

        let DiscoveryError::Issuer { found } = refused else { panic!("{refused}") };
        assert!(found.starts_with("https://evil.example[2Jaaa") && found.len() == 200, "{found}");
    }

    #[test]
    fn an_endpoint_without_tls_is_refused_unless_on_loopback() {
        let names = ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"];
        let optional = ["revocation_endpoint", "end_session_endpoint", "pushed_authorization_request_endpoint"];
        for name in names.into_iter().chain(optional) {
            for url in ["http://op.example/", "http://127.0.0.1.evil.example/", "ftp://op.example/"] {
                let refused = parse(json!({ name: url })).unwrap_err();
                assert!(matches!(refused, DiscoveryError::Insecure { endpoint } if endpoint == name), "{url}");
            }
            for url in ["http://127.0.0.1:81/", "http://localhost/", "http://[::1]/"] {
                assert!(parse(json!({ name: url })).is_ok(), "{url}");
            }
        }
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for document in ["", "<html>", "[]", "{}", r#"{"issuer":"https://op.example/"}"#] {
            let refused = ProviderMetadata::parse(document.as_bytes(), "https://op.example/").unwrap_err();
            assert!(matches!(refused, DiscoveryError::Malformed(_)), "{document}");
        }
    }
}
