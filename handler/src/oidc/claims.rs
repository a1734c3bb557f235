//! What a Provider says of a person, once it has been verified.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims that belong to the token or to the act of signing in, not to the person; nothing but a verified ID token
/// sets them. `sid` above all: it is what the Provider ends our session by.
const PROTOCOL: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "auth_time",
    "acr",
    "amr",
    "sid",
];

/// A verified set of claims (OIDC Core 5.1).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// `sub`: the person, as this Provider names them.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Those of the given names.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let wanted = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        Self(wanted.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes newer values, and keeps what the newer set omits: a missing `name` at a refresh is normal.
    pub fn merge(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// Adds what UserInfo says of the person, which is never about the token.
    pub fn merge_userinfo(&mut self, userinfo: Self) {
        self.0.extend(userinfo.0.into_iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str())));
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({} of them)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: Value) -> Claims {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_refresh_without_a_name_keeps_the_name() {
        let mut known = claims(serde_json::json!({"sub": "ada", "name": "Ada", "exp": 1}));

        known.merge(claims(serde_json::json!({"sub": "ada", "exp": 2})));

        assert_eq!(known, claims(serde_json::json!({"sub": "ada", "name": "Ada", "exp": 2})));
    }

    #[test]
    fn userinfo_speaks_of_the_person_and_never_of_the_token() {
        let mut known = claims(serde_json::json!({"sub": "ada", "iss": "https://op.example"}));

        let hostile = PROTOCOL.map(|name| (name.to_owned(), Value::from("evil")));
        known.merge_userinfo(Claims::new(hostile.into_iter().collect()));
        known.merge_userinfo(claims(serde_json::json!({"email": "a@b"})));

        let expected = serde_json::json!({"sub": "ada", "iss": "https://op.example", "email": "a@b"});
        assert_eq!(known, claims(expected));
    }
}
