//! An old-fashioned form: POST, redirect, GET, and a message in a cookie that is shown once.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Form;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// The cookie with the message.
pub(super) const FLASH: &str = "legacy-flash";

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Note {
    note: String,
}

/// Takes the note, and goes back to the page.
pub(super) async fn form(form: Form<Note>) -> HttpResponse {
    let note: String = form.note.chars().take(200).collect();
    let cookie = format!("{FLASH}={}; Path=/; SameSite=Lax", utf8_percent_encode(&note, NON_ALPHANUMERIC));
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/#form"))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}
