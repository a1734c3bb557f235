//! `GET frontchannel-logout?iss=&sid=`: the Provider's page ends a session from a frame (OpenID Connect Front-Channel
//! Logout 1.0).
//!
//! Browsers send no cookie into a frame of another site, so the session is found by its `sid`, which only the Provider
//! and the session know. Without `sid` it is found by the cookie, which a Provider on the same site gets sent.

use actix_web::HttpResponse;
use actix_web::http::{Method, header};

use super::provider_logout::report_provider_logout;
use super::request::Request;
use crate::state::AppState;
use crate::web::{Error, header_text};

/// Ends the sessions of one sign-in at the Provider, or the session of the cookie.
pub(super) async fn frontchannel_logout(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let issuer = &state.relying_party.settings().issuer;
    if request.query("iss").is_some_and(|iss| !iss.is_empty() && iss != *issuer) {
        return Err(Error::Request("the issuer is another")); // 2
    }
    let sids = request.readings("sid");
    let ended = if *request.http.method() == Method::HEAD {
        0 // RFC 9110 9.2.1: it changes nothing
    } else if sids.is_empty() {
        end_session_of_cookie(request, state).await?
    } else {
        end_sessions_of(&sids, request, state).await?
    };
    if ended > 0 {
        report_provider_logout(request, ended);
    }

    let mut response = HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body("<!doctype html><html lang=\"en\"><title>Signed out</title></html>\n");
    if sids.is_empty() && ended > 0 {
        response.headers_mut().append(header::SET_COOKIE, state.session_cookie.delete());
        state.sign_in_rounds.forget(request.http, response.headers_mut());
        state.browser_data.end(response.headers_mut());
    }
    Ok(response)
}

/// Ends the sessions of these `sid`s. Anyone can invent a `sid`: an unknown one costs a read, which is rate-limited,
/// and no write.
async fn end_sessions_of(sids: &[String], request: &Request<'_>, state: &AppState) -> Result<usize, Error> {
    let reads = u32::try_from(sids.len()).unwrap_or(u32::MAX);
    let address = request.gateway.client_address;
    if !state.unknown_sids.take(reads, address, request.now) {
        return Err(Error::FrontchannelBusy);
    }
    let mut ended = 0;
    for sid in sids {
        ended += state.sessions.end_known(&state.sessions.provider_session(sid), request.now).await?;
    }
    if ended > 0 {
        state.unknown_sids.give_back(reads, address, request.now);
    }
    Ok(ended)
}

/// Ends the cookie's session. Without a valid cookie it returns zero and never reaches the store.
async fn end_session_of_cookie(request: &Request<'_>, state: &AppState) -> Result<usize, Error> {
    if !may_be_framed(request) {
        return Ok(0);
    }
    let Some(ticket) = state.session_cookie.read(request.http).await? else { return Ok(0) };
    let part = state.sessions.sign_out(&ticket, &state.relying_party, request.now).await?;
    Ok(usize::from(part.is_some()))
}

/// True for a navigation in a frame (Fetch Metadata 2.1), or without such a header; false for a link, a prefetch, an
/// image or a script. `SameSite=Lax` sends the cookie with a link from anywhere, and no link may sign anyone out.
fn may_be_framed(request: &Request<'_>) -> bool {
    header_text(request.http, "sec-fetch-dest").is_none_or(|destination| matches!(destination, "iframe" | "frame"))
}
