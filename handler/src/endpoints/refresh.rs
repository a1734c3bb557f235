//! `POST refresh`: requests a new access token from the Provider now. Needs the header `X-CSRF: 1`.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::json;

use super::request::Request;
use crate::sessions::{NoFreshToken, RefreshOutcome};
use crate::state::AppState;
use crate::web::{CsrfRejection, Error, check_csrf, single_header};

/// Refreshes, and responds with the lifetimes of the session and of its new token. Never a token.
pub(super) async fn refresh(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    check_csrf(request.http.method(), request.http.headers(), &state.public_origin)?;
    // CSRF: a form of another site can't set a header, and its script would need our permission (CORS).
    if single_header(request.http, "x-csrf") != Some("1") {
        return Err(CsrfRejection.into());
    }
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    state.sessions.load(&ticket, request.now).await?.ok_or(Error::SessionRequired)?;
    match state.sessions.refresh(&ticket, &state.relying_party).await {
        RefreshOutcome::Refreshed => {}
        RefreshOutcome::Ended => return Err(Error::SessionRequired),
        RefreshOutcome::ClientRefused(_) | RefreshOutcome::RequestRefused => return Err(Error::RefreshRefused),
        RefreshOutcome::NoRefreshToken => return Err(Error::RefreshTokenMissing),
        RefreshOutcome::Unavailable { retry_after } => return Err(NoFreshToken { retry_after }.into()),
    }
    let now = state.now();
    let session = state.sessions.load(&ticket, now).await?.ok_or(Error::SessionRequired)?;
    let access_token_expires_in = session.access_token_expires_at.map(|expires_at| expires_at.since(now).as_secs());
    let session_expires_in = state.sessions.lifetime().remaining(&ticket, now).as_secs();
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "session_expires_in": session_expires_in, "access_token_expires_in": access_token_expires_in })))
}
