//! Opened parts of a record: the request part for every proxied request, the refresh part for a refresh, a
//! sign-out and `me`, a route part for each token that some routes have of their own.
//!
//! The refresh part and route parts are JSON. The request part is read so often that it has a layout of its own, in which nothing is
//! searched for; one that an earlier version wrote is JSON.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::freshness::RefreshBefore;
use crate::clock::Timestamp;
use crate::oidc::{AccessToken, Claims, PersonClaims, RefreshToken, Scope, TokenResponse};

/// Tokens and claims for a proxied request.
#[derive(Clone, Debug, Deserialize)]
pub struct RequestPart {
    /// Sent to the Upstream as `Authorization: Bearer`.
    pub access_token: AccessToken,
    /// The ID token, if it becomes a header.
    pub id_token: Option<Zeroizing<String>>,
    /// The claims that become headers.
    pub claims: Claims,
}

/// Layout of a request part, its first byte. Earlier versions wrote JSON, which begins with a brace.
const LAYOUT: u8 = 1;

/// Length of an absent ID token.
const ABSENT: u32 = u32::MAX;

impl RequestPart {
    /// The layout, then the access token, the ID token and the claims as JSON, each behind its length (four bytes, big
    /// endian). No claims are no JSON.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let claims = Zeroizing::new(serde_json::to_string(&self.claims).expect("claims are plain data"));
        let has_claims = !self.claims.as_map().is_empty();
        let texts = [
            Some(self.access_token.expose()),
            self.id_token.as_deref().map(String::as_str),
            Some(if has_claims { claims.as_str() } else { "" }),
        ];
        let capacity = 1 + texts.iter().map(|text| 4 + text.map_or(0, str::len)).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity)); // never moved: a copy left behind is not wiped
        bytes.push(LAYOUT);
        for text in texts {
            let length = text.map_or(ABSENT, |text| u32::try_from(text.len()).expect("a token is far below 4 GiB"));
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        bytes
    }

    /// Reads the bytes of an opened part, of an earlier version, too. `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Some((&LAYOUT, rest)) = bytes.split_first() else {
            return serde_json::from_slice(bytes).ok();
        };
        let (access_token, rest) = read_text(rest)?;
        let (id_token, rest) = read_text(rest)?;
        let (Some(claims), []) = read_text(rest)? else { return None };
        let access_token = AccessToken::new(access_token?.to_owned());
        let claims = if claims.is_empty() { Claims::default() } else { serde_json::from_str(claims).ok()? };
        Some(Self { access_token, id_token: id_token.map(|text| text.to_owned().into()), claims })
    }
}

/// Reads a text behind its length. Returns `None` for an absent one, and the rest.
fn read_text(bytes: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_be_bytes(*length);
    if length == ABSENT {
        return Some((None, rest));
    }
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Some(std::str::from_utf8(text).ok()?), rest))
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

impl RefreshPart {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("a part is plain data"))
    }

    /// Reads the bytes of an opened part. `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl fmt::Debug for RefreshPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshPart(..)")
    }
}

/// Token for the requests of the routes with one target.
#[derive(Serialize, Deserialize)]
pub(super) struct RoutePart {
    /// Sent to the Upstreams of these routes instead of the sign-in's.
    pub(super) access_token: AccessToken,
}

impl RoutePart {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("a part is plain data"))
    }

    /// Reads the bytes of an opened part. `None` for anything else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
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
        let usable = (*claims).clone().without_unverified();
        let request_claims = match &policy.request_needs.claims {
            Some(names) => usable.only(names),
            None => usable,
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
    const FROZEN: &[u8] = b"\x01\0\0\0\x06access\0\0\0\x02id\0\0\0\x0e{\"name\":\"Ada\"}";
    const REFRESH: &str = r#"{
        "refresh_token": "refresh",
        "id_token": "id",
        "claims": {"id_token": {"name": "Ada", "sub": "ada"}, "userinfo": {"groups": ["staff"]}}
    }"#;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn part(id_token: Option<&str>, claims: Value) -> RequestPart {
        RequestPart {
            access_token: AccessToken::new("access".to_owned()),
            id_token: id_token.map(|text| text.to_owned().into()),
            claims: serde_json::from_value(claims).unwrap(),
        }
    }

    #[test]
    fn the_frozen_request_part_never_changes() {
        let part = part(Some("id"), json!({"name": "Ada"}));

        assert_eq!(part.to_bytes().as_slice(), FROZEN);
    }

    #[test]
    fn the_frozen_request_part_still_reads_and_so_does_that_of_earlier_versions() {
        for bytes in [FROZEN, REQUEST.as_bytes()] {
            let part = RequestPart::from_bytes(bytes).unwrap();

            assert_eq!(part.access_token.expose(), "access");
            assert_eq!(part.id_token.as_deref().map(String::as_str), Some("id"));
            assert_eq!(part.claims.text("name"), Some("Ada"));
        }
    }

    #[test]
    fn a_request_part_without_id_token_or_claims_reads_back() {
        for (id_token, claims) in [(None, json!({})), (None, json!({"sub": "ada"})), (Some(""), json!({}))] {
            let read = RequestPart::from_bytes(&part(id_token, claims.clone()).to_bytes()).unwrap();

            assert_eq!(read.id_token.as_deref().map(String::as_str), id_token);
            assert_eq!(serde_json::to_value(&read.claims).unwrap(), claims);
        }
    }

    #[test]
    fn a_request_part_of_another_length_or_layout_is_none() {
        for length in 0..FROZEN.len() {
            assert!(RequestPart::from_bytes(&FROZEN[..length]).is_none(), "{length} bytes");
        }
        for (bytes, reason) in [
            (&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], "another layout"),
            (b"\x01\0\0\0\x01\xff\xff\xff\xff\xff\0\0\0\0", "a token that is no text"),
            (b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", "no access token"),
            (b"\x01\0\0\0\x01a\xff\xff\xff\xff\xff\xff\xff\xff", "absent claims"),
            (b"\x01\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x03{}", "a length beyond the end"),
            (b"\x01\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x02[]", "claims that are no object"),
            (b"\x01\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0\0", "a byte too many"),
        ] {
            assert!(RequestPart::from_bytes(bytes).is_none(), "{reason}");
        }
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
    fn the_frozen_route_part_never_changes() {
        let frozen = r#"{"access_token":"route"}"#;

        let part = RoutePart::from_bytes(frozen.as_bytes()).unwrap();

        assert_eq!(part.access_token.expose(), "route");
        assert_eq!(part.to_bytes().as_slice(), frozen.as_bytes());
        assert!(RoutePart::from_bytes(b"route").is_none());
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
