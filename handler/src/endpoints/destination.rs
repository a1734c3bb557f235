//! Routing of a request's path: to an endpoint of our URL table, to a route, or to nothing.
//!
//! Pure: reads no header and no state. The route is looked up only here, once per request.

use actix_web::http::Method;

use crate::percent::is_under;
use crate::proxy::{Route, RouteTable, TargetError};

/// One public URL: its function folder, its names below the prefix, and its methods.
#[derive(Debug)]
pub struct Endpoint {
    /// The folder of its `function.json`.
    pub folder: &'static str,
    /// Names below the prefix: the first is used in logs, the others are aliases.
    pub names: &'static [&'static str],
    /// The methods it allows.
    pub methods: &'static [Method],
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Signin,
    Callback,
    Signout,
    SignedOut,
    Me,
    Refresh,
    Resend,
    BackchannelLogout,
    FrontchannelLogout,
    Check,
    Jwks,
    Live,
    Ready,
}

impl Endpoint {
    /// True if it works without our keys: it reads no cookie, or an optional one.
    pub(super) fn is_open(&self) -> bool {
        match self.kind {
            Kind::SignedOut
            | Kind::BackchannelLogout
            | Kind::FrontchannelLogout
            | Kind::Jwks
            | Kind::Live
            | Kind::Ready => true,
            Kind::Signin | Kind::Callback | Kind::Signout | Kind::Me | Kind::Refresh | Kind::Check | Kind::Resend => {
                false
            }
        }
    }
}

/// All our URLs. Every other path belongs to the proxy, whose folder is `proxy`.
pub const ROUTES: &[Endpoint] = &[
    Endpoint {
        folder: "signin",
        names: &["signin", "login"],
        methods: &[Method::GET, Method::HEAD, Method::POST],
        kind: Kind::Signin,
    },
    Endpoint {
        folder: "callback",
        names: &["callback"],
        methods: &[Method::GET, Method::HEAD, Method::POST],
        kind: Kind::Callback,
    },
    Endpoint {
        folder: "signout",
        names: &["signout", "logout"],
        methods: &[Method::GET, Method::HEAD, Method::POST],
        kind: Kind::Signout,
    },
    Endpoint {
        folder: "signedout",
        names: &["signedout"],
        methods: &[Method::GET, Method::HEAD],
        kind: Kind::SignedOut,
    },
    Endpoint {
        folder: "me",
        names: &["me", "userinfo", "user"],
        methods: &[Method::GET, Method::HEAD],
        kind: Kind::Me,
    },
    Endpoint { folder: "refresh", names: &["refresh"], methods: &[Method::POST], kind: Kind::Refresh },
    Endpoint { folder: "resend", names: &["resend"], methods: &[Method::GET, Method::POST], kind: Kind::Resend },
    Endpoint {
        folder: "backchannel-logout",
        names: &["backchannel-logout"],
        methods: &[Method::POST],
        kind: Kind::BackchannelLogout,
    },
    Endpoint {
        folder: "frontchannel-logout",
        names: &["frontchannel-logout"],
        methods: &[Method::GET, Method::HEAD],
        kind: Kind::FrontchannelLogout,
    },
    Endpoint { folder: "check", names: &["check"], methods: &[Method::GET, Method::HEAD], kind: Kind::Check },
    Endpoint { folder: "jwks", names: &["jwks"], methods: &[Method::GET, Method::HEAD], kind: Kind::Jwks },
    Endpoint { folder: "health", names: &["health/live"], methods: &[Method::GET, Method::HEAD], kind: Kind::Live },
    Endpoint { folder: "health", names: &["health/ready"], methods: &[Method::GET, Method::HEAD], kind: Kind::Ready },
];

/// Destination of a request's path.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// One of our own URLs.
    Endpoint(&'static Endpoint),
    /// No URL of ours below our prefix, or a path that no route covers.
    Nothing,
    /// The Upstream of this route.
    Proxy(&'a Route),
    /// A path on an anonymous route with more than one reading.
    Refused(TargetError),
}

/// True for the liveness probe's path in its canonical spelling, the only URL without the gateway's proof.
#[must_use]
pub fn is_live(path: &str, auth_prefix: &str) -> bool {
    path.strip_prefix(auth_prefix) == Some("/health/live")
}

impl<'a> Destination<'a> {
    /// The destination of this path. Our prefix ends at a segment boundary, in any case and however it is encoded.
    #[must_use]
    pub fn of(path: &str, auth_prefix: &str, routes: &'a RouteTable) -> Self {
        let below = path.strip_prefix(auth_prefix).and_then(|rest| rest.strip_prefix('/'));
        let found = below.and_then(|below| ROUTES.iter().find(|endpoint| endpoint.names.contains(&below)));
        match found {
            Some(endpoint) => Self::Endpoint(endpoint),
            None if is_under(path, auth_prefix) => Self::Nothing,
            None => match routes.find(path) {
                Ok(route) => route.map_or(Self::Nothing, Self::Proxy),
                Err(error) => Self::Refused(error),
            },
        }
    }

    /// Route name for logs: the endpoint's name, or the route's path prefix. Never the request's own path.
    #[must_use]
    pub fn route_name(self) -> &'a str {
        match self {
            Self::Endpoint(endpoint) => endpoint.names[0],
            Self::Nothing | Self::Refused(_) => "none",
            Self::Proxy(route) => route.path(),
        }
    }

    /// True for both probes, which are served under any host name.
    #[must_use]
    pub fn is_health(self) -> bool {
        matches!(self, Self::Endpoint(Endpoint { kind: Kind::Live | Kind::Ready, .. }))
    }

    /// True for the URL that only the gateway may call.
    #[must_use]
    pub fn is_check(self) -> bool {
        matches!(self, Self::Endpoint(Endpoint { kind: Kind::Check, .. }))
    }

    /// True for the URL that the Provider's page loads in a frame.
    #[must_use]
    pub fn is_framed(self) -> bool {
        matches!(self, Self::Endpoint(Endpoint { kind: Kind::FrontchannelLogout, .. }))
    }

    /// True for URLs called by scripts: their errors are always problem documents.
    #[must_use]
    pub fn is_api(self) -> bool {
        match self {
            Self::Endpoint(endpoint) => match endpoint.kind {
                Kind::Me
                | Kind::Refresh
                | Kind::BackchannelLogout
                | Kind::Check
                | Kind::Jwks
                | Kind::Live
                | Kind::Ready => true,
                Kind::Signin
                | Kind::Callback
                | Kind::Signout
                | Kind::SignedOut
                | Kind::Resend
                | Kind::FrontchannelLogout => false,
            },
            Self::Nothing | Self::Proxy(_) | Self::Refused(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_prefix_ends_at_a_segment_and_has_no_other_spelling() {
        let routes = RouteTable::single("https://app.example").unwrap();
        let lead = |path: &str| match Destination::of(path, "/oauth", &routes) {
            Destination::Endpoint(endpoint) => endpoint.names[0],
            Destination::Nothing => "nothing",
            Destination::Proxy(_) => "proxy",
            Destination::Refused(error) => error.code(),
        };
        for (path, expected) in [
            ("/oauth/signin", "signin"),
            ("/oauth/login", "signin"),
            ("/oauth/health/live", "health/live"),
            ("/oauth", "nothing"),
            ("/oauth/", "nothing"),
            ("/oauth/signin/", "nothing"),
            ("/oauth//signin", "nothing"),
            ("/OAuth/signin", "nothing"),
            ("/oauth;x/signin", "nothing"),
            ("/%6fauth/signin", "nothing"),
            ("/%256fauth/signin", "nothing"),
            ("/%2525252525256fauth/signin", "nothing"),
            ("/%6fauth//signin", "nothing"),
            ("/", "proxy"),
            ("/oauthfoo", "proxy"),
            ("/oauth-app", "proxy"),
            ("/a/oauth/signin", "proxy"),
            ("/100%25", "proxy"),
        ] {
            assert_eq!(lead(path), expected, "{path}");
        }
    }

    #[test]
    fn only_one_spelling_of_the_probe_needs_no_proof() {
        assert!(is_live("/oauth/health/live", "/oauth"));
        for path in
            ["/oauth/health/live/", "/oauth/health/ready", "/health/live", "/OAUTH/health/live", "/oauth/health/l%69ve"]
        {
            assert!(!is_live(path, "/oauth"), "{path}");
        }
    }

    #[test]
    fn a_path_that_no_route_covers_leads_to_nothing() {
        let routes = RouteTable::parse(r#"[{"path":"/app","upstream":"https://app.example"}]"#).unwrap();

        let uncovered = Destination::of("/other", "/oauth", &routes);

        assert!(matches!(uncovered, Destination::Nothing) && uncovered.route_name() == "none");
    }
}
