//! Refreshing against a scripted Provider over real HTTP, a store that fails on demand and a clock that stands still.

use serde_json::json;

use super::*;
use crate::sessions::scene::{Fate, START, Scene};
use crate::sessions::{LeasePurpose, RefreshLease};
use crate::testing::scripted_provider::Reply;

/// Seconds after the start at which the first token has lapsed.
const LAPSED: i64 = 100;

async fn load(scene: &Scene, ticket: &SessionTicket) -> Result<Option<LiveSession>, SessionError> {
    scene.sessions.load_fresh(ticket, &scene.party, scene.sessions.now()).await
}

async fn access_token(scene: &Scene, ticket: &SessionTicket) -> String {
    load(scene, ticket).await.unwrap().unwrap().hot.access_token.expose().to_owned()
}

fn lease(purpose: LeasePurpose, attempt: u8, lapses_at: Timestamp) -> Option<RefreshLease> {
    Some(RefreshLease { lapses_at, attempt, purpose, holder: "another".to_owned() })
}

async fn write_lease(scene: &Scene, ticket: &SessionTicket, lease: Option<RefreshLease>) {
    let record = SessionRecord { lease, ..scene.record(ticket).await };
    scene.store.overwrite(&record, scene.sessions.now()).await;
}

#[actix_web::test]
async fn a_lapsed_token_is_refreshed_once_however_many_ask() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);

    let asking = (0..50).map(|_| access_token(&scene, &ticket));
    let tokens = futures_util::future::join_all(asking).await;

    assert!(tokens.iter().all(|token| token == "access-2"));
    assert_eq!(scene.calls(), 1);
}

#[actix_web::test]
async fn a_claim_whose_reply_is_lost_is_a_claim_all_the_same() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);
    scene.store.script([Fate::ReplyLost]);

    assert_eq!(access_token(&scene, &ticket).await, "access-2");
    assert_eq!(scene.calls(), 1);
}

#[actix_web::test]
async fn a_token_that_is_due_is_used_while_it_is_refreshed() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(80);

    let (first, meanwhile) = (access_token(&scene, &ticket).await, access_token(&scene, &ticket).await);
    let outcome = scene.sessions.refresh(&ticket, &scene.party).await; // joins the flight that is under way

    assert_eq!((first.as_str(), meanwhile.as_str()), ("access-1", "access-1"));
    assert_eq!((outcome, scene.calls()), (RefreshOutcome::Refreshed, 1));
    assert_eq!(access_token(&scene, &ticket).await, "access-2");
}

#[actix_web::test]
async fn a_refresh_changes_neither_the_ticket_nor_the_sessions_end() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    let before = scene.record(&ticket).await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);

    access_token(&scene, &ticket).await;

    let after = scene.record(&ticket).await;
    assert_eq!((after.generation, after.expires_at), (before.generation + 1, before.expires_at));
    assert_eq!(after.lease, None);
    assert_ne!(after.state, before.state);
}

#[actix_web::test]
async fn what_the_answer_omits_stays_as_it_was() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({"refresh_token": null})));
    scene.clock.advance(LAPSED);

    assert_eq!(access_token(&scene, &ticket).await, "access-2");

    let cold = scene.sessions.load_cold(&ticket, scene.sessions.now()).await.unwrap().unwrap();
    assert_eq!(cold.refresh_token.unwrap().expose(), "refresh-1");
    assert_eq!(cold.claims.text("name"), Some("Ada"));
}

#[actix_web::test]
async fn a_provider_without_an_answer_is_left_alone_until_the_rest_is_over() {
    for (reply, rest, attempt) in [
        (Reply::Raw(500, "", String::new()), 5, 1),
        (Reply::Raw(429, "retry-after: 30\r\n", String::new()), 30, 0),
        (Reply::Raw(503, "retry-after: 3600\r\n", String::new()), 60, 0),
        (Reply::Raw(401, "", r#"{"error":"invalid_client"}"#.to_owned()), 5, 0),
        (Reply::Raw(200, "", "<html>".to_owned()), 5, 1),
        (Reply::Reset, 5, 1),
        (Reply::Torn, 5, 1),
    ] {
        let scene = Scene::new();
        let ticket = scene.signed_in().await;
        scene.answers(reply);
        scene.clock.advance(LAPSED);

        let refused = [load(&scene, &ticket).await.unwrap_err(), load(&scene, &ticket).await.unwrap_err()];

        let retry_after = refused.map(|error| match error {
            SessionError::NoFreshToken(NoFreshToken { retry_after }) => retry_after.as_secs(),
            SessionError::Store(error) => panic!("{error}"),
        });
        assert_eq!((retry_after, scene.calls()), ([rest, rest], 1));
        let resting = scene.record(&ticket).await.lease.unwrap();
        assert_eq!((resting.purpose, resting.attempt), (LeasePurpose::Resting, attempt));

        scene.answers(scene.tokens(&json!({})));
        scene.clock.advance(i64::try_from(rest).unwrap());
        assert_eq!(access_token(&scene, &ticket).await, "access-2");
    }
}

#[actix_web::test]
async fn a_provider_that_is_down_costs_nothing_while_the_token_lives() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(Reply::Raw(500, "", String::new()));
    scene.clock.advance(80);
    scene.sessions.refresh(&ticket, &scene.party).await;

    let tokens = [access_token(&scene, &ticket).await, access_token(&scene, &ticket).await];

    assert_eq!((tokens, scene.calls()), (["access-1".to_owned(), "access-1".to_owned()], 1));
}

#[actix_web::test]
async fn a_refresh_token_that_may_be_spent_is_sent_twice_at_most() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(Reply::Reset);
    scene.clock.advance(LAPSED);

    for _ in 0..2 {
        assert!(load(&scene, &ticket).await.is_err());
        scene.clock.advance(5);
    }
    let third = load(&scene, &ticket).await.unwrap();

    assert!(third.is_none(), "nothing can be known any more, so the person signs in again");
    assert_eq!(scene.calls(), 2);
    assert!(scene.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn attempts_that_are_used_up_end_nothing_while_the_token_lives() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    write_lease(&scene, &ticket, lease(LeasePurpose::Refreshing, 2, START)).await;
    scene.clock.advance(80);

    let outcome = scene.sessions.refresh(&ticket, &scene.party).await;

    assert_eq!(outcome, RefreshOutcome::Unavailable { retry_after: Duration::from_secs(20) });
    assert_eq!((access_token(&scene, &ticket).await.as_str(), scene.calls()), ("access-1", 0));
}

#[actix_web::test]
async fn a_lease_that_lapsed_is_taken_over_once() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(Reply::Reset);
    write_lease(&scene, &ticket, lease(LeasePurpose::Refreshing, 1, START)).await;
    scene.clock.advance(LAPSED);

    assert!(load(&scene, &ticket).await.is_err());

    assert_eq!((scene.record(&ticket).await.lease.unwrap().attempt, scene.calls()), (2, 1));
}

#[actix_web::test]
async fn another_instances_refresh_is_waited_for() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    let other = scene.another_instance();
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);

    let (one, two) = tokio::join!(load(&scene, &ticket), other.load_fresh(&ticket, &scene.party, other.now()));

    let token = |session: Result<Option<LiveSession>, SessionError>| session.unwrap().unwrap().hot.access_token;
    assert_eq!((token(one).expose(), token(two).expose()), ("access-2", "access-2"));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_instances_refresh_is_not_waited_for_for_ever() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.clock.advance(LAPSED);
    let until = scene.sessions.now().plus(Duration::from_secs(30));
    write_lease(&scene, &ticket, lease(LeasePurpose::Refreshing, 1, until)).await;
    scene.clock.advance(6); // what this instance has cached is forgotten

    let tasks = tokio::task::LocalSet::new();
    let outcome = tasks.run_until(load(&scene, &ticket)).await;

    assert!(matches!(outcome, Err(SessionError::NoFreshToken(_))));
    assert_eq!(scene.calls(), 0);
}

#[actix_web::test]
async fn a_refused_refresh_token_ends_the_session() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(Reply::Raw(400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    scene.clock.advance(LAPSED);

    assert!(load(&scene, &ticket).await.unwrap().is_none());

    assert!(scene.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn a_refusal_ends_nothing_when_another_instance_has_won() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.clock.advance(LAPSED);
    let claimed = StoredRecord { record: scene.record(&ticket).await, etag: Etag(String::new()) };
    let renewed = SessionRecord { generation: 2, ..scene.record(&ticket).await };
    scene.store.overwrite(&renewed, scene.sessions.now()).await;

    let outcome = scene.sessions.end_unless_renewed(&ticket, &claimed).await.unwrap();

    assert_eq!(outcome, RefreshOutcome::Refreshed);
    assert!(!scene.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn an_answer_that_breaks_a_rule_ends_the_session_and_is_revoked() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({"token_type": "DPoP"})));
    scene.clock.advance(LAPSED);

    assert!(load(&scene, &ticket).await.unwrap().is_none());

    assert!(scene.record(&ticket).await.is_ended());
    assert_eq!(scene.revoked().len(), 1);
}

#[actix_web::test]
async fn a_sign_out_between_claim_and_commit_wins_and_the_new_token_is_revoked() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);
    let tombstone = scene.record(&ticket).await.tombstone(scene.sessions.now());
    scene.store.script([Fate::Written, Fate::Overtaken(Box::new(tombstone))]); // the claim, then the commit

    assert!(load(&scene, &ticket).await.unwrap().is_none());

    assert!(scene.record(&ticket).await.is_ended());
    assert_eq!(scene.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_sign_out_before_the_claim_costs_no_call() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.clock.advance(LAPSED);
    let tombstone = scene.record(&ticket).await.tombstone(scene.sessions.now());
    scene.store.script([Fate::Overtaken(Box::new(tombstone))]);

    assert!(load(&scene, &ticket).await.unwrap().is_none());

    assert_eq!(scene.calls(), 0);
}

#[actix_web::test]
async fn a_commit_whose_reply_is_lost_is_recognised() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);
    scene.store.script([Fate::Written, Fate::ReplyLost]);

    let outcome = scene.sessions.refresh(&ticket, &scene.party).await;

    assert_eq!((outcome, scene.calls()), (RefreshOutcome::Refreshed, 1));
    let record = scene.record(&ticket).await;
    assert_eq!((record.generation, record.lease), (2, None));
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_commit_is_tried_until_it_answers() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);
    scene.store.script([Fate::Written, Fate::Failed, Fate::Failed, Fate::Failed]);

    assert_eq!(access_token(&scene, &ticket).await, "access-2");

    assert_eq!(scene.calls(), 1);
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_claim_costs_no_call_and_no_session() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    scene.answers(scene.tokens(&json!({})));
    scene.clock.advance(LAPSED);
    scene.store.script([Fate::Failed]);

    assert!(load(&scene, &ticket).await.is_err());

    assert_eq!(scene.calls(), 0);
    assert_eq!(access_token(&scene, &ticket).await, "access-2");
}

#[actix_web::test]
async fn another_instance_sees_a_sign_out_within_the_cache_time() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    let other = scene.another_instance();
    let is_alive = async || other.load(&ticket, other.now()).await.unwrap().is_some();
    assert!(is_alive().await);

    scene.sessions.end(&ticket, scene.sessions.now()).await.unwrap();

    assert!(scene.sessions.load(&ticket, scene.sessions.now()).await.unwrap().is_none());
    assert!(is_alive().await, "within the cache time it may be late");
    scene.clock.advance(5);
    assert!(!is_alive().await);
}
