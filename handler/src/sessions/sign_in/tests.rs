//! Finishing sign-ins against a scripted Provider over real HTTP and a store that fails on demand.

use std::collections::HashMap;

use serde_json::json;
use url::Url;

use super::*;
use crate::oidc::LoginHints;
use crate::testing::{Fixture, WriteOutcome};

/// What a browser brings back: the response's query, and the sealed login's content as it is stored.
async fn begun(fixture: &Fixture) -> (String, String) {
    let now = fixture.now();
    let (request, pending) = fixture.party.begin_login("/", &LoginHints::default(), now).await.unwrap();
    let query: HashMap<_, _> = Url::parse(request.url()).unwrap().query_pairs().into_owned().collect();
    let claims = json!({
        "iss": fixture.provider.origin, "sub": "ada", "aud": "client", "nonce": query["nonce"],
        "exp": now.as_unix() + 300, "iat": now.as_unix(),
    });
    fixture.token_endpoint_replies(fixture.tokens(&json!({ "id_token": fixture.key.sign(&claims) })));
    (query["state"].clone(), serde_json::to_string(&pending).unwrap())
}

async fn deliver(fixture: &Fixture, code: &str, state: &str, pending: &str) -> Result<SessionTicket, SignInError> {
    let response = AuthorizationResponse::parse(&format!("code={code}&state={state}")).unwrap();
    fixture.sessions.sign_in(response, serde_json::from_str(pending).unwrap(), fixture.party.clone()).await
}

#[actix_web::test]
async fn a_callback_delivered_again_and_again_is_one_session_and_one_exchange() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;

    let (one, two) =
        tokio::join!(deliver(&fixture, "code", &state, &pending), deliver(&fixture, "code", &state, &pending));
    let later = deliver(&fixture, "code", &state, &pending).await;

    let keys = [one, two, later].map(|ticket| ticket.unwrap().sid.key());
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn another_code_never_leads_to_a_session_that_is_there() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    let first = deliver(&fixture, "code", &state, &pending).await.unwrap();

    let second = deliver(&fixture, "stolen", &state, &pending).await.unwrap();

    assert_ne!(first.sid.key(), second.sid.key());
    assert_eq!(fixture.calls(), 2);
}

#[actix_web::test]
async fn a_session_that_was_signed_out_is_over_for_its_callback_too() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    let ticket = deliver(&fixture, "code", &state, &pending).await.unwrap();
    fixture.sessions.records().end(&ticket, fixture.now()).await.unwrap();

    let again = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(again, Err(SignInError::Over)));
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_response_of_another_login_learns_nothing_and_spends_nothing() {
    let fixture = Fixture::new();
    let (_, pending) = begun(&fixture).await;

    let refused = deliver(&fixture, "code", "another-state", &pending).await;

    assert!(matches!(refused, Err(SignInError::Login(_))));
    assert_eq!(fixture.calls(), 0);
}

#[actix_web::test]
async fn tokens_that_cannot_be_kept_are_revoked() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Failed]); // the person's index, then the record

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Store(_))));
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_write_whose_reply_is_lost_is_a_session_all_the_same() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.store.script([WriteOutcome::ReplyLost, WriteOutcome::ReplyLost]); // the person's index, then the record

    assert!(deliver(&fixture, "code", &state, &pending).await.is_ok());

    assert!(fixture.revoked().is_empty());
}
