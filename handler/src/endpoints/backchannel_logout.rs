//! `POST backchannel-logout`: the Provider ends sessions (OpenID Connect Back-Channel Logout 1.0).
//!
//! The logout token is the only proof; no browser and no cookie takes part.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Payload;

use super::provider_logout::report_provider_logout;
use super::request::{Request, form};
use crate::oidc::LogoutToken;
use crate::state::AppState;
use crate::web::{BackchannelLogoutError, Error};

/// Ends the sessions that the logout token names, once.
pub(super) async fn backchannel_logout(
    request: &Request<'_>,
    payload: Payload,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    let form = form(request, payload, state).await?;
    let mut tokens = url::form_urlencoded::parse(form.as_bytes()).filter(|(name, _)| name == "logout_token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
        return Err(BackchannelLogoutError::Missing.into()); // 2.5
    };
    let token = state.relying_party.verify_logout_token(&token, request.now).await;
    let token = token.map_err(BackchannelLogoutError::Token)?;
    let ended = end(&token, request, state).await?;
    report_provider_logout(request, ended);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).finish()) // 2.8
}

/// Ends the sessions, then marks the token as used: the Provider can retry after a failure in between.
async fn end(token: &LogoutToken, request: &Request<'_>, state: &AppState) -> Result<usize, Error> {
    let sessions = &state.sessions;
    let now = request.now;
    let used = sessions.logout_token(&token.jti);
    if sessions.is_used(&used, now).await? {
        return Err(BackchannelLogoutError::Replayed.into());
    }
    let ended = sessions.end_named(token, now).await?;
    if !sessions.use_once(used, token.expires_at, now).await? {
        return Err(BackchannelLogoutError::Replayed.into());
    }
    Ok(ended)
}
