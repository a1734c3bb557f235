//! `GET signedout`: where a sign-out ends; the default `post_logout_redirect_uri`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::redirect::see_other;
use super::request::{Request, return_url};
use crate::state::AppState;
use crate::web::{Link, Page};

/// The page, or the path that the sign-out was asked to end at (it travels as `state`, and is checked again).
pub(super) fn signedout(request: &Request<'_>, state: &AppState) -> HttpResponse {
    if let Ok(Some(return_url)) = return_url(request.query("state").as_deref(), state) {
        return see_other(&state.public_origin.location(return_url.as_str()), []);
    }
    let signin = state.path("signin");
    let links = [Link::To { href: &signin, label: "Sign in again" }];
    let text = "Your session has ended. On a shared computer, close the browser too.";
    Page { status: StatusCode::OK, title: "You are signed out", text, links: &links, code: None }.respond(request.id)
}
