//! `GET signin?redirect=`: sends a person to the Provider.
//!
//! Knows no token. What must be remembered until the callback travels in a sealed cookie.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::redirect::see_other;
use super::request::{Request, return_url};
use crate::oidc::LoginHints;
use crate::return_url::ReturnUrl;
use crate::state::AppState;
use crate::web::{Error, RememberedLogin, is_background};

/// Starts a sign-in that returns to `redirect` (a path of this site; anything else becomes `/`).
pub(super) async fn signin(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    if is_background(request.http) {
        return Err(Error::SessionRequired); // a script can't show a sign-in page
    }
    let query = request.target.query().unwrap_or_default();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let return_url =
        return_url(request.query("redirect").as_deref(), &state.auth_prefix).unwrap_or_else(ReturnUrl::root);
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
