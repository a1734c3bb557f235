//! `GET frontchannel-logout?iss=&sid=`: the Provider's page ends a session from a frame (OpenID Connect Front-Channel
//! Logout 1.0).
//!
//! Browsers send no cookie there, so the `sid` that only Provider and session know says which one.

use actix_web::HttpResponse;
use actix_web::http::header;
use url::Url;

use super::provider_logout::report_provider_logout;
use super::request::Request;
use crate::state::AppState;
use crate::web::Error;

/// Ends the sessions of one sign-in at the Provider.
pub(super) async fn frontchannel_logout(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let issuer = &state.relying_party.settings().issuer;
    if request.query("iss").is_some_and(|iss| iss != *issuer) {
        return Err(Error::Request("the issuer is another")); // 2
    }
    let Some(sid) = request.query("sid").filter(|sid| !sid.is_empty()) else {
        return Err(Error::Request("there is no sid"));
    };
    let ended = state.sessions.end_known(&state.sessions.provider_session(&sid), request.now).await?;
    report_provider_logout(request, ended);

    let ancestor = Url::parse(issuer).map_or_else(|_| "'none'".to_owned(), |url| url.origin().ascii_serialization());
    let policy = format!("default-src 'none'; frame-ancestors {ancestor}");
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body("<!doctype html><html lang=\"en\"><title>Signed out</title></html>\n"))
}
