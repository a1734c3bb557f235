//! `GET me`: who is signed in, for how long, and where to sign out. Never a token.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Map, Value};

use super::request::Request;
use super::slide::slide;
use crate::state::AppState;
use crate::web::{Error, header_text};

/// Claims that speak of one token's making, not of the person.
const TOKEN_ONLY_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// The claims, `session_expires_in` (seconds) and `logout_url`. `?slide=false` doesn't extend the session.
pub(super) async fn me(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    let person = state.sessions.load_person(&ticket, request.now).await?.ok_or(Error::SessionRequired)?;

    let lifetime = state.sessions.lifetime();
    let slid = match request.query("slide").as_deref() {
        Some("false") => None,
        // Another site's page cannot read the response, but it could keep a session of the person's alive.
        _ if !is_same_origin(request) => None,
        _ => slide(&ticket, request.now, state).await,
    };
    let mut body: Map<String, Value> = person.claims.as_map().clone();
    body.retain(|name, _| !TOKEN_ONLY_CLAIMS.contains(&name.as_str()));
    let remaining = lifetime.remaining(slid.as_ref().unwrap_or(&ticket), request.now);
    let remaining = person.ends_at.map_or(remaining, |ends_at| remaining.min(ends_at.since(request.now)));
    body.insert("session_expires_in".to_owned(), remaining.as_secs().into());
    let logout_url = format!("{}?sid={}", state.path("signout"), ticket.sid.sign_out_token());
    body.insert("logout_url".to_owned(), logout_url.into());

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    // No page of another origin loads the claims into its process (Fetch 3.7), whatever it embeds them as.
    response.insert_header(("Cross-Origin-Resource-Policy", "same-origin"));
    if let Some(slid) = slid {
        response.insert_header((header::SET_COOKIE, state.session_cookie.set(&slid)));
    }
    Ok(response.json(body))
}

/// False for a request that a page of another origin makes (Fetch Metadata 2.3); a sibling subdomain is another.
fn is_same_origin(request: &Request<'_>) -> bool {
    header_text(request.http, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}
