//! Rows of `ROUTES` as they are written: each becomes a [`Route`], or all of its mistakes.

use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use super::error::{RouteError, RoutePlace, RouteProblem};
use super::members::RouteRow;
use super::route::{Access, AssertionAudience, CrossSite, Route, StepUpChallenges, Streams};
use crate::proxy::claim_headers::ClaimHeaders;
use crate::proxy::requirement::{Requirement, RequirementError};
use crate::proxy::route_access_token::RouteAccessToken;
use crate::proxy::upstream::{Upstream, UpstreamError};
use crate::proxy::upstream_host::UpstreamHost;
use crate::unique_json::UniqueJson;

/// Parses the rows of a route table.
///
/// # Errors
/// All mistakes in it.
pub(super) fn parse(json: &str) -> Result<Vec<Route>, Vec<RouteError>> {
    let rows: Vec<UniqueJson> =
        serde_json::from_str(json).map_err(|error| vec![RouteError::of_table(RouteProblem::Json(error))])?;
    if rows.is_empty() {
        return Err(vec![RouteError::of_table(RouteProblem::Empty)]);
    }
    let mut mistakes = Vec::new();
    let mut upstreams = Vec::new();
    let mut routes: Vec<Route> = Vec::with_capacity(rows.len());
    for (index, UniqueJson(row)) in rows.into_iter().enumerate() {
        let mut reader =
            Reader { place: RoutePlace::of(&row, index), mistakes: &mut mistakes, upstreams: &mut upstreams };
        let Some(route) = reader.row(row) else { continue };
        if routes.iter().any(|other| other.path == route.path) {
            reader.mistake(RouteProblem::Duplicate);
        }
        routes.push(route);
    }
    if mistakes.is_empty() { Ok(routes) } else { Err(mistakes) }
}

/// A session route for everything to the Upstream at `url`.
///
/// # Errors
/// If the URL is no valid Upstream.
pub(super) fn single(url: &str) -> Result<Route, UpstreamError> {
    Ok(Route {
        path: "/".to_owned(),
        upstream: Upstream::parse(url).map(Arc::new)?,
        access: Access::Session,
        streams: Streams::End,
        host: None,
        token: RouteAccessToken::default(),
        is_isolated: false,
        cross_site: CrossSite::Refuse,
        headers: ClaimHeaders::default(),
        assertion: None,
        requirement: None,
        step_up_challenges: StepUpChallenges::Pass,
    })
}

/// Reader of one row.
struct Reader<'a> {
    place: RoutePlace,
    mistakes: &'a mut Vec<RouteError>,
    upstreams: &'a mut Vec<(String, Arc<Upstream>)>,
}

impl Reader<'_> {
    fn mistake(&mut self, problem: RouteProblem) {
        self.mistakes.push(RouteError { place: Some(self.place.clone()), problem });
    }

    fn keep<T>(&mut self, parsed: Result<T, RouteProblem>) -> Option<T> {
        parsed.map_err(|problem| self.mistake(problem)).ok()
    }

    fn row(&mut self, json: Value) -> Option<Route> {
        match RouteRow::parse(json) {
            Ok(row) => self.route(row),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.mistake(problem));
                None
            }
        }
    }

    fn route(&mut self, row: RouteRow) -> Option<Route> {
        let path = self.keep(prefix(&row.path));
        let access = self.keep(member(row.access.as_deref()));
        let streams = self.keep(member(row.streams.as_deref()));
        let host = row.host.as_deref().map(|host| UpstreamHost::parse(host).ok_or(RouteProblem::Host(host.to_owned())));
        let host = self.keep(host.transpose());
        let token = row.token.as_ref().map_or_else(|| Ok(RouteAccessToken::default()), RouteAccessToken::parse);
        let token = self.keep(token.map_err(RouteProblem::Token));
        let cross_site = self.keep(member(row.cross_site.as_deref()));
        let headers = row.headers.as_ref().map_or(Ok(ClaimHeaders::default()), ClaimHeaders::parse);
        let headers = self.keep(headers.map_err(RouteProblem::Headers));
        let assertion = self.keep(row.assertion.as_ref().map_or(Ok(None), assertion));
        let requirement = self.keep(requirement(row.require.as_ref(), row.explain.clone()));
        let step_up_challenges = self.keep(member(row.step_up_challenges.as_deref()));
        let upstream = self.upstream(&row.upstream);
        let has_target = token.as_ref().is_some_and(|token| token.target.is_some());
        if let (Some(access), Some(cross_site)) = (access, cross_site) {
            let contradictions = contradictions(access, cross_site, has_target, &row).into_iter();
            contradictions.for_each(|members| self.mistake(RouteProblem::Contradiction(members)));
        }
        if let (Some(token), Some(headers)) = (&token, &headers)
            && token.placement.header().is_some_and(|name| headers.has(name))
        {
            self.mistake(RouteProblem::Contradiction("one header for a claim and for the token"));
        }
        Some(Route {
            path: path?,
            upstream: upstream?,
            access: access?,
            streams: streams?,
            host: host?,
            token: token?,
            is_isolated: row.isolate.unwrap_or_default(),
            cross_site: cross_site?,
            headers: headers?,
            assertion: assertion?,
            requirement: requirement?,
            step_up_challenges: step_up_challenges?,
        })
    }

    /// One connection pool for routes with the same URL.
    fn upstream(&mut self, url: &str) -> Option<Arc<Upstream>> {
        if let Some((_, upstream)) = self.upstreams.iter().find(|(known, _)| known == url) {
            return Some(Arc::clone(upstream));
        }
        let upstream = self.keep(Upstream::parse(url).map(Arc::new).map_err(RouteProblem::Upstream))?;
        self.upstreams.push((url.to_owned(), Arc::clone(&upstream)));
        Some(upstream)
    }
}

fn member<T: Default + FromStr<Err = RouteProblem>>(text: Option<&str>) -> Result<T, RouteProblem> {
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

fn assertion(json: &Value) -> Result<Option<AssertionAudience>, RouteProblem> {
    match json {
        Value::Bool(wanted) => Ok(wanted.then_some(AssertionAudience::Route)),
        Value::String(audience) if !audience.is_empty() => Ok(Some(AssertionAudience::Named(audience.clone()))),
        _ => Err(RouteProblem::Assertion(json.to_string())),
    }
}

fn requirement(require: Option<&Value>, explain: Option<String>) -> Result<Option<Requirement>, RouteProblem> {
    let requirement = match require {
        Some(require) => Requirement::parse(require, explain).map(Some),
        None if explain.is_some() => Err(RequirementError(vec!["explain: there is no require to explain".to_owned()])),
        None => Ok(None),
    };
    requirement.map_err(RouteProblem::Requirement)
}

/// Normalises a route's path: no trailing slash, except `/`.
fn prefix(path: &str) -> Result<String, RouteProblem> {
    let inner = path.strip_prefix('/').ok_or(RouteProblem::Path)?;
    if inner.is_empty() {
        return Ok("/".to_owned());
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.split('/').any(|segment| matches!(segment, "*" | "**") || segment.ends_with(".*")) {
        return Err(RouteProblem::Pattern);
    }
    let is_plain = |segment: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"%?#\\;".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_allowed)
    };
    if !inner.split('/').all(is_plain) {
        return Err(RouteProblem::Path);
    }
    Ok(format!("/{inner}"))
}

impl FromStr for Access {
    type Err = RouteProblem;

    fn from_str(text: &str) -> Result<Self, RouteProblem> {
        match text {
            "session" => Ok(Self::Session),
            "anonymous" => Ok(Self::Anonymous),
            "bearer" => Ok(Self::Bearer),
            "session_or_bearer" => Ok(Self::SessionOrBearer),
            _ => Err(RouteProblem::Access(text.to_owned())),
        }
    }
}

impl FromStr for Streams {
    type Err = RouteProblem;

    fn from_str(text: &str) -> Result<Self, RouteProblem> {
        match text {
            "end" => Ok(Self::End),
            "outlive" => Ok(Self::Outlive),
            _ => Err(RouteProblem::Streams(text.to_owned())),
        }
    }
}

impl FromStr for StepUpChallenges {
    type Err = RouteProblem;

    fn from_str(text: &str) -> Result<Self, RouteProblem> {
        match text {
            "pass" => Ok(Self::Pass),
            "follow" => Ok(Self::Follow),
            _ => Err(RouteProblem::StepUpChallenges(text.to_owned())),
        }
    }
}

impl FromStr for CrossSite {
    type Err = RouteProblem;

    fn from_str(text: &str) -> Result<Self, RouteProblem> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "allow" => Ok(Self::Allow),
            _ => Err(RouteProblem::CrossSite(text.to_owned())),
        }
    }
}
