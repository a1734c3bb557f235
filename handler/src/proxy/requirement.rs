//! The requirement of a route: conditions on a person's claims, the sign-in and the method.
//!
//! Knows claims as JSON and never their source. No condition asks for the absence of a claim, so a claim that is missing
//! can only deny.

mod condition;
mod parse;
mod verdict;

use std::fmt;

use serde_json::Value;

use self::condition::{Condition, joined};
pub use self::parse::RequirementError;
pub use self::verdict::{Facts, SignInDemand, Verdict};

/// Conditions that a signed-in person's request must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    condition: Condition,
    explain: Option<String>,
}

impl Requirement {
    /// Reads the `require` of a route: one condition, or a list of which all must hold.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(json: &Value, explain: Option<String>) -> Result<Self, RequirementError> {
        Ok(Self { condition: parse::condition(json)?, explain })
    }

    /// The verdict on a request.
    #[must_use]
    pub fn judge(&self, facts: Facts<'_>) -> Verdict {
        self.condition.judge(facts)
    }

    /// The first condition that the request fails, as `explain` prints it; `None` for a request that meets all.
    #[must_use]
    pub fn first_failure(&self, facts: Facts<'_>) -> Option<String> {
        self.condition.first_failure(facts).map(ToString::to_string)
    }

    /// The operator's own words for a person who is denied.
    #[must_use]
    pub fn explain(&self) -> Option<&str> {
        self.explain.as_deref()
    }

    /// Names with a dot that it reads: such a name may be meant as a path.
    #[must_use]
    pub fn dotted_claims(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.condition.collect_dotted_claims(&mut names);
        names
    }

    /// The top-level claims that it reads.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let mut names = Vec::new();
        self.condition.collect_claims(&mut names);
        names.into_iter()
    }
}

impl fmt::Display for Requirement {
    /// The whole rule, as `explain` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            Condition::All(conditions) => f.write_str(&joined(conditions, " and ")),
            Condition::Any(conditions) => f.write_str(&joined(conditions, " or ")),
            Condition::Claim { .. }
            | Condition::Scope(_)
            | Condition::Methods(_)
            | Condition::Acr(_)
            | Condition::MaxAge(_) => self.condition.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
