//! Error response: a redirect to sign-in or a page for a person, a problem document for a script.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use url::form_urlencoded::{self, Serializer};

use super::challenge::{allow, challenge};
use super::csrf::same_origin_referrer;
use super::error_response::Input;
use super::framing::{allow_framing_by_self, is_framed};
use super::problem::problem;
use super::{
    BearerError, CLAIMS, ClaimsSeal, Error, Label, Language, Link, Page, PageDesign, RequestId, Sentence, Unsent,
    Viewer, is_navigation, sign_in_at_top, single_header,
};
use crate::clock::Timestamp;
use crate::oidc::TargetRefusal;
use crate::proxy::{ForwardError, SignInDemand};
use crate::public_origin::PublicOrigin;
use crate::return_url::ReturnUrl;
use crate::sessions::RouteTokenError;

/// Request with an error.
pub struct Failure<'a> {
    /// The request.
    pub req: &'a HttpRequest,
    /// Path and query, if they are well-formed.
    pub target: Option<&'a str>,
    /// Request identifier in logs.
    pub id: &'a RequestId,
    /// Look of our pages.
    pub design: &'a PageDesign,
    /// Public origin of the site, as browsers see it.
    pub public_origin: &'a PublicOrigin,
    /// Path of `signin`.
    pub signin: &'a str,
    /// Path of `resend`.
    pub resend: &'a str,
    /// Seal of claims that an application asks for, and the present moment; none before the settings are read.
    pub claims_seal: Option<(&'a ClaimsSeal, Timestamp)>,
    /// True for URLs that only scripts call.
    pub is_api: bool,
    /// True for one of our own URLs: nothing sent there is for an Upstream.
    pub is_endpoint: bool,
    /// True for a route that also takes access tokens of API clients.
    pub takes_access_tokens: bool,
}

impl Failure<'_> {
    /// The response for `error`.
    #[must_use]
    pub fn respond(&self, error: &Error) -> HttpResponse {
        let mut response = match (self.is_page(), error.needs_sign_in()) {
            (true, _) if let Error::Unsent(unsent) = error => self.unsent_page(unsent),
            (true, true) if is_of_links(self.req.method()) && is_framed(self.req) => self.page_in_frame(error),
            (true, true) if is_of_links(self.req.method()) => self.redirect_to_signin(error),
            (true, _) => self.page(error),
            (false, _) if error.may_need_sign_in() => {
                problem(error, Some(&self.login_url(self.referrer(), error.demand())), self.id)
            }
            (false, _) => problem(error, None, self.id),
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
        sign_in_at_top(self.req, &login_url, &self.viewer())
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
        let viewer = self.viewer();
        let signin = match (&unsent.error, unsent.needs_another_tab()) {
            // OIDC Core 3.1.2.1: without `prompt` the Provider would sign in the same account again.
            (Error::FormOfAnotherPerson, _) => self.login_url_to(Some(self.resend), None, Some("login")),
            (_, true) => self.login_url_to(Some(self.resend), unsent.error.demand(), None),
            (_, false) => self.login_url(self.referrer(), unsent.error.demand()),
        };
        let mut links = Vec::with_capacity(2);
        if unsent.needs_another_tab() {
            links.push(Link::NewTab { href: &signin, label: viewer.label(Label::SignInNewTab) });
        } else if unsent.error.may_need_sign_in() {
            links.push(self.sign_in_link(&signin, viewer.label(Label::SignIn)));
        }
        if let Ok(form) = &unsent.kept {
            links.push(Link::SendSealed { action: self.resend, label: viewer.label(Label::SendAgain), form });
        } else if links.is_empty() {
            links.push(Link::To { href: START, label: viewer.label(Label::StartPage) });
        }
        let text = unsent.text(viewer.language);
        self.respond_page(&unsent.error, &text, &links)
    }

    fn page(&self, error: &Error) -> HttpResponse {
        let viewer = self.viewer();
        let next = self.next_steps(error);
        let links: Vec<Link<'_>> = next
            .iter()
            .map(|step| match step {
                Step::Here { href, label } => Link::To { href, label: viewer.label(*label) },
                Step::SignIn { href, label } => self.sign_in_link(href, viewer.label(*label)),
            })
            .collect();
        self.respond_page(error, &self.text(error, viewer.language), &links)
    }

    fn respond_page(&self, error: &Error, text: &str, links: &[Link<'_>]) -> HttpResponse {
        let viewer = self.viewer();
        let response = error.response();
        let title = viewer.language.title(response.title);
        Page { status: response.status, title, text, links, code: Some(error.code()) }.respond(&viewer)
    }

    /// Text of an error page. An operator's own words take the place of the cause.
    fn text(&self, error: &Error, language: Language) -> String {
        let input = if is_of_links(self.req.method()) || self.is_endpoint { Input::None } else { Input::ForUpstream };
        if let Some(explain) = error.explain() {
            return [explain, &language.text(error.advice(input))].join(" ").trim_end().to_owned();
        }
        if error.is_wrong_address() && self.is_at_public_address() {
            let unproved = [Sentence::GatewayUnproved, Sentence::RetryUseless, Sentence::PleaseReport];
            return language.text(&[&unproved, error.advice(input)].concat());
        }
        error.text(input, language).replace("{address}", self.public_origin.as_str())
    }

    /// Next steps of an error page. An unsafe navigation can't be replayed: it links to the page that it came from.
    ///
    /// No page leads to itself, unless the same request may succeed now. One `match`, long as it is: a new error does not
    /// compile without its steps.
    fn next_steps(&self, error: &Error) -> Vec<Step> {
        let start = || Step::Here { href: START.to_owned(), label: Label::StartPage };
        let sign_in = |target, label| Step::SignIn { href: self.login_url(target, error.demand()), label };
        let steps = match error {
            // Another sign-in meets the same refusal.
            _ if error.needs_operator() => vec![start()],
            Error::SessionRequired
            | Error::StepUpRequired(_)
            | Error::StepUpChallenged(_)
            | Error::Forward(ForwardError::Cut) => {
                vec![sign_in(self.referrer(), Label::SignIn)]
            }
            Error::LoginUnknown | Error::AuthorizationResponse(_) => vec![sign_in(self.referrer(), Label::TryAgain)],
            Error::SignIn { return_url, .. } => vec![sign_in(Some(return_url.as_str()), Label::TryAgain)],
            Error::Provider { return_url, .. } => vec![sign_in(Some(return_url.as_str()), Label::TryAgain), start()],
            Error::StepUpUnmet | Error::StepUpChallengeUnmet => vec![sign_in(self.target, Label::TryAgain), start()],
            Error::RouteToken(RouteTokenError::Refused(TargetRefusal::InteractionRequired)) => {
                vec![sign_in(self.target, Label::SignIn), start()]
            }
            Error::ReturnUrlTooLong => vec![sign_in(None, Label::SignIn)],
            Error::SignInLoop(_) => vec![Step::SignIn { href: self.go_on(), label: Label::TryAgain }],
            Error::AccessDenied(denied) if denied.is_bearer => vec![],
            // Another person, or the same one with another of its accounts (OIDC Core 3.1.2.1).
            Error::AccessDenied(_) => {
                let href = self.login_url_to(return_url(self.target).as_deref(), None, Some("select_account"));
                vec![start(), Step::SignIn { href, label: Label::SignInAsAnother }]
            }
            Error::Bearer(BearerError::Missing) => vec![start()],
            Error::Bearer(_) | Error::ConfigurationIncomplete => vec![],
            Error::Gateway(_) if error.is_wrong_address() && self.is_at_public_address() => vec![],
            Error::Gateway(_) if error.is_wrong_address() => {
                let target = self.target.filter(|target| target.parse::<ReturnUrl>().is_ok()).unwrap_or(START);
                vec![Step::Here { href: self.public_origin.url(target), label: Label::OpenApplication }]
            }
            Error::Gateway(_)
            | Error::Csrf(_)
            | Error::CrossSite(_)
            | Error::Target(_)
            | Error::Request(_)
            | Error::HeadersTooLarge
            | Error::RouteNotFound
            | Error::MethodNotAllowed { .. }
            | Error::WebSocketUnsupported
            | Error::HeaderNotAscii
            | Error::Forward(
                ForwardError::Connect(_)
                | ForwardError::Broken(_)
                | ForwardError::Timeout
                | ForwardError::BadRequest(_)
                | ForwardError::ClientStalled,
            )
            | Error::OtherIssuer
            | Error::BackchannelLogout(_)
            | Error::FrontchannelBusy
            | Error::Store(_)
            | Error::Keys(_)
            | Error::NoFreshToken(_)
            | Error::RouteToken(
                RouteTokenError::Store(_)
                | RouteTokenError::Unavailable { .. }
                | RouteTokenError::Refused(TargetRefusal::Refused | TargetRefusal::ConsentRequired),
            )
            | Error::RefreshRefused
            | Error::RefreshTokenMissing
            | Error::Form(_)
            | Error::KeptFormInvalid
            | Error::FormOfAnotherPerson
            | Error::Unsent(_) => self.try_again(error).into_iter().chain([start()]).collect(),
        };
        steps.into_iter().filter(|step| step.label() == Label::TryAgain || !self.is_here(step)).collect()
    }

    /// The same URL once more, where that can help.
    fn try_again(&self, error: &Error) -> Option<Step> {
        let can_help = error.is_temporary() || matches!(error, Error::HeadersTooLarge);
        let target = self.target?.parse::<ReturnUrl>().ok().filter(|_| can_help && is_of_links(self.req.method()))?;
        Some(Step::Here { href: self.public_origin.location(target.as_str()).into_owned(), label: Label::TryAgain })
    }

    /// True for a step to the URL of this very page.
    fn is_here(&self, step: &Step) -> bool {
        is_of_links(self.req.method()) && self.target == Some(step.href())
    }

    /// True if the request names the public address, so that a link there would lead back here.
    fn is_at_public_address(&self) -> bool {
        let host = single_header(self.req, header::HOST);
        host.is_some_and(|host| host.eq_ignore_ascii_case(self.public_origin.authority()))
    }

    fn viewer(&self) -> Viewer<'_> {
        Viewer::of(self.req, self.id, self.design)
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
        let fallback = demand.map(|_| START.to_owned());
        self.login_url_to(return_url(target).or(fallback).as_deref(), demand, None)
    }

    fn sealed_claims(&self, demand: &SignInDemand) -> Option<String> {
        let (seal, now) = self.claims_seal?;
        seal.seal(demand.claims.as_ref()?, now)
    }

    /// URL of `signin` with these parameters; `prompt` is that of OIDC Core 3.1.2.1.
    fn login_url_to(&self, redirect: Option<&str>, demand: Option<&SignInDemand>, prompt: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(redirect.map(|redirect| ("redirect", redirect)));
        if let Some(demand) = demand {
            query.extend_pairs(demand.parameters());
            query.extend_pairs(self.sealed_claims(demand).map(|sealed| (CLAIMS, sealed)));
        }
        query.extend_pairs(prompt.map(|prompt| ("prompt", prompt)));
        let query = query.finish();
        if query.is_empty() { self.signin.to_owned() } else { format!("{}?{query}", self.signin) }
    }
}

fn return_url(target: Option<&str>) -> Option<String> {
    target?.parse::<ReturnUrl>().ok().map(|target| target.as_str().to_owned())
}

/// Next step of an error page.
enum Step {
    /// Link in this window or frame.
    Here { href: String, label: Label },
    /// Link to a sign-in, which leaves a frame.
    SignIn { href: String, label: Label },
}

impl Step {
    fn href(&self) -> &str {
        match self {
            Self::Here { href, .. } | Self::SignIn { href, .. } => href,
        }
    }

    fn label(&self) -> Label {
        match self {
            Self::Here { label, .. } | Self::SignIn { label, .. } => *label,
        }
    }
}

/// Start page of the application.
const START: &str = "/";

/// Parameter of `signin` by which a person goes on after the page that ends a loop.
pub const AGAIN: &str = "again";

/// True for the method by which a link of a page sends the same request once more, and for `HEAD`. Fewer than the safe
/// ones: a link cannot repeat an `OPTIONS` or a `PROPFIND`.
fn is_of_links(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::web::every_error::every_error;
    use crate::web::{AccessDenied, GatewayProofError};

    /// Largest page for a usual address, in any language.
    const MAX_PAGE: usize = 8 * 1024;

    struct Shown {
        html: String,
        links: Vec<(String, String)>,
    }

    fn show(error: &Error, request: TestRequest, target: &str) -> Shown {
        let req = request.insert_header(("sec-fetch-mode", "navigate")).to_http_request();
        let failure = Failure {
            req: &req,
            target: Some(target),
            id: &RequestId::of(&req),
            design: &PageDesign::default(),
            public_origin: &"https://app.example".parse().unwrap(),
            signin: "/oauth/signin",
            resend: "/oauth/resend",
            claims_seal: None,
            is_api: false,
            is_endpoint: target.starts_with("/oauth/"),
            takes_access_tokens: false,
        };
        let body = failure.page(error).into_body().try_into_bytes().unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        let links = html.split("<a href=\"").skip(1).map(|rest| {
            let (href, rest) = rest.split_once('"').unwrap();
            let label = rest.split_once('>').unwrap().1.split_once('<').unwrap().0;
            (href.replace("&amp;", "&"), label.to_owned())
        });
        Shown { links: links.collect(), html }
    }

    #[test]
    fn no_page_leads_to_itself_unless_trying_again_can_help() {
        let same_url = |target: &str| [target.to_owned(), format!("https://app.example{target}")];
        for target in ["/", "/page?x=1", "/oauth/signin", "/oauth/signin?redirect=%2F", "/oauth/callback?code=c"] {
            for error in every_error() {
                let request = TestRequest::get().insert_header(("host", "app.example"));
                let links = show(&error, request, target).links;

                let here = links.iter().find(|(href, _)| same_url(target).contains(href));
                let can_help = error.is_temporary() || matches!(error, Error::HeadersTooLarge);
                let is_new_sign_in = target.starts_with("/oauth/signin");
                let is_expected = |label: &str| label == "Try again" && (can_help || is_new_sign_in);
                assert!(here.is_none_or(|(_, label)| is_expected(label)), "{} at {target}: {links:?}", error.code());
            }
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_at_the_same_url() {
        let temporary = [
            "gateway_proof_unavailable",
            "upstream_unreachable",
            "upstream_broken",
            "upstream_timeout",
            "store_unavailable",
            "keys_unavailable",
            "refresh_unavailable",
            "frontchannel_busy",
            "headers_too_large",
        ];
        for error in every_error().into_iter().filter(|error| temporary.contains(&error.code())) {
            let links = |request| show(&error, request, "/page?x=1&y=\"").links;

            let again = ("/page?x=1&y=&quot;".to_owned(), "Try again".to_owned());
            if matches!(error, Error::SignIn { .. }) {
                continue; // its callback is spent: it goes by `signin`
            }
            assert_eq!(links(TestRequest::get()).first(), Some(&again), "{}", error.code());
            assert!(!links(TestRequest::post()).contains(&again), "{}: nothing is sent twice by a link", error.code());
        }
    }

    #[test]
    fn a_page_says_once_if_a_form_was_passed_on() {
        let no = "Nothing of what you sent was passed on.";
        let maybe = "What you sent may have arrived.";
        let refused = "The application did not accept what you sent.";
        let sentences = |html: &str| [no, maybe, refused].map(|sentence| html.matches(sentence).count());
        for error in every_error().into_iter().filter(|error| !error.needs_operator()) {
            let html = show(&error, TestRequest::post(), "/form").html;
            let expected = match (error.may_have_arrived(), error.is_of_application()) {
                (true, _) => [0, 1, 0],
                (false, true) => [0, 0, 1],
                (false, false) => [1, 0, 0],
            };
            assert_eq!(sentences(&html), expected, "{}", error.code());

            let read = show(&error, TestRequest::get(), "/form").html;
            assert_eq!(sentences(&read), [0, 0, 0], "{}", error.code());
        }
    }

    #[test]
    fn whoever_came_around_the_gateway_reads_the_public_address() {
        let error = Error::Gateway(GatewayProofError::Missing);
        let around = show(&error, TestRequest::get().insert_header(("host", "func.azurewebsites.net")), "/page?x=1");
        let public = show(&error, TestRequest::get().insert_header(("host", "App.example")), "/page?x=1");
        let hostile = show(&error, TestRequest::get(), "/\\evil.example");

        assert!(around.html.contains("published at https://app.example."), "{}", around.html);
        assert_eq!(around.links, [("https://app.example/page?x=1".to_owned(), "Open the application".to_owned())]);
        assert!(public.html.contains("The address is right"), "{}", public.html);
        assert_eq!(public.links, []);
        assert_eq!(hostile.links[0].0, "https://app.example/");
    }

    #[test]
    fn a_person_at_a_programs_address_is_led_to_the_start_page() {
        let shown = show(&Error::Bearer(BearerError::Missing), TestRequest::get(), "/api/orders");

        assert!(shown.html.contains("This address is for programs"), "{}", shown.html);
        assert!(shown.html.contains("Your browser sends none, and a sign-in does not help here."), "{}", shown.html);
        assert_eq!(shown.links, [("/".to_owned(), "Go to the start page".to_owned())]);
    }

    #[test]
    fn a_page_that_a_cookie_is_missing_for_says_what_may_block_it() {
        for error in every_error() {
            let is_missing = matches!(error.code(), "login_unknown" | "cookie_not_returned");
            let html = show(&error, TestRequest::get(), "/oauth/callback").html;
            assert_eq!(html.contains("a private window or an extension may block"), is_missing, "{}", error.code());
        }
    }

    #[test]
    fn an_operators_words_stay_as_written_in_every_language() {
        let explain = Some("Nur für <Kasse>".to_owned());
        let error = Error::AccessDenied(Box::new(AccessDenied { route: "/".to_owned(), explain, is_bearer: false }));
        let japanese = || TestRequest::default().insert_header(("accept-language", "ja"));

        let shown = show(&error, japanese(), "/page");
        let sent = show(&error, japanese().method(Method::POST), "/page");

        assert!(shown.html.contains("<html lang=\"ja\">") && shown.html.contains("<p>Nur für &lt;Kasse&gt;</p>"));
        assert!(sent.html.contains("<p>Nur für &lt;Kasse&gt; 送信された内容は一切転送されていません。</p>"));
    }

    #[test]
    fn every_page_of_every_language_is_whole_and_small() {
        for language in Language::ALL {
            for error in every_error() {
                let request = TestRequest::post().insert_header(("accept-language", language.tag()));
                let html = show(&error, request, "/page?x=1").html;
                assert!(html.contains(&format!("<html lang=\"{}\">", language.tag())), "{language:?}");
                assert!(html.len() <= MAX_PAGE, "{language:?} {}: {} bytes", error.code(), html.len());
                let body = html.split_once("<body>").unwrap().1;
                assert!(!body.contains(['{', '}']), "{language:?} {}: a placeholder is left", error.code());
            }
        }
    }
}
