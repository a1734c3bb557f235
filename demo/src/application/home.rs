//! `GET /`: the application's one page. It greets whom the headers name, counts visits, and shows what it got.

use std::fmt::Write;

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use oauth_proxy::clock::{Clock, SystemClock};
use oauth_proxy::web::escape;

use super::Addresses;
use super::flash::take_note;
use super::identity::{AccessToken, person};
use super::received::received;
use crate::cookies::{cookie, set_cookie};
use crate::inspector;
use crate::page::{fill, page};
use crate::part::Part;
use crate::story::Story;

const VISITS: &str = "ledger-visits";

/// The page for the person whom the headers name, or for someone who came past the handler.
pub(super) async fn home(req: HttpRequest, addresses: Data<Addresses>, story: Data<Story>) -> HttpResponse {
    let visits = cookie(&req, VISITS).and_then(|value| value.parse::<u32>().ok()).unwrap_or(0).saturating_add(1);
    let note = take_note(&req);
    let (greeting, account) = match person(&req) {
        Some(name) => {
            story.note(Part::Application, "request", &format!("serves the page to {name}: a header says who it is"));
            signed_in(name)
        }
        None => (include_str!("stranger.html").to_owned(), String::new()),
    };
    let body = fill(
        include_str!("home.html"),
        &[
            ("greeting", &fill(&greeting, &[("handler", &escape(&addresses.handler))])),
            ("account", &account),
            ("visits", &visits.to_string()),
            ("note", &note.as_ref().map(|(text, _)| shown_note(text)).unwrap_or_default()),
            ("handler", &host(&addresses.handler)),
            ("provider", &host(&addresses.provider)),
            ("application", &host(&addresses.application)),
            ("received", &received(&req)),
            ("token", &AccessToken::of(&req).map(|token| shown_token(&token)).unwrap_or_default()),
            ("behind", &behind(&addresses, &story)),
            ("inspector", addresses.inspector.as_deref().unwrap_or_default()),
            ("script", concat!(include_str!("home.js"), include_str!("../inspector/live.js"))),
        ],
    );
    let mut response = page(StatusCode::OK, Part::Application, "Harbour Ledger", &body);
    let cookies = [Some(set_cookie(VISITS, &visits.to_string())), note.map(|(_, delete)| delete)];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The strip of events and everything to press, where there is an inspector.
fn behind(addresses: &Addresses, story: &Story) -> String {
    let Some(inspector) = &addresses.inspector else { return String::new() };
    fill(include_str!("behind.html"), &[("story", &story.html()), ("cards", &inspector::cards(inspector))])
}

fn signed_in(name: &str) -> (String, String) {
    let name = escape(name);
    let greeting = format!(
        "<h1>Hello, {name}</h1>\n<p class=\"lead\">There is no sign-in code in this application. Your name came in a \
         header, and a fresh access token comes with every request.</p>"
    );
    let account = format!(
        "<span class=\"person\">{name}</span>\n\
         <form method=\"post\" action=\"/oauth/signout\"><button class=\"plain\">Sign out</button></form>"
    );
    (greeting, account)
}

fn shown_note(text: &str) -> String {
    format!(r#"<p class="note" role="status">Noted: <q>{}</q></p>"#, escape(text))
}

fn shown_token(token: &AccessToken) -> String {
    let (left, lifetime) = (token.seconds_left(SystemClock.now()).to_string(), token.lifetime().to_string());
    let mut claims = String::new();
    for (name, value) in token.claims() {
        let _ =
            write!(claims, r#"<tr><th scope="row">{name}</th><td data-claim="{name}">{}</td></tr>"#, escape(&value));
    }
    fill(
        include_str!("token.html"),
        &[("left", &left), ("lifetime", &lifetime), ("refreshed", &token.refreshed().to_string()), ("claims", &claims)],
    )
}

/// An address without its scheme, as people say it.
fn host(url: &str) -> String {
    escape(url.trim_start_matches("http://"))
}
