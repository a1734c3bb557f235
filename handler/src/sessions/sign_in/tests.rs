//! Completion of sign-ins against a scripted Provider over real HTTP and a store that fails on demand.

use std::collections::HashMap;

use serde_json::json;
use url::Url;

use super::*;
use crate::oidc::LoginHints;
use crate::sessions::{IndexKey, Sessions};
use crate::testing::scripted_provider::Reply;
use crate::testing::{Fixture, WriteOutcome};

/// Query of the authorization response, and the plaintext of the login cookie.
async fn begun(fixture: &Fixture) -> (String, String) {
    let (state, pending, tokens) = begun_with_tokens(fixture).await;
    fixture.token_endpoint_replies(tokens);
    (state, pending)
}

/// The same, with the token response for its code.
async fn begun_with_tokens(fixture: &Fixture) -> (String, String, Reply) {
    let now = fixture.now();
    let (request, pending) = fixture.party.begin_login("/", &LoginHints::default(), now).await.unwrap();
    let query: HashMap<_, _> = Url::parse(request.url()).unwrap().query_pairs().into_owned().collect();
    let claims = json!({
        "iss": fixture.provider.origin, "sub": "ada", "sid": "sid-1", "aud": "client", "nonce": query["nonce"],
        "exp": now.as_unix() + 300, "iat": now.as_unix(),
    });
    let tokens = fixture.tokens(&json!({ "id_token": fixture.key.sign(&claims) }));
    (query["state"].clone(), serde_json::to_string(&pending).unwrap(), tokens)
}

async fn deliver(fixture: &Fixture, code: &str, state: &str, pending: &str) -> Result<SessionTicket, SignInError> {
    deliver_to(&fixture.sessions, fixture, code, state, pending).await
}

async fn deliver_to(
    instance: &Sessions,
    fixture: &Fixture,
    code: &str,
    state: &str,
    pending: &str,
) -> Result<SessionTicket, SignInError> {
    let response = AuthorizationResponse::parse(&format!("code={code}&state={state}")).unwrap();
    instance.sign_in(response, serde_json::from_str(pending).unwrap(), fixture.party.clone()).await
}

/// Ways to end sessions without their cookie.
#[derive(Clone, Copy, Debug)]
enum End {
    Sub,
    Sid,
    FrontChannel,
    RevokePerson,
}

impl End {
    const ALL: [Self; 4] = [Self::Sub, Self::Sid, Self::FrontChannel, Self::RevokePerson];

    async fn run(self, instance: &Sessions, now: Timestamp) -> usize {
        let person_key = instance.subject("ada").as_str().to_owned();
        let ended = match self {
            Self::Sub => instance.end_all(&instance.subject("ada"), now).await,
            Self::Sid => instance.end_all(&instance.provider_session("sid-1"), now).await,
            Self::FrontChannel => instance.end_known(&instance.provider_session("sid-1"), now).await,
            Self::RevokePerson => instance.end_all(&IndexKey::of_person(&person_key).unwrap(), now).await,
        };
        ended.unwrap()
    }
}

#[actix_web::test]
async fn a_callback_delivered_again_and_again_is_one_session_and_one_exchange() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;

    let (one, two) =
        tokio::join!(deliver(&fixture, "code", &state, &pending), deliver(&fixture, "code", &state, &pending));
    let later = deliver(&fixture, "code", &state, &pending).await;

    let keys = [one, two, later].map(|ticket| ticket.unwrap().id.key());
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_callback_delivered_again_within_its_moment_extends_nothing() {
    let fixture = Fixture::new();
    let other = fixture.another_instance();
    let (state, pending) = begun(&fixture).await;
    let first = deliver(&fixture, "code", &state, &pending).await.unwrap();
    fixture.clock.advance(60);

    for instance in [&fixture.sessions, &other] {
        let again = deliver_to(instance, &fixture, "code", &state, &pending).await.unwrap();

        assert_eq!(*again.to_bytes(), *first.to_bytes());
    }
    assert_eq!(fixture.record(&first).await.expires_at, first.expires_at);
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_callback_delivered_again_after_its_moment_revives_nothing() {
    let fixture = Fixture::new();
    let other = fixture.another_instance();
    let (state, pending) = begun(&fixture).await;
    let first = deliver(&fixture, "code", &state, &pending).await.unwrap();
    fixture.clock.advance(61);

    for instance in [&fixture.sessions, &other] {
        let again = deliver_to(instance, &fixture, "code", &state, &pending).await;

        assert!(matches!(again, Err(SignInError::Used)), "{again:?}");
    }
    assert!(fixture.sessions.load(&first, fixture.now()).await.unwrap().is_some(), "the session itself lives");
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn another_code_of_a_login_that_is_finished_costs_no_call() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    deliver(&fixture, "code", &state, &pending).await.unwrap();

    let second = deliver(&fixture, "stolen", &state, &pending).await;

    assert!(matches!(second, Err(SignInError::Used)), "{second:?}");
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_login_cookie_buys_one_exchange_however_many_codes_are_made_up() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.token_endpoint_replies(Reply::Raw(400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    let codes: Vec<_> = (0..250).map(|number| format!("made-up-{number}")).collect();

    let attempts = codes.iter().map(|code| deliver(&fixture, code, &state, &pending));
    let mut refused: Vec<_> =
        futures_util::future::join_all(attempts).await.into_iter().map(Result::unwrap_err).collect();
    refused.push(deliver(&fixture, &codes[0], &state, &pending).await.unwrap_err());

    let used = refused.iter().filter(|error| matches!(error, SignInError::Used)).count();
    assert_eq!((used, fixture.calls()), (250, 1));
}

#[actix_web::test]
async fn a_response_without_a_code_gives_a_used_login_no_second_exchange() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.token_endpoint_replies(Reply::Raw(400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    deliver(&fixture, "made-up", &state, &pending).await.unwrap_err();
    for query in [format!("error=access_denied&state={state}"), "code=made-up&state=another".to_owned()] {
        let response = AuthorizationResponse::parse(&query).unwrap();
        let pending = serde_json::from_str(&pending).unwrap();
        fixture.sessions.sign_in(response, pending, fixture.party.clone()).await.unwrap_err();
    }

    let again = deliver(&fixture, "another", &state, &pending).await;

    assert!(matches!(again, Err(SignInError::Used)), "{again:?}");
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_response_of_another_issuer_does_not_use_the_login_up() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    let query = format!("code=code&state={state}&iss=https://evil.example");
    let response = AuthorizationResponse::parse(&query).unwrap();
    let refused =
        fixture.sessions.sign_in(response, serde_json::from_str(&pending).unwrap(), fixture.party.clone()).await;

    let honest = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Login(_))), "{refused:?}");
    assert!(honest.is_ok(), "{honest:?}");
}

#[actix_web::test]
async fn a_login_may_be_tried_again_when_the_provider_did_not_respond() {
    for code in ["code", "another-code"] {
        let fixture = Fixture::new();
        let (state, pending, tokens) = begun_with_tokens(&fixture).await;
        fixture.token_endpoint_replies(Reply::Reset);
        let down = deliver(&fixture, "code", &state, &pending).await;
        fixture.token_endpoint_replies(tokens);

        let again = deliver(&fixture, code, &state, &pending).await;

        assert!(
            matches!(&down, Err(SignInError::Login(error)) if matches!(**error, LoginError::Provider(_))),
            "{down:?}"
        );
        assert!(again.is_ok(), "{again:?}");
    }
}

#[actix_web::test]
async fn a_session_that_was_signed_out_is_over_for_its_callback_too() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    let ticket = deliver(&fixture, "code", &state, &pending).await.unwrap();
    fixture.sessions.records().end(&ticket, fixture.now()).await.confirmed.unwrap();

    let again = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(again, Err(SignInError::Over)));
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_response_of_another_login_learns_nothing_and_spends_nothing() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;

    let refused = deliver(&fixture, "code", "another-state", &pending).await;

    assert!(matches!(refused, Err(SignInError::Login(_))));
    assert_eq!(fixture.calls(), 0);
    assert!(deliver(&fixture, "code", &state, &pending).await.is_ok(), "the login is as good as before");
}

#[actix_web::test]
async fn tokens_that_cannot_be_kept_are_revoked() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Written, WriteOutcome::Failed]); // indexes, record

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Store(_))));
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_write_whose_reply_is_lost_or_that_is_repeated_is_a_session_all_the_same() {
    for (outcome, first, second) in [
        (WriteOutcome::ReplyLost, End::Sub, End::Sid),
        (WriteOutcome::ReplyLost, End::Sid, End::Sub),
        (WriteOutcome::Repeated, End::Sub, End::Sid),
        (WriteOutcome::Repeated, End::Sid, End::Sub),
    ] {
        let fixture = Fixture::new();
        let (state, pending) = begun(&fixture).await;
        fixture.store.script(std::iter::repeat_n(outcome.clone(), 3)); // both indexes, then the record

        let signed_in = deliver(&fixture, "code", &state, &pending).await;

        assert!(signed_in.is_ok(), "{outcome:?}: {signed_in:?}");
        assert!(fixture.revoked().is_empty(), "{outcome:?}");
        let ended =
            [first.run(&fixture.sessions, fixture.now()).await, second.run(&fixture.sessions, fixture.now()).await];
        assert_eq!(ended, [1, 0], "{outcome:?}, {first:?} first");
        assert!(fixture.sessions.load(&signed_in.unwrap(), fixture.now()).await.unwrap().is_none(), "{outcome:?}");
    }
}

#[actix_web::test]
async fn an_end_keeps_out_the_sign_ins_that_began_before_it_at_every_instance() {
    for end in End::ALL {
        let fixture = Fixture::new();
        let [ending, finishing, later] = [(); 3].map(|()| fixture.another_instance());
        let (state, pending) = begun(&fixture).await;
        deliver(&fixture, "first", &state, &pending).await.unwrap();
        fixture.clock.advance(10);
        let (state, pending) = begun(&fixture).await;
        fixture.clock.advance(20);
        assert_eq!(end.run(&ending, fixture.now()).await, 1, "{end:?}");
        fixture.clock.advance(30);

        let refused = deliver_to(&finishing, &fixture, "second", &state, &pending).await;

        assert!(matches!(refused, Err(SignInError::LoggedOut)), "{end:?}: {refused:?}");
        assert_eq!(fixture.revoked(), ["refresh-2"], "{end:?}");
        let (state, pending) = begun(&fixture).await;
        let after = deliver_to(&later, &fixture, "third", &state, &pending).await;
        assert!(after.is_ok(), "{end:?}: {after:?}");
    }
}

#[actix_web::test]
async fn an_end_of_the_very_second_in_which_a_sign_in_began_wins() {
    for end in [End::Sub, End::Sid] {
        let fixture = Fixture::new();
        let (state, pending) = begun(&fixture).await;
        end.run(&fixture.sessions, fixture.now()).await;

        let refused = deliver(&fixture, "code", &state, &pending).await;

        assert!(matches!(refused, Err(SignInError::LoggedOut)), "{end:?}: {refused:?}");
    }
}

#[actix_web::test]
async fn the_front_channel_keeps_nobody_out_of_a_sid_that_is_not_there() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    End::FrontChannel.run(&fixture.sessions, fixture.now()).await;

    assert!(deliver(&fixture, "code", &state, &pending).await.is_ok());
}

#[actix_web::test]
async fn a_session_that_was_ended_before_it_began_was_logged_out() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    let seed = *serde_json::from_str::<PendingLogin>(&pending).unwrap().session_seed();
    let ticket = fixture.sessions.lifetime().issue(&seed, "code", fixture.now());
    fixture.sessions.records().write_early_tombstone(&ticket.id.key(), ticket.expires_at, fixture.now()).await.unwrap();

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::LoggedOut)), "{refused:?}");
    assert_eq!(fixture.calls(), 0);
}

#[actix_web::test]
async fn keys_that_cannot_be_had_cost_no_code() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Login(_))));
    assert_eq!(fixture.calls(), 0, "the code is not spent");
}

#[actix_web::test]
async fn tokens_of_a_sign_in_that_fails_after_its_exchange_are_revoked() {
    for claims in [json!({"aud": "another"}), json!({"nonce": "another"}), json!({"exp": 1})] {
        let fixture = Fixture::new();
        let (state, pending) = begun(&fixture).await;
        let now = fixture.now().as_unix();
        let mut wrong =
            json!({"iss": fixture.provider.origin, "sub": "ada", "aud": "client", "exp": now + 300, "iat": now});
        wrong.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        fixture.token_endpoint_replies(fixture.tokens(&json!({ "id_token": fixture.key.sign(&wrong) })));

        let refused = deliver(&fixture, "code", &state, &pending).await;

        assert!(matches!(refused, Err(SignInError::Login(_))), "{claims}");
        assert_eq!(fixture.revoked(), ["refresh-2"], "{claims}");
    }
}

#[actix_web::test]
async fn tokens_of_another_type_are_revoked() {
    let fixture = Fixture::new();
    let (state, pending) = begun(&fixture).await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({ "token_type": "mac" })));

    assert!(deliver(&fixture, "code", &state, &pending).await.is_err());

    assert_eq!(fixture.revoked(), ["refresh-2"]);
}
