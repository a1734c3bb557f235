//! A failure as a problem document (RFC 9457), for everyone who isn't a person in a browser.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::error::Telling;
use super::{Error, RequestId};

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
}

/// The document, with the URL that begins a sign-in when that is what is missing.
pub(super) fn problem(error: &Error, login_url: Option<&str>, request_id: &RequestId) -> HttpResponse {
    let Telling { status, title, detail } = error.telling();
    let document = Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
        code: error.code(),
        request_id: request_id.as_str(),
        login_url,
    };
    let body = serde_json::to_vec(&document).expect("a problem document is plain data");
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}
