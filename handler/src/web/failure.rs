//! Error response: a redirect to sign-in or a page for a person, a problem document for a script.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use url::form_urlencoded::{self, Serializer};

use super::challenge::{allow, challenge};
use super::csrf::same_origin_referrer;
use super::framing::{allow_framing_by_self, is_framed};
use super::problem::problem;
use super::unsent::NOT_PASSED_ON;
use super::{Error, Link, Page, RequestId, Unsent, is_navigation, sign_in_at_top};
use crate::proxy::{ForwardError, SignInDemand};
use crate::public_origin::PublicOrigin;
use crate::return_url::ReturnUrl;

/// Request with an error.
pub struct Failure<'a> {
    /// The request.
    pub req: &'a HttpRequest,
    /// Path and query, if they are well-formed.
    pub target: Option<&'a str>,
    /// Request identifier in logs.
    pub id: &'a RequestId,
    /// Public origin of the site, as browsers see it.
    pub public_origin: &'a PublicOrigin,
    /// Path of `signin`.
    pub signin: &'a str,
    /// Path of `resend`.
    pub resend: &'a str,
    /// True for URLs that only scripts call.
    pub is_api: bool,
    /// True for a route that also takes access tokens of API clients.
    pub takes_access_tokens: bool,
}

impl Failure<'_> {
    /// The response for `error`.
    #[must_use]
    pub fn respond(&self, error: &Error) -> HttpResponse {
        let mut response = match (self.is_page(), error.needs_sign_in()) {
            (true, _) if let Error::Unsent(unsent) = error => self.unsent_page(unsent),
            (true, true) if is_safe(self.req.method()) && is_framed(self.req) => self.page_in_frame(error),
            (true, true) if is_safe(self.req.method()) => self.redirect_to_signin(error),
            (true, _) => self.page(error),
            (false, true) => problem(error, Some(&self.login_url(self.referrer(), error.demand())), self.id),
            (false, false) => problem(error, None, self.id),
        };
        if let Some(retry_after) = error.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        if let Error::MethodNotAllowed { allowed } = error
            && let Ok(methods) = allow(allowed).parse()
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        let is_shown_in_frames = error.needs_sign_in() || matches!(error, Error::Unsent(_));
        if self.is_page() && is_shown_in_frames && is_framed(self.req) {
            allow_framing_by_self(&mut response);
        }
        challenge(error, &mut response);
        if self.takes_access_tokens && response.status() == StatusCode::UNAUTHORIZED && error.needs_sign_in() {
            response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn is_page(&self) -> bool {
        !self.is_api && is_navigation(self.req)
    }

    /// The window returns to the page around the frame, or to the frame's own URL where that page is not known.
    fn page_in_frame(&self, error: &Error) -> HttpResponse {
        let login_url = self.login_url(self.referrer().or(self.target), error.demand());
        sign_in_at_top(self.req, &login_url, self.id)
    }

    fn redirect_to_signin(&self, error: &Error) -> HttpResponse {
        HttpResponse::Found()
            .insert_header((header::LOCATION, self.login_url(self.target, error.demand())))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::VARY, "Cookie, Sec-Fetch-Mode, Sec-Fetch-Dest, Accept"))
            .finish()
    }

    /// Page of a form that was not sent. It stays open while the person signs in, so that nothing gets lost.
    fn unsent_page(&self, unsent: &Unsent) -> HttpResponse {
        let telling = unsent.error.telling();
        let signin = match (&unsent.error, unsent.needs_another_tab()) {
            // OIDC Core 3.1.2.1: without `prompt` the Provider would sign in the same account again.
            (Error::FormOfAnotherPerson, _) => format!("{}&prompt=login", self.login_url_to(self.resend, None)),
            (_, true) => self.login_url_to(self.resend, unsent.error.demand()),
            (_, false) => self.login_url(self.referrer(), unsent.error.demand()),
        };
        let mut links = Vec::with_capacity(2);
        if unsent.needs_another_tab() {
            links.push(Link::NewTab { href: &signin, label: "Sign in in a new tab" });
        } else if unsent.error.needs_sign_in() {
            links.push(self.sign_in_link(&signin, "Sign in"));
        }
        if let Ok(form) = &unsent.kept {
            links.push(Link::SendSealed { action: self.resend, label: "Send again", form });
        } else if links.is_empty() {
            links.push(Link::To { href: "/", label: "Go to the start page" });
        }
        let (status, title, text) = (telling.status, telling.title, unsent.text());
        Page { status, title, text: &text, links: &links, code: Some(unsent.error.code()) }.respond(self.id)
    }

    /// Error page. An unsafe navigation can't be replayed: it links to the page that the navigation came from.
    fn page(&self, error: &Error) -> HttpResponse {
        let telling = error.telling();
        let login_url = match error {
            Error::SignIn { return_url, .. } | Error::Provider { return_url, .. } => {
                self.login_url(Some(return_url.as_str()), None)
            }
            // Another person, or the same one with another of its accounts (OIDC Core 3.1.2.1).
            Error::AccessDenied(_) => {
                let login_url = self.login_url(self.target, None);
                let separator = if login_url.contains('?') { '&' } else { '?' };
                format!("{login_url}{separator}prompt=select_account")
            }
            Error::SignInLoop(_) => self.go_on(),
            Error::StepUpUnmet => self.login_url(self.target, None),
            _ => self.login_url(self.referrer(), error.demand()),
        };
        let label = match error {
            Error::AccessDenied(_) => "Sign in as someone else",
            _ if error.needs_sign_in() => "Sign in",
            _ => "Try again",
        };
        let signin = self.sign_in_link(&login_url, label);
        let start = Link::To { href: "/", label: "Go to the start page" };
        let links = match error {
            _ if error.needs_operator() => vec![start], // another sign-in meets the same refusal
            Error::SessionRequired
            | Error::StepUpRequired(_)
            | Error::LoginUnknown
            | Error::SignIn { .. }
            | Error::AuthorizationResponse(_) => {
                vec![signin]
            }
            Error::Forward(ForwardError::Cut) => vec![signin],
            Error::ReturnUrlTooLong => vec![Link::To { href: self.signin, label: "Sign in" }],
            Error::Provider { .. } | Error::StepUpUnmet => vec![signin, start],
            Error::AccessDenied(denied) if denied.is_bearer => vec![],
            Error::AccessDenied(_) => vec![start, signin],
            Error::SignInLoop(_) => vec![signin],
            Error::Bearer(_) => vec![],
            Error::ConfigurationIncomplete => vec![],
            _ => vec![start],
        };
        let note = match error {
            Error::Forward(ForwardError::Connect(_)) => format!(" {NOT_PASSED_ON} Reload this page to send it again."),
            Error::Forward(ForwardError::Broken(_)) => {
                " What you sent may have arrived. Look before you send it again.".to_owned()
            }
            _ => String::new(),
        };
        let note = if is_safe(self.req.method()) { "" } else { &note };
        let (status, title, text) =
            (telling.status, telling.title, [error.explain().unwrap_or(telling.detail), note].concat());
        Page { status, title, text: &text, links: &links, code: Some(error.code()) }.respond(self.id)
    }

    /// Link that leaves a frame: a Provider's page forbids to be framed.
    fn sign_in_link<'a>(&self, href: &'a str, label: &'a str) -> Link<'a> {
        if is_framed(self.req) { Link::Top { href, label } } else { Link::To { href, label } }
    }

    fn referrer(&self) -> Option<&str> {
        same_origin_referrer(self.req, self.public_origin)
    }

    /// URL of the sign-in that was stopped as a loop, once more.
    fn go_on(&self) -> String {
        let target = self.target.unwrap_or_default();
        match target.strip_prefix(self.signin).map(|query| query.strip_prefix('?').unwrap_or(query)) {
            Some(query) => {
                let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != AGAIN);
                let query = Serializer::new(String::new()).extend_pairs(pairs).append_pair(AGAIN, "1").finish();
                format!("{}?{query}", self.signin)
            }
            None => self.login_url(Some(target), None),
        }
    }

    /// URL of `signin` that returns to `target`, if it is a valid return URL.
    fn login_url(&self, target: Option<&str>, demand: Option<&SignInDemand>) -> String {
        match target.and_then(|target| target.parse::<ReturnUrl>().ok()) {
            Some(target) => self.login_url_to(target.as_str(), demand),
            None if demand.is_some() => self.login_url_to("/", demand),
            None => self.signin.to_owned(),
        }
    }

    fn login_url_to(&self, target: &str, demand: Option<&SignInDemand>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("redirect", target);
        if let Some(demand) = demand {
            query.extend_pairs(demand.parameters());
        }
        format!("{}?{}", self.signin, query.finish())
    }
}

/// Parameter of `signin` by which a person goes on after the page that ends a loop.
pub const AGAIN: &str = "again";

/// True for safe methods (RFC 9110 9.2.1), of those that a navigation can have.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
