//! One condition of a requirement: on a claim, a scope, the method or the sign-in.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::verdict::{Facts, SignInDemand, Verdict};
use crate::clock::Timestamp;

/// A person's age of sign-in is judged with this much tolerance for the Provider's clock.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Claim { claim: ClaimPath, test: ClaimTest },
    Scope(Vec<String>),
    Methods(Vec<String>),
    Acr(Vec<String>),
    MaxAge(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClaimTest {
    /// Not `null`, not empty.
    Present,
    /// The claim, or an element of a list, is one of these.
    OneOf(Vec<String>),
}

/// The name of a claim, or a JSON Pointer (RFC 6901) into one: `/realm_access/roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimPath {
    /// The path as it is written.
    pub(super) written: String,
    pub(super) name: String,
    pub(super) below: Vec<String>,
}

impl Condition {
    pub(super) fn judge(&self, facts: Facts<'_>) -> Verdict {
        match self {
            Self::All(conditions) => all(conditions, facts),
            Self::Any(conditions) => any(conditions, facts),
            Self::Claim { claim, test } => met(claim.find(facts.claims).is_some_and(|value| test.holds(value))),
            Self::Scope(scopes) => met(scopes.iter().all(|scope| has_scope(facts.claims, scope))),
            Self::Methods(methods) => met(methods.iter().any(|method| method == facts.method)),
            Self::Acr(values) => acr(values, facts),
            Self::MaxAge(limit) => max_age(*limit, facts),
        }
    }

    pub(super) fn first_failure(&self, facts: Facts<'_>) -> Option<&Self> {
        match self {
            Self::All(conditions) => conditions.iter().find_map(|condition| condition.first_failure(facts)),
            _ => (self.judge(facts) != Verdict::Met).then_some(self),
        }
    }

    pub(super) fn collect_dotted_claims<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.collect_dotted_claims(names));
            }
            Self::Claim { claim, .. } if claim.is_dotted() => names.push(&claim.written),
            Self::Claim { .. } | Self::Scope(_) | Self::Methods(_) | Self::Acr(_) | Self::MaxAge(_) => {}
        }
    }

    pub(super) fn collect_claims<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.collect_claims(names));
            }
            Self::Claim { claim, .. } => names.push(&claim.name),
            Self::Scope(_) => names.extend(SCOPE_CLAIMS),
            Self::Methods(_) => {}
            Self::Acr(_) => names.push("acr"),
            Self::MaxAge(_) => names.push("auth_time"),
        }
    }
}

fn met(holds: bool) -> Verdict {
    if holds { Verdict::Met } else { Verdict::Unmet }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(conditions) => write!(f, "({})", joined(conditions, " and ")),
            Self::Any(conditions) => write!(f, "({})", joined(conditions, " or ")),
            Self::Claim { claim, test: ClaimTest::Present } => write!(f, "{claim} is present"),
            Self::Claim { claim, test: ClaimTest::OneOf(wanted) } => write!(f, "{claim} is {}", joined(wanted, " or ")),
            Self::Scope(scopes) => write!(f, "scope has {}", joined(scopes, " and ")),
            Self::Methods(methods) => write!(f, "the method is {}", joined(methods, " or ")),
            Self::Acr(values) => write!(f, "acr is {}", joined(values, " or ")),
            Self::MaxAge(limit) => {
                write!(f, "the sign-in is not older than {}", humantime::format_duration(*limit))
            }
        }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

pub(super) fn joined<T: ToString>(parts: &[T], separator: &str) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// RFC 8693 4.2: `scope` is a list in text. Entra ID writes `scp` so; Okta writes `scp` as a list.
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

fn has_scope(claims: &Map<String, Value>, wanted: &str) -> bool {
    SCOPE_CLAIMS.iter().filter_map(|name| claims.get(*name)).any(|granted| match granted {
        Value::String(text) => text.split(' ').any(|scope| scope == wanted),
        Value::Array(list) => list.iter().any(|scope| scope == wanted),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    })
}

fn all(conditions: &[Condition], facts: Facts<'_>) -> Verdict {
    let mut verdict = Verdict::Met;
    for condition in conditions {
        match condition.judge(facts) {
            Verdict::Met => {}
            other => verdict = verdict.and(other),
        }
    }
    verdict
}

/// The first demand is made only if nothing is met as it is.
fn any(conditions: &[Condition], facts: Facts<'_>) -> Verdict {
    let mut best = Verdict::Unmet;
    for condition in conditions {
        match condition.judge(facts) {
            Verdict::Met => return Verdict::Met,
            Verdict::NeedsSignIn(demand) if best == Verdict::Unmet => best = Verdict::NeedsSignIn(demand),
            Verdict::NeedsSignIn(_) | Verdict::Unmet => {}
        }
    }
    best
}

fn acr(values: &[String], facts: Facts<'_>) -> Verdict {
    let acr = facts.claims.get("acr").and_then(Value::as_str);
    if acr.is_some_and(|acr| values.iter().any(|value| value == acr)) {
        return Verdict::Met;
    }
    needs_sign_in(SignInDemand { acr_values: values.to_vec(), ..SignInDemand::default() })
}

/// OIDC Core 2: `auth_time` is when the person authenticated. A Provider need not say it unless `max_age` asks.
fn max_age(limit: Duration, facts: Facts<'_>) -> Verdict {
    let auth_time = facts.claims.get("auth_time").and_then(Timestamp::from_numeric_date);
    let is_recent = |at: Timestamp| facts.now <= at.plus(limit).plus(CLOCK_SKEW) && at <= facts.now.plus(CLOCK_SKEW);
    if auth_time.is_some_and(is_recent) {
        return Verdict::Met;
    }
    needs_sign_in(SignInDemand { max_age: Some(limit.as_secs()), ..SignInDemand::default() })
}

fn needs_sign_in(demand: SignInDemand) -> Verdict {
    Verdict::NeedsSignIn(Box::new(demand))
}

impl ClaimPath {
    /// True for a name that may be meant as a path, such as `realm_access.roles`. A namespace of a claim is a URI.
    fn is_dotted(&self) -> bool {
        self.written.contains('.') && !self.written.contains(['/', ':'])
    }

    fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        self.below.iter().try_fold(claims.get(&self.name)?, |value, name| value.get(name))
    }
}

impl ClaimTest {
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Present, Value::Null) => false,
            (Self::Present, Value::String(text)) => !text.is_empty(),
            (Self::Present, Value::Array(list)) => !list.is_empty(),
            (Self::Present, Value::Object(members)) => !members.is_empty(),
            (Self::Present, Value::Bool(_) | Value::Number(_)) => true,
            (Self::OneOf(wanted), Value::Array(list)) => list.iter().any(|element| is_one_of(element, wanted)),
            (Self::OneOf(wanted), value) => is_one_of(value, wanted),
        }
    }
}

/// Text, numbers and booleans are compared as they are written: some Providers send `"true"` for `true`.
fn is_one_of(value: &Value, wanted: &[String]) -> bool {
    match value {
        Value::String(text) => wanted.iter().any(|wanted| wanted == text),
        Value::Bool(true) => wanted.iter().any(|wanted| wanted == "true"),
        Value::Bool(false) => wanted.iter().any(|wanted| wanted == "false"),
        Value::Number(number) => wanted.contains(&number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
