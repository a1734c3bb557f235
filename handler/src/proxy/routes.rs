//! Route table: maps a path prefix to an Upstream, and says if it needs a session.
//!
//! Knows what access a route asks for, never how that is decided.

use std::str::FromStr;
use std::sync::Arc;

use hyper::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use super::claim_headers::{ClaimHeaders, ClaimHeadersError};
use super::requirement::{Requirement, RequirementError};
use super::spelling::{LooseReading, is_droppable};
use super::target::TargetError;
use super::token_placement::{TokenPlacement, TokenPlacementError};
use super::upstream::{Upstream, UpstreamError};
use super::upstream_host::UpstreamHost;
use crate::percent::is_under;

/// All routes, the longest path first.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// Per anonymous route the session routes at or below its path, in any case, by index.
    protected: Vec<Vec<Protected>>,
    /// For each route the others at or below its path, in any case, that have a requirement.
    demanding: Vec<Vec<Protected>>,
    /// Segment count of the longest of them.
    depth: usize,
}

/// A route with the stricter rule, at or below another.
#[derive(Debug)]
struct Protected {
    at: usize,
    segments: Vec<String>,
}

/// Path prefix and its Upstream.
#[derive(Debug)]
pub struct Route {
    path: String,
    upstream: Arc<Upstream>,
    access: Access,
    streams: Streams,
    host: Option<UpstreamHost>,
    token: TokenPlacement,
    is_isolated: bool,
    cross_site: CrossSite,
    headers: ClaimHeaders,
    assertion: Option<AssertionAudience>,
    requirement: Option<Requirement>,
}

/// Access rule of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Only requests with a live session.
    #[default]
    Session,
    /// Everybody.
    Anonymous,
    /// Only API clients, each request with an access token.
    Bearer,
    /// Requests with a live session, and API clients.
    SessionOrBearer,
}

impl Access {
    /// True if a request may pass by an access token of its own.
    #[must_use]
    pub fn takes_access_tokens(self) -> bool {
        matches!(self, Self::Bearer | Self::SessionOrBearer)
    }
}

/// Fate of streaming requests and responses when their session ends; anonymous routes have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// Cut.
    #[default]
    End,
    /// Continued to their own end.
    Outlive,
}

/// Form posts from other origins to a session route; anonymous routes accept every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum CrossSite {
    /// Refused.
    #[default]
    Refuse,
    /// Forwarded. The application must protect itself against forged ones.
    Allow,
}

/// Audience (`aud`) of a route's identity assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AssertionAudience {
    /// The URL of the route at the public origin.
    Route,
    /// The operator's own name for the application.
    Named(String),
}

impl AssertionAudience {
    fn parse(json: &Value) -> Result<Option<Self>, RouteError> {
        match json {
            Value::Bool(wanted) => Ok(wanted.then_some(Self::Route)),
            Value::String(audience) if !audience.is_empty() => Ok(Some(Self::Named(audience.clone()))),
            _ => Err(RouteError::Assertion(json.to_string())),
        }
    }
}

/// Mistake in a route table.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Not a JSON list of objects with known members.
    #[error(
        "the routes are not a JSON list of {{path, upstream, access, streams, host, token, isolate, cross_site, headers, assertion, require, explain}}"
    )]
    Json(#[source] serde_json::Error),
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
    #[serde(default)]
    isolate: bool,
    cross_site: Option<String>,
    headers: Option<Value>,
    assertion: Option<Value>,
    require: Option<Value>,
    explain: Option<String>,
}

impl RouteTable {
    /// Parses a JSON list of objects with the members of [`RouteRow`]. The defaults: access `session`, streams `end`, token
    /// `bearer`, isolate `false`, cross_site `refuse`, no requirement, and the host that [`RouteTable::with_host`] or the
    /// upstream's name says.
    ///
    /// # Errors
    /// The first mistake found.
    pub fn parse(json: &str) -> Result<Self, RouteError> {
        let rows: Vec<RouteRow> = serde_json::from_str(json).map_err(RouteError::Json)?;
        let mut upstreams: Vec<(String, Arc<Upstream>)> = Vec::new();
        let mut routes: Vec<Route> = Vec::with_capacity(rows.len());
        for row in rows {
            let path = prefix(&row.path)?;
            if routes.iter().any(|route| route.path == path) {
                return Err(RouteError::Duplicate(row.path));
            }
            let access = row.access.map_or(Ok(Access::default()), |access| access.parse())?;
            let streams = row.streams.map_or(Ok(Streams::default()), |streams| streams.parse())?;
            let host = row.host.map(|host| UpstreamHost::parse(&host).ok_or(RouteError::Host(host))).transpose()?;
            let token = row.token.map_or(Ok(TokenPlacement::default()), |token| TokenPlacement::parse(&token));
            let token = token.map_err(|source| RouteError::Token { path: row.path.clone(), source })?;
            let cross_site = row.cross_site.map_or(Ok(CrossSite::default()), |cross_site| cross_site.parse())?;
            let contradiction = match (access, cross_site) {
                (Access::Anonymous, CrossSite::Allow) => {
                    Some("cross_site allow and access anonymous, which takes every request anyway")
                }
                (Access::Session, CrossSite::Allow) if row.isolate => {
                    Some("cross_site allow and isolate true, which refuses forms of other sites")
                }
                _ => None,
            };
            let contradiction = match access {
                Access::Anonymous if row.assertion.is_some() => {
                    Some("an assertion and access anonymous, which knows nobody")
                }
                _ => contradiction,
            };
            if let Some(members) = contradiction {
                return Err(RouteError::Contradiction { path: row.path, members });
            }
            let headers = row.headers.map_or(Ok(ClaimHeaders::default()), |json| ClaimHeaders::parse(&json));
            let headers = headers.map_err(|source| RouteError::Headers { path: row.path.clone(), source })?;
            let assertion = row.assertion.map_or(Ok(None), |json| AssertionAudience::parse(&json))?;
            let requirement = requirement(&row.path, access, row.require.as_ref(), row.explain)?;
            // One connection pool for routes with the same URL.
            let upstream = match upstreams.iter().find(|(url, _)| *url == row.upstream) {
                Some((_, upstream)) => Arc::clone(upstream),
                None => upstream(&row.path, &row.upstream)?,
            };
            upstreams.push((row.upstream, Arc::clone(&upstream)));
            let is_isolated = row.isolate;
            routes.push(Route {
                path,
                upstream,
                access,
                streams,
                host,
                token,
                is_isolated,
                cross_site,
                headers,
                assertion,
                requirement,
            });
        }
        if routes.is_empty() {
            return Err(RouteError::Empty);
        }
        Ok(Self::new(routes))
    }

    /// A single session route for everything.
    ///
    /// # Errors
    /// If the URL is no valid Upstream.
    pub fn single(url: &str) -> Result<Self, RouteError> {
        let upstream = upstream("/", url)?;
        let route = Route {
            path: "/".to_owned(),
            upstream,
            access: Access::Session,
            streams: Streams::End,
            host: None,
            token: TokenPlacement::Bearer,
            is_isolated: false,
            cross_site: CrossSite::Refuse,
            headers: ClaimHeaders::default(),
            assertion: None,
            requirement: None,
        };
        Ok(Self::new(vec![route]))
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
        let depth = |lists: &[Vec<Protected>]| lists.iter().flatten().map(|route| route.segments.len()).max();
        let depth = depth(&protected).max(depth(&demanding)).unwrap_or_default();
        Self { routes, protected, demanding, depth }
    }

    /// Route with the longest prefix of `path` (without its query) that ends on a segment boundary.
    ///
    /// An Upstream may decode, fold case or squeeze slashes before it looks at the path (see `spelling`). So a path on an
    /// anonymous route that could be read as a session route below it leads there.
    ///
    /// # Errors
    /// [`TargetError::Ambiguous`] for a path on such an anonymous route that has no one reading.
    pub fn find(&self, path: &str) -> Result<Option<&Route>, TargetError> {
        let Some(at) = self.routes.iter().position(|route| covers(&route.path, path)) else { return Ok(None) };
        let protected = &self.protected[at];
        if protected.is_empty() {
            return Ok(Some(&self.routes[at]));
        }
        let reading = LooseReading::of(path, self.depth)?;
        for route in protected {
            if reading.may_start_with(&route.segments)? {
                return Ok(Some(&self.routes[route.at]));
            }
        }
        Ok(Some(&self.routes[at]))
    }

    /// Anonymous routes with the session routes below them: the Upstream may read a path differently than we do.
    pub fn risky(&self) -> impl Iterator<Item = (&str, &str)> {
        self.routes.iter().zip(&self.protected).flat_map(|(anonymous, protected)| {
            protected.iter().map(|route| (anonymous.path.as_str(), self.routes[route.at].path.as_str()))
        })
    }

    /// True if a form of another origin may be forwarded to `path`, which matches `found`.
    ///
    /// As in [`Self::find`], an Upstream may read the path as one of another route: none at `found` or below that refuses
    /// such forms may be meant.
    #[must_use]
    pub fn allows_cross_site(&self, path: &str, found: &Route) -> bool {
        let is_below = |other: &&Route| other.path.len() >= found.path.len();
        let below: Vec<Vec<String>> = self
            .routes
            .iter()
            .filter(is_below)
            .filter(|route| !route.allows_cross_site())
            .map(|route| segments(&route.path).map(str::to_owned).collect())
            .collect();
        let depth = below.iter().map(Vec::len).max().unwrap_or_default();
        let Ok(reading) = LooseReading::of(path, depth) else { return false };
        found.allows_cross_site() && below.iter().all(|route| reading.may_start_with(route) == Ok(false))
    }

    /// The requirements that a request of `path` on its `route` must meet: the route's own, and those of every route below
    /// it that a forgiving Upstream might read the path as (see `spelling`).
    ///
    /// # Errors
    /// [`TargetError::Ambiguous`] for a path above such a route that has no one reading.
    pub fn requirements<'a>(
        &'a self,
        route: &'a Route,
        path: &str,
    ) -> Result<impl Iterator<Item = (&'a Route, &'a Requirement)>, TargetError> {
        let at = self.routes.iter().position(|other| std::ptr::eq(other, route));
        let demanding = at.map_or(&[][..], |at| &self.demanding[at]);
        let mut meant = Vec::new();
        if !demanding.is_empty() {
            let reading = LooseReading::of(path, self.depth)?;
            for other in demanding {
                if reading.may_start_with(&other.segments)? {
                    meant.push(&self.routes[other.at]);
                }
            }
        }
        let routes = std::iter::once(route).chain(meant);
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

    /// True if a route takes access tokens of API clients.
    #[must_use]
    pub fn takes_access_tokens(&self) -> bool {
        self.routes.iter().any(|route| route.access.takes_access_tokens())
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
        self.routes.iter().flat_map(|route| route.token.header().into_iter().chain(route.headers.names()))
    }
}

impl Route {
    /// Audience of the identity assertion that this route sends; by default its own URL at `origin`.
    #[must_use]
    pub fn assertion_audience(&self, origin: &str) -> Option<String> {
        Some(match self.assertion.as_ref()? {
            AssertionAudience::Route => [origin, &self.path].concat(),
            AssertionAudience::Named(audience) => audience.clone(),
        })
    }

    /// The headers that claims become on this route.
    #[must_use]
    pub fn headers(&self) -> &ClaimHeaders {
        &self.headers
    }

    /// Path prefix, without a trailing slash unless it is `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The Upstream of this route.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Access rule of this route.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// True if pages of other sites may only link to it.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.is_isolated
    }

    /// True if it accepts forms of other sites.
    fn allows_cross_site(&self) -> bool {
        self.cross_site == CrossSite::Allow
    }

    /// Fate of its streams when the session ends.
    #[must_use]
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// Authority in the `Host` for its Upstream.
    #[must_use]
    pub fn host(&self) -> UpstreamHost {
        self.host.unwrap_or(self.upstream.default_host())
    }

    /// Placement of the access token.
    #[must_use]
    pub fn token(&self) -> &TokenPlacement {
        &self.token
    }
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

fn upstream(path: &str, url: &str) -> Result<Arc<Upstream>, RouteError> {
    Upstream::parse(url).map(Arc::new).map_err(|source| RouteError::Upstream { path: path.to_owned(), source })
}

fn requirement(
    path: &str,
    access: Access,
    require: Option<&Value>,
    explain: Option<String>,
) -> Result<Option<Requirement>, RouteError> {
    let refused = |problem: &str| {
        let source = RequirementError(vec![problem.to_owned()]);
        Err(RouteError::Requirement { path: path.to_owned(), source })
    };
    match (require, access) {
        (None, _) if explain.is_some() => refused("explain: there is no require to explain"),
        (None, _) => Ok(None),
        (Some(_), Access::Anonymous) => refused("require: an anonymous route knows no person"),
        (Some(require), Access::Session | Access::Bearer | Access::SessionOrBearer) => {
            Requirement::parse(require, explain)
                .map(Some)
                .map_err(|source| RouteError::Requirement { path: path.to_owned(), source })
        }
    }
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

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix == "/" || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Routes with a session or a token at or below an anonymous route, the longest first.
fn protected_below(route: &Route, routes: &[Route]) -> Vec<Protected> {
    match route.access {
        Access::Anonymous => below(route, routes, |other| other.access != Access::Anonymous),
        Access::Session | Access::Bearer | Access::SessionOrBearer => Vec::new(),
    }
}

/// The other routes at or below a route that have a requirement, the longest first.
fn demanding_below(route: &Route, routes: &[Route]) -> Vec<Protected> {
    below(route, routes, |other| other.requirement.is_some() && other.path != route.path)
}

fn below(route: &Route, routes: &[Route], is_protected: impl Fn(&Route) -> bool) -> Vec<Protected> {
    // A reader that drops a segment of the upper route finds what lies below the rest.
    let above: Vec<&str> = segments(&route.path).filter(|segment| !is_droppable(segment)).collect();
    let is_below = |path: &str| {
        let mut below = segments(path);
        above.iter().all(|segment| below.next().is_some_and(|own| own.eq_ignore_ascii_case(segment)))
    };
    let places = routes.iter().enumerate().filter(|(_, other)| is_protected(other) && is_below(&other.path));
    places.map(|(at, other)| Protected { at, segments: segments(&other.path).map(str::to_owned).collect() }).collect()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod member_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        RouteTable::parse(
            r#"[{"path":"/","upstream":"http://a","access":"anonymous"},
                {"path":"/admin","upstream":"http://b"},
                {"path":"/admin/Public/","upstream":"http://c","access":"anonymous"},
                {"path":"/app","upstream":"http://b","access":"session"}]"#,
        )
        .unwrap()
    }

    #[test]
    fn the_longest_prefix_on_a_segment_boundary_wins() {
        let table = table();

        for (path, expected) in [
            ("/", "/"),
            ("/x", "/"),
            ("/admin", "/admin"),
            ("/admin/", "/admin"),
            ("/admin/x", "/admin"),
            ("/administrator", "/"),
            ("/admin/Public", "/admin/Public"),
            ("/admin/Public/x", "/admin/Public"),
            ("/admin/Publicity", "/admin"),
            ("/app/x", "/app"),
        ] {
            assert_eq!(table.find(path).unwrap().unwrap().path(), expected, "{path}");
        }
    }

    #[test]
    fn another_spelling_of_a_path_meets_the_requirement_of_every_route_it_may_mean() {
        let rule = |group: &str| format!(r#"{{"claim":"groups","equals":"{group}"}}"#);
        let json = format!(
            r#"[{{"path":"/","upstream":"http://a","require":{}}},
                {{"path":"/admin","upstream":"http://a","require":{}}},
                {{"path":"/admin/Keys","upstream":"http://a","require":{}}},
                {{"path":"/admin/open","upstream":"http://a"}},
                {{"path":"/Admin","upstream":"http://a"}}]"#,
            rule("staff"),
            rule("admins"),
            rule("owners"),
        );
        let table = RouteTable::parse(&json).unwrap();
        for (path, expected) in [
            ("/", &["/"][..]),
            ("/x", &["/"]),
            ("/administrator", &["/"]),
            ("/admin", &["/admin"]),
            ("/admin/x", &["/admin"]),
            ("/admin/open", &[]),
            ("/admin/open/x", &[]),
            ("/ADMIN/x", &["/", "/admin"]),
            ("/Admin/x", &["/admin"]),
            ("/%61dmin", &["/", "/admin"]),
            ("/%2561dmin", &["/", "/admin"]),
            ("//admin", &["/", "/admin"]),
            ("/admin;x/y", &["/", "/admin"]),
            ("/admin./y", &["/", "/admin"]),
            ("/admin%2fkeys", &["/", "/admin/Keys", "/admin"]),
            ("/admin/Keys/1", &["/admin/Keys"]),
            ("/admin/keys/1", &["/admin", "/admin/Keys"]),
            ("/admin//Keys", &["/admin", "/admin/Keys"]),
            ("/admin/OPEN", &["/admin"]),
        ] {
            let route = table.find(path).unwrap().unwrap();
            let held = table.requirements(route, path).unwrap();
            let held: Vec<&str> = held.map(|(route, _)| route.path()).collect();
            assert_eq!(held, expected, "{path}");
        }
        assert_eq!(table.claims(), ["groups", "sub"]);
        let ambiguous = table.requirements(table.find("/%ff").unwrap().unwrap(), "/%ff").map(|_| ());
        assert_eq!(ambiguous, Err(TargetError::Ambiguous), "bytes that are no UTF-8 have no one reading");
    }

    #[test]
    fn a_requirement_without_a_person_or_a_meaning_is_refused() {
        let rule = r#""require":{"claim":"a","present":true}"#;
        for (json, expected) in [
            (format!(r#"[{{"path":"/","upstream":"http://a","access":"anonymous",{rule}}}]"#), "an anonymous route"),
            (r#"[{"path":"/","upstream":"http://a","explain":"ask"}]"#.to_owned(), "no require to explain"),
            (r#"[{"path":"/","upstream":"http://a","require":{"clam":"a"}}]"#.to_owned(), "\"clam\" is no condition"),
        ] {
            let error = RouteTable::parse(&json).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(expected), "{json}: {source}");
        }
    }

    #[test]
    fn another_spelling_of_a_session_route_still_needs_the_session() {
        let table = table();

        for path in [
            "/%61dmin/public;/users",
            "/%61dmin/public%253b/users",
            "/ADMIN/public;/users",
            "/%61dmin/Public",
            "/admin%3f",
            "/admin%3fx",
            "/admin%23x",
            "/admin%253fx",
            "/%61dmin",
            "/%2561dmin",
            "/ADMIN/x",
            "//admin",
            "/admin;x=1/y",
            "/admin%2fx",
            "/admin%5cx",
            "/admin%20/x",
            "/admin./x",
            "/%2Fadmin",
        ] {
            assert_eq!(table.find(path).unwrap().unwrap().access(), Access::Session, "{path}");
        }
    }

    #[test]
    fn only_paths_near_a_session_route_below_are_restricted() {
        let advised = RouteTable::parse(
            r#"[{"path":"/","upstream":"http://a"},
                {"path":"/public","upstream":"http://a","access":"anonymous"}]"#,
        )
        .unwrap();
        let risky = table();

        let access = |table: &RouteTable, path| table.find(path).map(|route| route.unwrap().access());

        assert_eq!(access(&advised, "/public/caf%E9"), Ok(Access::Anonymous));
        assert_eq!(access(&advised, "/PUBLIC"), Ok(Access::Session));
        assert_eq!(access(&risky, "/caf%C3%A9"), Ok(Access::Anonymous));
        assert_eq!(access(&risky, "/caf%E9"), Err(TargetError::Ambiguous));
        assert_eq!(access(&risky, "/admin/caf%E9"), Ok(Access::Session));
        assert_eq!(access(&risky, "/admin/Public/caf%E9"), Ok(Access::Anonymous));
    }

    #[test]
    fn session_routes_below_an_anonymous_one_are_risky() {
        let risky = |json: &str| {
            let table = RouteTable::parse(json).unwrap();
            table.risky().map(|(above, below)| format!("{above} {below}")).collect::<Vec<_>>()
        };
        let row =
            |path: &str, access: &str| format!(r#"{{"path":"{path}","upstream":"http://a","access":"{access}"}}"#);
        let rows = |rows: &[(&str, &str)]| {
            format!("[{}]", rows.iter().map(|(path, access)| row(path, access)).collect::<Vec<_>>().join(","))
        };

        for (routes, expected) in [
            (rows(&[("/", "session"), ("/public", "anonymous")]), vec![]),
            (rows(&[("/", "anonymous")]), vec![]),
            (rows(&[("/public", "anonymous"), ("/admin", "session")]), vec![]),
            (rows(&[("/", "anonymous"), ("/admin", "session")]), vec!["/ /admin"]),
            (rows(&[("/", "anonymous"), ("/admin", "session"), ("/admin/x", "anonymous")]), vec!["/ /admin"]),
            (rows(&[("/App", "anonymous"), ("/app/admin", "session")]), vec!["/App /app/admin"]),
            (rows(&[("/index.php", "anonymous"), ("/admin", "session")]), vec!["/index.php /admin"]),
        ] {
            assert_eq!(risky(&routes), expected, "{routes}");
        }
    }

    #[test]
    fn a_path_no_route_covers_finds_nothing() {
        let table = RouteTable::parse(r#"[{"path":"/app","upstream":"http://a"}]"#).unwrap();

        assert!(table.find("/other").unwrap().is_none());
    }

    #[test]
    fn routes_to_one_url_share_the_upstream() {
        let table = table();

        let admin = table.find("/admin").unwrap().unwrap().upstream();

        assert!(Arc::ptr_eq(admin, table.find("/app").unwrap().unwrap().upstream()));
    }

    #[test]
    fn a_single_upstream_covers_everything_with_a_session() {
        let table = RouteTable::single("http://app:81/base").unwrap();

        let route = table.find("/any/thing").unwrap().unwrap();

        assert_eq!((route.access(), route.upstream().name()), (Access::Session, "app:81"));
    }

    #[test]
    fn streams_end_with_their_session_unless_the_route_says_otherwise() {
        let table = RouteTable::parse(
            r#"[{"path":"/","upstream":"http://a"},
                {"path":"/end","upstream":"http://a","streams":"end"},
                {"path":"/events","upstream":"http://a","streams":"outlive"}]"#,
        )
        .unwrap();

        let streams = |path: &str| table.find(path).unwrap().unwrap().streams();

        assert_eq!([streams("/"), streams("/end"), streams("/events")], [Streams::End, Streams::End, Streams::Outlive]);
    }

    #[test]
    fn a_route_is_isolated_if_it_says_so() {
        let table = RouteTable::parse(
            r#"[{"path":"/","upstream":"http://a"},{"path":"/api","upstream":"http://a","isolate":true}]"#,
        )
        .unwrap();

        let is_isolated = |path: &str| table.find(path).unwrap().unwrap().is_isolated();

        assert_eq!([is_isolated("/x"), is_isolated("/api/x")], [false, true]);
    }

    #[test]
    fn forms_of_other_sites_pass_only_where_every_reading_of_the_path_allows_them() {
        let table = RouteTable::parse(
            r#"[{"path":"/","upstream":"http://a"},
                {"path":"/pay","upstream":"http://a","cross_site":"allow"},
                {"path":"/pay/admin","upstream":"http://a","cross_site":"refuse"},
                {"path":"/pay/Hook","upstream":"http://a","cross_site":"allow"},
                {"path":"/saml","upstream":"http://a","access":"session","cross_site":"allow"}]"#,
        )
        .unwrap();
        let allows = |path: &str| table.allows_cross_site(path, table.find(path).unwrap().unwrap());

        for path in
            ["/pay", "/pay/", "/pay/return", "/pay/Hook/1", "/saml/acs", "/pay/a%20b", "/pay//return", "/pay/hook"]
        {
            assert!(allows(path), "{path}");
        }
        for path in [
            "/",
            "/other",
            "/payment",
            "/PAY",
            "/pay/admin",
            "/pay/Admin",
            "/pay//admin",
            "/pay/%61dmin",
            "/pay/%2561dmin/x",
            "/pay/admin;x=1",
            "/pay%2fadmin",
            "/pay/admin%20/x",
            "/%70ay",
        ] {
            assert!(!allows(path), "{path}");
        }
        let single = RouteTable::single("http://a").unwrap();
        assert!(!single.allows_cross_site("/", single.find("/").unwrap().unwrap()));
    }

    #[test]
    fn tables_with_a_mistake_are_refused() {
        for (json, why) in [
            ("", "no JSON"),
            ("{}", "no list"),
            ("[]", "no route"),
            (r#"[{"path":"/"}]"#, "no upstream"),
            (r#"[{"upstream":"http://a"}]"#, "no path"),
            (r#"[{"path":"/","upstream":"http://a","acess":"anonymous"}]"#, "an unknown member"),
            (r#"[{"path":"/","upstream":"http://a","access":"public"}]"#, "an unknown access"),
            (r#"[{"path":"/","upstream":"http://a","streams":"survive"}]"#, "an unknown end of streams"),
            (r#"[{"path":"/","upstream":"http://a","host":"app.example"}]"#, "an unknown host"),
            (r#"[{"path":"/","upstream":"http://a","token":"basic"}]"#, "an unknown token"),
            (r#"[{"path":"/","upstream":"http://a","token":{"header":"Host"}}]"#, "a header that has a meaning"),
            (r#"[{"path":"/","upstream":"http://a","assertion":""}]"#, "an empty audience"),
            (r#"[{"path":"/","upstream":"http://a","assertion":["a"]}]"#, "a list of audiences"),
            (
                r#"[{"path":"/","upstream":"http://a","access":"anonymous","assertion":true}]"#,
                "an assertion about nobody",
            ),
            (r#"[{"path":"/public/*","upstream":"http://a"}]"#, "a pattern"),
            (r#"[{"path":"/public/**","upstream":"http://a"}]"#, "a pattern of Ant"),
            (r#"[{"path":"/public/.*","upstream":"http://a"}]"#, "a regular expression"),
            (r#"[{"path":"/","upstream":"http://a","isolate":"yes"}]"#, "an isolation that is no truth value"),
            (
                r#"[{"path":"/","upstream":"http://a","isolate":true,"cross_site":"allow"}]"#,
                "isolation against forms of other sites that are allowed",
            ),
            (
                r#"[{"path":"/","upstream":"http://a","access":"anonymous","cross_site":"allow"}]"#,
                "forms of other sites on a route that takes every request",
            ),
            (r#"[{"path":"/","upstream":"http://a","cross_site":"none"}]"#, "no way to treat other sites"),
            (r#"[{"path":"/","upstream":"http://a","cross_site":true}]"#, "a truth value"),
            (r#"[{"path":"app","upstream":"http://a"}]"#, "no leading slash"),
            (r#"[{"path":"/a//b","upstream":"http://a"}]"#, "an empty segment"),
            (r#"[{"path":"/a/../b","upstream":"http://a"}]"#, "a dot segment"),
            (r#"[{"path":"/a%20b","upstream":"http://a"}]"#, "an escape"),
            (r#"[{"path":"/a?b","upstream":"http://a"}]"#, "a query"),
            (r#"[{"path":"/a","upstream":"a"}]"#, "no URL"),
            (r#"[{"path":"/a","upstream":"http://a"},{"path":"/a/","upstream":"http://b"}]"#, "twice"),
        ] {
            assert!(RouteTable::parse(json).is_err(), "{why}");
        }
    }
}
