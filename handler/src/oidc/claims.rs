//! A verified set of claims. Knows nothing of its source.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A verified set of claims (OIDC Core 5.1).
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

/// A standard claim and the Provider's own claim that has its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimAlias {
    /// The standard claim; one that is there stays.
    pub standard: &'static str,
    /// The path to the Provider's own.
    pub own: &'static [&'static str],
    /// The value is the first of a list.
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

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The claims, and under its standard name each that the Provider has under a name of its own.
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

    /// Those of the given names.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let wanted = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        Self(wanted.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
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
