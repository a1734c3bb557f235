//! Refreshing against a scripted Provider over real HTTP, a store that fails on demand and a clock that stands still.

use serde_json::json;

use super::*;
use crate::sessions::{LeasePurpose, LiveSession, NoFreshToken, RefreshLease, SessionError};
use crate::testing::scripted_provider::Reply;
use crate::testing::{Fixture, START, WriteOutcome};

/// Seconds after the start at which the first token has lapsed.
const LAPSED: i64 = 100;

async fn load(fixture: &Fixture, ticket: &SessionTicket) -> Result<Option<LiveSession>, SessionError> {
    fixture.sessions.load_fresh(ticket, &fixture.party, fixture.now()).await
}

async fn access_token(fixture: &Fixture, ticket: &SessionTicket) -> String {
    load(fixture, ticket).await.unwrap().unwrap().part.access_token.expose().to_owned()
}

fn lease(purpose: LeasePurpose, attempt: u8, lapses_at: Timestamp) -> Option<RefreshLease> {
    Some(RefreshLease { lapses_at, attempt, purpose, holder: "another".to_owned() })
}

async fn write_lease(fixture: &Fixture, ticket: &SessionTicket, lease: Option<RefreshLease>) {
    let record = SessionRecord { lease, ..fixture.record(ticket).await };
    fixture.store.overwrite(&record, fixture.now()).await;
}

#[actix_web::test]
async fn a_lapsed_token_is_refreshed_once_however_many_ask() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);

    let asking = (0..50).map(|_| access_token(&fixture, &ticket));
    let tokens = futures_util::future::join_all(asking).await;

    assert!(tokens.iter().all(|token| token == "access-2"));
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_claim_whose_reply_is_lost_is_a_claim_all_the_same() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    fixture.store.script([WriteOutcome::ReplyLost]);

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");
    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_token_that_is_due_is_used_while_it_is_refreshed() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(80);

    let (first, meanwhile) = (access_token(&fixture, &ticket).await, access_token(&fixture, &ticket).await);
    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await; // joins the flight that is under way

    assert_eq!((first.as_str(), meanwhile.as_str()), ("access-1", "access-1"));
    assert_eq!((outcome, fixture.calls()), (RefreshOutcome::Refreshed, 1));
    assert_eq!(access_token(&fixture, &ticket).await, "access-2");
}

#[actix_web::test]
async fn a_refresh_changes_neither_the_ticket_nor_the_sessions_end() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let before = fixture.record(&ticket).await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);

    access_token(&fixture, &ticket).await;

    let after = fixture.record(&ticket).await;
    assert_eq!((after.generation, after.expires_at), (before.generation + 1, before.expires_at));
    assert_eq!(after.lease, None);
    assert_ne!(after.state, before.state);
}

#[actix_web::test]
async fn what_the_answer_omits_stays_as_it_was() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"refresh_token": null})));
    fixture.clock.advance(LAPSED);

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");

    let cold = fixture.sessions.load_refresh_part(&ticket, fixture.now()).await.unwrap().unwrap();
    assert_eq!(cold.refresh_token.unwrap().expose(), "refresh-1");
    assert_eq!(cold.claims.text("name"), Some("Ada"));
}

#[actix_web::test]
async fn a_provider_without_an_answer_is_left_alone_until_the_rest_is_over() {
    for (reply, rest, attempt) in [
        (Reply::Raw(500, "", String::new()), 5, 0),
        (Reply::Raw(429, "retry-after: 30\r\n", String::new()), 30, 0),
        (Reply::Raw(503, "retry-after: 3600\r\n", String::new()), 60, 0),
        (Reply::Raw(401, "", r#"{"error":"invalid_client"}"#.to_owned()), 5, 0),
        (Reply::Raw(200, "", "<html>".to_owned()), 5, 1),
        (Reply::Reset, 5, 1),
        (Reply::Torn, 5, 1),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(reply);
        fixture.clock.advance(LAPSED);

        let refused = [load(&fixture, &ticket).await.unwrap_err(), load(&fixture, &ticket).await.unwrap_err()];

        let retry_after = refused.map(|error| match error {
            SessionError::NoFreshToken(NoFreshToken { retry_after }) => retry_after.as_secs(),
            SessionError::Store(error) => panic!("{error}"),
        });
        assert_eq!((retry_after, fixture.calls()), ([rest, rest], 1));
        let resting = fixture.record(&ticket).await.lease.unwrap();
        assert_eq!((resting.purpose, resting.attempt), (LeasePurpose::Resting, attempt));

        fixture.token_endpoint_replies(fixture.tokens(&json!({})));
        fixture.clock.advance(i64::try_from(rest).unwrap());
        assert_eq!(access_token(&fixture, &ticket).await, "access-2");
    }
}

#[actix_web::test]
async fn a_provider_that_is_down_costs_nothing_while_the_token_lives() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Raw(500, "", String::new()));
    fixture.clock.advance(80);
    fixture.sessions.refresh(&ticket, &fixture.party).await;

    let tokens = [access_token(&fixture, &ticket).await, access_token(&fixture, &ticket).await];

    assert_eq!((tokens, fixture.calls()), (["access-1".to_owned(), "access-1".to_owned()], 1));
}

#[actix_web::test]
async fn a_refresh_token_that_may_be_spent_is_sent_twice_at_most() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Reset);
    fixture.clock.advance(LAPSED);

    for _ in 0..2 {
        assert!(load(&fixture, &ticket).await.is_err());
        fixture.clock.advance(5);
    }
    let third = load(&fixture, &ticket).await.unwrap();

    assert!(third.is_none(), "nothing can be known any more, so the person signs in again");
    assert_eq!(fixture.calls(), 2);
    assert!(fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn attempts_that_are_used_up_end_nothing_while_the_token_lives() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    write_lease(&fixture, &ticket, lease(LeasePurpose::Refreshing, 2, START)).await;
    fixture.clock.advance(80);

    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

    assert_eq!(outcome, RefreshOutcome::Unavailable { retry_after: Duration::from_secs(20) });
    assert_eq!((access_token(&fixture, &ticket).await.as_str(), fixture.calls()), ("access-1", 0));
}

#[actix_web::test]
async fn a_lease_that_lapsed_is_taken_over_once() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Reset);
    write_lease(&fixture, &ticket, lease(LeasePurpose::Refreshing, 1, START)).await;
    fixture.clock.advance(LAPSED);

    assert!(load(&fixture, &ticket).await.is_err());

    assert_eq!((fixture.record(&ticket).await.lease.unwrap().attempt, fixture.calls()), (2, 1));
}

#[actix_web::test]
async fn another_instances_refresh_is_waited_for() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let other = fixture.another_instance();
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);

    let (one, two) = tokio::join!(load(&fixture, &ticket), other.load_fresh(&ticket, &fixture.party, fixture.now()));

    let token = |session: Result<Option<LiveSession>, SessionError>| session.unwrap().unwrap().part.access_token;
    assert_eq!((token(one).expose(), token(two).expose()), ("access-2", "access-2"));
    assert_eq!(fixture.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_instances_refresh_is_not_waited_for_for_ever() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.clock.advance(LAPSED);
    let until = fixture.now().plus(Duration::from_secs(30));
    write_lease(&fixture, &ticket, lease(LeasePurpose::Refreshing, 1, until)).await;
    fixture.clock.advance(6); // what this instance has cached is forgotten

    let tasks = tokio::task::LocalSet::new();
    let outcome = tasks.run_until(load(&fixture, &ticket)).await;

    assert!(matches!(outcome, Err(SessionError::NoFreshToken(_))));
    assert_eq!(fixture.calls(), 0);
}

#[actix_web::test]
async fn a_refused_refresh_token_ends_the_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Raw(400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    fixture.clock.advance(LAPSED);

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert!(fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn a_refusal_ends_nothing_when_another_instance_has_won() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.clock.advance(LAPSED);
    let claimed = StoredRecord { record: fixture.record(&ticket).await, etag: Etag(String::new()) };
    let renewed = SessionRecord { generation: 2, ..fixture.record(&ticket).await };
    fixture.store.overwrite(&renewed, fixture.now()).await;

    let outcome = fixture.sessions.refresher().end_unless_renewed(&ticket, &claimed).await.unwrap();

    assert_eq!(outcome, RefreshOutcome::Refreshed);
    assert!(!fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn an_answer_that_breaks_a_rule_ends_the_session_and_is_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"token_type": "DPoP"})));
    fixture.clock.advance(LAPSED);

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked().len(), 1);
}

#[actix_web::test]
async fn a_sign_out_between_claim_and_commit_wins_and_the_new_token_is_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    let tombstone = fixture.record(&ticket).await.tombstone(fixture.now());
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(tombstone))]); // the claim, then the commit

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_sign_out_before_the_claim_costs_no_call() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.clock.advance(LAPSED);
    let tombstone = fixture.record(&ticket).await.tombstone(fixture.now());
    fixture.store.script([WriteOutcome::Overtaken(Box::new(tombstone))]);

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert_eq!(fixture.calls(), 0);
}

#[actix_web::test]
async fn a_commit_whose_reply_is_lost_is_recognised() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    fixture.store.script([WriteOutcome::Written, WriteOutcome::ReplyLost]);

    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

    assert_eq!((outcome, fixture.calls()), (RefreshOutcome::Refreshed, 1));
    let record = fixture.record(&ticket).await;
    assert_eq!((record.generation, record.lease), (2, None));
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_commit_is_tried_until_it_answers() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed]);

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");

    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_claim_costs_no_call_and_no_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    fixture.store.script([WriteOutcome::Failed]);

    assert!(load(&fixture, &ticket).await.is_err());

    assert_eq!(fixture.calls(), 0);
    assert_eq!(access_token(&fixture, &ticket).await, "access-2");
}

#[actix_web::test]
async fn another_instance_sees_a_sign_out_within_the_cache_time() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let other = fixture.another_instance();
    let is_alive = async || other.load(&ticket, fixture.now()).await.unwrap().is_some();
    assert!(is_alive().await);

    fixture.sessions.records().end(&ticket, fixture.now()).await.unwrap();

    assert!(fixture.sessions.load(&ticket, fixture.now()).await.unwrap().is_none());
    assert!(is_alive().await, "within the cache time it may be late");
    fixture.clock.advance(5);
    assert!(!is_alive().await);
}
