//! Route table: maps a path prefix to an Upstream, and says if it needs a session.
//!
//! Knows what access a route asks for, never how that is decided.

mod error;
mod members;
mod route;
mod row;

use hyper::header::HeaderName;

pub use self::error::{RouteError, RouteProblem};
pub use self::route::{Access, Route, Streams};
use super::claim_headers::ClaimHeaders;
use super::requirement::Requirement;
use super::spelling::{LooseReading, is_droppable};
use super::target::TargetError;
use super::upstream::{Upstream, UpstreamError};
use super::upstream_host::UpstreamHost;
use crate::percent::is_under;
use crate::token_target::TokenTarget;

/// All routes, the longest path first.
///
/// ```
/// use oauth_proxy::proxy::{Access, RouteTable};
///
/// let table = RouteTable::parse(
///     r#"[{"path": "/", "upstream": "https://app.internal", "access": "anonymous"},
///         {"path": "/admin", "upstream": "https://app.internal"}]"#,
/// )
/// .unwrap();
/// let access = |path| table.find(path).unwrap().unwrap().access();
///
/// assert_eq!(access("/administration"), Access::Anonymous); // a prefix ends at a segment boundary
/// assert_eq!(access("/admin/users"), Access::Session);
/// assert_eq!(access("/ADMIN;a=1/users"), Access::Session); // as a forgiving Upstream might read it
/// ```
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// Per route those at or below its path, in any case, whose access is narrower or another, by index.
    protected: Vec<Vec<Protected>>,
    /// Per route the others at or below its path, in any case, that have a requirement.
    demanding: Vec<Vec<Protected>>,
    /// Per route the others at or below its path, in any case, that are isolated, by index; none for an isolated one.
    isolated: Vec<Vec<Protected>>,
    /// Segment count of the longest route in the three lists.
    depth: usize,
}

/// A route with a stricter rule at or below another.
#[derive(Debug)]
struct Protected {
    at: usize,
    segments: Vec<String>,
}

impl RouteTable {
    /// Parses a JSON list of routes. The defaults: access `session`, streams `end`, token `bearer`, isolate `false`,
    /// cross_site `refuse`, and the host that [`RouteTable::with_host`] or the upstream's name says.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn parse(json: &str) -> Result<Self, Vec<RouteError>> {
        row::parse(json).map(Self::new)
    }

    /// A single session route for everything.
    ///
    /// # Errors
    /// If the URL is no valid Upstream.
    pub fn single(url: &str) -> Result<Self, UpstreamError> {
        Ok(Self::new(vec![row::single(url)?]))
    }

    /// Sets this `Host` for every route that names none.
    #[must_use]
    pub fn with_host(mut self, host: Option<UpstreamHost>) -> Self {
        for route in self.routes.iter_mut().filter(|route| route.host.is_none()) {
            route.host = host;
        }
        self
    }

    fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        let protected: Vec<Vec<Protected>> = routes.iter().map(|route| protected_below(route, &routes)).collect();
        let demanding: Vec<Vec<Protected>> = routes.iter().map(|route| demanding_below(route, &routes)).collect();
        let isolated: Vec<Vec<Protected>> = routes.iter().map(|route| isolated_below(route, &routes)).collect();
        let depth = |lists: &[Vec<Protected>]| lists.iter().flatten().map(|route| route.segments.len()).max();
        let depth = [&protected, &demanding, &isolated].into_iter().filter_map(|lists| depth(lists)).max();
        Self { routes, protected, demanding, isolated, depth: depth.unwrap_or_default() }
    }

    /// Route with the longest prefix of `path` (without its query) that ends on a segment boundary.
    ///
    /// An Upstream may decode, fold case or squeeze slashes before it looks at the path (see `spelling`). So a path that
    /// could be read as a route below with a narrower access leads there.
    ///
    /// # Errors
    /// [`TargetError::Ambiguous`] for a path above such a route that has no one reading, or readings that no request
    /// could satisfy together.
    pub fn find(&self, path: &str) -> Result<Option<&Route>, TargetError> {
        let Some(at) = self.position(path) else { return Ok(None) };
        let mut found = &self.routes[at];
        for other in self.meant(path, &self.protected[at])? {
            if !other.access.admits_only(found.access) && !found.access.admits_only(other.access) {
                return Err(TargetError::Ambiguous);
            }
            if found.access != other.access && other.access.admits_only(found.access) {
                found = other;
            }
        }
        Ok(Some(found))
    }

    /// True if pages of other sites may only link to `path`: its route is isolated, or one below that an Upstream might
    /// read the path as (see `spelling`); also if the path has no one reading.
    #[must_use]
    pub fn isolates(&self, path: &str) -> bool {
        let Some(at) = self.position(path) else { return false };
        let is_meant = || self.meant(path, &self.isolated[at]).map_or(true, |meant| !meant.is_empty());
        self.routes[at].is_isolated() || is_meant()
    }

    fn position(&self, path: &str) -> Option<usize> {
        self.routes.iter().position(|route| covers(&route.path, path))
    }

    /// Those of `candidates` that an Upstream might read the path as. Decodes nothing if there are none.
    fn meant(&self, path: &str, candidates: &[Protected]) -> Result<Vec<&Route>, TargetError> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let reading = LooseReading::of(path, self.depth)?;
        let mut meant = Vec::new();
        for other in candidates {
            if reading.may_start_with(&other.segments)? {
                meant.push(&self.routes[other.at]);
            }
        }
        Ok(meant)
    }

    /// Anonymous routes with the session routes below them: the Upstream may read a path differently than we do.
    pub fn risky(&self) -> impl Iterator<Item = (&str, &str)> {
        let anonymous = self.routes.iter().zip(&self.protected).filter(|(route, _)| route.access == Access::Anonymous);
        anonymous.flat_map(|(anonymous, protected)| {
            protected.iter().map(|route| (anonymous.path.as_str(), self.routes[route.at].path.as_str()))
        })
    }

    /// True if a form of another origin may be forwarded to `path`, which matches `found`.
    ///
    /// As in [`Self::find`], an Upstream may read the path as one of another route: none at `found` or below that refuses
    /// such forms may be meant.
    #[must_use]
    pub fn allows_cross_site(&self, path: &str, found: &Route) -> bool {
        if !found.allows_cross_site() {
            return false;
        }
        let refusing = self.paths(|other| other.path.len() >= found.path.len() && !other.allows_cross_site());
        let is_meant = |reading: LooseReading| refusing.iter().any(|path| reading.may_start_with(path) != Ok(false));
        LooseReading::of(path, depth(&refusing)).is_ok_and(|reading| !is_meant(reading))
    }

    /// True if a collection at `path` could hold what another route rules more strictly than `found`: to copy or to move
    /// the collection would take that along.
    pub(super) fn may_hold_stricter(&self, path: &str, found: &Route) -> bool {
        let stricter = self.paths(|other| {
            !found.access.admits_only(other.access)
                || other.requirement.is_some() && other.requirement != found.requirement
        });
        let is_held = |reading: LooseReading| stricter.iter().any(|route| reading.may_hold(route) != Ok(false));
        !stricter.is_empty() && LooseReading::of(path, depth(&stricter)).map_or(true, is_held)
    }

    /// Segments of the paths of some routes. Collected when asked for: only a form of another site and a `COPY` or `MOVE`
    /// need them.
    fn paths(&self, is_wanted: impl Fn(&Route) -> bool) -> Vec<Vec<String>> {
        let wanted = self.routes.iter().filter(|route| is_wanted(route));
        wanted.map(|route| segments(&route.path).map(str::to_owned).collect()).collect()
    }

    /// Requirements that a request of `path` must meet: those of its route, and of every route below that an Upstream
    /// might read the path as (see `spelling`).
    ///
    /// # Errors
    /// [`TargetError::Ambiguous`] for a path above such a route that has no one reading.
    pub fn requirements(&self, path: &str) -> Result<impl Iterator<Item = (&Route, &Requirement)>, TargetError> {
        let at = self.position(path);
        let meant = self.meant(path, at.map_or(&[], |at| &self.demanding[at]))?;
        let routes = at.map(|at| &self.routes[at]).into_iter().chain(meant);
        Ok(routes.filter_map(|route| Some((route, route.requirement.as_ref()?))))
    }

    /// The claims that requirements and headers read, each once; for requirements also `sub`, which the audit log names.
    #[must_use]
    pub fn claims(&self) -> Vec<&str> {
        let requirements = self.routes.iter().filter_map(|route| route.requirement.as_ref());
        let mut names: Vec<&str> = requirements.flat_map(|requirement| requirement.claims().chain(["sub"])).collect();
        names.extend(self.routes.iter().flat_map(|route| route.headers.claims()));
        names.extend(self.has_assertions().then_some("sub"));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The routes whose requirement reads a claim with a dot in its name, and each such name: it may be meant as a path.
    pub fn dotted_claims(&self) -> impl Iterator<Item = (&Route, &str)> {
        let requirements = self.routes.iter().filter_map(|route| Some((route, route.requirement.as_ref()?)));
        requirements
            .flat_map(|(route, requirement)| requirement.dotted_claims().into_iter().map(move |name| (route, name)))
    }

    /// True if a route takes access tokens of API clients.
    #[must_use]
    pub fn takes_access_tokens(&self) -> bool {
        self.routes.iter().any(|route| route.access.takes_access_tokens())
    }

    /// True if a route follows the step-up challenges of its Upstream.
    #[must_use]
    pub fn follows_step_up_challenges(&self) -> bool {
        self.routes.iter().any(Route::follows_step_up_challenges)
    }

    /// Headers of the operator's own that are also the place of a route's access token.
    pub fn token_headers<'a>(&'a self, headers: &'a ClaimHeaders) -> impl Iterator<Item = (&'a HeaderName, &'a Route)> {
        let placed = self.routes.iter().filter_map(|route| Some((route.token().header()?, route)));
        placed.filter(|(name, _)| headers.has(name))
    }

    /// The routes with an access token of their own, and its target.
    pub fn token_targets(&self) -> impl Iterator<Item = (&Route, &TokenTarget)> {
        self.routes.iter().filter_map(|route| Some((route, route.token_target()?)))
    }

    /// True if a route sends identity assertions.
    #[must_use]
    pub fn has_assertions(&self) -> bool {
        self.routes.iter().any(|route| route.assertion.is_some())
    }

    /// Paths of routes that are hidden below `prefix`, whose URLs are ours.
    pub fn hidden_below(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| route.path.as_str()).filter(move |path| is_under(path, prefix))
    }

    /// True if there is a route for `/`, so that every path has a route.
    #[must_use]
    pub fn covers_everything(&self) -> bool {
        self.routes.iter().any(|route| route.path == "/")
    }

    /// All Upstreams, each once.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let is_first = |(at, route): &(usize, &Route)| {
            !self.routes[..*at].iter().any(|earlier| earlier.upstream.key() == route.upstream.key())
        };
        self.routes.iter().enumerate().filter(is_first).map(|(_, route)| &*route.upstream)
    }

    /// First route to each Upstream with each `Host`.
    pub fn first_by_upstream_and_host(&self) -> impl Iterator<Item = &Route> {
        let pair = |route: &Route| (route.upstream.key(), route.host());
        let is_first =
            move |(at, route): &(usize, &Route)| !self.routes[..*at].iter().any(|earlier| pair(earlier) == pair(route));
        self.routes.iter().enumerate().filter(is_first).map(|(_, route)| route)
    }

    /// Headers in which routes send the access token or claims; clients may not send them.
    pub fn identity_header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.routes.iter().flat_map(|route| route.token().header().into_iter().chain(route.headers.names()))
    }
}

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix == "/" || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Routes at or below a route that refuse some of the requests that it admits, the longest first.
fn protected_below(route: &Route, routes: &[Route]) -> Vec<Protected> {
    below(route, routes, |other| !route.access.admits_only(other.access))
}

/// Other routes at or below a route that have a requirement, the longest first.
fn demanding_below(route: &Route, routes: &[Route]) -> Vec<Protected> {
    below(route, routes, |other| other.requirement.is_some() && other.path != route.path)
}

/// Isolated routes at or below one that is not.
fn isolated_below(route: &Route, routes: &[Route]) -> Vec<Protected> {
    below(route, routes, |other| other.is_isolated() && !route.is_isolated())
}

fn below(route: &Route, routes: &[Route], is_protected: impl Fn(&Route) -> bool) -> Vec<Protected> {
    // A reader that drops a segment of the upper route matches the routes below the rest.
    let above: Vec<&str> = segments(&route.path).filter(|segment| !is_droppable(segment)).collect();
    let is_below = |path: &str| {
        let mut below = segments(path);
        above.iter().all(|segment| below.next().is_some_and(|own| own.eq_ignore_ascii_case(segment)))
    };
    let places = routes.iter().enumerate().filter(|(_, other)| is_protected(other) && is_below(&other.path));
    places.map(|(at, other)| Protected { at, segments: segments(&other.path).map(str::to_owned).collect() }).collect()
}

fn depth(paths: &[Vec<String>]) -> usize {
    paths.iter().map(Vec::len).max().unwrap_or_default()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod member_tests;

#[cfg(test)]
mod tests;
