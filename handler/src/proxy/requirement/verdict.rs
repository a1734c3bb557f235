//! The facts that a requirement is judged by, and the outcome.

use serde_json::{Map, Value};

use crate::claims_request::ClaimsRequest;
use crate::clock::Timestamp;

/// The facts that a requirement is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The person's claims.
    pub claims: &'a Map<String, Value>,
    /// The present moment.
    pub now: Timestamp,
}

/// The outcome of a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request meets it.
    Met,
    /// Another sign-in of the same person could meet it: a stronger or a more recent one.
    NeedsSignIn(Box<SignInDemand>), // boxed: rare, and every condition returns a verdict
    /// The request does not meet it.
    Unmet,
}

/// A sign-in that a requirement or an application asks for (OIDC Core 3.1.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignInDemand {
    /// `acr_values`, in the operator's order.
    pub acr_values: Vec<String>,
    /// `max_age`, in seconds.
    pub max_age: Option<u64>,
    /// `claims`, which only an application asks for.
    pub claims: Option<ClaimsRequest>,
}

impl Verdict {
    /// The verdict of two requirements at once. One that is unmet outweighs a demand: no sign-in would help.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unmet, _) | (_, Self::Unmet) => Self::Unmet,
            (Self::NeedsSignIn(one), Self::NeedsSignIn(other)) => Self::NeedsSignIn(Box::new(one.and(*other))),
            (Self::Met, verdict) | (verdict, Self::Met) => verdict,
        }
    }
}

impl SignInDemand {
    /// The demand as parameters of an authorization request, but for its claims.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let acr = (!self.acr_values.is_empty()).then(|| ("acr_values", self.acr_values.join(" ")));
        let max_age = self.max_age.map(|seconds| ("max_age", seconds.to_string()));
        acr.into_iter().chain(max_age)
    }

    /// The demand that these parameters and claims make; `None` if they make none.
    #[must_use]
    pub fn from_parameters(pairs: &[(String, String)], claims: Option<ClaimsRequest>) -> Option<Self> {
        let value = |name: &str| pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let acr_values = value("acr_values").unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        let demand = Self { acr_values, max_age: value("max_age").and_then(|seconds| seconds.parse().ok()), claims };
        (demand != Self::default()).then_some(demand)
    }

    /// Both demands at once: values of the first that has any, and the shorter age.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let max_age = [self.max_age, other.max_age].into_iter().flatten().min();
        let acr_values = if self.acr_values.is_empty() { other.acr_values } else { self.acr_values };
        Self { acr_values, max_age, claims: self.claims.or(other.claims) }
    }
}
