//! `POST signout`, `GET signout?token=`: ends the session here and at the Provider.
//!
//! A `GET` needs the session's own sign-out token (from `me`), so that no link elsewhere signs anyone out; without it
//! the person is asked.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use serde_json::json;

use super::redirect::see_other;
use super::request::{Request, return_url};
use crate::return_url::ReturnUrl;
use crate::sessions::RefreshPart;
use crate::state::AppState;
use crate::telemetry::metrics;
use crate::web::{Error, Label, Link, Page, Sentence, Title, check_csrf, header_text, is_background, is_navigation};

/// Writes the tombstone, clears the cookie, revokes in the background and redirects to the Provider's logout.
pub(super) async fn signout(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    check_csrf(request.http.method(), request.http.headers(), &state.public_origin)?;
    let Some(ticket) = state.session_cookie.read(request.http).await? else {
        return Ok(without_session(request, state));
    };
    if *request.http.method() != Method::POST {
        let is_head = *request.http.method() == Method::HEAD; // RFC 9110 9.2.1: it changes nothing
        let is_token = |name| request.query(name).is_some_and(|token| ticket.id.is_sign_out_token(&token));
        let is_meant = !is_head && (is_token("token") || is_token("sid")); // `sid`: links of earlier versions
        if !is_meant || is_background(request.http) {
            return Ok(confirmation(request, state));
        }
    }
    let part = state.sessions.sign_out(&ticket, &state.relying_party, request.now).await?;
    tracing::info!(target: "audit", event = "signed_out", session.key = ticket.id.key().as_str(),
        request.id = request.id.as_str(), "person signed out");

    metrics::sign_out("person", 1);
    let return_url = return_url(request.query("redirect").as_deref(), state).unwrap_or(None); // never too long to sign out
    let location = after_sign_out(part.as_ref(), return_url.as_ref(), request, state).await;
    let mut response = if is_navigation(request.http) || !request.http.headers().contains_key("sec-fetch-mode") {
        see_other(&location, [state.session_cookie.delete()])
    } else {
        // A script can't follow a redirect to another origin: it gets the URL and navigates itself.
        HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::SET_COOKIE, state.session_cookie.delete()))
            .json(json!({ "location": location }))
    };
    state.sign_in_rounds.forget(request.http, response.headers_mut());
    state.browser_data.end(response.headers_mut());
    Ok(response)
}

/// Response to a sign-out without a session. Clears the browser's data only for a page of ours: another site's request
/// comes without a `SameSite=Lax` cookie, and must not clear anything of a signed-in person.
fn without_session(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let mut response = see_other(&state.path("signedout"), [state.session_cookie.delete()]);
    let is_ours = match *request.http.method() {
        Method::POST => true, // `check_csrf` refused those of other sites
        Method::GET => header_text(request.http, "sec-fetch-site") == Some("same-origin"),
        _ => false,
    };
    if is_ours {
        state.browser_data.end(response.headers_mut());
    }
    response
}

/// Location after a sign-out: the Provider's logout if it has one; our own page otherwise.
async fn after_sign_out(
    part: Option<&RefreshPart>,
    return_url: Option<&ReturnUrl>,
    request: &Request<'_>,
    state: &AppState,
) -> String {
    let own_page = state.public_origin.url(&state.path("signedout"));
    let return_to = return_url.map(ReturnUrl::as_str);
    let carried = return_to.filter(|return_to| return_to.len() <= MAX_STATE);
    let id_token = part.and_then(|part| part.id_token.as_deref()).map(String::as_str);
    let claims = part.map(|part| &*part.claims);
    match state.relying_party.logout_request(id_token, claims, &own_page, carried, request.now).await {
        Some(logout) => logout.url().to_owned(),
        None => return_to.map_or(state.path("signedout"), |path| state.public_origin.location(path).into_owned()),
    }
}

/// Maximum return URL that travels through the Provider as `state`; a longer one is dropped, because a sign-out that
/// ends on our own page is better than one that ends on the error page of a server on the way.
const MAX_STATE: usize = 2048;

fn confirmation(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let action = state.path("signout");
    let viewer = request.viewer(state);
    let links = [
        Link::Post { action: &action, label: viewer.label(Label::SignOut) },
        Link::To { href: "/", label: viewer.label(Label::StaySignedIn) },
    ];
    let title = viewer.language.title(Title::SignOutQuestion);
    let text = viewer.language.sentence(Sentence::SignOut);
    Page { status: StatusCode::OK, title, text, links: &links, code: None }.respond(&viewer)
}
