use std::sync::Arc;
use std::time::Duration;

use issuing::{CodeBinding, Expired, at_hash, s256};
use oauth_proxy::clock::Timestamp;

use super::{TokenError, TokenRequest, exchange};
use crate::provider::store::{Approval, Login, USERS};
use crate::provider::{Client, Provider};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const CALLBACK: &str = "http://127.0.0.1:8080/oauth/callback";

pub(in crate::provider) fn provider() -> Provider {
    let client = Client {
        id: "demo".into(),
        secret: "secret".into(),
        redirect_uri: CALLBACK.into(),
        post_logout_redirect_uri: "http://127.0.0.1:8080/oauth/signedout".into(),
        backchannel_logout_uri: "http://127.0.0.1:8080/oauth/backchannel-logout".into(),
    };
    Provider::new("http://127.0.0.1:8081".into(), client, Arc::default()).unwrap()
}

fn code(provider: &Provider) -> String {
    let binding = CodeBinding { redirect_uri: CALLBACK.into(), code_challenge: s256("verifier") };
    let login = Login { user: &USERS[0], auth_time: NOW };
    let approval = Approval { login, scope: "openid".into(), nonce: Some("nonce".into()) };
    provider.store.grants.issue_code(approval, binding, NOW.as_unix())
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

    let response = exchange(&request, Some("Basic ZGVtbzpzZWNyZXQ="), &provider, NOW);

    assert!(response.is_ok());
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
