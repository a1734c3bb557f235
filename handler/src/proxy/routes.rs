//! The route table: which path prefix goes to which Upstream, and whether it needs a session.
//!
//! Knows what access a route asks for, never how that is decided.

use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

use super::upstream::{Upstream, UpstreamError};

/// Every route, the longest path first.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
}

/// One path prefix and where it leads.
#[derive(Debug)]
pub struct Route {
    path: String,
    upstream: Arc<Upstream>,
    access: Access,
    streams: Streams,
    cross_site: CrossSite,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Only requests with a live session.
    #[default]
    Session,
    /// Everybody.
    Anonymous,
}

/// The end of requests and responses that still stream when their session ends; anonymous routes have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// They are cut.
    #[default]
    End,
    /// They go on to their own end.
    Outlive,
}

/// Forms that pages of other origins post to a session route; anonymous routes take every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum CrossSite {
    /// They are refused.
    #[default]
    Refuse,
    /// They are forwarded. The application protects itself against forged ones.
    Allow,
}

/// A mistake in a route table.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It isn't a JSON list of objects with the members we know.
    #[error("the routes are not a JSON list of {{path, upstream, access, streams, cross_site}}")]
    Json(#[source] serde_json::Error),
    /// The list is empty: nothing could be reached.
    #[error("there is no route")]
    Empty,
    /// A path isn't plain, decoded segments.
    #[error("the route path {0:?} must start with / and hold no escape, query, dot segment or empty segment")]
    Path(String),
    /// A path occurs twice.
    #[error("the route path {0:?} occurs twice")]
    Duplicate(String),
    /// `access` is neither `session` nor `anonymous`.
    #[error("the access {0:?} is neither session nor anonymous")]
    Access(String),
    /// `streams` is neither `end` nor `outlive`.
    #[error("the streams {0:?} is neither end nor outlive")]
    Streams(String),
    /// `cross_site` is neither `refuse` nor `allow`.
    #[error("the cross_site {0:?} is neither refuse nor allow")]
    CrossSite(String),
    /// An Upstream isn't usable.
    #[error("the upstream of the route {path:?} is not usable")]
    Upstream {
        /// The route's path.
        path: String,
        /// What is wrong with its Upstream.
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
    cross_site: Option<String>,
}

impl RouteTable {
    /// Reads a JSON list of `{"path", "upstream", "access", "streams", "cross_site"}`; by default access is `session`,
    /// streams `end` and cross_site `refuse`.
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
            let cross_site = row.cross_site.map_or(Ok(CrossSite::default()), |cross_site| cross_site.parse())?;
            // Routes to one URL share its connections.
            let upstream = match upstreams.iter().find(|(url, _)| *url == row.upstream) {
                Some((_, upstream)) => Arc::clone(upstream),
                None => upstream(&row.path, &row.upstream)?,
            };
            upstreams.push((row.upstream, Arc::clone(&upstream)));
            routes.push(Route { path, upstream, access, streams, cross_site });
        }
        if routes.is_empty() {
            return Err(RouteError::Empty);
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        Ok(Self { routes })
    }

    /// Everything to one Upstream, with a session.
    ///
    /// # Errors
    /// When the URL is no Upstream.
    pub fn single(url: &str) -> Result<Self, RouteError> {
        let upstream = upstream("/", url)?;
        let route = Route {
            path: "/".to_owned(),
            upstream,
            access: Access::Session,
            streams: Streams::End,
            cross_site: CrossSite::Refuse,
        };
        Ok(Self { routes: vec![route] })
    }

    /// The route with the longest prefix of `path` (without its query) that ends on a segment boundary.
    ///
    /// An Upstream may decode, fold case or squeeze slashes before it looks at the path. So a path on an anonymous
    /// route is read that way as well. Unless that leads to the very same route, any route that needs a session and
    /// covers it wins: an Upstream may read less forgivingly than this does, and stop at that one.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        let found = self.longest(path)?;
        if found.access == Access::Session || self.routes.len() == 1 {
            return Some(found);
        }
        let loose = loosened(path);
        let mut covering =
            self.routes.iter().filter(|route| covers(&route.path.to_ascii_lowercase(), &loose)).peekable();
        if covering.peek().is_some_and(|route| route.path == found.path) {
            return Some(found);
        }
        Some(covering.find(|route| route.access == Access::Session).unwrap_or(found))
    }

    /// True if a form of another origin may be forwarded to `path`, which leads to `found`.
    ///
    /// As in [`Self::find`], an Upstream may read the path as one of another route: unless the most permissive reading
    /// leads to the very same route, every route that covers it must allow such forms.
    #[must_use]
    pub fn allows_cross_site(&self, path: &str, found: &Route) -> bool {
        if found.cross_site == CrossSite::Refuse {
            return false;
        }
        let loose = loosened(path);
        let mut covering =
            self.routes.iter().filter(|route| covers(&route.path.to_ascii_lowercase(), &loose)).peekable();
        let is_same = covering.peek().is_some_and(|route| route.path == found.path);
        is_same || covering.all(|route| route.cross_site == CrossSite::Allow)
    }

    /// Every Upstream once, whatever the number of its routes.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let is_first = |(at, route): &(usize, &Route)| {
            !self.routes[..*at].iter().any(|earlier| earlier.upstream.key() == route.upstream.key())
        };
        self.routes.iter().enumerate().filter(is_first).map(|(_, route)| &*route.upstream)
    }

    fn longest(&self, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| covers(&route.path, path))
    }
}

impl Route {
    /// The path prefix it covers, without a slash at the end unless it is `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it leads.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Who may use it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The end of its streams.
    #[must_use]
    pub fn streams(&self) -> Streams {
        self.streams
    }
}

impl FromStr for Access {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        match text {
            "session" => Ok(Self::Session),
            "anonymous" => Ok(Self::Anonymous),
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

/// A route's path without its final slash; `/` stays.
fn prefix(path: &str) -> Result<String, RouteError> {
    let refused = || RouteError::Path(path.to_owned());
    let inner = path.strip_prefix('/').ok_or_else(refused)?;
    if inner.is_empty() {
        return Ok("/".to_owned());
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
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

/// The path as the most forgiving Upstream might read it: decoded to the end, cut at a `?` or `#` that comes to light,
/// lower case, `\` as `/`, no empty segments, no `;parameters`, no spaces or dots at the end of a segment.
fn loosened(path: &str) -> String {
    let mut decoded = path.as_bytes().to_vec();
    loop {
        let next: Vec<u8> = percent_encoding::percent_decode(&decoded).collect();
        if next.len() == decoded.len() {
            break;
        }
        decoded = next;
    }
    let cut = decoded.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(decoded.len());
    let text = String::from_utf8_lossy(&decoded[..cut]).to_ascii_lowercase();
    let mut loose = String::with_capacity(text.len());
    for segment in text.split(['/', '\\']) {
        let name = segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']);
        if !name.is_empty() {
            loose.push('/');
            loose.push_str(name);
        }
    }
    if loose.is_empty() { "/".to_owned() } else { loose }
}

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
            assert_eq!(table.find(path).unwrap().path(), expected, "{path}");
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
            assert_eq!(table.find(path).unwrap().access(), Access::Session, "{path}");
        }
    }

    #[test]
    fn a_path_no_route_covers_finds_nothing() {
        let table = RouteTable::parse(r#"[{"path":"/app","upstream":"http://a"}]"#).unwrap();

        assert!(table.find("/other").is_none());
    }

    #[test]
    fn routes_to_one_url_share_the_upstream() {
        let table = table();

        let admin = table.find("/admin").unwrap().upstream();

        assert!(Arc::ptr_eq(admin, table.find("/app").unwrap().upstream()));
    }

    #[test]
    fn a_single_upstream_covers_everything_with_a_session() {
        let table = RouteTable::single("http://app:81/base").unwrap();

        let route = table.find("/any/thing").unwrap();

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

        let streams = |path: &str| table.find(path).unwrap().streams();

        assert_eq!([streams("/"), streams("/end"), streams("/events")], [Streams::End, Streams::End, Streams::Outlive]);
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
        let allows = |path: &str| table.allows_cross_site(path, table.find(path).unwrap());

        for path in ["/pay", "/pay/", "/pay/return", "/pay/Hook/1", "/saml/acs", "/pay/a%20b", "/pay//return"] {
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
            "/pay/hook",
        ] {
            assert!(!allows(path), "{path}");
        }
        assert!(
            RouteTable::single("http://a")
                .is_ok_and(|table| { table.find("/").is_some_and(|route| !table.allows_cross_site("/", route)) })
        );
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
