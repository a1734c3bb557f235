//! Page in a frame whose content needs a sign-in: a link that opens it in the whole window.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::challenge::challenge;
use super::framing::allow_framing_by_self;
use super::{Error, Label, Link, Page, Sentence, Title, Viewer, header_text};

/// The page, with a link to `signin`. Pages of this site may frame it.
#[must_use]
pub fn sign_in_at_top(req: &HttpRequest, signin: &str, viewer: &Viewer<'_>) -> HttpResponse {
    // HTML 4.8.7: an `object` shows no response with an error status.
    let is_object = header_text(req, "sec-fetch-dest") == Some("object");
    let page = Page {
        status: if is_object { StatusCode::OK } else { StatusCode::UNAUTHORIZED },
        title: viewer.language.title(Title::SignInToSee),
        text: viewer.language.sentence(Sentence::SignInToSee),
        links: &[Link::Top { href: signin, label: viewer.label(Label::SignIn) }],
        code: Some(Error::SessionRequired.code()),
    };
    let mut response = page.respond(viewer);
    allow_framing_by_self(&mut response);
    challenge(&Error::SessionRequired, &mut response);
    response
}
