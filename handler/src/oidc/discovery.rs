//! The Provider's metadata (OpenID Connect Discovery 1.0, RFC 8414).

use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use super::json;
use crate::transport_security::is_https_or_loopback;

/// Members of `/.well-known/openid-configuration` that we use; others are ignored.
#[derive(Clone, Debug)]
pub struct ProviderMetadata {
    /// The issuer identifier, equal to the configured one.
    pub issuer: String,
    /// URL of sign-ins in the browser.
    pub authorization_endpoint: Url,
    /// URL of code exchanges and refreshes.
    pub token_endpoint: Url,
    /// URL of the JWK Set.
    pub jwks_uri: Url,
    /// URL of UserInfo, if supported.
    pub userinfo_endpoint: Option<Url>,
    /// URL of token revocation (RFC 7009), if supported.
    pub revocation_endpoint: Option<Url>,
    /// URL of RP-initiated logout, if supported.
    pub end_session_endpoint: Option<Url>,
    /// True if every authorization response carries `iss` (RFC 9207 section 3).
    pub authorization_response_iss_parameter_supported: bool,
    /// Algorithms of ID tokens; empty if the Provider lists none.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// URL of pushed authorization requests (RFC 9126), if supported.
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// True if only pushed authorization requests are accepted (RFC 9126 section 5).
    pub require_pushed_authorization_requests: bool,
}

/// Reason why a document is not the metadata of our Provider.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Not a JSON object.
    #[error("the provider's metadata cannot be read")]
    Malformed(#[source] Arc<serde_json::Error>),
    /// A required member is missing, or is no absolute URL.
    #[error("the provider's metadata has no usable {member}")]
    Member {
        /// The metadata's member.
        member: &'static str,
    },
    /// Another issuer's document (OIDC Discovery 4.3).
    #[error("the provider's metadata is for issuer {found}, not the configured one")]
    Issuer {
        /// Issuer in the document, without control characters, shortened to 200 characters.
        found: String,
    },
    /// An endpoint without https. For an issuer on plain http, an endpoint may also be on loopback.
    #[error("the provider's {endpoint} is not https")]
    Insecure {
        /// The metadata's member.
        endpoint: &'static str,
    },
}

impl ProviderMetadata {
    /// URL of the metadata for an issuer (OIDC Discovery 4.1).
    #[must_use]
    pub fn url_for(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Parses a metadata document of `issuer`.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let members = json::parse(document).map_err(|error| DiscoveryError::Malformed(Arc::new(error)))?;
        let members = Members { members, may_be_plain: !issuer.starts_with("https:") };
        members.check_issuer(issuer)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: members.required("authorization_endpoint")?,
            token_endpoint: members.required("token_endpoint")?,
            jwks_uri: members.required("jwks_uri")?,
            userinfo_endpoint: members.optional("userinfo_endpoint"),
            revocation_endpoint: members.optional("revocation_endpoint"),
            end_session_endpoint: members.optional("end_session_endpoint"),
            authorization_response_iss_parameter_supported: members
                .flag("authorization_response_iss_parameter_supported"),
            id_token_signing_alg_values_supported: members.texts("id_token_signing_alg_values_supported"),
            pushed_authorization_request_endpoint: members.optional("pushed_authorization_request_endpoint"),
            require_pushed_authorization_requests: members.flag("require_pushed_authorization_requests"),
        })
    }
}

/// Document read member by member: a malformed member that we do not use does no harm.
struct Members {
    members: Map<String, Value>,
    /// True for an http issuer, which is on loopback: its endpoints may be too.
    may_be_plain: bool,
}

impl Members {
    /// Compares the issuers as text (OIDC Discovery 4.3).
    fn check_issuer(&self, issuer: &str) -> Result<(), DiscoveryError> {
        let found = self.text("issuer").ok_or(DiscoveryError::Member { member: "issuer" })?;
        if found == issuer {
            return Ok(());
        }
        let printable = found.chars().filter(|letter| !letter.is_control());
        Err(DiscoveryError::Issuer { found: printable.take(MAX_ISSUER_LENGTH).collect() })
    }

    /// Required endpoint (OIDC Discovery 3).
    fn required(&self, member: &'static str) -> Result<Url, DiscoveryError> {
        let url = self.url(member).ok_or(DiscoveryError::Member { member })?;
        if self.is_secure(&url) { Ok(url) } else { Err(DiscoveryError::Insecure { endpoint: member }) }
    }

    /// Optional endpoint. An unusable URL counts as absent.
    fn optional(&self, member: &str) -> Option<Url> {
        self.url(member).filter(|url| self.is_secure(url))
    }

    /// Boolean member, also as text; false for anything else.
    fn flag(&self, member: &str) -> bool {
        let is_true = |text: &str| text.eq_ignore_ascii_case("true");
        self.members.get(member).is_some_and(|value| value.as_bool().unwrap_or(value.as_str().is_some_and(is_true)))
    }

    /// List of strings; empty for anything else.
    fn texts(&self, member: &str) -> Vec<String> {
        let list = self.members.get(member).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn url(&self, member: &str) -> Option<Url> {
        Url::parse(self.text(member)?).ok()
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    fn is_secure(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.may_be_plain && is_https_or_loopback(url))
    }
}

/// Maximum characters of a foreign issuer in a log line.
const MAX_ISSUER_LENGTH: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REQUIRED: [&str; 3] = ["authorization_endpoint", "token_endpoint", "jwks_uri"];
    const OPTIONAL: [&str; 3] = ["userinfo_endpoint", "revocation_endpoint", "end_session_endpoint"];

    fn parse(change: Value) -> Result<ProviderMetadata, DiscoveryError> {
        parse_for("https://op.example/", change)
    }

    fn parse_for(issuer: &str, change: Value) -> Result<ProviderMetadata, DiscoveryError> {
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
            "something_new": {"nobody": "knows"},
        });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        ProviderMetadata::parse(document.to_string().as_bytes(), issuer)
    }

    fn optional(metadata: &ProviderMetadata, name: &str) -> Option<String> {
        let endpoint = match name {
            "userinfo_endpoint" => &metadata.userinfo_endpoint,
            "revocation_endpoint" => &metadata.revocation_endpoint,
            _ => &metadata.end_session_endpoint,
        };
        endpoint.as_ref().map(Url::to_string)
    }

    /// Endpoint values to which no request can be sent.
    fn unusable() -> Vec<(Value, &'static str)> {
        vec![
            (json!(null), "null"),
            (json!(""), "empty text"),
            (json!(" "), "a blank"),
            (json!(5), "a number"),
            (json!(false), "a boolean"),
            (json!(["https://op.example/a"]), "a list"),
            (json!({"url": "https://op.example/a"}), "an object"),
            (json!("/a"), "a path"),
            (json!("op.example/a"), "no scheme"),
            (json!("https://"), "no host"),
            (json!("not supported"), "a sentence"),
        ]
    }

    /// URLs that must not receive a secret or a person.
    const INSECURE: [(&str, &str); 7] = [
        ("http://op.example/a", "plain http"),
        ("http://127.0.0.1.evil.example/a", "a name that only looks like loopback"),
        ("http://127.0.0.1:81/a", "loopback, named by a distant issuer"),
        ("http://localhost/a", "the same by name"),
        ("http://[::1]/a", "the same in IPv6"),
        ("ftp://op.example/a", "another scheme"),
        ("javascript:alert(1)", "no address at all"),
    ];

    #[test]
    fn unknown_members_and_a_trailing_slash_are_no_failure() {
        let metadata = parse(json!({})).unwrap();

        assert_eq!(metadata.issuer, "https://op.example/");
        let url = ProviderMetadata::url_for("https://op.example/");
        assert_eq!(url, "https://op.example/.well-known/openid-configuration");
    }

    #[test]
    fn an_optional_endpoint_that_cannot_be_used_is_as_if_absent() {
        let insecure = INSECURE.map(|(url, reason)| (json!(url), reason));
        for name in OPTIONAL {
            for (value, reason) in unusable().into_iter().chain(insecure.clone()) {
                let metadata = parse(json!({ name: value }));

                assert_eq!(metadata.map(|metadata| optional(&metadata, name)).unwrap(), None, "{name}: {reason}");
            }
            let usable = parse(json!({ name: "https://op.example/a?b=c" })).unwrap();
            assert_eq!(optional(&usable, name).as_deref(), Some("https://op.example/a?b=c"), "{name}");
        }
    }

    #[test]
    fn a_required_endpoint_that_cannot_be_used_is_refused_by_its_name() {
        for name in REQUIRED {
            for (value, reason) in unusable() {
                let refused = parse(json!({ name: value })).unwrap_err();

                assert!(matches!(refused, DiscoveryError::Member { member } if member == name), "{name}: {reason}");
                assert!(refused.to_string().contains(name), "{refused}");
            }
            for (url, reason) in INSECURE {
                let refused = parse(json!({ name: url })).unwrap_err();

                assert!(matches!(refused, DiscoveryError::Insecure { endpoint } if endpoint == name), "{reason}");
            }
        }
    }

    #[test]
    fn an_issuer_on_loopback_may_name_plain_endpoints_there_and_nowhere_else() {
        let table = [
            ("http://127.0.0.1:81/", true, "its own address"),
            ("http://localhost/", true, "the same by name"),
            ("http://[::1]/", true, "the same in IPv6"),
            ("https://op.example/", true, "https"),
            ("http://op.example/", false, "plain http beyond this machine"),
            ("http://127.0.0.1.evil.example/", false, "a name that only looks like loopback"),
        ];
        for (url, is_usable, reason) in table {
            for name in REQUIRED {
                let parsed = parse_for("http://127.0.0.1:80", json!({ name: url }));
                assert_eq!(parsed.is_ok(), is_usable, "{name}: {reason}");
            }
            for name in OPTIONAL {
                let parsed = parse_for("http://127.0.0.1:80", json!({ name: url })).unwrap();
                assert_eq!(optional(&parsed, name).is_some(), is_usable, "{name}: {reason}");
            }
        }
    }

    #[test]
    fn the_promise_of_an_issuer_in_responses_counts_in_whatever_form_and_nothing_else_spoils_the_document() {
        let table = [
            (json!(true), true, "as specified"),
            (json!("true"), true, "text"),
            (json!("True"), true, "text, as some frameworks write it"),
            (json!(false), false, "as specified"),
            (json!("false"), false, "text"),
            (json!(null), false, "null"),
            (json!(""), false, "empty"),
            (json!(1), false, "a number"),
            (json!([]), false, "a list"),
        ];
        for (value, expected, reason) in table {
            let metadata = parse(json!({ "authorization_response_iss_parameter_supported": value })).unwrap();
            assert_eq!(metadata.authorization_response_iss_parameter_supported, expected, "{reason}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_document_is_skipped() {
        let metadata = r#"{"issuer":"i","authorization_endpoint":"https://a/","token_endpoint":"https://t/","jwks_uri":"https://j/"}"#;

        assert!(ProviderMetadata::parse(format!("\u{feff}{metadata}").as_bytes(), "i").is_ok());
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        for issuer in ["https://op.example", "https://evil.example/", "https://OP.example/", ""] {
            assert!(matches!(parse(json!({ "issuer": issuer })), Err(DiscoveryError::Issuer { .. })), "{issuer}");
        }
        for issuer in [json!(null), json!(5), json!(["https://op.example/"])] {
            let refused = parse(json!({ "issuer": issuer })).unwrap_err();
            assert!(matches!(refused, DiscoveryError::Member { member: "issuer" }), "{issuer}");
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
    fn what_is_no_metadata_is_refused() {
        for document in ["", "<html>", "[]", "\"text\"", "{} {}"] {
            let refused = ProviderMetadata::parse(document.as_bytes(), "https://op.example/").unwrap_err();
            assert!(matches!(refused, DiscoveryError::Malformed(_)), "{document}");
        }
    }
}
