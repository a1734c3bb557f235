//! `GET signedout`: final page of a sign-out; the default `post_logout_redirect_uri`.
//!
//! A browser stores a page for *Back* (the back/forward cache) after the next page is shown, so after the sign-out
//! cleared the cache. This page therefore loads an image, from this URL too, whose response clears it again.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::callback::is_signed_in;
use super::redirect::see_other;
use super::request::{Request, return_url};
use crate::state::AppState;
use crate::web::{Label, Link, Page, Sentence, Title, single_header};

/// The page, or a redirect to the requested return URL (it travels as `state`, and is checked again).
pub(super) async fn signedout(request: &Request<'_>, state: &AppState) -> HttpResponse {
    if let Ok(Some(return_url)) = return_url(request.query("state").as_deref(), state) {
        return see_other(&state.public_origin.location(return_url.as_str()), []);
    }
    if is_own_image(request) {
        let mut response = HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish();
        state.browser_data.end_cache(response.headers_mut());
        return response;
    }
    if is_signed_in(request, state).await.unwrap_or(false) {
        return still_signed_in(request, state);
    }
    let signin = state.path("signin");
    let viewer = request.viewer(state);
    let links = [Link::To { href: &signin, label: viewer.label(Label::SignInAgain) }];
    let title = viewer.language.title(Title::SignedOut);
    let text = viewer.language.sentence(Sentence::SignedOut);
    let page = Page { status: StatusCode::OK, title, text, links: &links, code: None };
    if state.browser_data.has_cache() {
        page.respond_with_image(&state.path("signedout"), &viewer)
    } else {
        page.respond(&viewer)
    }
}

/// Page of a person who came here without a sign-out, or has signed in since.
fn still_signed_in(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let viewer = request.viewer(state);
    let signout = state.path("signout");
    let links = [
        Link::Post { action: &signout, label: viewer.label(Label::SignOut) },
        Link::To { href: "/", label: viewer.label(Label::StartPage) },
    ];
    let title = viewer.language.title(Title::SignedIn);
    let text = viewer.language.sentence(Sentence::StillSignedIn);
    Page { status: StatusCode::OK, title, text, links: &links, code: None }.respond(&viewer)
}

/// True for an image on a page of this site; another site must not clear anything.
fn is_own_image(request: &Request<'_>) -> bool {
    single_header(request.http, "sec-fetch-dest") == Some("image")
        && single_header(request.http, "sec-fetch-site") == Some("same-origin")
}
