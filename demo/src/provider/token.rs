//! `/token`, `/revoke` and `/userinfo`: the endpoints that the handler calls, never a browser.
//!
//! Errors are those of RFC 6749 section 5.2; which check failed is not told.

use std::time::Duration;

use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse, http::header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use issuing::{Expired, Grant, at_hash, is_same_secret};
use oauth_proxy::clock::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Provider;
use super::store::{Approval, USERS};
use crate::part::Part;

/// Short, so that a refresh is seen within a minute.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// A token or revocation request (RFC 6749 sections 4.1.3 and 6, RFC 7009 section 2.1).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenRequest {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
    refresh_token: String,
    token: String,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// Error of a token request (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    Server,
}

impl TokenError {
    fn code(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::Server => "server_error",
        }
    }
}

/// Exchanges a code or a refresh token.
pub(super) async fn token(req: HttpRequest, form: Form<TokenRequest>, provider: Data<Provider>) -> HttpResponse {
    match exchange(&form, authorization(&req), &provider, provider.now()) {
        Ok(tokens) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(tokens),
        Err(error) => {
            provider.print_event(&format!("refuses a token request: {}", error.code()));
            refuse(error)
        }
    }
}

/// Ends a grant (RFC 7009).
pub(super) async fn revoke(req: HttpRequest, form: Form<TokenRequest>, provider: Data<Provider>) -> HttpResponse {
    if let Err(error) = authenticate_client(&form, authorization(&req), &provider) {
        return refuse(error);
    }
    match provider.store.grants.revoke(&form.token) {
        Some(grant) => {
            let text = format!("revokes the refresh token of {}", grant.approval.login.user.username);
            provider.story.record(Part::Provider, "revocation", &text);
        }
        None => provider.print_event("revoke: the refresh token was of no use any more"),
    }
    HttpResponse::Ok().finish()
}

/// The claims about the person of an access token (OIDC Core 5.3).
pub(super) async fn userinfo(req: HttpRequest, provider: Data<Provider>) -> HttpResponse {
    let claims = authorization(&req)
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| provider.keys.verify("at+jwt", token, Expired::Refused));
    let user = claims.and_then(|claims| USERS.iter().find(|user| claims["sub"] == user.username));
    match user {
        Some(user) => HttpResponse::Ok().json(json!({
            "sub": user.username, "name": user.name, "preferred_username": user.username,
            "email": user.email, "email_verified": true,
        })),
        // RFC 6750 section 3.1
        None => HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#))
            .finish(),
    }
}

/// Responds to a token request, or returns the error of RFC 6749 5.2.
pub(super) fn exchange(
    request: &TokenRequest,
    authorization: Option<&str>,
    provider: &Provider,
    now: Timestamp,
) -> Result<Value, TokenError> {
    authenticate_client(request, authorization, provider)?;
    let grant = match request.grant_type.as_str() {
        "authorization_code" => {
            let TokenRequest { code, redirect_uri, code_verifier, .. } = request;
            provider.store.grants.redeem_code(code, redirect_uri, code_verifier, now.as_unix())
        }
        "refresh_token" => provider.store.grants.rotate(&request.refresh_token),
        _ => return Err(TokenError::UnsupportedGrantType),
    };
    let grant = grant.ok_or(TokenError::InvalidGrant)?;
    let (person, seconds) = (grant.approval.login.user.username, TOKEN_LIFETIME.as_secs());
    let (label, text) = match grant.generation {
        1 => ("tokens", format!("exchanges the code of {person}: tokens for {seconds} s")),
        generation => ("refresh", format!("refresh #{} for {person}: tokens for {seconds} s more", generation - 1)),
    };
    provider.story.record(Part::Provider, label, &text);
    issue(&grant, provider, now).map_err(|_| TokenError::Server)
}

/// `client_secret_basic` or `client_secret_post` (RFC 6749 section 2.3.1).
fn authenticate_client(
    request: &TokenRequest,
    authorization: Option<&str>,
    provider: &Provider,
) -> Result<(), TokenError> {
    let basic = authorization.and_then(|value| value.strip_prefix("Basic ")).and_then(basic_credentials);
    let posted = request.client_id.clone().zip(request.client_secret.clone());
    let (id, secret) = basic.or(posted).ok_or(TokenError::InvalidClient)?;
    let is_known = id == provider.client.id && is_same_secret(&provider.client.secret, &secret);
    is_known.then_some(()).ok_or(TokenError::InvalidClient)
}

/// Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic_credentials(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let (name, _) = url::form_urlencoded::parse(text.as_bytes()).next()?;
    Some(name.into_owned())
}

fn issue(grant: &Grant<Approval>, provider: &Provider, now: Timestamp) -> Result<Value, jsonwebtoken::errors::Error> {
    let Approval { login, scope, nonce } = &grant.approval;
    let (user, expires) = (login.user, now.plus(TOKEN_LIFETIME).as_unix());
    let access_token = provider.keys.sign(
        "at+jwt", // RFC 9068 section 2.1
        &json!({
            "iss": provider.issuer, "aud": "demo-app", "sub": user.username, "client_id": provider.client.id,
            "scope": scope, "iat": now.as_unix(), "exp": expires, "jti": Uuid::new_v4().to_string(),
            "generation": grant.generation,
        }),
    )?;
    let mut claims = json!({
        "iss": provider.issuer, "aud": provider.client.id, "sub": user.username,
        "iat": now.as_unix(), "exp": expires, "auth_time": login.auth_time.as_unix(),
        "at_hash": at_hash(&access_token), "name": user.name, "preferred_username": user.username,
        "email": user.email,
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    Ok(json!({
        "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs(), "scope": scope,
        "id_token": provider.keys.sign("JWT", &claims)?,
        "refresh_token": grant.refresh_token,
        "access_token": access_token,
    }))
}

fn refuse(error: TokenError) -> HttpResponse {
    let mut response = match error {
        TokenError::InvalidClient => HttpResponse::Unauthorized(),
        TokenError::InvalidGrant | TokenError::UnsupportedGrantType => HttpResponse::BadRequest(),
        TokenError::Server => HttpResponse::InternalServerError(),
    };
    if error == TokenError::InvalidClient {
        response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"demo\""));
    }
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "error": error.code() }))
}

fn authorization(req: &HttpRequest) -> Option<&str> {
    req.headers().get(header::AUTHORIZATION)?.to_str().ok()
}

#[cfg(test)]
pub(super) mod tests;
