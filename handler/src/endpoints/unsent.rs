//! Navigations to a session route that cannot be forwarded yet: the person must not lose the form.
//!
//! A form of our own origin is sealed into the error page. A form of another site, where the route allows it, is sent
//! again from a page of this origin, so that the browser adds its `SameSite=Lax` cookies. Nothing is stored here.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, Payload};
use tokio::time::timeout;

use super::request::Request;
use crate::proxy::{ForwardError, Route, is_safe};
use crate::state::AppState;
use crate::web::{
    Error, FormError, FormFields, KeptForm, Label, Link, MAX_KEPT_FORM, MAX_POSTED_FORM, NotKept, Page, Sender,
    Sentence, Title, Unsent, allow_framing_by_self, check_csrf, form_type, header_text, is_framed, is_from_elsewhere,
    is_navigation,
};

/// True for a form from another site that the route accepts.
pub(super) fn is_allowed_cross_site(request: &Request<'_>, route: &Route, state: &AppState) -> bool {
    is_form(request) && state.routes.allows_cross_site(request.target.path(), route)
}

/// Response to a navigation that failed with `error`.
pub(super) async fn hold_up(
    error: Error,
    request: &Request<'_>,
    payload: Payload,
    route: &Route,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    if !is_unsafe_navigation(request) || matches!(error, Error::Csrf(_) | Error::AccessDenied(_)) {
        return Err(error);
    }
    let is_foreign = is_from_elsewhere(request.http, &state.public_origin);
    if matches!(error, Error::SessionRequired) && is_foreign && is_allowed_cross_site(request, route, state) {
        return send_from_here(request, payload, state).await;
    }
    let kept = keep(&error, request, payload, state).await;
    Err(Box::new(Unsent { error, kept }).into())
}

/// Page that resends another site's form. It arrives from this origin then, so there is no loop.
async fn send_from_here(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<HttpResponse, Error> {
    let content_type = form_type(request.http).unwrap_or_default();
    let body = state.forms.read(request.http, payload, MAX_POSTED_FORM).await?;
    let fields = FormFields::parse(content_type, &body)?;
    let language = request.viewer(state).language;
    let page = SendingPage {
        title: language.title(Title::ToApplication),
        text: language.sentence(Sentence::ToApplication),
        label: language.label(Label::Continue),
        sender: Sender::Page,
    };
    Ok(page.respond(&fields, request.target.as_str(), request, state))
}

/// Response to a form that the application refused with `error`, a challenge; `body` is the form, if it was kept aside.
pub(super) async fn hold_up_sent(
    error: Error,
    body: Option<Bytes>,
    request: &Request<'_>,
    state: &AppState,
) -> Result<HttpResponse, Error> {
    if !is_unsafe_navigation(request) {
        return Err(error);
    }
    let kept = match kept_type(request, state) {
        Ok(content_type) => match body {
            Some(body) => seal(&error, content_type, &body, request, state).await,
            None => Err(NotKept::TooLarge),
        },
        Err(reason) => Err(reason),
    };
    Err(Box::new(Unsent { error, kept }).into())
}

/// The body of a form that the application may refuse, read before it is sent; `None` for any other request, which is
/// streamed. Only a small form that says its length is read, and only while few others are.
///
/// # Errors
/// If the form does not arrive, as when it is streamed.
pub(super) async fn kept_aside(
    request: &Request<'_>,
    payload: &mut Option<Payload>,
    state: &AppState,
) -> Result<Option<Bytes>, Error> {
    let declared = header_text(request.http, header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let is_small = declared.is_some_and(|length| length <= MAX_KEPT_FORM);
    let is_chunked = request.http.headers().contains_key(header::TRANSFER_ENCODING);
    if !is_small || is_chunked || kept_type(request, state).is_err() {
        return Ok(None);
    }
    let Some(_permit) = state.forms.permit_aside() else { return Ok(None) };
    let Some(payload) = payload.take() else { return Ok(None) };
    let read = timeout(state.limits.body_timeout, payload.to_bytes_limited(MAX_KEPT_FORM)).await;
    let read = read.map_err(|_| ForwardError::ClientStalled)?;
    let body = read.map_err(|_| FormError::TooLarge)?;
    Ok(Some(body.map_err(|_| ForwardError::BadRequest("the request body ended early"))?))
}

/// Content type of a form of our own origin that a page can keep. A form from elsewhere is refused: it would become one of
/// our own.
fn kept_type<'a>(request: &'a Request<'_>, state: &AppState) -> Result<&'a str, NotKept> {
    check_csrf(request.http.method(), request.http.headers(), &state.public_origin).map_err(|_| NotKept::CrossSite)?;
    let content_type = form_type(request.http).filter(|_| is_form(request)).ok_or(NotKept::Other)?;
    if request.target.as_str().len() + content_type.len() > MAX_KEPT_HEAD {
        return Err(NotKept::TooLarge);
    }
    Ok(content_type)
}

async fn keep(error: &Error, request: &Request<'_>, payload: Payload, state: &AppState) -> Result<String, NotKept> {
    let content_type = kept_type(request, state)?;
    let body = state.forms.read(request.http, payload, MAX_KEPT_FORM).await?;
    seal(error, content_type, &body, request, state).await
}

/// Seals a form for the page that keeps it.
async fn seal(
    error: &Error,
    content_type: &str,
    body: &Bytes,
    request: &Request<'_>,
    state: &AppState,
) -> Result<String, NotKept> {
    FormFields::parse(content_type, body)?;
    let ticket = state.session_cookie.read(request.http).await.ok().flatten();
    let person = match &ticket {
        // For other errors the session stays as it is: its key is enough.
        Some(ticket) if error.needs_sign_in() => state.sessions.past_person(ticket, request.now).await.ok().flatten(),
        _ => None,
    };
    let form = KeptForm {
        target: request.target.as_str().to_owned(),
        content_type: content_type.to_owned(),
        body: body.to_vec(),
        session: ticket.map(|ticket| ticket.id.key()),
        person,
        kept_at: request.now,
    };
    state.kept_forms.seal(&form).ok_or(NotKept::Other)
}

/// Maximum bytes of target and `Content-Type` in a kept form, beside the body.
const MAX_KEPT_HEAD: usize = 16 * 1024;

/// True for a navigation that may lose what a person entered.
fn is_unsafe_navigation(request: &Request<'_>) -> bool {
    !is_safe(request.http.method()) && is_navigation(request.http)
}

fn is_form(request: &Request<'_>) -> bool {
    let is_post = *request.http.method() == Method::POST;
    is_post && is_navigation(request.http) && form_type(request.http).is_some()
}

/// Page that sends a form to the application.
pub(super) struct SendingPage<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) label: &'a str,
    pub(super) sender: Sender,
}

impl SendingPage<'_> {
    /// Renders the page for these fields. The form goes to the public origin: the page may have another host name of
    /// this site, where the cookies are not.
    pub(super) fn respond(
        &self,
        fields: &FormFields,
        target: &str,
        request: &Request<'_>,
        state: &AppState,
    ) -> HttpResponse {
        let action = state.public_origin.url(target);
        let send = Link::SendFields { action: &action, label: self.label, fields, sender: self.sender };
        let page = Page { status: StatusCode::OK, title: self.title, text: self.text, links: &[send], code: None };
        let mut response = page.respond(&request.viewer(state));
        if is_framed(request.http) {
            allow_framing_by_self(&mut response); // the form was sent from a frame of the application
        }
        response
    }
}
