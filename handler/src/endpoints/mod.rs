//! A file per public URL. Each reads its request, calls one or two verbs, and answers.

mod backchannel_logout;
mod callback;
mod frontchannel_logout;
mod health;
mod me;
mod proxy;
mod refresh;
mod signedout;
mod signin;
mod signout;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::clock::Timestamp;
use crate::proxy::{RequestTarget, Route};
use crate::return_url::{self, ReturnUrl};
use crate::state::AppState;
use crate::web::{Error, Passed, RequestId};

/// One public URL: its function folder, its names below the prefix, and its methods.
#[derive(Debug)]
pub struct Endpoint {
    /// The folder of its `function.json`.
    pub folder: &'static str,
    /// What follows the prefix; the first is the name, the others are aliases.
    pub names: &'static [&'static str],
    /// The methods it answers.
    pub methods: &'static [Method],
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Signin,
    Callback,
    Signout,
    SignedOut,
    Me,
    Refresh,
    BackchannelLogout,
    FrontchannelLogout,
    Live,
    Ready,
}

impl Endpoint {
    /// True where no cookie is read or written.
    fn is_open(&self) -> bool {
        match self.kind {
            Kind::SignedOut | Kind::BackchannelLogout | Kind::FrontchannelLogout | Kind::Live | Kind::Ready => true,
            Kind::Signin | Kind::Callback | Kind::Signout | Kind::Me | Kind::Refresh => false,
        }
    }
}

/// Every URL of ours. Everything else is the proxy's, whose folder is `proxy`.
pub const ROUTES: &[Endpoint] = &[
    Endpoint { folder: "signin", names: &["signin", "login"], methods: &[Method::GET], kind: Kind::Signin },
    Endpoint { folder: "callback", names: &["callback"], methods: &[Method::GET, Method::POST], kind: Kind::Callback },
    Endpoint {
        folder: "signout",
        names: &["signout", "logout"],
        methods: &[Method::GET, Method::POST],
        kind: Kind::Signout,
    },
    Endpoint { folder: "signedout", names: &["signedout"], methods: &[Method::GET], kind: Kind::SignedOut },
    Endpoint { folder: "me", names: &["me", "userinfo", "user"], methods: &[Method::GET], kind: Kind::Me },
    Endpoint { folder: "refresh", names: &["refresh"], methods: &[Method::POST], kind: Kind::Refresh },
    Endpoint {
        folder: "backchannel-logout",
        names: &["backchannel-logout"],
        methods: &[Method::POST],
        kind: Kind::BackchannelLogout,
    },
    Endpoint {
        folder: "frontchannel-logout",
        names: &["frontchannel-logout"],
        methods: &[Method::GET],
        kind: Kind::FrontchannelLogout,
    },
    Endpoint { folder: "health", names: &["health/live"], methods: &[Method::GET, Method::HEAD], kind: Kind::Live },
    Endpoint { folder: "health", names: &["health/ready"], methods: &[Method::GET, Method::HEAD], kind: Kind::Ready },
];

/// One request on its way to an endpoint.
pub struct Request<'a> {
    /// As the server read it.
    pub http: &'a HttpRequest,
    /// Its checked target.
    pub target: RequestTarget<'a>,
    /// When it came.
    pub now: Timestamp,
    /// Its name in logs and pages.
    pub id: &'a RequestId,
    /// What its gateway proved and told.
    pub passed: Passed,
}

impl Request<'_> {
    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.target.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }
}

/// Where a request leads.
#[derive(Clone, Copy, Debug)]
pub enum Destination {
    /// One of our own URLs.
    Endpoint(&'static Endpoint),
    /// Below our prefix, but no URL of ours.
    Nothing,
    /// An Upstream.
    Proxy,
}

impl Destination {
    /// Where this path leads. Our prefix ends at a segment boundary, in any case and however it is encoded.
    #[must_use]
    pub fn of(path: &str, auth_prefix: &str) -> Self {
        let below = path.strip_prefix(auth_prefix).and_then(|rest| rest.strip_prefix('/'));
        let found = below.and_then(|below| ROUTES.iter().find(|endpoint| endpoint.names.contains(&below)));
        match found {
            Some(endpoint) => Self::Endpoint(endpoint),
            None if return_url::is_under(path, auth_prefix) => Self::Nothing,
            None => Self::Proxy,
        }
    }

    /// What logs call it: the endpoint's name, or the route's path. Never the request's own path.
    #[must_use]
    pub fn route<'a>(self, target: Option<&RequestTarget<'_>>, state: &'a AppState) -> &'a str {
        match self {
            Self::Endpoint(endpoint) => endpoint.names[0],
            Self::Nothing => "none",
            Self::Proxy => target.and_then(|target| state.routes.find(target.path())).map_or("none", Route::path),
        }
    }

    /// True for the URL that asks only whether we live.
    #[must_use]
    pub fn is_probe(self) -> bool {
        matches!(self, Self::Endpoint(Endpoint { kind: Kind::Live, .. }))
    }

    /// True where scripts ask: their failures are problem documents whatever the headers say.
    #[must_use]
    pub fn is_api(self) -> bool {
        match self {
            Self::Endpoint(endpoint) => match endpoint.kind {
                Kind::Me | Kind::Refresh | Kind::BackchannelLogout | Kind::Live | Kind::Ready => true,
                Kind::Signin | Kind::Callback | Kind::Signout | Kind::SignedOut | Kind::FrontchannelLogout => false,
            },
            Self::Nothing | Self::Proxy => false,
        }
    }
}

/// Answers a request at its destination.
///
/// # Errors
/// What the endpoint says, 404 below our prefix and 405 for other methods.
pub async fn answer(
    destination: Destination,
    request: &Request<'_>,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let endpoint = match destination {
        Destination::Proxy => return proxy::proxy(request, payload, state).await,
        Destination::Nothing => return Err(Error::RouteNotFound),
        Destination::Endpoint(endpoint) => endpoint,
    };
    if !endpoint.methods.contains(request.http.method()) {
        return Err(Error::MethodNotAllowed { allowed: endpoint.methods });
    }
    if !endpoint.is_open() {
        state.keys_in_hand().await?;
    }
    match endpoint.kind {
        Kind::Signin => signin::signin(request, state).await,
        Kind::Callback => callback::callback(request, payload, state).await,
        Kind::Signout => signout::signout(request, state).await,
        Kind::SignedOut => Ok(signedout::signedout(request, state)),
        Kind::Me => me::me(request, state).await,
        Kind::Refresh => refresh::refresh(request, state).await,
        Kind::BackchannelLogout => backchannel_logout::backchannel_logout(request, payload, state).await,
        Kind::FrontchannelLogout => frontchannel_logout::frontchannel_logout(request, state).await,
        Kind::Live => Ok(health::live()),
        Kind::Ready => Ok(health::ready(request, state).await),
    }
}

/// No form of a Provider is larger.
const LARGEST_FORM: usize = 64 * 1024;

/// A Provider's form (`application/x-www-form-urlencoded`), still encoded.
async fn form(payload: Payload) -> Result<String, Error> {
    let form = payload.to_bytes_limited(LARGEST_FORM).await;
    let form = form.map_err(|_| Error::Request("the form is too large"))?;
    let form = form.map_err(|_| Error::Request("the form did not arrive"))?;
    String::from_utf8(form.into()).map_err(|_| Error::Request("the form is not text"))
}

/// `value` as a return URL that doesn't lead back to our own URLs.
fn return_url(value: Option<&str>, state: &AppState) -> Option<ReturnUrl> {
    value?.parse::<ReturnUrl>().ok().filter(|url| !url.is_under(&state.auth_prefix))
}

/// RFC 9110 15.4.4: go there with `GET`.
fn see_other(location: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish();
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_prefix_ends_at_a_segment_and_has_no_other_spelling() {
        let lead = |path: &str| match Destination::of(path, "/oauth") {
            Destination::Endpoint(endpoint) => endpoint.names[0],
            Destination::Nothing => "nothing",
            Destination::Proxy => "proxy",
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
}
