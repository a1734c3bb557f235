//! The Provider's few pages. They work without a script, but for the one that posts itself.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use oauth_proxy::web::escape;

use super::store::USERS;
use crate::page::{fill, page};
use crate::part::Part;

/// `GET /`: says what this is.
pub(super) async fn home() -> HttpResponse {
    narrow(
        StatusCode::OK,
        "Demo Provider",
        "<p>This stands in for your identity provider. Open the application instead.</p>",
    )
}

/// The sign-in form; it posts to the same authorization request. A person of the demo is one press away.
pub(super) fn sign_in(query: &str, username: &str, problem: Option<&str>) -> HttpResponse {
    let action = format!("/authorize?{}", escape(query));
    let mut people = String::new();
    for user in &USERS {
        let _ = write!(
            people,
            r#"<li><form method="post" action="{action}"><input type="hidden" name="password" value="{password}">
<button name="username" value="{name}"><strong>{}</strong><code>{name} / {password}</code></button></form></li>"#,
            user.name,
            name = user.username,
            password = user.password,
        );
    }
    // The cursor waits in the first field that is empty.
    let (focus_name, focus_password) = if username.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
    let alert = problem.map_or(String::new(), |text| format!(r#"<p class="alert" role="alert">{}</p>"#, escape(text)));
    let body = fill(
        include_str!("sign_in.html"),
        &[
            ("action", &action),
            ("username", &escape(username)),
            ("focus_name", focus_name),
            ("focus_password", focus_password),
            ("alert", &alert),
            ("people", &people),
        ],
    );
    let status = if problem.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    narrow(status, "Sign in", &body)
}

/// Asks before signing out, when the request could come from anyone.
pub(super) fn confirm_sign_out(query: &str) -> HttpResponse {
    let form = format!(
        r#"<p>Do you want to sign out here?</p><form method="post" action="/end_session?{}"><button>Sign out</button></form>"#,
        escape(query)
    );
    narrow(StatusCode::OK, "Sign out", &form)
}

/// After signing out, when there is no address to return to.
pub(super) fn signed_out() -> HttpResponse {
    narrow(StatusCode::OK, "Signed out", "<p>You are signed out of the demo Provider. You can close this page.</p>")
}

/// A request that cannot be redirected back to the client.
pub(super) fn refused(reason: &str) -> HttpResponse {
    narrow(StatusCode::BAD_REQUEST, "This request was refused", &format!("<p>{}</p>", escape(reason)))
}

/// A path that the Provider doesn't have.
pub(super) async fn not_found() -> HttpResponse {
    narrow(
        StatusCode::NOT_FOUND,
        "No such page",
        "<p>The demo Provider has no page here. Open the application instead.</p>",
    )
}

/// A request whose parameters can't be read.
pub(super) fn unreadable(reason: &str) -> actix_web::Error {
    let response = refused(reason);
    actix_web::error::InternalError::from_response(reason.to_owned(), response).into()
}

/// In place of every page while the Provider is stopped.
pub(super) fn stopped(seconds: u64) -> HttpResponse {
    let text = format!(
        "<p>You stopped the demo Provider. It is back in {seconds} s; reload this page then.</p><p>Whoever is signed in \
         at the application goes on working: the handler uses the access token that is still valid.</p>"
    );
    narrow(StatusCode::SERVICE_UNAVAILABLE, "The Provider is stopped", &text)
}

/// Sends the response in a form that posts itself (OAuth 2.0 Form Post Response Mode section 2).
pub(super) fn form_post(address: &str, parameters: &[(&str, &str)]) -> HttpResponse {
    let mut form = format!(r#"<form method="post" action="{}">"#, escape(address));
    for (name, value) in parameters {
        let _ = write!(form, r#"<input type="hidden" name="{}" value="{}">"#, escape(name), escape(value));
    }
    form.push_str("<button>Continue</button></form><script>document.forms[0].submit()</script>");
    narrow(StatusCode::OK, "Signing you in", &form)
}

fn narrow(status: StatusCode, title: &str, body: &str) -> HttpResponse {
    let body =
        format!(r#"<main class="narrow"><p class="eyebrow">Demo Provider</p><h1>{}</h1>{body}</main>"#, escape(title));
    page(status, Part::Provider, title, &body)
}
