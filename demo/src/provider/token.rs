//! `/token`, `/revoke` and `/userinfo`: the endpoints that the handler calls, never a browser.
//!
//! Errors are those of RFC 6749 section 5.2; which check failed is not told.

use std::time::Duration;

use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse, http::header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth_proxy::clock::Timestamp;
use oauth_proxy::random;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Provider;
use super::keys::{Expired, at_hash};
use super::store::{Grant, USERS, is_same_secret};

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

/// Why there is no token (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    Server,
}

/// Exchanges a code or a refresh token.
pub(super) async fn token(req: HttpRequest, form: Form<TokenRequest>, provider: Data<Provider>) -> HttpResponse {
    match exchange(&form, authorization(&req), &provider, provider.now()) {
        Ok(tokens) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(tokens),
        Err(error) => {
            provider.terminal.provider_was_asked(&format!("for tokens by {}, and refused: {error:?}", form.grant_type));
            refuse(error)
        }
    }
}

/// Ends a grant (RFC 7009).
pub(super) async fn revoke(req: HttpRequest, form: Form<TokenRequest>, provider: Data<Provider>) -> HttpResponse {
    if let Err(error) = authenticate_client(&form, authorization(&req), &provider) {
        return refuse(error);
    }
    provider.store.revoke(&form.token);
    provider.terminal.provider_was_asked("to revoke a refresh token");
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

/// Answers a token request, or says what is wrong with it.
pub(super) fn exchange(
    request: &TokenRequest,
    authorization: Option<&str>,
    provider: &Provider,
    now: Timestamp,
) -> Result<Value, TokenError> {
    authenticate_client(request, authorization, provider)?;
    let grant = match request.grant_type.as_str() {
        "authorization_code" => {
            provider.store.redeem_code(&request.code, &request.redirect_uri, &request.code_verifier, now)
        }
        "refresh_token" => provider.store.rotate(&request.refresh_token),
        _ => return Err(TokenError::UnsupportedGrantType),
    };
    let grant = grant.ok_or(TokenError::InvalidGrant)?;
    provider.terminal.provider_was_asked(&match grant.generation {
        1 => format!("for the tokens of {}, by code", grant.login.user.username),
        generation => format!("for newer tokens of {}, the {}. time", grant.login.user.username, generation - 1),
    });
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

fn issue(grant: &Grant, provider: &Provider, now: Timestamp) -> Result<Value, jsonwebtoken::errors::Error> {
    let (user, expires) = (grant.login.user, now.plus(TOKEN_LIFETIME).as_unix());
    let access_token = provider.keys.sign(
        "at+jwt", // RFC 9068 section 2.1
        &json!({
            "iss": provider.issuer, "aud": "demo-app", "sub": user.username, "client_id": provider.client.id,
            "scope": grant.scope, "iat": now.as_unix(), "exp": expires, "jti": random::guid_pair(),
            "generation": grant.generation,
        }),
    )?;
    let mut claims = json!({
        "iss": provider.issuer, "aud": provider.client.id, "sub": user.username,
        "iat": now.as_unix(), "exp": expires, "auth_time": grant.login.auth_time.as_unix(),
        "at_hash": at_hash(&access_token), "name": user.name, "preferred_username": user.username,
        "email": user.email,
    });
    if let Some(nonce) = &grant.nonce {
        claims["nonce"] = json!(nonce);
    }
    Ok(json!({
        "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs(), "scope": grant.scope,
        "id_token": provider.keys.sign("JWT", &claims)?,
        "refresh_token": grant.refresh_token,
        "access_token": access_token,
    }))
}

fn refuse(error: TokenError) -> HttpResponse {
    let (mut response, code) = match error {
        TokenError::InvalidClient => (HttpResponse::Unauthorized(), "invalid_client"),
        TokenError::InvalidGrant => (HttpResponse::BadRequest(), "invalid_grant"),
        TokenError::UnsupportedGrantType => (HttpResponse::BadRequest(), "unsupported_grant_type"),
        TokenError::Server => (HttpResponse::InternalServerError(), "server_error"),
    };
    if error == TokenError::InvalidClient {
        response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"demo\""));
    }
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "error": code }))
}

fn authorization(req: &HttpRequest) -> Option<&str> {
    req.headers().get(header::AUTHORIZATION)?.to_str().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use oauth_proxy::clock::Timestamp;

    use super::{TokenError, TokenRequest, exchange};
    use crate::provider::keys::{Expired, at_hash, s256};
    use crate::provider::store::{CodeBinding, Login, USERS};
    use crate::provider::{Client, Provider};
    use crate::terminal::Terminal;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const CALLBACK: &str = "http://127.0.0.1:8080/oauth/callback";

    pub(in crate::provider) fn provider() -> Provider {
        let client = Client {
            id: "demo".into(),
            secret: "secret".into(),
            redirect_uri: CALLBACK.into(),
            post_logout_redirect_uri: "http://127.0.0.1:8080/oauth/signedout".into(),
        };
        Provider::new("http://127.0.0.1:8081".into(), client, Terminal::new()).unwrap()
    }

    fn code(provider: &Provider) -> String {
        let binding = CodeBinding { redirect_uri: CALLBACK.into(), code_challenge: s256("verifier") };
        let login = Login { user: &USERS[0], auth_time: NOW };
        provider.store.issue_code(login, "openid".into(), Some("nonce".into()), binding, NOW)
    }

    fn code_request(code: &str) -> TokenRequest {
        TokenRequest {
            grant_type: "authorization_code".into(),
            code: code.into(),
            redirect_uri: CALLBACK.into(),
            code_verifier: "verifier".into(),
            client_id: Some("demo".into()),
            client_secret: Some("secret".into()),
            ..TokenRequest::default()
        }
    }

    fn refresh_request(token: &str) -> TokenRequest {
        TokenRequest { grant_type: "refresh_token".into(), refresh_token: token.into(), ..code_request("") }
    }

    #[test]
    fn a_code_becomes_tokens_that_belong_together() {
        let provider = provider();

        let tokens = exchange(&code_request(&code(&provider)), None, &provider, NOW).unwrap();

        let claims = provider.keys.verify("JWT", tokens["id_token"].as_str().unwrap(), Expired::Accepted).unwrap();
        assert_eq!(claims["nonce"], "nonce");
        assert_eq!(claims["at_hash"], at_hash(tokens["access_token"].as_str().unwrap()));
    }

    #[test]
    fn a_wrong_pkce_verifier_is_refused() {
        let provider = provider();
        let request = TokenRequest { code_verifier: "another".into(), ..code_request(&code(&provider)) };

        assert_eq!(exchange(&request, None, &provider, NOW), Err(TokenError::InvalidGrant));
    }

    #[test]
    fn a_code_is_refused_the_second_time_and_ends_the_first_grant() {
        let provider = provider();
        let request = code_request(&code(&provider));
        let tokens = exchange(&request, None, &provider, NOW).unwrap();

        let reused = exchange(&request, None, &provider, NOW);

        let refresh = refresh_request(tokens["refresh_token"].as_str().unwrap());
        assert_eq!(reused, Err(TokenError::InvalidGrant));
        assert_eq!(exchange(&refresh, None, &provider, NOW), Err(TokenError::InvalidGrant));
    }

    #[test]
    fn a_code_older_than_a_minute_is_refused() {
        let provider = provider();
        let request = code_request(&code(&provider));

        let late = exchange(&request, None, &provider, NOW.plus(Duration::from_secs(61)));

        assert_eq!(late, Err(TokenError::InvalidGrant));
    }

    #[test]
    fn a_code_for_another_redirect_uri_is_refused() {
        let provider = provider();
        let request = TokenRequest { redirect_uri: "http://127.0.0.1:1/".into(), ..code_request(&code(&provider)) };

        assert_eq!(exchange(&request, None, &provider, NOW), Err(TokenError::InvalidGrant));
    }

    #[test]
    fn a_wrong_client_secret_is_refused_and_leaves_the_code_unused() {
        let provider = provider();
        let request = code_request(&code(&provider));
        let wrong = TokenRequest { client_secret: Some("guess".into()), ..request.clone() };

        let refused = exchange(&wrong, None, &provider, NOW);

        assert_eq!(refused, Err(TokenError::InvalidClient));
        assert!(exchange(&request, None, &provider, NOW).is_ok());
    }

    #[test]
    fn a_client_secret_in_the_basic_scheme_is_accepted() {
        let provider = provider();
        let request = TokenRequest { client_id: None, client_secret: None, ..code_request(&code(&provider)) };

        let answer = exchange(&request, Some("Basic ZGVtbzpzZWNyZXQ="), &provider, NOW);

        assert!(answer.is_ok());
    }

    #[test]
    fn a_refresh_token_that_was_rotated_ends_the_grant() {
        let provider = provider();
        let first = exchange(&code_request(&code(&provider)), None, &provider, NOW).unwrap();
        let old = refresh_request(first["refresh_token"].as_str().unwrap());
        let second = exchange(&old, None, &provider, NOW).unwrap();

        let reused = exchange(&old, None, &provider, NOW);

        let new = refresh_request(second["refresh_token"].as_str().unwrap());
        assert_eq!(reused, Err(TokenError::InvalidGrant));
        assert_eq!(exchange(&new, None, &provider, NOW), Err(TokenError::InvalidGrant));
    }

    #[test]
    fn another_grant_type_is_refused() {
        let request = TokenRequest { grant_type: "password".into(), ..code_request("") };

        assert_eq!(exchange(&request, None, &provider(), NOW), Err(TokenError::UnsupportedGrantType));
    }
}
