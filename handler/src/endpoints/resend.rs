//! `POST resend`: resubmits a form that arrived without a session, after its person has signed in. `GET resend`: end of
//! the sign-in in another tab.
//!
//! The form arrives sealed and goes back to the browser, which sends it to the application. A session never sends
//! another person's form without asking.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;

use super::request::{Request, pairs};
use super::unsent::SendingPage;
use crate::oidc::Claims;
use crate::state::AppState;
use crate::web::{
    Error, FormError, FormFields, KeptForm, Label, Link, MAX_POSTED_FORM, Page, Sender, Sentence, Title, Unsent,
    check_csrf,
};

/// Opens the form and lets its person send it; after every error the page still has it.
pub(super) async fn resend(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<HttpResponse, Error> {
    if *request.http.method() != Method::POST {
        return signed_in(request, state).await;
    }
    check_csrf(request.http.method(), request.http.headers(), &state.public_origin)?;
    let sealed = sealed_form(request, payload, state).await?;
    let form = state.kept_forms.open(&sealed, request.now).await?.ok_or(Error::KeptFormInvalid)?;
    let fields = FormFields::parse(&form.content_type, &form.body).map_err(|_| Error::KeptFormInvalid)?;
    let language = request.viewer(state).language;
    match owner(&form, request, state).await {
        Ok(Owner::Same) => {
            let page = SendingPage {
                title: language.title(Title::SendingForm),
                text: language.sentence(Sentence::SendingForm),
                label: language.label(Label::Continue),
                sender: Sender::Page,
            };
            Ok(page.respond(&fields, &form.target, request, state))
        }
        Ok(Owner::Unknown { signed_in }) => {
            let text = language.sentence(Sentence::SendForm).replace("{person}", &signed_in);
            let label = language.label(Label::SendAs).replace("{person}", &signed_in);
            let title = language.title(Title::SendFormQuestion);
            let page = SendingPage { title, text: &text, label: &label, sender: Sender::Person };
            Ok(page.respond(&fields, &form.target, request, state))
        }
        Err(error) => Err(Box::new(Unsent { error, kept: Ok(sealed) }).into()),
    }
}

/// Owner of a form, compared with the session that would send it.
enum Owner {
    /// The signed-in person.
    Same,
    /// Not known: no cookie came with the form, or the record of its session is gone.
    Unknown { signed_in: String },
}

/// Compares the signed-in person with the person of the form's session.
///
/// # Errors
/// If nobody is signed in, somebody else is, or the store cannot be read now.
async fn owner(form: &KeptForm, request: &Request<'_>, state: &AppState) -> Result<Owner, Error> {
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    let person = state.sessions.load_person(&ticket, request.now).await?.ok_or(Error::SessionRequired)?;
    if form.session.as_ref() == Some(&ticket.id.key()) {
        return Ok(Owner::Same);
    }
    match &form.person {
        Some(owner) if *owner == state.sessions.subject(person.claims.subject()) => Ok(Owner::Same),
        Some(_) => Err(Error::FormOfAnotherPerson),
        None => Ok(Owner::Unknown { signed_in: name(&person.claims) }),
    }
}

/// Display name of a person.
fn name(claims: &Claims) -> String {
    let names = ["name", "preferred_username", "email", "sub"];
    let name = names.iter().find_map(|name| claims.text(name).filter(|name| !name.trim().is_empty()));
    name.unwrap_or_default().to_owned()
}

async fn sealed_form(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<String, Error> {
    let body = state.forms.read(request.http, payload, MAX_POSTED_FORM).await.map_err(|error| match error {
        FormError::TooLarge => Error::KeptFormInvalid,
        error => error.into(),
    })?;
    let pairs = std::str::from_utf8(&body).map(pairs).unwrap_or_default();
    pairs.into_iter().find_map(|(name, value)| (name == "form").then_some(value)).ok_or(Error::KeptFormInvalid)
}

/// Final page of a sign-in in another tab; the form waits in the first tab.
async fn signed_in(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    state.sessions.load(&ticket, request.now).await?.ok_or(Error::SessionRequired)?;
    let viewer = request.viewer(state);
    let links = [Link::To { href: "/", label: viewer.label(Label::StartPage) }];
    let title = viewer.language.title(Title::SignedIn);
    let text = viewer.language.sentence(Sentence::SignedInElsewhere);
    Ok(Page { status: StatusCode::OK, title, text, links: &links, code: None }.respond(&viewer))
}
