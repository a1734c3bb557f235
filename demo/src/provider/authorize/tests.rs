use super::{AuthorizationRequest, Refusal, check};
use crate::provider::token::tests::provider;

fn request() -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: "demo".into(),
        redirect_uri: "http://127.0.0.1:8080/oauth/callback".into(),
        response_type: "code".into(),
        scope: "openid profile".into(),
        code_challenge: Some("challenge".into()),
        code_challenge_method: Some("S256".into()),
        ..AuthorizationRequest::default()
    }
}

#[test]
fn a_complete_request_is_accepted() {
    assert_eq!(check(&request(), &provider()), Ok(()));
}

#[test]
fn an_unknown_client_gets_a_page() {
    let request = AuthorizationRequest { client_id: "another".into(), ..request() };

    assert!(matches!(check(&request, &provider()), Err(Refusal::Page(_))));
}

#[test]
fn an_unknown_redirect_uri_gets_a_page_and_no_redirect() {
    let request = AuthorizationRequest { redirect_uri: "http://127.0.0.1:8080/oauth/callback/".into(), ..request() };

    assert!(matches!(check(&request, &provider()), Err(Refusal::Page(_))));
}

#[test]
fn a_request_without_pkce_is_refused() {
    let request = AuthorizationRequest { code_challenge: None, ..request() };

    assert!(matches!(check(&request, &provider()), Err(Refusal::Redirect("invalid_request", _))));
}

#[test]
fn a_plain_code_challenge_is_refused() {
    let request = AuthorizationRequest { code_challenge_method: Some("plain".into()), ..request() };

    assert!(matches!(check(&request, &provider()), Err(Refusal::Redirect("invalid_request", _))));
}
