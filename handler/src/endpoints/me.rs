//! `GET me`: the signed-in person's claims, the remaining time and the sign-out URL. Never a token.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Map, Value};

use super::request::Request;
use super::slide::slide;
use crate::state::AppState;
use crate::web::{Error, header_text};

/// Claims about a single token, not about the person.
const TOKEN_ONLY_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// The claims, `session_expires_in` (seconds) and `logout_url`. `?slide=false` doesn't extend the session.
pub(super) async fn me(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    let person = state.sessions.load_person(&ticket, request.now).await?.ok_or(Error::SessionRequired)?;

    let lifetime = state.sessions.lifetime();
    let slid = match request.query("slide").as_deref() {
        Some("false") => None,
        // Another site cannot read the response, but its requests could keep the session alive.
        _ if !is_same_origin(request) => None,
        _ => slide(&ticket, request.now, state).await,
    };
    let mut body: Map<String, Value> = person.claims.as_map().clone();
    body.retain(|name, _| !TOKEN_ONLY_CLAIMS.contains(&name.as_str()));
    let remaining = lifetime.remaining(slid.as_ref().unwrap_or(&ticket), request.now);
    let remaining = person.ends_at.map_or(remaining, |ends_at| remaining.min(ends_at.since(request.now)));
    body.insert("session_expires_in".to_owned(), remaining.as_secs().into());
    let logout_url = format!("{}?token={}", state.path("signout"), ticket.id.sign_out_token());
    body.insert("logout_url".to_owned(), logout_url.into());

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    // Fetch 3.7: no page of another origin gets the claims into its process, however it embeds this URL.
    response.insert_header(("Cross-Origin-Resource-Policy", "same-origin"));
    if let Some(slid) = slid {
        response.insert_header((header::SET_COOKIE, state.session_cookie.set(&slid)));
    }
    Ok(response.json(body))
}

/// False for a request from a page of another origin (Fetch Metadata 2.3); a sibling subdomain is another origin.
fn is_same_origin(request: &Request<'_>) -> bool {
    header_text(request.http, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}
