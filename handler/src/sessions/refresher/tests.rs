//! Refresh against a scripted Provider over real HTTP, a store that fails on demand and a fixed clock.

use serde_json::json;

use super::*;
use crate::oidc::Scope;
use crate::sessions::timing::SEND_WITHIN;
use crate::sessions::{LeasePurpose, LiveSession, NoFreshToken, RefreshLease, SessionError, WriteId};
use crate::testing::scripted_provider::Reply;
use crate::testing::{Fixture, START, WriteOutcome, first_parts, record_of};

/// Seconds until the first token has lapsed.
const LAPSED: i64 = 100;

async fn load(fixture: &Fixture, ticket: &SessionTicket) -> Result<Option<LiveSession>, SessionError> {
    fixture.sessions.load_fresh(ticket, &fixture.party, fixture.now()).await
}

async fn access_token(fixture: &Fixture, ticket: &SessionTicket) -> String {
    load(fixture, ticket).await.unwrap().unwrap().part.access_token.expose().to_owned()
}

fn lease(purpose: LeasePurpose, attempt: u8, lapses_at: Timestamp) -> Option<RefreshLease> {
    Some(RefreshLease { purpose, holder: "another".to_owned(), lapses_at, unanswered: attempt, backoffs: 0 })
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
async fn a_lease_whose_reply_is_lost_is_a_lease_all_the_same() {
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
async fn what_the_response_omits_stays_as_it_was() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"refresh_token": null})));
    fixture.clock.advance(LAPSED);

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");

    let person = fixture.sessions.load_person(&ticket, fixture.now()).await.unwrap().unwrap();
    assert_eq!(person.claims.text("name"), Some("Ada"));
    let part = fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap().unwrap();
    assert_eq!(part.refresh_token.unwrap().expose(), "refresh-1");
}

#[actix_web::test]
async fn the_scope_of_the_grant_goes_with_every_refresh_however_narrow_a_response_is() {
    let fixture = Fixture::new();
    let ticket = fixture.sessions.lifetime().issue(&[1; 32], "code", START);
    let mut parts = first_parts(Some("refresh-1"), Duration::from_secs(80), Duration::from_secs(100));
    parts.refresh.scope = Scope::parse("openid a b");
    let record = fixture.sessions.records().seal(&parts, 1, &ticket);
    fixture.sessions.records().create(record, START).await.unwrap();
    fixture.token_endpoint_replies(fixture.tokens(&json!({"scope": "openid a", "expires_in": 100})));

    fixture.clock.advance(LAPSED);
    access_token(&fixture, &ticket).await;
    fixture.clock.advance(LAPSED);
    access_token(&fixture, &ticket).await;

    assert_eq!(fixture.sent("scope"), ["openid a b", "openid a b"]);
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
    let leased = StoredRecord { record: fixture.record(&ticket).await, etag: Etag(String::new()) };
    let renewed = SessionRecord { generation: 2, ..fixture.record(&ticket).await };
    fixture.store.overwrite(&renewed, fixture.now()).await;

    let outcome = fixture.sessions.refresher().end_unless_renewed(&leased).await.unwrap();

    assert_eq!(outcome, RefreshOutcome::Refreshed);
    assert!(!fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn a_refusal_ends_nothing_when_a_late_call_for_a_route_has_rotated_the_token() {
    for (holder, is_given_back) in [("ours", true), ("another", false)] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let lease = |holder: &str| RefreshLease {
            purpose: LeasePurpose::Refreshing,
            holder: holder.to_owned(),
            lapses_at: START,
            unanswered: 2,
            backoffs: 0,
        };
        fixture.write_lease(&ticket, Some(lease("ours"))).await;
        let sent = StoredRecord { record: fixture.record(&ticket).await, etag: Etag(String::new()) };
        let state = record_of(&fixture.sessions, &ticket, "refresh-2").state;
        let rotated = SessionRecord { lease: Some(lease(holder)), state, ..sent.record.clone() };
        fixture.store.script([WriteOutcome::Overtaken(Box::new(rotated.clone()))]); // the tombstone

        let outcome = fixture.sessions.refresher().end_unless_renewed(&sent).await.unwrap();

        assert!(matches!(outcome, RefreshOutcome::Unavailable { .. }), "{outcome:?}");
        let record = fixture.record(&ticket).await;
        assert_eq!((&record.state, record.lease != rotated.lease), (&rotated.state, is_given_back));
    }
}

#[actix_web::test]
async fn a_refusal_whose_tombstone_is_not_written_has_ended_nothing() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Raw(400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    let failures = [WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed];
    fixture.store.script([vec![WriteOutcome::Written], failures.to_vec()].concat());

    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

    assert!(matches!(outcome, RefreshOutcome::Unavailable { .. }), "{outcome:?}");
    assert!(!fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn a_renewal_lets_its_holder_send_if_it_was_written() {
    for (outcome, may_send) in [(WriteOutcome::Failed, false), (WriteOutcome::ReplyLost, true)] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let leases = &fixture.sessions.refresher().leases;
        let LeaseAttempt::Acquired(held) = leases.acquire(&ticket, Trigger::Now).await.unwrap() else { panic!() };
        fixture.store.script(vec![outcome.clone(); 3]);
        tokio::time::pause();

        leases.hold(&held, &ticket, tokio::time::sleep(SEND_WITHIN)).await;

        assert_eq!(held.may_send(), may_send, "{outcome:?}");
        tokio::time::resume();
    }
}

#[actix_web::test]
async fn a_response_that_breaks_a_rule_ends_the_session_and_is_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"token_type": "DPoP"})));
    fixture.clock.advance(LAPSED);

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked().len(), 1);
}

#[actix_web::test]
async fn a_sign_out_between_lease_and_commit_wins_and_the_new_token_is_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    let tombstone = fixture.record(&ticket).await.tombstone(WriteId::random(), fixture.now());
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(tombstone))]); // the lease, then the commit

    assert!(load(&fixture, &ticket).await.unwrap().is_none());

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_sign_out_before_the_lease_costs_no_call() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.clock.advance(LAPSED);
    let tombstone = fixture.record(&ticket).await.tombstone(WriteId::random(), fixture.now());
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
async fn a_store_that_is_down_at_the_commit_is_tried_until_it_responds() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.clock.advance(LAPSED);
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed]);

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");

    assert_eq!(fixture.calls(), 1);
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_lease_costs_no_call_and_no_session() {
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

    fixture.sessions.records().end(&ticket, fixture.now()).await.confirmed.unwrap();

    assert!(fixture.sessions.load(&ticket, fixture.now()).await.unwrap().is_none());
    assert!(is_alive().await, "within the cache time it may be late");
    fixture.clock.advance(5);
    assert!(!is_alive().await);
}

fn refusal(status: u16, error: &str) -> Reply {
    Reply::Raw(status, "", json!({ "error": error }).to_string())
}

#[actix_web::test]
async fn a_refusal_of_client_or_request_leads_to_sign_in_once_the_token_has_lapsed() {
    for (status, error, expected) in [
        (401, "invalid_client", RefreshOutcome::ClientRefused(RefusalReason::Client)),
        (400, "invalid_client", RefreshOutcome::ClientRefused(RefusalReason::Client)),
        (400, "unauthorized_client", RefreshOutcome::ClientRefused(RefusalReason::Client)),
        (400, "invalid_request", RefreshOutcome::RequestRefused),
        (400, "invalid_scope", RefreshOutcome::RequestRefused),
        (400, "unsupported_grant_type", RefreshOutcome::RequestRefused),
        (403, "access_denied", RefreshOutcome::RequestRefused),
        (404, "a_code_of_their_own", RefreshOutcome::RequestRefused),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(refusal(status, error));
        fixture.clock.advance(80);

        assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, expected, "{error}");
        for _ in 0..5 {
            assert_eq!(access_token(&fixture, &ticket).await, "access-1", "{error}: the token lives");
            fixture.clock.advance(3);
        }
        assert_eq!(fixture.calls(), 1, "{error}");

        fixture.clock.advance(20);
        for _ in 0..5 {
            assert!(load(&fixture, &ticket).await.unwrap().is_none(), "{error}: to sign-in");
            let person = fixture.sessions.load_person(&ticket, fixture.now()).await.unwrap();
            assert!(person.is_none(), "{error}: scripts see it, too");
        }
        assert_eq!(fixture.calls(), 2, "{error}: once more after the lapse, then it backs off");

        fixture.token_endpoint_replies(fixture.tokens(&json!({})));
        fixture.clock.advance(10);
        assert_eq!(access_token(&fixture, &ticket).await, "access-2", "{error}: mended by the operator");
    }
}

#[actix_web::test]
async fn a_client_that_is_refused_has_an_outcome_for_each_reason() {
    for (error, number, label) in [
        ("invalid_client", 0, "client_refused"),
        ("invalid_client", 7_000_222, "client_secret_expired"),
        ("invalid_client", 7_000_215, "client_secret_wrong"),
        ("invalid_request", 70_021, "federated_credential_mismatch"),
        ("invalid_grant", 7_000_222, "client_secret_expired"),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let body = json!({ "error": error, "error_codes": [number] });
        fixture.token_endpoint_replies(Reply::Raw(401, "", body.to_string()));
        fixture.clock.advance(80);

        let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

        assert_eq!(outcome_label(&Ok(outcome)), label, "{error} {number}");
        assert_eq!(access_token(&fixture, &ticket).await, "access-1", "{error} {number}: the session lives");
    }
}

#[actix_web::test]
async fn a_refusal_for_the_moment_signs_nobody_out() {
    for reply in [
        refusal(400, "slow_down"),
        refusal(400, "temporarily_unavailable"),
        refusal(429, "invalid_request"),
        refusal(503, "invalid_client"),
        refusal(500, "invalid_grant"),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(reply);
        fixture.clock.advance(LAPSED);

        assert!(matches!(load(&fixture, &ticket).await, Err(SessionError::NoFreshToken(_))));
        assert!(!fixture.record(&ticket).await.is_ended());
    }
}

#[actix_web::test]
async fn without_a_refresh_token_the_session_ends_with_its_access_token() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in_without_refresh_token(Some(100)).await;
    assert_eq!(access_token(&fixture, &ticket).await, "access-1");
    let person = fixture.sessions.load_person(&ticket, fixture.now()).await.unwrap().unwrap();
    assert_eq!(person.ends_at, Some(START.plus(Duration::from_secs(100))));

    fixture.clock.advance(LAPSED);

    assert!(load(&fixture, &ticket).await.unwrap().is_none());
    assert!(fixture.sessions.load_person(&ticket, fixture.now()).await.unwrap().is_none());
    let signed_out = fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap();
    assert!(signed_out.is_some(), "a sign-out still yields the hint for the provider's");
}

#[actix_web::test]
async fn a_token_without_refresh_token_and_expiry_is_used_until_the_session_ends() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in_without_refresh_token(None).await;

    fixture.clock.advance(86_399);

    assert_eq!(access_token(&fixture, &ticket).await, "access-1");
    assert_eq!(fixture.calls(), 0);
}

/// Refresh whose ID token has this `sid`.
async fn refresh_with_sid(fixture: &Fixture, ticket: &SessionTicket, sid: &str) -> RefreshOutcome {
    let now = fixture.now().as_unix();
    let claims = json!({
        "iss": fixture.provider.origin, "sub": "ada", "aud": "client", "exp": now + 300, "iat": now, "sid": sid,
    });
    fixture.token_endpoint_replies(fixture.tokens(&json!({ "id_token": fixture.key.sign(&claims) })));
    fixture.sessions.refresh(ticket, &fixture.party).await
}

#[actix_web::test]
async fn a_session_ends_by_the_sid_that_its_last_refresh_named() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;

    assert_eq!(refresh_with_sid(&fixture, &ticket, "new-sid").await, RefreshOutcome::Refreshed);

    let index = fixture.sessions.provider_session("new-sid");
    assert_eq!(fixture.sessions.end_all(&index, fixture.now()).await.unwrap(), 1);
    assert!(load(&fixture, &ticket).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_refresh_that_names_a_sid_that_was_ended_meanwhile_ends_the_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let index = fixture.sessions.provider_session("new-sid");
    fixture.sessions.end_all(&index, fixture.now()).await.unwrap();

    assert_eq!(refresh_with_sid(&fixture, &ticket, "new-sid").await, RefreshOutcome::Ended);

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_forced_refresh_of_a_session_without_a_refresh_token_says_so() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in_without_refresh_token(Some(100)).await;

    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

    assert_eq!((outcome, fixture.calls()), (RefreshOutcome::NoRefreshToken, 0));
}

#[actix_web::test]
async fn a_provider_without_a_response_is_not_called_again_until_the_backoff_is_over() {
    for (reply, backoff, unanswered) in [
        (Reply::Raw(429, "retry-after: 30\r\n", String::new()), 30..=30, 0),
        (Reply::Raw(503, "retry-after: 3600\r\n", String::new()), 60..=60, 0),
        (Reply::Raw(503, "", String::new()), 4..=5, 0),
        (Reply::Raw(403, "", "<html>".to_owned()), 4..=5, 0),
        (Reply::Raw(200, "", "<html>".to_owned()), 4..=5, 1),
        (Reply::Raw(502, "", String::new()), 4..=5, 1),
        (Reply::Reset, 4..=5, 1),
        (Reply::Torn, 4..=5, 1),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(reply);
        fixture.clock.advance(LAPSED);

        let refused = [load(&fixture, &ticket).await.unwrap_err(), load(&fixture, &ticket).await.unwrap_err()];

        for error in refused {
            let SessionError::NoFreshToken(NoFreshToken { retry_after }) = error else { panic!("{error}") };
            assert!(backoff.contains(&retry_after.as_secs()), "{retry_after:?}");
        }
        assert_eq!(fixture.calls(), 1);
        let lease = fixture.record(&ticket).await.lease.unwrap();
        assert_eq!((lease.purpose, lease.unanswered, lease.backoffs), (LeasePurpose::BackingOff, unanswered, 1));

        fixture.token_endpoint_replies(fixture.tokens(&json!({})));
        fixture.clock.advance(i64::try_from(*backoff.end()).unwrap());
        assert_eq!(access_token(&fixture, &ticket).await, "access-2");
    }
}

#[actix_web::test]
async fn a_response_with_a_new_refresh_token_and_no_access_token_loses_no_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"access_token": null})));
    fixture.clock.advance(LAPSED);

    load(&fixture, &ticket).await.unwrap_err();
    assert_eq!(fixture.record(&ticket).await.unanswered_calls(), 0);
    fixture.clock.advance(5);
    fixture.token_endpoint_replies(fixture.tokens(&json!({"refresh_token": "refresh-3"})));

    assert_eq!(access_token(&fixture, &ticket).await, "access-2");
    assert_eq!(fixture.sent("refresh_token"), ["refresh-1", "refresh-2"]);
}

#[actix_web::test]
async fn a_refresh_token_of_another_person_is_not_kept() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(
        fixture.tokens(&json!({"access_token": null, "id_token": "e30.eyJzdWIiOiJldmUifQ.c2ln"})),
    );
    fixture.clock.advance(LAPSED);

    load(&fixture, &ticket).await.unwrap_err();
    fixture.clock.advance(5);
    load(&fixture, &ticket).await.unwrap_err();

    assert_eq!(fixture.sent("refresh_token"), ["refresh-1", "refresh-1"]);
}

#[actix_web::test]
async fn a_refresh_token_without_an_access_token_is_revoked_after_a_sign_out() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"access_token": null})));
    let tombstone = fixture.record(&ticket).await.tombstone(WriteId::random(), fixture.now());
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(tombstone))]); // the lease, the backoff

    assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, RefreshOutcome::Ended);

    assert_eq!(fixture.revoked(), ["refresh-2"]);
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
async fn after_two_calls_without_a_response_a_backoff_lasts_until_the_token_lapses() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Reset);
    fixture.clock.advance(80);

    for _ in 0..3 {
        fixture.sessions.refresh(&ticket, &fixture.party).await;
        fixture.clock.advance(5);
    }

    assert_eq!((access_token(&fixture, &ticket).await.as_str(), fixture.calls()), ("access-1", 2));
    let lease = fixture.record(&ticket).await.lease.unwrap();
    assert_eq!((lease.purpose, lease.lapses_at), (LeasePurpose::BackingOff, START.plus(Duration::from_secs(100))));
}

#[actix_web::test]
async fn two_calls_without_a_response_are_enough_while_the_token_lives() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.write_lease(&ticket, lease(LeasePurpose::BackingOff, 2, START)).await;
    fixture.clock.advance(80);

    let outcome = fixture.sessions.refresh(&ticket, &fixture.party).await;

    assert_eq!(outcome, RefreshOutcome::Unavailable { retry_after: Duration::from_secs(20) });
    assert_eq!((access_token(&fixture, &ticket).await.as_str(), fixture.calls()), ("access-1", 0));
}

#[actix_web::test]
async fn a_token_of_unknown_lifetime_can_be_refreshed_after_two_calls_without_a_response() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({"expires_in": null})));
    assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, RefreshOutcome::Refreshed);
    fixture.write_lease(&ticket, lease(LeasePurpose::BackingOff, 2, START)).await;

    assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, RefreshOutcome::Refreshed);
}
