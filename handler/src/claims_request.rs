//! The `claims` parameter (OpenID Connect Core 5.5): claims that an authorization request asks for by name.
//!
//! Knows neither its sender nor what the claims mean. One that an application asks for is bounded; the operator's is not.

use std::fmt;

use serde_json::{Map, Value};

/// A `claims` parameter: members such as `access_token`, each with the claims asked for there. Prints no value.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimsRequest(Map<String, Value>);

/// Reason why a text is no claims request, or none that an application may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsRequestError {
    /// No JSON object whose members are objects or null.
    #[error("it is no JSON object of objects (OpenID Connect Core 5.5)")]
    Form,
    /// More bytes or claims than a challenge has.
    #[error("it is larger than a challenge's")]
    TooLarge,
    /// A member other than `access_token` and `id_token`.
    #[error("it asks for claims elsewhere than in access_token and id_token")]
    Member,
    /// A claim that no challenge may ask for, or a name that is no plain text.
    #[error("it asks for a claim that an application may not ask for")]
    Claim,
    /// A claim's request is neither null nor an object of `essential`, `value` and `values`.
    #[error("it asks for a claim by other members than essential, value and values")]
    Request,
    /// It asks for no claim.
    #[error("it asks for no claim")]
    Empty,
}

/// Maximum bytes of a request that an application makes. Entra's have 60 to 300.
const MAX_LENGTH: usize = 1024;

/// Maximum claims that an application asks for, and values of one.
const MAX_CLAIMS: usize = 16;

impl ClaimsRequest {
    /// Reads a claims request of the operator.
    ///
    /// # Errors
    /// [`ClaimsRequestError::Form`].
    pub fn parse(json: &[u8]) -> Result<Self, ClaimsRequestError> {
        let members: Map<String, Value> = serde_json::from_slice(json).map_err(|_| ClaimsRequestError::Form)?;
        let is_well_formed = members.values().all(|member| matches!(member, Value::Object(_) | Value::Null));
        if is_well_formed { Ok(Self(members)) } else { Err(ClaimsRequestError::Form) }
    }

    /// Reads a claims request that an application makes in a challenge.
    ///
    /// # Errors
    /// Everything that no challenge needs: another member, another subject, too many claims.
    pub fn parse_of_challenge(json: &[u8]) -> Result<Self, ClaimsRequestError> {
        if json.len() > MAX_LENGTH {
            return Err(ClaimsRequestError::TooLarge);
        }
        let request = Self::parse(json)?;
        if request.0.keys().any(|member| !matches!(member.as_str(), "access_token" | "id_token")) {
            return Err(ClaimsRequestError::Member);
        }
        let claims: Vec<_> = request.0.values().filter_map(Value::as_object).flatten().collect();
        if claims.is_empty() {
            return Err(ClaimsRequestError::Empty);
        }
        if claims.len() > MAX_CLAIMS {
            return Err(ClaimsRequestError::TooLarge);
        }
        for (name, wanted) in claims {
            check_claim(name, wanted)?;
        }
        Ok(request)
    }

    /// Both at once. Where both ask for one claim, it is as `self` asks.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (member, claims) in other.0 {
            match (self.0.get_mut(&member), claims) {
                (Some(Value::Object(own)), Value::Object(claims)) => {
                    for (name, wanted) in claims {
                        own.entry(name).or_insert(wanted);
                    }
                }
                (Some(Value::Object(_)), _) => {}
                (_, claims) => {
                    self.0.insert(member, claims);
                }
            }
        }
        self
    }

    /// The value of the parameter, always in the same order.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// Checks one claim of a challenge. `sub` with a value would choose who has to sign in (OIDC Core 5.5.1).
fn check_claim(name: &str, wanted: &Value) -> Result<(), ClaimsRequestError> {
    if name == "sub" || name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClaimsRequestError::Claim);
    }
    let is_plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let is_known = |(member, value): (&String, &Value)| match member.as_str() {
        "essential" => value.is_boolean(),
        "value" => is_plain(value),
        "values" => value.as_array().is_some_and(|values| values.len() <= MAX_CLAIMS && values.iter().all(is_plain)),
        _ => false,
    };
    match wanted {
        Value::Null => Ok(()),
        Value::Object(members) if members.iter().all(is_known) => Ok(()),
        _ => Err(ClaimsRequestError::Request),
    }
}

impl fmt::Debug for ClaimsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.values().filter_map(Value::as_object).flat_map(Map::keys);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> ClaimsRequest {
        ClaimsRequest::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_challenge_asks_for_a_few_claims_of_tokens() {
        let many = (0..17).map(|n| format!("\"c{n}\":null")).collect::<Vec<_>>().join(",");
        let (many, long) =
            (format!("{{\"id_token\":{{{many}}}}}"), format!("{{\"id_token\":{{{}}}}}", " ".repeat(1024)));
        let list = |length: usize| format!(r#"{{"id_token":{{"a":{{"values":[{}]}}}}}}"#, vec!["1"; length].join(","));
        use ClaimsRequestError::{Claim, Empty, Form, Member, Request, TooLarge};
        for (json, expected, reason) in [
            (r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#, None, "an authentication context"),
            (r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#, None, "a revoked token"),
            (r#"{"id_token":{"auth_time":{"essential":true},"acr":{"values":["a","b"]}}}"#, None, "values"),
            (r#"{"id_token":{"auth_time":null},"access_token":null}"#, None, "null"),
            (&list(16), None, "as many values as fit"),
            (&list(17), Some(Request), "one more"),
            ("", Some(Form), "nothing"),
            ("[]", Some(Form), "a list"),
            ("{\"access_token\":{\"a\":null}} x", Some(Form), "something behind it"),
            (r#"{"access_token":"acrs"}"#, Some(Form), "text in place of claims"),
            (r#"{"access_token":["acrs"]}"#, Some(Form), "a list in place of claims"),
            ("{}", Some(Empty), "no member"),
            (r#"{"access_token":{},"id_token":null}"#, Some(Empty), "no claim"),
            (r#"{"userinfo":{"email":null}}"#, Some(Member), "another place"),
            (r#"{"access_token":{"a":null},"client_id":{"value":"evil"}}"#, Some(Member), "another parameter's name"),
            (r#"{"id_token":{"sub":{"value":"bob"}}}"#, Some(Claim), "another person"),
            (r#"{"id_token":{"":null}}"#, Some(Claim), "no name"),
            ("{\"id_token\":{\"a\\u0000b\":null}}", Some(Claim), "a control character in a name"),
            (r#"{"id_token":{"acr":"c1"}}"#, Some(Request), "a bare value"),
            (r#"{"id_token":{"acr":{"essential":"yes"}}}"#, Some(Request), "essential that is no truth value"),
            (r#"{"id_token":{"acr":{"value":{"a":1}}}}"#, Some(Request), "an object as value"),
            (r#"{"id_token":{"acr":{"values":"c1"}}}"#, Some(Request), "values that are no list"),
            (r#"{"id_token":{"acr":{"values":[["c1"]]}}}"#, Some(Request), "a list in the list"),
            (r#"{"id_token":{"acr":{"prompt":"none"}}}"#, Some(Request), "another member"),
            (&many, Some(TooLarge), "too many claims"),
            (&long, Some(TooLarge), "too many bytes"),
            (&"[".repeat(1000), Some(Form), "a deep nest"),
        ] {
            assert_eq!(ClaimsRequest::parse_of_challenge(json.as_bytes()).err(), expected, "{reason}");
        }
    }

    #[test]
    fn what_is_configured_wins_over_what_is_asked() {
        for (configured, asked, expected) in [
            (r#"{"access_token":{"a":1}}"#, r#"{"access_token":{"b":2}}"#, r#"{"access_token":{"a":1,"b":2}}"#),
            (r#"{"access_token":{"a":1}}"#, r#"{"access_token":{"a":2}}"#, r#"{"access_token":{"a":1}}"#),
            (
                r#"{"access_token":{"a":1}}"#,
                r#"{"id_token":{"a":2}}"#,
                r#"{"access_token":{"a":1},"id_token":{"a":2}}"#,
            ),
            (r#"{"access_token":{"a":1}}"#, r#"{"access_token":null}"#, r#"{"access_token":{"a":1}}"#),
            (r#"{"access_token":null}"#, r#"{"access_token":{"a":2}}"#, r#"{"access_token":{"a":2}}"#),
            ("{}", r#"{"access_token":{"a":2}}"#, r#"{"access_token":{"a":2}}"#),
        ] {
            assert_eq!(of(configured).and(of(asked)).to_json(), expected);
        }
    }

    #[test]
    fn no_value_is_printed() {
        assert_eq!(format!("{:?}", of(r#"{"access_token":{"acrs":{"value":"c1"}}}"#)), r#"{"acrs"}"#);
    }
}
