//! `/authorize` and `/end_session`: the two endpoints that a browser visits.
//!
//! An unknown client or `redirect_uri` gets a page, never a redirect (RFC 6749 section 4.1.2.1).

use actix_web::web::{Data, Form, Query};
use actix_web::{HttpRequest, HttpResponse, http::header};
use issuing::{CodeBinding, Expired};
use oauth_proxy::clock::Timestamp;
use serde::Deserialize;
use url::Url;

use super::store::{Approval, Login, authenticate};
use super::{COOKIE, Provider, pages};
use crate::cookies::{cookie, delete_cookie, set_cookie};
use crate::part::Part;

/// An authorization request (OIDC Core 3.1.2.1, RFC 7636 section 4.3).
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct AuthorizationRequest {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    prompt: Option<String>,
    max_age: Option<u64>,
    login_hint: Option<String>,
    response_mode: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// Reason why a request gets no code, by the party that is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Shown to the person: there is nowhere safe to send them.
    Page(&'static str),
    /// Sent back to the client as an `error` code with its description.
    Redirect(&'static str, &'static str),
}

/// Fields of the sign-in form.
#[derive(Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    /// Sent by the button *Cancel*.
    cancel: Option<String>,
}

/// Responds at once when the person is signed in here already, else shows the sign-in form.
pub(super) async fn authorize(
    req: HttpRequest,
    query: Query<AuthorizationRequest>,
    provider: Data<Provider>,
) -> HttpResponse {
    if let Err(refusal) = check(&query, &provider) {
        return refuse(&query, &refusal, &provider);
    }
    provider.story.note(
        Part::Handler,
        "redirect",
        "sends your browser to the Provider with state, nonce and PKCE challenge",
    );
    let now = provider.now();
    let login = cookie(&req, COOKIE).and_then(|cookie| provider.store.login(cookie));
    if let Some(login) = login.filter(|login| query.accepts(*login, now)) {
        return respond_with_code(&query, login, &provider, now);
    }
    if query.has_prompt("none") {
        return refuse(&query, &Refusal::Redirect("login_required", "nobody is signed in here"), &provider);
    }
    provider.story.record(Part::Provider, "form", "asks who you are");
    pages::sign_in(req.query_string(), query.login_hint.as_deref().unwrap_or(""), None)
}

/// Checks the form, remembers the person and sends the code.
pub(super) async fn sign_in(
    req: HttpRequest,
    query: Query<AuthorizationRequest>,
    form: Form<Credentials>,
    provider: Data<Provider>,
) -> HttpResponse {
    if let Err(refusal) = check(&query, &provider) {
        return refuse(&query, &refusal, &provider);
    }
    if form.cancel.is_some() {
        provider.story.record(Part::Provider, "cancelled", "sends your browser back with access_denied");
        return refuse(&query, &Refusal::Redirect("access_denied", "the person pressed Cancel"), &provider);
    }
    let Some(user) = authenticate(&form.username, &form.password) else {
        provider.print_event("a name and a password that do not match");
        return pages::sign_in(req.query_string(), &form.username, Some("That name and password do not match."));
    };
    let now = provider.now();
    let login = Login { user, auth_time: now };
    provider.print_event(&format!("{} signs in", user.username));
    let cookie = set_cookie(COOKIE, &provider.store.begin_login(login));
    let mut response = respond_with_code(&query, login, &provider, now);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

impl AuthorizationRequest {
    fn has_prompt(&self, value: &str) -> bool {
        self.prompt.as_deref().unwrap_or("").split(' ').any(|prompt| prompt == value)
    }

    /// OIDC Core 3.1.2.1: `prompt=login` and `max_age` ask for a fresh sign-in.
    fn accepts(&self, login: Login, now: Timestamp) -> bool {
        let is_recent = self.max_age.is_none_or(|seconds| now.since(login.auth_time).as_secs() <= seconds);
        is_recent && !self.has_prompt("login")
    }
}

/// Accepts a request or says which rule it breaks.
pub(super) fn check(request: &AuthorizationRequest, provider: &Provider) -> Result<(), Refusal> {
    if request.client_id != provider.client.id {
        return Err(Refusal::Page("This application is not known here."));
    }
    // RFC 9700 section 2.1: exact string comparison.
    if request.redirect_uri != provider.client.redirect_uri {
        return Err(Refusal::Page("The address to return to is not registered for this application."));
    }
    if request.response_type != "code" {
        return Err(Refusal::Redirect("unsupported_response_type", "only response_type=code is offered"));
    }
    if !request.scope.split(' ').any(|scope| scope == "openid") {
        return Err(Refusal::Redirect("invalid_scope", "the scope openid is missing"));
    }
    // RFC 9700 section 2.1.1: PKCE is required, and `plain` is no protection.
    if request.code_challenge.is_none() || request.code_challenge_method.as_deref() != Some("S256") {
        return Err(Refusal::Redirect("invalid_request", "a code_challenge with S256 is required"));
    }
    Ok(())
}

fn respond_with_code(
    request: &AuthorizationRequest,
    login: Login,
    provider: &Provider,
    now: Timestamp,
) -> HttpResponse {
    let binding = CodeBinding {
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone().unwrap_or_default(),
    };
    let text = format!("sends your browser back with a one-time code for {}", login.user.username);
    provider.story.record(Part::Provider, "code", &text);
    let approval = Approval { login, scope: request.scope.clone(), nonce: request.nonce.clone() };
    let code = provider.store.grants.issue_code(approval, binding, now.as_unix());
    respond(request, &[("code", code.as_str())], provider)
}

fn refuse(request: &AuthorizationRequest, refusal: &Refusal, provider: &Provider) -> HttpResponse {
    match refusal {
        Refusal::Page(reason) => pages::refused(reason),
        Refusal::Redirect(error, description) => {
            provider.print_event(&format!("refuses a sign-in request: {error}, {description}"));
            respond(request, &[("error", error), ("error_description", description)], provider)
        }
    }
}

/// Sends the response by `query` or by `form_post`, always with `iss` (RFC 9207 section 2).
fn respond(request: &AuthorizationRequest, parameters: &[(&str, &str)], provider: &Provider) -> HttpResponse {
    let mut parameters = parameters.to_vec();
    parameters.push(("iss", &provider.issuer));
    if let Some(state) = &request.state {
        parameters.push(("state", state));
    }
    if request.response_mode.as_deref() == Some("form_post") {
        return pages::form_post(&request.redirect_uri, &parameters);
    }
    redirect(&request.redirect_uri, &parameters)
}

fn redirect(address: &str, parameters: &[(&str, &str)]) -> HttpResponse {
    let Ok(mut url) = Url::parse(address) else {
        return pages::refused("The address to return to cannot be read.");
    };
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, url.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// A logout request (RP-Initiated Logout 1.0 section 2).
#[derive(Debug, Deserialize)]
pub(super) struct LogoutRequest {
    id_token_hint: Option<String>,
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// Signs the person out, or asks first when nothing proves that the client sent them.
pub(super) async fn end_session(
    req: HttpRequest,
    query: Query<LogoutRequest>,
    provider: Data<Provider>,
) -> HttpResponse {
    let hint = query.id_token_hint.as_deref();
    let is_proved = hint.is_some_and(|token| provider.keys.verify("JWT", token, Expired::Accepted).is_some());
    if !is_proved && cookie(&req, COOKIE).is_some() {
        return pages::confirm_sign_out(req.query_string());
    }
    end(&req, &query, &provider)
}

/// Signs the person out after they pressed the button.
pub(super) async fn end_session_confirmed(
    req: HttpRequest,
    query: Query<LogoutRequest>,
    provider: Data<Provider>,
) -> HttpResponse {
    end(&req, &query, &provider)
}

fn end(req: &HttpRequest, logout: &LogoutRequest, provider: &Provider) -> HttpResponse {
    let registered = provider.client.post_logout_redirect_uri.as_str();
    let target = logout.post_logout_redirect_uri.as_deref();
    // RP-Initiated Logout 1.0 section 3: never to an address that was not registered.
    if target.is_some_and(|target| target != registered) {
        return pages::refused("The address to return to after signing out is not registered.");
    }
    match cookie(req, COOKIE).and_then(|cookie| provider.store.end_login(cookie)) {
        Some(login) => {
            let text = format!("end_session: {} is signed out here too", login.user.username);
            provider.story.record(Part::Provider, "sign-out", &text);
        }
        None => provider.print_event("end_session: nobody was signed in"),
    }
    let state: Vec<_> = logout.state.iter().map(|state| ("state", state.as_str())).collect();
    let mut response = target.map_or_else(pages::signed_out, |target| redirect(target, &state));
    response.headers_mut().append(header::SET_COOKIE, delete_cookie(COOKIE));
    response
}

#[cfg(test)]
mod tests;
