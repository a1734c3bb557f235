//! Set of verified claims. Knows nothing of their source.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A verified set of claims (OIDC Core 5.1).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

/// Standard claim that is filled from the Provider's own claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimAlias {
    /// The standard claim; an existing one is not overwritten.
    pub standard: &'static str,
    /// Path to the Provider's own claim.
    pub own: &'static [&'static str],
    /// True if the own claim is a list whose first item counts.
    pub is_first_of_list: bool,
}

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// `sub`: the person, as this Provider names them.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// Value of a text claim.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Adds the standard claims that the Provider has under its own names.
    pub(crate) fn with_aliases(self, aliases: &[ClaimAlias]) -> Self {
        let mut claims = self.0;
        for alias in aliases {
            if let Some(value) = own_value(&claims, alias)
                && !claims.contains_key(alias.standard)
            {
                claims.insert(alias.standard.to_owned(), value);
            }
        }
        Self(claims)
    }

    /// The claims with the given names.
    #[must_use]
    pub fn only(&self, names: &[impl AsRef<str>]) -> Self {
        let wanted = self.0.iter().filter(|(name, _)| names.iter().any(|wanted| wanted.as_ref() == name.as_str()));
        Self(wanted.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The claims without an address that its Provider calls unverified (OIDC Core 5.1: `email_verified`,
    /// `phone_number_verified`). Whoever registers may choose it.
    #[must_use]
    pub fn without_unverified(mut self) -> Self {
        for [address, verified] in VERIFIED_PAIRS {
            if !self.0.get(verified).is_none_or(is_true) {
                self.0.remove(address);
            }
        }
        self
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// All claims.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Claims that verify another: a pair always comes from the same source.
pub(super) const VERIFIED_PAIRS: [[&str; 2]; 2] =
    [["email", "email_verified"], ["phone_number", "phone_number_verified"]];

/// True for a true value, also as text, as some Providers write it.
fn is_true(value: &Value) -> bool {
    match value {
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        other => *other == Value::Bool(true),
    }
}

fn own_value(claims: &Map<String, Value>, alias: &ClaimAlias) -> Option<Value> {
    let (first, rest) = alias.own.split_first()?;
    let value = rest.iter().try_fold(claims.get(*first)?, |value, name| value.get(name))?;
    if alias.is_first_of_list { value.get(0).cloned() } else { Some(value.clone()) }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({} of them)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_that_is_called_unverified_is_absent() {
        for (verified, is_kept) in [
            (None, true),
            (Some(json!(true)), true),
            (Some(json!("True")), true),
            (Some(json!(false)), false),
            (Some(json!("false")), false),
            (Some(json!(null)), false),
            (Some(json!(1)), false),
            (Some(json!([true])), false),
        ] {
            let mut claims = json!({"sub": "ada", "email": "boss@bank.example", "phone_number": "+49"});
            for name in ["email_verified", "phone_number_verified"] {
                if let Some(value) = &verified {
                    claims[name] = value.clone();
                }
            }

            let claims = Claims::new(claims.as_object().unwrap().clone()).without_unverified();

            let has = |name| claims.as_map().contains_key(name);
            assert_eq!((has("email"), has("phone_number"), has("sub")), (is_kept, is_kept, true), "{verified:?}");
        }
    }
}
