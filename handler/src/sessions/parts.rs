//! Opened parts of a record: the request part for every proxied request, the refresh part for a refresh, a
//! sign-out and `me`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::freshness::RefreshBefore;
use crate::clock::Timestamp;
use crate::oidc::{AccessToken, Claims, PersonClaims, RefreshToken, Scope, TokenResponse};

/// Tokens and claims for a proxied request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestPart {
    /// Sent to the Upstream as `Authorization: Bearer`.
    pub access_token: AccessToken,
    /// The ID token, if it becomes a header.
    pub id_token: Option<Zeroizing<String>>,
    /// The claims that become headers.
    pub claims: Claims,
}

/// Tokens and claims for a refresh, a sign-out and `me`.
#[derive(Clone, Serialize, Deserialize)]
pub struct RefreshPart {
    /// Refresh token, if the Provider issued one.
    pub refresh_token: Option<RefreshToken>,
    /// Scope of the grant, sent with every refresh (RFC 6749 6). `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// ID token, the hint of RP-initiated logout.
    pub id_token: Option<Zeroizing<String>>,
    /// All claims about the person.
    pub claims: PersonClaims,
}

impl fmt::Debug for RefreshPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshPart(..)")
    }
}

/// Claims and tokens that become headers or decide who may pass, and so belong to the request part.
#[derive(Clone, Debug)]
pub struct RequestNeeds {
    /// The claims; `None` stands for all.
    pub claims: Option<Arc<[String]>>,
    /// True if the ID token becomes a header.
    pub id_token: bool,
}

/// Settings that decide how a token response is divided into the parts.
#[derive(Clone, Debug)]
pub(super) struct TokenPolicy {
    pub(super) request_needs: RequestNeeds,
    pub(super) refresh_before: RefreshBefore,
}

/// Both parts, and the hints that stay readable.
pub(crate) struct TokenParts {
    pub(crate) request: RequestPart,
    pub(crate) refresh: RefreshPart,
    pub(crate) access_token_expires_at: Option<Timestamp>,
    pub(crate) refresh_at: Option<Timestamp>,
}

impl TokenParts {
    /// Divides a token response into the parts. An omitted token (RFC 6749 6, OIDC Core 12.2) stays as in `before`.
    pub(super) fn divide(
        tokens: TokenResponse,
        claims: PersonClaims,
        before: Option<RefreshPart>,
        policy: &TokenPolicy,
        now: Timestamp,
    ) -> Self {
        // RFC 6749 6: a refresh narrows its access token, never the grant.
        let scope = before.as_ref().map_or(tokens.scope, |part| part.scope.clone());
        let (old_refresh_token, old_id_token) = before.map_or((None, None), |part| (part.refresh_token, part.id_token));
        let refresh_token = tokens.refresh_token.or(old_refresh_token);
        let id_token = tokens.id_token.map(Zeroizing::new).or(old_id_token);
        let expiry = refresh_token.as_ref().and(tokens.expires_at);
        let refresh_at = expiry.map(|expires_at| policy.refresh_before.refresh_at(expires_at, now));
        let request_claims = match &policy.request_needs.claims {
            Some(names) => claims.only(names),
            None => (*claims).clone(),
        };
        Self {
            request: RequestPart {
                access_token: tokens.access_token,
                id_token: id_token.clone().filter(|_| policy.request_needs.id_token),
                claims: request_claims,
            },
            refresh: RefreshPart { refresh_token, scope, id_token, claims },
            access_token_expires_at: tokens.expires_at,
            refresh_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const REQUEST: &str = r#"{"access_token": "access", "id_token": "id", "claims": {"name": "Ada"}}"#;
    const REFRESH: &str = r#"{
        "refresh_token": "refresh",
        "id_token": "id",
        "claims": {"id_token": {"name": "Ada", "sub": "ada"}, "userinfo": {"groups": ["staff"]}}
    }"#;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_frozen_request_part_never_changes() {
        let part = RequestPart {
            access_token: AccessToken::new("access".to_owned()),
            id_token: Some("id".to_owned().into()),
            claims: serde_json::from_value(json!({"name": "Ada"})).unwrap(),
        };

        assert_eq!(serde_json::to_value(&part).unwrap(), value(REQUEST));
    }

    #[test]
    fn the_frozen_request_part_still_reads() {
        let part: RequestPart = serde_json::from_str(REQUEST).unwrap();

        assert_eq!(part.access_token.expose(), "access");
        assert_eq!(part.id_token.as_deref().map(String::as_str), Some("id"));
        assert_eq!(part.claims.text("name"), Some("Ada"));
    }

    #[test]
    fn the_frozen_refresh_part_never_changes() {
        let part = RefreshPart {
            refresh_token: Some(RefreshToken::new("refresh".to_owned())),
            scope: None,
            id_token: Some("id".to_owned().into()),
            claims: serde_json::from_value(value(REFRESH)["claims"].clone()).unwrap(),
        };

        assert_eq!(serde_json::to_value(&part).unwrap(), value(REFRESH));
    }

    #[test]
    fn a_scope_is_one_more_member_of_the_refresh_part_and_reads_back() {
        let mut frozen = value(REFRESH);
        frozen["scope"] = "openid email".into();

        let part: RefreshPart = serde_json::from_value(frozen.clone()).unwrap();

        assert_eq!(part.scope, Scope::parse("openid email"));
        assert_eq!(serde_json::to_value(&part).unwrap(), frozen);
    }

    #[test]
    fn the_frozen_refresh_part_still_reads() {
        let part: RefreshPart = serde_json::from_str(REFRESH).unwrap();

        assert_eq!(part.refresh_token.as_ref().map(RefreshToken::expose), Some("refresh"));
        assert_eq!(part.id_token.as_deref().map(String::as_str), Some("id"));
        assert_eq!((part.claims.subject(), part.claims.text("name")), ("ada", Some("Ada")));
        assert_eq!(part.claims.as_map()["groups"], json!(["staff"]));
    }
}
