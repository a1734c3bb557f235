//! `GET` or `POST callback`: receives the authorization response and starts a session.
//!
//! `POST` is OAuth 2.0 Form Post Response Mode: it comes from the Provider's page, so `state` protects it, not
//! `Origin`.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Payload;

use super::redirect::see_other;
use super::request::{Request, form, return_url};
use crate::oidc::{AuthorizationResponse, OAuthError, OAuthErrorFields};
use crate::return_url::ReturnUrl;
use crate::sessions::{IndexKey, SessionTicket, SignInError};
use crate::state::AppState;
use crate::telemetry::metrics;
use crate::web::Error;

/// Checks the response, exchanges the code, starts the session and redirects to the return URL.
pub(super) async fn callback(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<HttpResponse, Error> {
    let response = AuthorizationResponse::parse(&parameters(request, payload, state).await?)?;
    let state_parameter = response.state().to_owned();
    let Some(remembered) = state.login_cookies.find(request.http, &state_parameter).await? else {
        return login_unknown(request, state).await;
    };
    let replaced = remembered.replaces();
    let pending = remembered.pending;
    let return_url = return_url(Some(pending.return_url()), state)?.unwrap_or_else(ReturnUrl::root);
    if *request.http.method() == Method::HEAD {
        return Ok(see_other(&state.public_origin.location(return_url.as_str()), [])); // RFC 9110 9.2.1: spends no code
    }

    let signed_in = state.sessions.sign_in(response, pending, state.relying_party.clone()).await;
    let ticket = match signed_in {
        Ok(ticket) => ticket,
        Err(SignInError::Used) if is_signed_in(request, state).await? => {
            let location = state.public_origin.location(return_url.as_str());
            return Ok(see_other(&location, state.login_cookies.forget(request.http, &state_parameter)));
        }
        Err(error) => {
            let error = Error::SignIn { error, return_url };
            let OAuthErrorFields { error: provider_error, suberror, error_codes, trace_id, correlation_id } =
                OAuthError::fields(error.oauth_error());
            tracing::warn!(target: "audit", event = "sign_in_failed", request.id = request.id.as_str(),
                code = error.code(), provider.error = provider_error, provider.suberror = suberror,
                provider.error_codes = error_codes, provider.trace_id = trace_id,
                provider.correlation_id = correlation_id, "sign-in failed");
            metrics::sign_in(error.code());
            return Err(error);
        }
    };
    let person = person(&ticket, request, state).await;
    end_older_session(request, replaced, &ticket, person.as_ref(), state).await;
    tracing::info!(target: "audit", event = "signed_in", session.key = ticket.id.key().as_str(),
        request.id = request.id.as_str(), "person signed in");
    metrics::sign_in("ok");
    let forgotten = state.login_cookies.forget(request.http, &state_parameter);
    let rounds = state.sign_in_rounds.read(request.http).finish(return_url.path(), request.now);
    let cookies = [state.session_cookie.set(&ticket), state.sign_in_rounds.set(rounds)].into_iter().chain(forgotten);
    let mut response = see_other(&state.public_origin.location(return_url.as_str()), cookies);
    state.browser_data.begin(person.as_ref(), request.http, response.headers_mut()).await;
    Ok(response)
}

/// Index key of the person who just signed in; `None` if the store fails, which must not fail the sign-in.
async fn person(ticket: &SessionTicket, request: &Request<'_>, state: &AppState) -> Option<IndexKey> {
    let person = state.sessions.load_person(ticket, request.now).await.ok().flatten()?;
    Some(state.sessions.subject(person.claims.subject()))
}

/// Ends the browser's previous session, found by its cookie or by the sign-in that replaces it.
async fn end_older_session(
    request: &Request<'_>,
    replaced: Option<SessionTicket>,
    ticket: &SessionTicket,
    person: Option<&IndexKey>,
    state: &AppState,
) {
    // An unreadable old cookie is ignored.
    let older = state.session_cookie.read(request.http).await.ok().flatten().or(replaced);
    let Some(older) = older.filter(|older| older.id != ticket.id) else { return };
    // The old session ends; on failure it expires by itself.
    if let Err(error) = state.sessions.end_replaced(&older, person, &state.relying_party, request.now).await {
        tracing::warn!(session.key = older.id.key().as_str(), %error, "older session not ended");
    }
}

/// Redirects a signed-in person who went back to a finished callback; everyone else gets the error.
async fn login_unknown(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    if is_signed_in(request, state).await? {
        return Ok(see_other("/", []));
    }
    metrics::sign_in(Error::LoginUnknown.code());
    Err(Error::LoginUnknown)
}

/// True if the request's cookie belongs to a live session.
pub(super) async fn is_signed_in(request: &Request<'_>, state: &AppState) -> Result<bool, Error> {
    let Some(ticket) = state.session_cookie.read(request.http).await? else { return Ok(false) };
    Ok(state.sessions.load(&ticket, request.now).await?.is_some())
}

async fn parameters(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<String, Error> {
    if matches!(*request.http.method(), Method::GET | Method::HEAD) {
        return Ok(request.target.query().unwrap_or_default().to_owned());
    }
    form(request, payload, state).await
}
