//! Finishing sign-ins against a scripted Provider over real HTTP and a store that fails on demand.

use std::collections::HashMap;

use serde_json::json;
use url::Url;

use super::*;
use crate::oidc::LoginHints;
use crate::sessions::scene::{Fate, Scene};

/// What a browser brings back: the response's query, and the sealed login's content as it is stored.
async fn begun(scene: &Scene) -> (String, String) {
    let now = scene.sessions.now();
    let (request, pending) = scene.party.begin_login("/", &LoginHints::default(), now).await.unwrap();
    let query: HashMap<_, _> = Url::parse(request.url()).unwrap().query_pairs().into_owned().collect();
    let claims = json!({
        "iss": scene.provider.origin, "sub": "ada", "aud": "client", "nonce": query["nonce"],
        "exp": now.as_unix() + 300, "iat": now.as_unix(),
    });
    scene.answers(scene.tokens(&json!({ "id_token": scene.key.sign(&claims) })));
    (query["state"].clone(), serde_json::to_string(&pending).unwrap())
}

async fn deliver(scene: &Scene, code: &str, state: &str, pending: &str) -> Result<SessionTicket, SignInError> {
    let response = AuthorizationResponse::parse(&format!("code={code}&state={state}")).unwrap();
    scene.sessions.sign_in(response, serde_json::from_str(pending).unwrap(), scene.party.clone()).await
}

#[actix_web::test]
async fn a_callback_delivered_again_and_again_is_one_session_and_one_exchange() {
    let scene = Scene::new();
    let (state, pending) = begun(&scene).await;

    let (one, two) = tokio::join!(deliver(&scene, "code", &state, &pending), deliver(&scene, "code", &state, &pending));
    let later = deliver(&scene, "code", &state, &pending).await;

    let keys = [one, two, later].map(|ticket| ticket.unwrap().sid.key());
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(scene.calls(), 1);
}

#[actix_web::test]
async fn another_code_never_leads_to_a_session_that_is_there() {
    let scene = Scene::new();
    let (state, pending) = begun(&scene).await;
    let first = deliver(&scene, "code", &state, &pending).await.unwrap();

    let second = deliver(&scene, "stolen", &state, &pending).await.unwrap();

    assert_ne!(first.sid.key(), second.sid.key());
    assert_eq!(scene.calls(), 2);
}

#[actix_web::test]
async fn a_session_that_was_signed_out_is_over_for_its_callback_too() {
    let scene = Scene::new();
    let (state, pending) = begun(&scene).await;
    let ticket = deliver(&scene, "code", &state, &pending).await.unwrap();
    scene.sessions.end(&ticket, scene.sessions.now()).await.unwrap();

    let again = deliver(&scene, "code", &state, &pending).await;

    assert!(matches!(again, Err(SignInError::Over)));
    assert_eq!(scene.calls(), 1);
}

#[actix_web::test]
async fn a_response_of_another_login_learns_nothing_and_spends_nothing() {
    let scene = Scene::new();
    let (_, pending) = begun(&scene).await;

    let refused = deliver(&scene, "code", "another-state", &pending).await;

    assert!(matches!(refused, Err(SignInError::Login(_))));
    assert_eq!(scene.calls(), 0);
}

#[actix_web::test]
async fn tokens_that_cannot_be_kept_are_revoked() {
    let scene = Scene::new();
    let (state, pending) = begun(&scene).await;
    scene.store.script([Fate::Written, Fate::Failed]); // the person's index, then the record

    let refused = deliver(&scene, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Store(_))));
    assert_eq!(scene.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_write_whose_reply_is_lost_is_a_session_all_the_same() {
    let scene = Scene::new();
    let (state, pending) = begun(&scene).await;
    scene.store.script([Fate::ReplyLost, Fate::ReplyLost]); // the person's index, then the record

    assert!(deliver(&scene, "code", &state, &pending).await.is_ok());

    assert!(scene.revoked().is_empty());
}
