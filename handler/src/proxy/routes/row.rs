//! Rows of `ROUTES` as they are written: each becomes a [`Route`], or all of its mistakes.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::route::{Access, AssertionAudience, CrossSite, Route, StepUpChallenges, Streams};
use crate::proxy::claim_headers::{ClaimHeaders, ClaimHeadersError};
use crate::proxy::requirement::{Requirement, RequirementError};
use crate::proxy::token_placement::{TokenPlacement, TokenPlacementError};
use crate::proxy::upstream::{Upstream, UpstreamError};
use crate::proxy::upstream_host::UpstreamHost;
use crate::unique_json::UniqueJson;

const MEMBERS: &str = "path, upstream, access, streams, host, token, isolate, cross_site, headers, assertion, require, explain, step_up_challenges";

/// Mistake in a route table.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Not a JSON list.
    #[error("the routes are not a JSON list of {{{MEMBERS}}}")]
    Json(#[source] serde_json::Error),
    /// An element that is no object with the members of a route, each of its type.
    #[error("the route at {at} (from 0) is not an object of {{{MEMBERS}}}")]
    Row {
        /// Place in the list.
        at: usize,
        /// The mistake.
        #[source]
        source: serde_json::Error,
    },
    /// Empty list: nothing could be reached.
    #[error("there is no route")]
    Empty,
    /// A path with other than plain, decoded segments.
    #[error("the route path {0:?} must start with / and hold no escape, query, dot segment or empty segment")]
    Path(String),
    /// A pattern in place of a prefix.
    #[error("the route path {0:?} is a pattern: a path covers everything below it, so leave the * out")]
    Pattern(String),
    /// A repeated path.
    #[error("the route path {0:?} occurs twice")]
    Duplicate(String),
    /// `access` is none that we know.
    #[error("the access {0:?} is none of session, anonymous, bearer and session_or_bearer")]
    Access(String),
    /// `streams` is neither `end` nor `outlive`.
    #[error("the streams {0:?} is neither end nor outlive")]
    Streams(String),
    /// `host` is neither `public` nor `upstream`.
    #[error("the host {0:?} is neither public nor upstream")]
    Host(String),
    /// `token` is no place for a token.
    #[error("the route {path:?} has no usable token")]
    Token {
        /// The route's path.
        path: String,
        /// The mistake.
        #[source]
        source: TokenPlacementError,
    },
    /// `cross_site` is neither `refuse` nor `allow`.
    #[error("the cross_site {0:?} is neither refuse nor allow")]
    CrossSite(String),
    /// `step_up_challenges` is neither `pass` nor `follow`.
    #[error("the step_up_challenges {0:?} is neither pass nor follow")]
    StepUpChallenges(String),
    /// Two members of a route that cannot both hold.
    #[error("the route {path:?} has {members}")]
    Contradiction {
        /// The route's path.
        path: String,
        /// The members, and why one makes the other useless.
        members: &'static str,
    },
    /// `headers` has mistakes.
    #[error("the headers of the route {path:?} can't be used")]
    Headers {
        /// The route's path.
        path: String,
        /// Every mistake in them.
        #[source]
        source: ClaimHeadersError,
    },
    /// `assertion` is neither a truth value nor an audience.
    #[error("the assertion {0} is neither true nor an audience")]
    Assertion(String),
    /// `require` has mistakes, or stands where it can't hold.
    #[error("the requirement of the route {path:?} can't be used")]
    Requirement {
        /// The route's path.
        path: String,
        /// Every mistake in it.
        #[source]
        source: RequirementError,
    },
    /// An Upstream isn't usable.
    #[error("the upstream of the route {path:?} is not usable")]
    Upstream {
        /// The route's path.
        path: String,
        /// The mistake.
        #[source]
        source: UpstreamError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRow {
    path: String,
    upstream: String,
    access: Option<String>,
    streams: Option<String>,
    host: Option<String>,
    token: Option<Value>,
    isolate: Option<bool>,
    cross_site: Option<String>,
    headers: Option<Value>,
    assertion: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    require: Option<Value>,
    explain: Option<String>,
    step_up_challenges: Option<String>,
}

/// A member that is there, be it `null`: a template without a value must not leave a route without its rule.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Parses the rows of a route table.
///
/// # Errors
/// All mistakes in it.
pub(super) fn parse(json: &str) -> Result<Vec<Route>, Vec<RouteError>> {
    let rows: Vec<UniqueJson> = serde_json::from_str(json).map_err(|error| vec![RouteError::Json(error)])?;
    let mut reader = Reader { mistakes: Vec::new(), upstreams: Vec::new() };
    let mut routes: Vec<Route> = Vec::with_capacity(rows.len());
    for (at, UniqueJson(row)) in rows.into_iter().enumerate() {
        let parsed = serde_json::from_value(row).map_err(|source| RouteError::Row { at, source });
        let Some(row) = reader.keep::<RouteRow>(parsed) else { continue };
        let written = row.path.clone();
        let Some(route) = reader.route(row) else { continue };
        if routes.iter().any(|other| other.path == route.path) {
            reader.mistakes.push(RouteError::Duplicate(written));
        }
        routes.push(route);
    }
    if routes.is_empty() && reader.mistakes.is_empty() {
        reader.mistakes.push(RouteError::Empty);
    }
    if reader.mistakes.is_empty() { Ok(routes) } else { Err(reader.mistakes) }
}

/// A session route for everything to the Upstream at `url`.
///
/// # Errors
/// If the URL is no valid Upstream.
pub(super) fn single(url: &str) -> Result<Route, RouteError> {
    Ok(Route {
        path: "/".to_owned(),
        upstream: upstream("/", url)?,
        access: Access::Session,
        streams: Streams::End,
        host: None,
        token: TokenPlacement::Bearer,
        token_target: None,
        is_isolated: false,
        cross_site: CrossSite::Refuse,
        headers: ClaimHeaders::default(),
        assertion: None,
        requirement: None,
        step_up_challenges: StepUpChallenges::Pass,
    })
}

struct Reader {
    mistakes: Vec<RouteError>,
    upstreams: Vec<(String, Arc<Upstream>)>,
}

impl Reader {
    fn keep<T>(&mut self, parsed: Result<T, RouteError>) -> Option<T> {
        parsed.map_err(|error| self.mistakes.push(error)).ok()
    }

    fn route(&mut self, row: RouteRow) -> Option<Route> {
        let path = self.keep(prefix(&row.path));
        let access = self.keep(member(row.access.as_deref()));
        let streams = self.keep(member(row.streams.as_deref()));
        let host = row.host.as_deref().map(|host| UpstreamHost::parse(host).ok_or(RouteError::Host(host.to_owned())));
        let host = self.keep(host.transpose());
        let token = row.token.as_ref().map_or_else(|| Ok(Default::default()), TokenPlacement::parse);
        let token = self.keep(token.map_err(|source| RouteError::Token { path: row.path.clone(), source }));
        let cross_site = self.keep(member(row.cross_site.as_deref()));
        let headers = row.headers.as_ref().map_or(Ok(ClaimHeaders::default()), ClaimHeaders::parse);
        let headers = self.keep(headers.map_err(|source| RouteError::Headers { path: row.path.clone(), source }));
        let assertion = self.keep(row.assertion.as_ref().map_or(Ok(None), assertion));
        let requirement = self.keep(requirement(&row.path, row.require.as_ref(), row.explain.clone()));
        let step_up_challenges = self.keep(member(row.step_up_challenges.as_deref()));
        let upstream = self.upstream(&row.path, &row.upstream);
        let has_target = matches!(&token, Some((_, Some(_))));
        if let (Some(access), Some(cross_site)) = (access, cross_site) {
            let contradictions = contradictions(access, cross_site, has_target, &row).into_iter();
            let path = || row.path.clone();
            self.mistakes.extend(contradictions.map(|members| RouteError::Contradiction { path: path(), members }));
        }
        if let (Some((token, _)), Some(headers)) = (&token, &headers)
            && token.header().is_some_and(|name| headers.has(name))
        {
            let members = "one header for a claim and for the token";
            self.mistakes.push(RouteError::Contradiction { path: row.path.clone(), members });
        }
        let (token, token_target) = token?;
        Some(Route {
            path: path?,
            upstream: upstream?,
            access: access?,
            streams: streams?,
            host: host?,
            token,
            token_target,
            is_isolated: row.isolate.unwrap_or_default(),
            cross_site: cross_site?,
            headers: headers?,
            assertion: assertion?,
            requirement: requirement?,
            step_up_challenges: step_up_challenges?,
        })
    }

    /// One connection pool for routes with the same URL.
    fn upstream(&mut self, path: &str, url: &str) -> Option<Arc<Upstream>> {
        if let Some((_, upstream)) = self.upstreams.iter().find(|(known, _)| known == url) {
            return Some(Arc::clone(upstream));
        }
        let upstream = self.keep(upstream(path, url))?;
        self.upstreams.push((url.to_owned(), Arc::clone(&upstream)));
        Some(upstream)
    }
}

fn member<T: Default + FromStr<Err = RouteError>>(text: Option<&str>) -> Result<T, RouteError> {
    text.map_or_else(|| Ok(T::default()), str::parse)
}

/// Members that say nothing beside the others, so that their author must have meant something else.
fn contradictions(access: Access, cross_site: CrossSite, has_target: bool, row: &RouteRow) -> Vec<&'static str> {
    let is_allowed = cross_site == CrossSite::Allow;
    let is_followed = row.step_up_challenges.as_deref() == Some("follow");
    let rows: &[(bool, &'static str)] = match access {
        Access::Anonymous => &[
            (is_allowed, "cross_site allow and access anonymous, which takes every request anyway"),
            (row.assertion.is_some(), "an assertion and access anonymous, which knows nobody"),
            (row.headers.is_some(), "headers and access anonymous, which knows no claims"),
            (row.require.is_some(), "require and access anonymous, which knows no claims"),
            (is_followed, "step_up_challenges follow and access anonymous, which knows nobody"),
            (has_target, "a token of its own and access anonymous, which knows nobody"),
        ],
        Access::Bearer => &[
            (is_allowed, "cross_site allow and access bearer, which takes no forms"),
            (row.isolate == Some(true), "isolate and access bearer, which no page of another site can use"),
            (row.streams.is_some(), "streams and access bearer, which has no session that could end"),
            (row.token.is_some(), "token and access bearer, whose tokens are passed on as they came"),
            (is_followed, "step_up_challenges follow and access bearer, whose clients follow challenges themselves"),
        ],
        Access::Session | Access::SessionOrBearer => &[(
            is_allowed && row.isolate == Some(true),
            "cross_site allow and isolate true, which refuses forms of other sites",
        )],
    };
    rows.iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, members)| *members).collect()
}

fn assertion(json: &Value) -> Result<Option<AssertionAudience>, RouteError> {
    match json {
        Value::Bool(wanted) => Ok(wanted.then_some(AssertionAudience::Route)),
        Value::String(audience) if !audience.is_empty() => Ok(Some(AssertionAudience::Named(audience.clone()))),
        _ => Err(RouteError::Assertion(json.to_string())),
    }
}

fn requirement(
    path: &str,
    require: Option<&Value>,
    explain: Option<String>,
) -> Result<Option<Requirement>, RouteError> {
    let requirement = match require {
        Some(require) => Requirement::parse(require, explain).map(Some),
        None if explain.is_some() => Err(RequirementError(vec!["explain: there is no require to explain".to_owned()])),
        None => Ok(None),
    };
    requirement.map_err(|source| RouteError::Requirement { path: path.to_owned(), source })
}

fn upstream(path: &str, url: &str) -> Result<Arc<Upstream>, RouteError> {
    Upstream::parse(url).map(Arc::new).map_err(|source| RouteError::Upstream { path: path.to_owned(), source })
}

/// Normalises a route's path: no trailing slash, except `/`.
fn prefix(path: &str) -> Result<String, RouteError> {
    let refused = || RouteError::Path(path.to_owned());
    let inner = path.strip_prefix('/').ok_or_else(refused)?;
    if inner.is_empty() {
        return Ok("/".to_owned());
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.split('/').any(|segment| matches!(segment, "*" | "**") || segment.ends_with(".*")) {
        return Err(RouteError::Pattern(path.to_owned()));
    }
    let is_plain = |segment: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"%?#\\;".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_allowed)
    };
    if !inner.split('/').all(is_plain) {
        return Err(refused());
    }
    Ok(format!("/{inner}"))
}

impl FromStr for Access {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text {
            "session" => Ok(Self::Session),
            "anonymous" => Ok(Self::Anonymous),
            "bearer" => Ok(Self::Bearer),
            "session_or_bearer" => Ok(Self::SessionOrBearer),
            _ => Err(RouteError::Access(text.to_owned())),
        }
    }
}

impl FromStr for Streams {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text {
            "end" => Ok(Self::End),
            "outlive" => Ok(Self::Outlive),
            _ => Err(RouteError::Streams(text.to_owned())),
        }
    }
}

impl FromStr for StepUpChallenges {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text {
            "pass" => Ok(Self::Pass),
            "follow" => Ok(Self::Follow),
            _ => Err(RouteError::StepUpChallenges(text.to_owned())),
        }
    }
}

impl FromStr for CrossSite {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "allow" => Ok(Self::Allow),
            _ => Err(RouteError::CrossSite(text.to_owned())),
        }
    }
}
