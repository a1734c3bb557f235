//! Access token of a route: its placement in forwarded requests, and its target if it is not the sign-in's token.
//!
//! The placement also decides about the client's own `Authorization`. Knows header names only, no token.

use hyper::header::HeaderName;
use serde_json::{Map, Value};

use super::reserved_header::{Content, is_reserved};
use crate::token_target::{TokenTarget, TokenTargetError};

/// Header that carries the access token to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TokenPlacement {
    /// `Authorization: Bearer`. The client's `Authorization` is removed.
    #[default]
    Bearer,
    /// No header. The client's `Authorization` passes.
    None,
    /// The bare token in this header, which no client can send. The client's `Authorization` passes.
    Header(HeaderName),
}

/// Mistake in a route's `token`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenPlacementError {
    /// None of the forms.
    #[error(
        "the token {0} is neither \"bearer\" nor \"none\" nor an object of header, resource, audience and scope, each a text"
    )]
    Form(String),
    /// A target that no token request can name.
    #[error(transparent)]
    Target(#[from] TokenTargetError),
    /// A header name with other characters than letters, digits and hyphens, or longer than 64.
    #[error("the token's header {0:?} is not 1 to 64 letters, digits and hyphens")]
    Name(String),
    /// A header with a meaning of its own.
    #[error("the token's header {0:?} already has another meaning")]
    Reserved(String),
}

impl TokenPlacement {
    /// Parses `"bearer"`, `"none"`, or an object of `header`, `resource`, `audience` and `scope`. A member but `header`
    /// makes a target: the route then gets a token of its own.
    ///
    /// # Errors
    /// If it is none of them, or the header or the target can't be used.
    pub(super) fn parse(json: &Value) -> Result<(Self, Option<TokenTarget>), TokenPlacementError> {
        match json {
            Value::String(text) if text == "bearer" => Ok((Self::Bearer, None)),
            Value::String(text) if text == "none" => Ok((Self::None, None)),
            Value::Object(members) if is_object_of_texts(members) => {
                let member = |name: &str| members.get(name).and_then(Value::as_str);
                let placement = member("header").map_or(Ok(Self::Bearer), |name| header(name).map(Self::Header))?;
                let [resource, audience, scope] = ["resource", "audience", "scope"].map(member);
                if [resource, audience, scope].iter().all(Option::is_none) {
                    return Ok((placement, None));
                }
                Ok((placement, Some(TokenTarget::new(resource, audience, scope)?)))
            }
            _ => Err(TokenPlacementError::Form(json.to_string())),
        }
    }

    /// True if the client's own `Authorization` reaches the upstream.
    #[must_use]
    pub fn passes_authorization(&self) -> bool {
        match self {
            Self::Bearer => false,
            Self::None | Self::Header(_) => true,
        }
    }

    /// The configured header, for [`Self::Header`].
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Bearer | Self::None => None,
            Self::Header(name) => Some(name),
        }
    }
}

fn is_object_of_texts(members: &Map<String, Value>) -> bool {
    let is_known = |name: &String| ["header", "resource", "audience", "scope"].contains(&name.as_str());
    !members.is_empty() && members.keys().all(is_known) && members.values().all(Value::is_string)
}

fn header(text: &str) -> Result<HeaderName, TokenPlacementError> {
    // No underscore: it would be removed from clients' requests, and CGI and WSGI fold `-` to it: two names for one
    // variable.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| is_name);
    let name = name.ok_or_else(|| TokenPlacementError::Name(text.to_owned()))?;
    if is_reserved(name.as_str(), Content::AccessToken) {
        return Err(TokenPlacementError::Reserved(text.to_owned()));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_has_three_places() {
        let named = |name| TokenPlacement::Header(HeaderName::from_static(name));
        for (json, expected) in [
            (json!("bearer"), TokenPlacement::Bearer),
            (json!("none"), TokenPlacement::None),
            (json!({"header": "X-Access-Token"}), named("x-access-token")),
            (json!({"header": "access-token"}), named("access-token")),
            (json!({"header": "X-Forwarded-Access-Token"}), named("x-forwarded-access-token")),
            (json!({"header": "X-Amzn-Oidc-Accesstoken"}), named("x-amzn-oidc-accesstoken")),
        ] {
            assert_eq!(TokenPlacement::parse(&json), Ok((expected, None)), "{json}");
        }
    }

    #[test]
    fn a_token_with_a_target_is_placed_like_any_other() {
        let named = TokenPlacement::Header(HeaderName::from_static("x-a"));
        for (json, placement, target) in [
            (json!({"scope": "api://b/.default"}), TokenPlacement::Bearer, "scope=api://b/.default"),
            (json!({"resource": "https://b.example"}), TokenPlacement::Bearer, "resource=https://b.example"),
            (json!({"header": "X-A", "audience": "b", "scope": "read"}), named, "audience=b scope=read"),
        ] {
            let (placed, asked) = TokenPlacement::parse(&json).unwrap();
            assert_eq!((placed, asked.unwrap().to_string()), (placement, target.to_owned()));
        }
    }

    #[test]
    fn a_target_that_no_request_can_name_is_refused() {
        for (json, expected) in [
            (json!({"resource": "b"}), TokenTargetError::Resource("b".to_owned())),
            (json!({"audience": ""}), TokenTargetError::Audience(String::new())),
            (json!({"scope": ""}), TokenTargetError::Scope(String::new())),
            (json!({"resource": "https://b.example", "audience": "b"}), TokenTargetError::TwoRecipients),
        ] {
            assert_eq!(TokenPlacement::parse(&json), Err(TokenPlacementError::Target(expected)), "{json}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for json in [
            json!("Bearer"),
            json!("basic"),
            json!(""),
            json!(true),
            json!(null),
            json!([]),
            json!({}),
            json!({"header": null}),
            json!({"header": ["X-A"]}),
            json!({"scope": ["read"]}),
            json!({"audience": null}),
            json!({"header": "X-A", "target": "https://api.example"}),
        ] {
            assert_eq!(TokenPlacement::parse(&json), Err(TokenPlacementError::Form(json.to_string())));
        }
        for name in ["", "X Token", "X_Token", "X.Token", "X-Tokén", "X-Token:", "X-T\r\nX: 1", &"x".repeat(65)] {
            let refused = TokenPlacement::parse(&json!({"header": name}));
            assert_eq!(refused, Err(TokenPlacementError::Name(name.to_owned())));
        }
    }

    #[test]
    fn a_header_with_a_meaning_is_no_place() {
        for name in ["Authorization", "Set-Cookie", "X-Forwarded-User"] {
            let refused = TokenPlacement::parse(&json!({"header": name}));
            assert_eq!(refused, Err(TokenPlacementError::Reserved(name.to_owned())));
        }
    }
}
