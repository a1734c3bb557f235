//! Access token of a route: its target, if it is not the sign-in's token, and its placement in forwarded requests.
//!
//! Plain data of the configuration. Knows no token.

use serde_json::{Map, Value};

use super::token_placement::{TokenPlacement, TokenPlacementError};
use crate::token_target::{TokenTarget, TokenTargetError};

/// Access token that a route's upstream gets, and its place. By default that of the sign-in, in `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RouteAccessToken {
    pub(super) placement: TokenPlacement,
    /// Target of a token of the route's own; `None` for the sign-in's.
    pub(super) target: Option<TokenTarget>,
}

/// Mistake in a route's `token`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteAccessTokenError {
    /// None of the forms.
    #[error(
        "the token {0} is neither \"bearer\" nor \"none\" nor an object of header, resource, audience and scope, each a text"
    )]
    Form(String),
    /// A header that cannot carry it.
    #[error(transparent)]
    Placement(#[from] TokenPlacementError),
    /// A target that no token request can name.
    #[error(transparent)]
    Target(#[from] TokenTargetError),
}

impl RouteAccessToken {
    /// Parses `"bearer"`, `"none"`, or an object of `header`, `resource`, `audience` and `scope`. A member but `header`
    /// makes a target: the route then gets a token of its own.
    ///
    /// # Errors
    /// If it is none of them, or the header or the target can't be used.
    pub(super) fn parse(json: &Value) -> Result<Self, RouteAccessTokenError> {
        match json {
            Value::String(text) if text == "bearer" => Ok(Self::default()),
            Value::String(text) if text == "none" => Ok(Self { placement: TokenPlacement::None, target: None }),
            Value::Object(members) if is_object_of_texts(members) => {
                let member = |name: &str| members.get(name).and_then(Value::as_str);
                let placement = member("header").map_or(Ok(TokenPlacement::Bearer), TokenPlacement::in_header)?;
                let [resource, audience, scope] = ["resource", "audience", "scope"].map(member);
                if [resource, audience, scope].iter().all(Option::is_none) {
                    return Ok(Self { placement, target: None });
                }
                Ok(Self { placement, target: Some(TokenTarget::new(resource, audience, scope)?) })
            }
            _ => Err(RouteAccessTokenError::Form(json.to_string())),
        }
    }
}

fn is_object_of_texts(members: &Map<String, Value>) -> bool {
    let is_known = |name: &String| ["header", "resource", "audience", "scope"].contains(&name.as_str());
    !members.is_empty() && members.keys().all(is_known) && members.values().all(Value::is_string)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;
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
            assert_eq!(
                RouteAccessToken::parse(&json),
                Ok(RouteAccessToken { placement: expected, target: None }),
                "{json}"
            );
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
            let token = RouteAccessToken::parse(&json).unwrap();
            assert_eq!((token.placement, token.target.unwrap().to_string()), (placement, target.to_owned()));
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
            assert_eq!(RouteAccessToken::parse(&json), Err(RouteAccessTokenError::Target(expected)), "{json}");
        }
    }

    #[test]
    fn what_is_neither_place_nor_target_is_refused() {
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
            assert_eq!(RouteAccessToken::parse(&json), Err(RouteAccessTokenError::Form(json.to_string())));
        }
        let (name, reserved) = (json!({"header": "X_Token"}), json!({"header": "Host"}));
        for (json, expected) in [
            (name, TokenPlacementError::Name("X_Token".to_owned())),
            (reserved, TokenPlacementError::Reserved("Host".to_owned())),
        ] {
            assert_eq!(RouteAccessToken::parse(&json), Err(RouteAccessTokenError::Placement(expected)));
        }
    }
}
