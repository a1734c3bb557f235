//! `POST /notes`: a form as it was always done. Post, redirect, get; the message waits in a cookie.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Form;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::cookies::{cookie, delete_cookie, set_cookie};

const COOKIE: &str = "ledger-flash";

/// More than this is cut: browsers drop a cookie beyond 4 KB.
const MAX_LENGTH: usize = 200;

/// Fields of the form.
#[derive(Deserialize)]
pub(super) struct Note {
    text: String,
}

/// Takes a note and leads back (RFC 9110 section 15.4.4).
pub(super) async fn leave_note(note: Form<Note>) -> HttpResponse {
    let text: String = note.text.trim().chars().take(MAX_LENGTH).collect();
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/"))
        .insert_header((header::SET_COOKIE, set_cookie(COOKIE, &URL_SAFE_NO_PAD.encode(text))))
        .finish()
}

/// The note that waits to be shown, and the cookie that takes it away.
pub(super) fn take_note(req: &HttpRequest) -> Option<(String, HeaderValue)> {
    let text = URL_SAFE_NO_PAD.decode(cookie(req, COOKIE)?).ok()?;
    Some((String::from_utf8(text).ok()?, delete_cookie(COOKIE)))
}
