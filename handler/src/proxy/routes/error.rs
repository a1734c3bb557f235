//! Mistakes in a route table, each with the route that has it.

use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::proxy::claim_headers::ClaimHeadersError;
use crate::proxy::requirement::RequirementError;
use crate::proxy::route_access_token::RouteAccessTokenError;
use crate::proxy::upstream::UpstreamError;

/// Mistake in a route table.
#[derive(Debug)]
pub struct RouteError {
    /// The route; `None` for a mistake of the whole table.
    pub(super) place: Option<RoutePlace>,
    pub(super) problem: RouteProblem,
}

/// A route as the author of the table knows it.
#[derive(Clone, Debug)]
pub(super) enum RoutePlace {
    Path(String),
    /// Number in the list, from 1 on, of a route without a path.
    Number(usize),
}

/// Mistake by itself, without its route.
#[derive(Debug, thiserror::Error)]
pub enum RouteProblem {
    /// Not a JSON list.
    #[error("it is no JSON list")]
    Json(#[source] serde_json::Error),
    /// Empty list: nothing could be reached.
    #[error("it lists no route")]
    Empty,
    /// An element of the list that is no object.
    #[error("it is no JSON object")]
    NoObject,
    /// A member that no route has.
    #[error("{name:?} is no member of a route{}", .meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default())]
    Unknown {
        /// Name of the member.
        name: String,
        /// The member that was probably meant.
        meant: Option<&'static str>,
    },
    /// No `path`, or no `upstream`.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A member with a value of another type.
    #[error("its {name} is not {expected}")]
    Type {
        /// Name of the member.
        name: &'static str,
        /// Its type.
        expected: &'static str,
    },
    /// A path with other than plain, decoded segments.
    #[error("its path must start with / and hold no escape, query, dot segment or empty segment")]
    Path,
    /// A pattern in place of a prefix.
    #[error("its path is a pattern: a path covers everything below it, so leave the * out")]
    Pattern,
    /// A repeated path.
    #[error("its path occurs twice")]
    Duplicate,
    /// `access` is none that we know.
    #[error("its access {0:?} is none of session, anonymous, bearer and session_or_bearer")]
    Access(String),
    /// `streams` is neither `end` nor `outlive`.
    #[error("its streams {0:?} is neither end nor outlive")]
    Streams(String),
    /// `host` is neither `public` nor `upstream`.
    #[error("its host {0:?} is neither public nor upstream")]
    Host(String),
    /// `token` is no place for a token.
    #[error("its token cannot be used")]
    Token(#[source] RouteAccessTokenError),
    /// `cross_site` is neither `refuse` nor `allow`.
    #[error("its cross_site {0:?} is neither refuse nor allow")]
    CrossSite(String),
    /// `step_up_challenges` is neither `pass` nor `follow`.
    #[error("its step_up_challenges {0:?} is neither pass nor follow")]
    StepUpChallenges(String),
    /// Two members that cannot both hold, and why one makes the other useless.
    #[error("it has {0}")]
    Contradiction(&'static str),
    /// `headers` has mistakes.
    #[error("its headers cannot be used")]
    Headers(#[source] ClaimHeadersError),
    /// `assertion` is neither a truth value nor an audience.
    #[error("its assertion {0} is neither true nor an audience")]
    Assertion(String),
    /// `require` has mistakes, or stands where it can't hold.
    #[error("its rule cannot be used")]
    Requirement(#[source] RequirementError),
    /// The Upstream isn't usable.
    #[error("its upstream cannot be used")]
    Upstream(#[source] UpstreamError),
}

impl RoutePlace {
    /// The place of the element at `index`, which counts from 0.
    pub(super) fn of(row: &Value, index: usize) -> Self {
        match row.get("path").and_then(Value::as_str) {
            Some(path) => Self::Path(path.to_owned()),
            None => Self::Number(index + 1),
        }
    }
}

impl fmt::Display for RoutePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "the route {path:?}"),
            Self::Number(number) => write!(f, "route {number} of the list"),
        }
    }
}

impl RouteError {
    pub(super) fn of_table(problem: RouteProblem) -> Self {
        Self { place: None, problem }
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl Error for RouteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}
