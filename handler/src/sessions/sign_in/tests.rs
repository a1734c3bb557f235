//! Finishing sign-ins against a scripted Provider over real HTTP and a store that fails on demand.

use std::collections::HashMap;

use serde_json::json;
use url::Url;

use super::*;
use crate::oidc::LoginHints;
use crate::sessions::{IndexKey, Sessions};
use crate::testing::{Fixture, WriteOutcome};

/// What a browser brings back: the response's query, and the sealed login's content as it is stored.
async fn begun(fixture: &Fixture) -> (String, String) {
    let now = fixture.now();
    let (request, pending) = fixture.party.begin_login("/", &LoginHints::default(), now).await.unwrap();
    let query: HashMap<_, _> = Url::parse(request.url()).unwrap().query_pairs().into_owned().collect();
    let claims = json!({
        "iss": fixture.provider.origin, "sub": "ada", "sid": "sid-1", "aud": "client", "nonce": query["nonce"],
        "exp": now.as_unix() + 300, "iat": now.as_unix(),
    });
    fixture.token_endpoint_replies(fixture.tokens(&json!({ "id_token": fixture.key.sign(&claims) })));
    (query["state"].clone(), serde_json::to_string(&pending).unwrap())
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

/// Everything that ends sessions without their cookie.
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
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Written, WriteOutcome::Failed]); // indexes, record

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::Store(_))));
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_write_whose_reply_is_lost_or_that_is_repeated_is_a_session_all_the_same() {
    for outcome in [WriteOutcome::ReplyLost, WriteOutcome::Repeated] {
        let fixture = Fixture::new();
        let (state, pending) = begun(&fixture).await;
        fixture.store.script(std::iter::repeat_n(outcome.clone(), 3)); // both indexes, then the record

        let signed_in = deliver(&fixture, "code", &state, &pending).await;

        assert!(signed_in.is_ok(), "{outcome:?}: {signed_in:?}");
        assert!(fixture.revoked().is_empty(), "{outcome:?}");
        for end in [End::Sub, End::Sid] {
            assert!(end.run(&fixture.sessions, fixture.now()).await <= 1, "{outcome:?}");
        }
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
    fixture.sessions.records().forestall(&ticket.sid.key(), ticket.expires_at, fixture.now()).await.unwrap();

    let refused = deliver(&fixture, "code", &state, &pending).await;

    assert!(matches!(refused, Err(SignInError::LoggedOut)), "{refused:?}");
    assert_eq!(fixture.calls(), 0);
}
