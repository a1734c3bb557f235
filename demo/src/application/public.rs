//! `GET /public`: what anyone may see. The handler lets it pass without a session (`access: anonymous`).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use oauth_proxy::web::escape;

use super::received::received;
use crate::page::{fill, page};
use crate::part::Part;

/// The page for everyone, with the headers that came: none of them is about a person.
pub(super) async fn public(req: HttpRequest) -> HttpResponse {
    let body = fill(include_str!("public.html"), &[("received", &received(&req))]);
    page(StatusCode::OK, Part::Application, "Open to everyone", &body)
}

/// A form that can't be read.
pub(super) fn unreadable(reason: &str) -> actix_web::Error {
    let body = format!(
        r#"<main class="narrow"><p class="eyebrow">Harbour Ledger</p><h1>This form cannot be read</h1>
<p>{}. <a href="/">Back to the ledger</a></p></main>"#,
        escape(reason)
    );
    let response = page(StatusCode::BAD_REQUEST, Part::Application, "This form cannot be read", &body);
    actix_web::error::InternalError::from_response(reason.to_owned(), response).into()
}

/// A path that the application doesn't have.
pub(super) async fn not_found() -> HttpResponse {
    let body = r#"<main class="narrow"><p class="eyebrow">Harbour Ledger</p><h1>No such page</h1>
<p>This 404 is the application's own; the handler passed it on. <a href="/">Back to the ledger</a></p></main>"#;
    page(StatusCode::NOT_FOUND, Part::Application, "No such page", body)
}
