//! `GET` or `POST signin?redirect=`: sends a person to the Provider.
//!
//! It is the `initiate_login_uri` of OpenID Connect Core 4, too: a portal of the Provider begins a sign-in with `iss`,
//! `login_hint` and `target_link_uri`. Knows no token. What must be remembered until the callback travels in a sealed
//! cookie.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use url::form_urlencoded::Serializer;

use super::redirect::see_other;
use super::request::{Request, form, pairs, return_url};
use crate::oidc::LoginHints;
use crate::return_url::ReturnUrl;
use crate::state::AppState;
use crate::web::{Error, RememberedLogin, is_background};

/// Starts a sign-in that returns to `redirect` (a path of this site) or `target_link_uri` (the same, or its whole URL);
/// anything else becomes `/`.
pub(super) async fn signin(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<HttpResponse, Error> {
    if is_background(request.http) {
        return Err(Error::SessionRequired); // a script can't show a sign-in page
    }
    if *request.http.method() == Method::POST {
        return repeat_as_get(&pairs(&form(payload, state.limits.form_timeout).await?), state);
    }
    let pairs = request.pairs();
    check_issuer(&pairs, state)?;
    let return_url = destination(&pairs, state);
    let hints = LoginHints::from_query(&pairs);
    let begun = state.relying_party.begin_login(return_url.as_str(), &hints, request.now).await;
    let (authorization, pending) = begun.map_err(|error| Error::Provider { error, return_url })?;

    // A session cookie whose key is unavailable does not block a new sign-in.
    let session = state.session_cookie.read(request.http).await.unwrap_or(None);
    let login = RememberedLogin::new(pending, session.as_ref());
    let cookies = state.login_cookies.remember(request.http, &login, request.now).await;
    let mut response = see_other(authorization.url(), cookies);
    *response.status_mut() = StatusCode::FOUND;
    Ok(response)
}

/// Redirects a form to the same URL by `GET`. A form of another site brings no `SameSite=Lax` cookie, and without ours
/// the older session would not be replaced, nor would abandoned logins make room.
fn repeat_as_get(pairs: &[(String, String)], state: &AppState) -> Result<HttpResponse, Error> {
    check_issuer(pairs, state)?;
    let is_known = |name: &str| OWN_NAMES.contains(&name) || LoginHints::NAMES.contains(&name);
    let known = pairs.iter().filter(|(name, _)| is_known(name));
    let query = Serializer::new(String::new()).extend_pairs(known).finish();
    Ok(see_other(&format!("{}?{query}", state.path("signin")), []))
}

/// OIDC Core 4: `iss` is the issuer that the sign-in is meant for. Without a value it is as if omitted (RFC 6749 3.1).
fn check_issuer(pairs: &[(String, String)], state: &AppState) -> Result<(), Error> {
    let issuer = &state.relying_party.settings().issuer;
    let is_another = |(name, value): &(String, String)| name == "iss" && !value.is_empty() && value != issuer;
    if pairs.iter().any(is_another) { Err(Error::OtherIssuer) } else { Ok(()) }
}

/// OIDC Core 4: `target_link_uri` must not make us an open redirector, so the rules of `redirect` hold.
fn destination(pairs: &[(String, String)], state: &AppState) -> ReturnUrl {
    let first = |name| pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let path = |url| str::strip_prefix(url, state.public_origin.as_str()).unwrap_or(url);
    let target = || return_url(first("target_link_uri").map(path), &state.auth_prefix);
    return_url(first("redirect"), &state.auth_prefix).or_else(target).unwrap_or_else(ReturnUrl::root)
}

/// Our own parameter, and those of OIDC Core 4 that are no hint to the Provider.
const OWN_NAMES: [&str; 3] = ["redirect", "iss", "target_link_uri"];
