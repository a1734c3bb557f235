//! `GET` or `POST signin?redirect=`: redirects a person to the Provider.
//!
//! Also the `initiate_login_uri` of OpenID Connect Core 4: a portal of the Provider starts a sign-in with `iss`,
//! `login_hint` and `target_link_uri`. Knows no token. The state until the callback travels in a sealed
//! cookie.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::redirect::see_other;
use super::request::{Request, form, pairs, return_url};
use crate::oidc::LoginHints;
use crate::proxy::SignInDemand;
use crate::return_url::{ReturnUrl, ReturnUrlError};
use crate::sessions::LiveSession;
use crate::state::AppState;
use crate::web::{
    AGAIN, CLAIMS, Error, FRAGMENT, RememberedLogin, Rounds, SignInLoop, fragment_page, is_background, is_framed,
    is_navigation, sign_in_at_top,
};

/// Starts a sign-in that returns to `redirect` (a path or URL of this site) or `target_link_uri` (the same); anything
/// else becomes `/`.
pub(super) async fn signin(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<HttpResponse, Error> {
    if is_background(request.http) {
        return Err(Error::SessionRequired); // a script can't show a sign-in page
    }
    if *request.http.method() == Method::POST {
        return repeat_as_get(&pairs(&form(request, payload, state).await?), state);
    }
    let pairs = request.pairs();
    check_issuer(&pairs, state)?;
    let return_url = destination(&pairs, state)?;
    let sealed = pairs.iter().find(|(name, _)| name == CLAIMS).map(|(_, value)| value.as_str());
    let claims = sealed.and_then(|sealed| state.claims_seal.open(sealed, request.now));
    let hints = LoginHints::from_query(&pairs).with_claims(claims.clone());
    let demand = SignInDemand::from_parameters(&pairs, claims);
    let is_again = pairs.iter().any(|(name, _)| name == AGAIN);
    check_rounds(&return_url, &hints, is_again, request, state).await?;
    let start = Start { hints, demand, is_again };
    if is_framed(request.http) && !start.hints.is_silent() {
        return Ok(sign_in_at_top(request.http, request.target.as_str(), &request.viewer(state)));
    }
    if !state.keep_fragment || is_framed(request.http) {
        return begin(return_url, &start, request, state).await;
    }
    match with_fragment(&return_url, &pairs)? {
        None if *request.http.method() == Method::GET && is_navigation(request.http) => {
            Ok(fragment_page(request.target.as_str(), &request.viewer(state)))
        }
        whole => begin(whole.unwrap_or(return_url), &start, request, state).await,
    }
}

/// The return URL with its fragment, as our page read it in the browser; `None` until that page has been shown.
fn with_fragment(return_url: &ReturnUrl, pairs: &[(String, String)]) -> Result<Option<ReturnUrl>, Error> {
    if return_url.as_str().contains('#') {
        return Ok(Some(return_url.clone()));
    }
    let Some((_, fragment)) = pairs.iter().find(|(name, _)| name == FRAGMENT) else { return Ok(None) };
    if fragment.is_empty() {
        return Ok(Some(return_url.clone()));
    }
    match format!("{}#{fragment}", return_url.as_str()).parse() {
        Ok(whole) => Ok(Some(whole)),
        Err(ReturnUrlError::Length) => Err(Error::ReturnUrlTooLong),
        Err(ReturnUrlError::NotAPath | ReturnUrlError::Character | ReturnUrlError::Segment) => {
            Ok(Some(return_url.clone())) // no browser has such a fragment
        }
    }
}

/// Starts a sign-in for a navigation whose `signin?redirect=` URL would be too long for servers on the way. `error` is
/// the request's own.
pub(super) async fn signin_at_once(
    error: Error,
    request: &Request<'_>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let is_safe = matches!(*request.http.method(), Method::GET | Method::HEAD);
    let is_page = is_safe && is_navigation(request.http) && !is_framed(request.http);
    let target = request.target.as_str();
    let claims = error.demand().and_then(|demand| demand.claims.as_ref());
    let sealed = claims.and_then(|claims| state.claims_seal.seal(claims, request.now)).unwrap_or_default();
    if !is_page || !error.needs_sign_in() || fits_a_query(target, &sealed) {
        return Err(error);
    }
    match return_url(Some(target), state)? {
        Some(return_url) => {
            let demand = error.demand().cloned();
            let parameters: Vec<(String, String)> = demand
                .iter()
                .flat_map(SignInDemand::parameters)
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            let claims = demand.as_ref().and_then(|demand| demand.claims.clone());
            let hints = LoginHints::from_query(&parameters).with_claims(claims);
            check_rounds(&return_url, &hints, false, request, state).await?;
            begin(return_url, &Start { hints, demand, is_again: false }, request, state).await
        }
        None => Err(error),
    }
}

/// Redirects to the Provider. A `HEAD` starts no sign-in (RFC 9110 9.2.1: it is safe).
async fn begin(
    return_url: ReturnUrl,
    start: &Start,
    request: &Request<'_>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let begun = state.relying_party.begin_login(return_url.as_str(), &start.hints, request.now).await;
    let (authorization, pending) = begun.map_err(|error| Error::Provider { error, return_url })?;
    let cookies = if *request.http.method() == Method::HEAD {
        Vec::new()
    } else {
        // A session cookie whose key is unavailable does not block a new sign-in.
        let session = state.session_cookie.read(request.http).await.unwrap_or(None);
        let login = RememberedLogin::new(pending, session.as_ref());
        let mut cookies = state.login_cookies.remember(request.http, login, request.now).await;
        let before = state.sign_in_rounds.read(request.http);
        let rounds = if start.is_again { Rounds::default() } else { before };
        // A silent sign-in meets a demand only by chance: it is no try, and ends none.
        let rounds = if start.hints.is_silent() { rounds } else { rounds.begin(start.demand.as_ref(), request.now) };
        cookies.extend((rounds != before).then(|| state.sign_in_rounds.set(rounds)));
        cookies
    };
    let mut response = see_other(authorization.url(), cookies);
    *response.status_mut() = StatusCode::FOUND;
    Ok(response)
}

/// A sign-in that begins.
struct Start {
    hints: LoginHints,
    /// Demand of a route, or of whoever made the link.
    demand: Option<SignInDemand>,
    /// True if the person has seen the page that ends a loop, and wants to go on.
    is_again: bool,
}

/// Ends a loop of sign-ins that no person makes: a page takes the place of the next redirect to the Provider.
async fn check_rounds(
    return_url: &ReturnUrl,
    hints: &LoginHints,
    is_again: bool,
    request: &Request<'_>,
    state: &AppState,
) -> Result<(), Error> {
    let rounds = state.sign_in_rounds.read(request.http);
    if is_again || hints.is_silent() || !rounds.is_loop(return_url.path(), request.now) {
        return Ok(());
    }
    if rounds.is_of_another_clock(request.now) {
        return Err(SignInLoop::ClockSkew.into());
    }
    let Ok(ticket) = state.session_cookie.read(request.http).await else { return Ok(()) };
    let Some(ticket) = ticket else {
        let is_sent = state.session_cookie.is_sent(request.http);
        return Err(if is_sent { SignInLoop::SessionLost } else { SignInLoop::CookieNotReturned }.into());
    };
    let Ok(session) = state.sessions.load(&ticket, request.now).await else { return Ok(()) };
    let has_lapsed = |session: &LiveSession| session.access_token_expires_at.is_some_and(|at| at <= request.now);
    Err(match session {
        Some(session) if has_lapsed(&session) => SignInLoop::ClockSkew,
        Some(_) => SignInLoop::ApplicationAsksAgain,
        None if state.sessions.lifetime().is_alive(&ticket, request.now) => SignInLoop::SessionLost,
        None => SignInLoop::ClockSkew,
    }
    .into())
}

/// True if the target and sealed claims fit into `signin?redirect=&claims=`.
fn fits_a_query(target: &str, sealed_claims: &str) -> bool {
    let encoded = || byte_serialize(target.as_bytes()).map(str::len).sum::<usize>();
    let claims = if sealed_claims.is_empty() { 0 } else { "&claims=".len() + sealed_claims.len() };
    let rest = "redirect=".len() + claims;
    rest + target.len() <= MAX_QUERY && rest + encoded() <= MAX_QUERY
}

/// Maximum query length that every server on the way accepts: API Management's smaller tiers allow 2048.
const MAX_QUERY: usize = 2048;

/// Redirects a form to the same URL by `GET`. A form of another site brings no `SameSite=Lax` cookie, so the older
/// session could not be replaced, and abandoned logins would not make room.
fn repeat_as_get(pairs: &[(String, String)], state: &AppState) -> Result<HttpResponse, Error> {
    check_issuer(pairs, state)?;
    let is_known = |name: &str| OWN_NAMES.contains(&name) || LoginHints::NAMES.contains(&name);
    let known = pairs.iter().filter(|(name, _)| is_known(name));
    let query = Serializer::new(String::new()).extend_pairs(known).finish();
    Ok(see_other(&format!("{}?{query}", state.path("signin")), []))
}

/// Refuses an `iss` of another issuer (OIDC Core 4). An empty value counts as omitted (RFC 6749 3.1).
fn check_issuer(pairs: &[(String, String)], state: &AppState) -> Result<(), Error> {
    let issuer = &state.relying_party.settings().issuer;
    let is_another = |(name, value): &(String, String)| name == "iss" && !value.is_empty() && value != issuer;
    if pairs.iter().any(is_another) { Err(Error::OtherIssuer) } else { Ok(()) }
}

/// Return URL of the sign-in. OIDC Core 4: `target_link_uri` must not make us an open redirector, so the rules of
/// `redirect` apply.
fn destination(pairs: &[(String, String)], state: &AppState) -> Result<ReturnUrl, Error> {
    for name in ["redirect", "target_link_uri"] {
        let first = pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        if let Some(url) = return_url(first, state)? {
            return Ok(url);
        }
    }
    Ok(ReturnUrl::root())
}

/// Parameters that are never passed to the Provider: our own, and those of OIDC Core 4 that are no hints.
const OWN_NAMES: [&str; 3] = ["redirect", "iss", "target_link_uri"];
