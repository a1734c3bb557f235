//! Tokens of routes against a scripted Provider over real HTTP, a store that fails on demand and a fixed clock.

use serde_json::{Value, json};

use super::*;
use crate::sessions::{LeasePurpose, LiveSession, Sessions, WriteId};
use crate::testing::scripted_provider::Reply;
use crate::testing::{Fixture, START, WriteOutcome};

fn target(audience: &str) -> TokenTarget {
    TokenTarget::new(None, Some(audience), None).unwrap()
}

/// Target that is reached by the session's access token.
fn exchanged() -> TokenTarget {
    TokenTarget::new(Some("urn:exchanged"), None, None).unwrap()
}

async fn session(fixture: &Fixture, ticket: &SessionTicket) -> LiveSession {
    fixture.sessions.load(ticket, fixture.now()).await.unwrap().unwrap()
}

async fn token_of(
    sessions: &Sessions,
    fixture: &Fixture,
    ticket: &SessionTicket,
    target: &TokenTarget,
) -> Result<Option<String>, RouteTokenError> {
    let session = sessions.load_fresh(ticket, &fixture.party, fixture.now()).await.unwrap();
    let Some(session) = session else { return Ok(None) };
    let token = sessions.route_token(&session, target, ticket, &fixture.party, fixture.now()).await?;
    Ok(token.map(|token| token.expose().to_owned()))
}

async fn token(fixture: &Fixture, ticket: &SessionTicket, audience: &str) -> Result<Option<String>, RouteTokenError> {
    token_of(&fixture.sessions, fixture, ticket, &target(audience)).await
}

async fn issued(fixture: &Fixture, ticket: &SessionTicket, audience: &str) -> String {
    token(fixture, ticket, audience).await.unwrap().unwrap()
}

/// Response with this access token for a route, and no rotation.
fn reply(fixture: &Fixture, access_token: &str, changes: &Value) {
    let mut tokens = json!({"access_token": access_token, "refresh_token": null, "expires_in": 90});
    tokens.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fixture.token_endpoint_replies(fixture.tokens(&tokens));
}

fn refused(status: u16, error: &str) -> Reply {
    Reply::Raw(status, "", json!({ "error": error }).to_string())
}

fn last_form(fixture: &Fixture) -> std::collections::HashMap<String, String> {
    fixture.provider.received("/token_endpoint").last().unwrap().form()
}

#[actix_web::test]
async fn a_token_is_obtained_once_for_all_requests_of_two_instances_and_again_for_another_target() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let other = fixture.another_instance();
    reply(&fixture, "token-b", &json!({}));

    let (here, there) = (target("b"), target("b"));
    let asking = (0..20).flat_map(|_| {
        [token_of(&fixture.sessions, &fixture, &ticket, &here), token_of(&other, &fixture, &ticket, &there)]
    });
    let tokens = futures_util::future::join_all(asking).await;

    assert!(tokens.into_iter().all(|token| token.unwrap().as_deref() == Some("token-b")));
    assert_eq!(fixture.calls(), 1);
    reply(&fixture, "token-c", &json!({}));
    assert_eq!(issued(&fixture, &ticket, "c").await, "token-c");
    assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b", 2));
    assert_eq!(session(&fixture, &ticket).await.part.access_token.expose(), "access-1");
    assert_eq!(fixture.record(&ticket).await.lease, None);
}

#[actix_web::test]
async fn a_refresh_token_that_was_rotated_meanwhile_serves_the_next_call() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"refresh_token": "refresh-2"}));
    issued(&fixture, &ticket, "b").await;

    reply(&fixture, "token-c", &json!({}));
    issued(&fixture, &ticket, "c").await;

    assert_eq!(last_form(&fixture)["refresh_token"], "refresh-2");
    let part = fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap().unwrap();
    assert_eq!((part.refresh_token.unwrap().expose(), part.claims.subject()), ("refresh-2", "ada"));
}

#[actix_web::test]
async fn a_new_generation_begins_without_a_token_and_asks_once_more() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"expires_in": 3600}));
    issued(&fixture, &ticket, "b").await;
    reply(&fixture, "access-2", &json!({}));
    assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, RefreshOutcome::Refreshed);
    reply(&fixture, "token-b2", &json!({"expires_in": 3600}));

    assert_eq!(issued(&fixture, &ticket, "b").await, "token-b2");
    assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b2", 3));
}

#[actix_web::test]
async fn a_token_that_is_due_is_used_while_it_is_renewed_and_one_that_lapsed_is_waited_for() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"expires_in": 60}));
    issued(&fixture, &ticket, "b").await;
    reply(&fixture, "token-b2", &json!({"expires_in": 10}));
    fixture.clock.advance(50);

    assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");
    let renewed = fixture.sessions.route_tokens().join_or_start(&target("b"), None, &ticket, &fixture.party);
    renewed.unwrap().wait().await; // the flight under way, or one that finds its result

    assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b2", 2));
    reply(&fixture, "token-b3", &json!({}));
    fixture.clock.advance(10);
    assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b3", 3));
}

#[actix_web::test]
async fn a_renewal_that_fails_leaves_the_token_that_is_good() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"expires_in": 60}));
    issued(&fixture, &ticket, "b").await;
    fixture.token_endpoint_replies(refused(400, "invalid_target"));
    fixture.clock.advance(50);

    issued(&fixture, &ticket, "b").await;
    fixture.sessions.route_tokens().join_or_start(&target("b"), None, &ticket, &fixture.party).unwrap().wait().await;

    assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b", 2));
}

#[actix_web::test]
async fn a_provider_without_a_response_is_not_called_again_until_the_backoff_is_over() {
    for (reply_of_provider, backoff, unanswered) in [
        (Reply::Raw(429, "retry-after: 30\r\n", String::new()), 30..=30, 0),
        (Reply::Raw(503, "", String::new()), 4..=5, 0),
        (Reply::Raw(401, "", String::new()), 4..=5, 0),
        (Reply::Raw(502, "", String::new()), 4..=5, 1),
        (Reply::Reset, 4..=5, 1),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let other = fixture.another_instance();
        fixture.token_endpoint_replies(reply_of_provider);

        let failed = [
            token(&fixture, &ticket, "b").await.unwrap_err(),
            token(&fixture, &ticket, "b").await.unwrap_err(),
            token_of(&other, &fixture, &ticket, &target("b")).await.unwrap_err(),
        ];

        for error in failed {
            let RouteTokenError::Unavailable { retry_after } = error else { panic!("{error}") };
            assert!(backoff.contains(&retry_after.as_secs()), "{retry_after:?}");
        }
        assert_eq!(fixture.calls(), 1);
        let record = fixture.record(&ticket).await;
        assert_eq!(record.unanswered_calls(), unanswered);
        assert!(
            record.lease.is_none_or(|lease| lease.lapses_at <= fixture.now()),
            "the session's refresh is not delayed"
        );
        reply(&fixture, "token-c", &json!({}));
        assert_eq!(issued(&fixture, &ticket, "c").await, "token-c", "other routes go on");
        fixture.clock.advance(i64::try_from(*backoff.end()).unwrap());
        reply(&fixture, "token-b", &json!({}));
        assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");
    }
}

#[actix_web::test]
async fn an_ended_grant_is_noticed_though_the_target_failed_before() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    for reply in [Reply::Raw(503, "", String::new()), refused(400, "consent_required")] {
        fixture.token_endpoint_replies(reply);
        token(&fixture, &ticket, "b").await.unwrap_err();
        fixture.clock.advance(10);
    }
    fixture.token_endpoint_replies(refused(400, "invalid_grant"));

    assert_eq!(token(&fixture, &ticket, "b").await.unwrap(), None);
    assert!(fixture.record(&ticket).await.is_ended());
}

#[actix_web::test]
async fn a_refusal_concerns_its_route_alone_and_is_remembered_over_a_refresh() {
    for (error, expected) in [
        ("invalid_target", TargetRefusal::Refused),
        ("invalid_scope", TargetRefusal::Refused),
        ("invalid_client", TargetRefusal::Refused),
        ("consent_required", TargetRefusal::ConsentRequired),
        ("interaction_required", TargetRefusal::InteractionRequired),
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(refused(400, error));

        let is_refused = |outcome: Result<Option<String>, RouteTokenError>| match outcome {
            Err(RouteTokenError::Refused(refusal)) => refusal == expected,
            _ => false,
        };
        assert!(is_refused(token(&fixture, &ticket, "b").await), "{error}");
        reply(&fixture, "access-2", &json!({}));
        assert_eq!(fixture.sessions.refresh(&ticket, &fixture.party).await, RefreshOutcome::Refreshed);
        assert!(is_refused(token(&fixture, &ticket, "b").await), "{error}");

        assert_eq!(fixture.calls(), 2, "{error}");
        assert_eq!(session(&fixture, &ticket).await.part.access_token.expose(), "access-2");
        reply(&fixture, "token-b", &json!({}));
        fixture.clock.advance(5);
        assert_eq!(issued(&fixture, &ticket, "b").await, "token-b", "{error}: mended");
    }
}

#[actix_web::test]
async fn a_refusal_of_the_refresh_token_is_left_to_the_refresh_which_ends_the_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(refused(400, "invalid_grant"));

    assert_eq!(token(&fixture, &ticket, "b").await.unwrap(), None);

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.calls(), 2);
}

#[actix_web::test]
async fn a_refresh_token_that_is_refused_for_one_target_alone_keeps_the_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.provider.reply_to_grant(EXCHANGE, refused(400, "invalid_grant"));
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));

    let error = token_of(&fixture.sessions, &fixture, &ticket, &exchanged()).await.unwrap_err();

    assert!(matches!(error, RouteTokenError::Refused(TargetRefusal::Refused)), "{error}");
    assert_eq!(session(&fixture, &ticket).await.part.access_token.expose(), "access-2");
    let again = token_of(&fixture.sessions, &fixture, &ticket, &exchanged()).await.unwrap_err();
    assert!(matches!(again, RouteTokenError::Refused(TargetRefusal::Refused)), "{again}");
    assert_eq!(fixture.calls(), 2, "the refusal is remembered");

    for calls in [3, 4] {
        fixture.clock.advance(60);
        let again = token_of(&fixture.sessions, &fixture, &ticket, &exchanged()).await.unwrap_err();
        assert!(matches!(again, RouteTokenError::Refused(TargetRefusal::Refused)), "{again}");
        assert_eq!(
            (fixture.calls(), last_form(&fixture)["grant_type"].as_str()),
            (calls, EXCHANGE),
            "no refresh again"
        );
    }
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

#[actix_web::test]
async fn an_exchange_needs_no_refresh_token_and_a_refresh_does() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in_without_refresh_token(Some(100)).await;
    reply(&fixture, "token-x", &json!({}));

    let error = token(&fixture, &ticket, "b").await.unwrap_err();
    let exchanged = token_of(&fixture.sessions, &fixture, &ticket, &exchanged()).await.unwrap();

    assert!(matches!(error, RouteTokenError::Refused(TargetRefusal::Refused)), "{error}");
    assert_eq!((exchanged.as_deref(), fixture.calls()), (Some("token-x"), 1));
    let form = last_form(&fixture);
    assert_eq!((form["grant_type"].as_str(), form["subject_token"].as_str()), (EXCHANGE, "access-1"));
}

/// Token by exchange for a session that was loaded before its access token lapsed.
async fn exchanged_after_the_lapse(
    fixture: &Fixture,
    ticket: &SessionTicket,
) -> Result<Option<String>, RouteTokenError> {
    let loaded = session(fixture, ticket).await;
    fixture.clock.advance(100);
    let now = fixture.now();
    let token = fixture.sessions.route_token(&loaded, &exchanged(), ticket, &fixture.party, now).await?;
    Ok(token.map(|token| token.expose().to_owned()))
}

#[actix_web::test]
async fn an_access_token_that_lapsed_during_the_wait_for_a_lease_is_refreshed_and_not_exchanged() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(fixture.tokens(&json!({})));
    fixture.provider.reply_to_grant(EXCHANGE, fixture.tokens(&json!({"access_token": "token-x"})));

    let token = exchanged_after_the_lapse(&fixture, &ticket).await.unwrap();

    assert_eq!(token.as_deref(), Some("token-x"));
    assert_eq!(fixture.sent("subject_token"), ["", "access-2"]);
}

#[actix_web::test]
async fn an_access_token_that_lapsed_and_cannot_be_refreshed_now_is_not_exchanged() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Raw(503, "", String::new()));

    let error = exchanged_after_the_lapse(&fixture, &ticket).await.unwrap_err();

    assert!(matches!(error, RouteTokenError::Unavailable { .. }), "{error}");
    assert_eq!(fixture.sent("subject_token"), [""]);
    assert_eq!(fixture.record(&ticket).await.routes(), [], "no backoff of the route");
}

#[actix_web::test]
async fn an_access_token_that_lapsed_for_good_is_not_exchanged() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in_without_refresh_token(Some(100)).await;

    let token = exchanged_after_the_lapse(&fixture, &ticket).await.unwrap();

    assert_eq!((token, fixture.calls()), (None, 0), "the session is over");
}

#[actix_web::test]
async fn an_access_token_that_lapsed_and_whose_refresh_is_refused_leads_to_the_sign_in() {
    for error in ["invalid_client", "unsupported_grant_type", "invalid_request"] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        fixture.token_endpoint_replies(refused(400, error));

        let token = exchanged_after_the_lapse(&fixture, &ticket).await.unwrap();

        assert_eq!(token, None, "{error}: no target refused anything");
        assert_eq!(fixture.sent("subject_token"), [""], "{error}");
    }
}

#[actix_web::test]
async fn a_sign_out_revokes_the_token_of_every_route_and_the_refresh_token() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    for audience in ["b", "c"] {
        reply(&fixture, &format!("token-{audience}"), &json!({}));
        issued(&fixture, &ticket, audience).await;
    }

    fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap();
    fixture.sessions.drain().await;

    let mut revoked = fixture.revoked();
    assert_eq!(revoked.pop().as_deref(), Some("refresh-1"), "the tokens of routes are revoked before it, at once");
    revoked.sort();
    assert_eq!(revoked, ["token-b", "token-c"]);
    let hints = fixture.provider.received("/revocation_endpoint");
    let hints: Vec<_> = hints.iter().map(|request| request.form()["token_type_hint"].clone()).collect();
    assert_eq!(hints, ["access_token", "access_token", "refresh_token"]);
    assert_eq!(fixture.record(&ticket).await.routes(), []);
}

#[actix_web::test]
async fn revocations_of_route_tokens_that_hang_do_not_keep_back_that_of_the_refresh_token() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({}));
    issued(&fixture, &ticket, "b").await;
    fixture.provider.reply("/revocation_endpoint", Reply::Silence);
    tokio::time::pause(); // a limit passes as soon as nothing else is to do
    let started = Instant::now();

    fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap();
    fixture.sessions.drain().await;

    while fixture.revoked().len() < 2 {
        tokio::task::yield_now().await; // the Provider's threads may be slower than this clock
    }
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(12),
        "three seconds for the first, the time of any request for the second: {took:?}"
    );
}

#[actix_web::test]
async fn a_sign_out_between_lease_and_write_wins_and_the_new_tokens_are_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"refresh_token": "refresh-2"}));
    let tombstone = fixture.record(&ticket).await.tombstone(WriteId::random(), fixture.now());
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(tombstone))]); // the lease, the token

    assert_eq!(token(&fixture, &ticket, "b").await.unwrap(), None);

    assert!(fixture.record(&ticket).await.is_ended());
    assert_eq!(fixture.revoked(), ["token-b", "refresh-2"]);
}

#[actix_web::test]
async fn a_refusal_that_meets_a_sign_out_revokes_what_was_rotated() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"token_type": "N_A", "refresh_token": "refresh-2"}));
    let tombstone = fixture.record(&ticket).await.tombstone(WriteId::random(), fixture.now());
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(tombstone))]);

    token(&fixture, &ticket, "b").await.unwrap_err();

    assert_eq!(fixture.revoked(), ["refresh-2"]);
}

#[actix_web::test]
async fn a_write_whose_reply_is_lost_or_fails_a_few_times_loses_no_rotated_refresh_token() {
    for outcomes in [
        vec![WriteOutcome::ReplyLost],
        vec![WriteOutcome::Repeated],
        vec![WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed],
    ] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        reply(&fixture, "token-b", &json!({"refresh_token": "refresh-2"}));
        fixture.store.script([vec![WriteOutcome::Written], outcomes].concat());

        assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");

        assert_eq!((issued(&fixture, &ticket, "b").await.as_str(), fixture.calls()), ("token-b", 1));
        let part = fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap().unwrap();
        assert_eq!(part.refresh_token.unwrap().expose(), "refresh-2");
    }
}

#[actix_web::test]
async fn a_store_that_is_down_at_the_lease_costs_no_call_and_no_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({}));
    fixture.store.script([WriteOutcome::Failed]);

    let error = token(&fixture, &ticket, "b").await.unwrap_err();

    assert!(matches!(error, RouteTokenError::Unavailable { .. }), "{error}");
    assert_eq!(fixture.calls(), 0);
    assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");
}

#[actix_web::test]
async fn what_others_wrote_after_our_lease_was_declared_dead_stays_beside_our_token() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-c", &json!({"refresh_token": "refresh-2"}));
    issued(&fixture, &ticket, "c").await;
    let theirs = fixture.record(&ticket).await;
    let others_lease = RefreshLease {
        purpose: LeasePurpose::Refreshing,
        holder: "another".to_owned(),
        lapses_at: START,
        unanswered: 1,
        backoffs: 0,
    };
    let theirs = SessionRecord { lease: Some(others_lease.clone()), ..theirs };
    let fixture_record = fixture.record_of(&ticket);
    fixture.store.overwrite(&fixture_record, fixture.now()).await; // as before `c` was obtained
    reply(&fixture, "token-b", &json!({"refresh_token": "refresh-2b"}));
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(theirs))]);

    assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");

    let record = fixture.record(&ticket).await;
    assert_eq!((record.routes().len(), record.lease), (2, Some(others_lease)));
    let part = fixture.sessions.sign_out(&ticket, &fixture.party, fixture.now()).await.unwrap().unwrap();
    assert_eq!(part.refresh_token.unwrap().expose(), "refresh-2", "the first rotation that was written counts");
}

#[actix_web::test]
async fn a_late_failure_does_not_take_away_a_token_that_another_wrote() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({}));
    issued(&fixture, &ticket, "b").await;
    let theirs = fixture.record(&ticket).await;
    fixture.store.overwrite(&fixture.record_of(&ticket), fixture.now()).await; // as before `b` was obtained
    fixture.token_endpoint_replies(refused(400, "invalid_target"));
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(theirs.clone()))]);

    let late = fixture.another_instance();
    token_of(&late, &fixture, &ticket, &target("b")).await.unwrap_err();

    assert_eq!(fixture.record(&ticket).await.routes(), theirs.routes());
}

#[actix_web::test]
async fn a_newer_generation_is_not_overwritten_and_the_token_serves_its_request() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-b", &json!({"refresh_token": "refresh-2"}));
    let newer = SessionRecord { generation: 2, ..fixture.record(&ticket).await };
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Overtaken(Box::new(newer.clone()))]);

    assert_eq!(issued(&fixture, &ticket, "b").await, "token-b");

    assert_eq!(fixture.record(&ticket).await, newer);
}

#[actix_web::test]
async fn while_the_process_drains_another_instance_is_to_ask() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let session = session(&fixture, &ticket).await;
    fixture.sessions.drain().await;

    let refused = fixture.sessions.route_token(&session, &target("b"), &ticket, &fixture.party, fixture.now()).await;

    assert!(matches!(refused, Err(RouteTokenError::Unavailable { retry_after }) if retry_after.as_secs() == 1));
    assert_eq!(fixture.calls(), 0);
}

#[actix_web::test]
async fn a_token_that_does_not_open_is_requested_anew() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-c", &json!({}));
    issued(&fixture, &ticket, "c").await;
    let mut moved = fixture.record(&ticket).await;
    if let RecordState::Active { routes, .. } = &mut moved.state {
        routes[0].target = TargetKey::of(&target("b")); // as a writer of the store could, or a key that is gone
    }
    fixture.store.overwrite(&moved, fixture.now()).await;
    reply(&fixture, "token-b", &json!({}));

    let (here, there) = (fixture.another_instance(), fixture.another_instance());
    let b = target("b");
    let asking = [&here, &there].map(|sessions| token_of(sessions, &fixture, &ticket, &b));
    let tokens = futures_util::future::join_all(asking).await;

    assert!(tokens.into_iter().all(|token| token.unwrap().as_deref() == Some("token-b")));
    assert_eq!(fixture.calls(), 2, "one for each target");
}

/// Writes a lease that nobody holds any more, in force for some seconds.
async fn write_lease(
    fixture: &Fixture,
    ticket: &SessionTicket,
    purpose: LeasePurpose,
    seconds: u64,
    unanswered: u8,
) -> RefreshLease {
    let lapses_at = START.plus(Duration::from_secs(seconds));
    let lease = RefreshLease { purpose, holder: String::new(), lapses_at, unanswered, backoffs: 1 };
    fixture.write_lease(ticket, Some(lease.clone())).await;
    lease
}

#[actix_web::test]
async fn a_call_without_a_response_is_followed_by_a_refresh_of_the_session_and_the_call_again() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Reset);
    token(&fixture, &ticket, "b").await.unwrap_err();
    fixture.clock.advance(5);
    reply(&fixture, "access-2", &json!({"refresh_token": "refresh-2"}));

    assert_eq!(issued(&fixture, &ticket, "b").await, "access-2");

    assert_eq!(fixture.sent("audience"), ["b", "", "b"]);
    assert_eq!(fixture.sent("refresh_token"), ["refresh-1", "refresh-1", "refresh-2"]);
    assert_eq!(fixture.record(&ticket).await.lease, None);
}

#[actix_web::test]
async fn two_calls_without_a_response_are_all_that_the_routes_and_the_session_send_before_the_lapse() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let other = fixture.another_instance();
    fixture.token_endpoint_replies(Reply::Reset);

    for _ in 0..9 {
        for audience in ["b", "c", "d"] {
            token(&fixture, &ticket, audience).await.unwrap_err();
            token_of(&other, &fixture, &ticket, &target(audience)).await.unwrap_err();
        }
        fixture.sessions.refresh(&ticket, &fixture.party).await;
        fixture.clock.advance(10);
    }

    assert_eq!(fixture.calls(), 2);
    let last = token(&fixture, &ticket, "e").await.unwrap_err();
    assert!(matches!(last, RouteTokenError::Unavailable { retry_after } if retry_after.as_secs() == 10), "{last:?}");
    fixture.clock.advance(10); // the lapse
    reply(&fixture, "access-2", &json!({}));
    assert_eq!(issued(&fixture, &ticket, "e").await, "access-2");
}

#[actix_web::test]
async fn a_refresh_that_clears_a_doubt_leaves_the_other_routes_their_tokens() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    reply(&fixture, "token-c", &json!({}));
    issued(&fixture, &ticket, "c").await;
    fixture.token_endpoint_replies(Reply::Reset);
    token(&fixture, &ticket, "b").await.unwrap_err();
    fixture.clock.advance(5);
    reply(&fixture, "access-2", &json!({}));
    assert_eq!(issued(&fixture, &ticket, "b").await, "access-2");
    let calls = fixture.calls();

    let other = fixture.another_instance();

    assert_eq!(token_of(&other, &fixture, &ticket, &target("c")).await.unwrap().as_deref(), Some("token-c"));
    assert_eq!((fixture.calls(), fixture.record(&ticket).await.generation), (calls, 2));
}

#[actix_web::test]
async fn a_target_without_a_response_is_asked_less_and_less_often() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    let mut pauses = Vec::new();

    for _ in 0..9 {
        fixture.token_endpoint_replies(Reply::Reset);
        let error = match token(&fixture, &ticket, "b").await.unwrap_err() {
            RouteTokenError::Unavailable { retry_after } => retry_after.as_secs(),
            other => panic!("{other}"),
        };
        pauses.push(error);
        reply(&fixture, "access-2", &json!({"expires_in": 86_400}));
        fixture.sessions.refresh(&ticket, &fixture.party).await; // clears the doubt
        fixture.clock.advance(i64::try_from(error).unwrap());
    }

    let longest = [5, 10, 20, 40, 80, 160, 320, 600, 600];
    let fits = |(pause, longest): (&u64, u64)| *pause <= longest && pause * 5 >= longest * 4 - 5;
    assert!(pauses.iter().zip(longest).all(fits), "{pauses:?}");
}

#[actix_web::test]
async fn whoever_died_with_a_routes_call_under_way_leaves_the_next_one_to_the_session() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    write_lease(&fixture, &ticket, LeasePurpose::BackingOff, 0, 1).await;
    reply(&fixture, "access-2", &json!({}));

    let other = fixture.another_instance();
    let (b, c) = (target("b"), target("c"));
    let tokens = futures_util::future::join(
        token_of(&fixture.sessions, &fixture, &ticket, &b),
        token_of(&other, &fixture, &ticket, &c),
    );

    let (b, c) = tokens.await;
    assert_eq!((b.unwrap().as_deref(), c.unwrap().as_deref()), (Some("access-2"), Some("access-2")));
    assert_eq!(fixture.calls(), 3, "one refresh, and a call for each target");
}

#[actix_web::test]
async fn a_doubt_about_the_refresh_token_delays_no_exchange() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.token_endpoint_replies(Reply::Reset);
    token(&fixture, &ticket, "b").await.unwrap_err();
    fixture.token_endpoint_replies(fixture.tokens(&json!({"access_token": "token-x"})));

    let token = token_of(&fixture.sessions, &fixture, &ticket, &exchanged()).await.unwrap();

    assert_eq!((token.as_deref(), fixture.calls()), (Some("token-x"), 2));
    assert_eq!(fixture.record(&ticket).await.unanswered_calls(), 1, "it clears no doubt, either");
}

#[actix_web::test]
async fn a_backoff_or_a_refusal_of_the_session_delays_no_exchange_and_stays() {
    for purpose in [LeasePurpose::BackingOff, LeasePurpose::Refused] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let lease = write_lease(&fixture, &ticket, purpose, 50, 2).await;
        reply(&fixture, "token-x", &json!({}));

        let token = token_of(&fixture.another_instance(), &fixture, &ticket, &exchanged()).await.unwrap();

        assert_eq!((token.as_deref(), fixture.calls()), (Some("token-x"), 1));
        assert_eq!(fixture.record(&ticket).await.lease, Some(lease));
    }
}

#[actix_web::test]
async fn a_backoff_of_the_session_itself_is_respected() {
    for (purpose, is_refused) in [(LeasePurpose::BackingOff, false), (LeasePurpose::Refused, true)] {
        let fixture = Fixture::new();
        let ticket = fixture.signed_in().await;
        let lease = write_lease(&fixture, &ticket, purpose, 9, 0).await;

        let error = token_of(&fixture.another_instance(), &fixture, &ticket, &target("b")).await.unwrap_err();

        assert_eq!(matches!(error, RouteTokenError::Refused(_)), is_refused, "{error}");
        assert_eq!(fixture.calls(), 0);
        fixture.clock.advance(9);
        fixture.token_endpoint_replies(Reply::Raw(503, "", String::new()));
        token(&fixture, &ticket, "b").await.unwrap_err();
        assert_eq!(fixture.record(&ticket).await.lease, Some(lease), "its count is kept");
    }
}

#[actix_web::test]
async fn a_lost_response_after_other_failures_is_the_first_of_its_kind() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    for _ in 0..7 {
        fixture.token_endpoint_replies(Reply::Raw(503, "", String::new()));
        token(&fixture, &ticket, "b").await.unwrap_err();
        fixture.clock.advance(10);
        reply(&fixture, "access-2", &json!({"expires_in": 86_400}));
        fixture.sessions.refresh(&ticket, &fixture.party).await;
        fixture.clock.advance(60);
    }
    fixture.token_endpoint_replies(Reply::Raw(502, "retry-after: 30\r\n", String::new()));

    let error = token(&fixture, &ticket, "b").await.unwrap_err();

    assert!(matches!(error, RouteTokenError::Unavailable { retry_after } if retry_after.as_secs() == 30), "{error:?}");
}
