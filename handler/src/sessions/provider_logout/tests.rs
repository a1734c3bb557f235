//! Ending sessions by the Provider's `sid` or `sub`.

use super::*;
use crate::sessions::Sessions;
use crate::testing::{ContendedStore, Fixture, START, WriteOutcome};

fn session(ticket: &SessionTicket) -> IndexedSession {
    IndexedSession { key: ticket.id.key(), expires_at: ticket.expires_at, has_sid: true }
}

async fn enter(fixture: &Fixture, index: &IndexKey, ticket: &SessionTicket) -> bool {
    fixture.sessions.provider_logout().enter(index, session(ticket), ticket.issued_at, START).await.unwrap()
}

async fn indexed(fixture: &Fixture, index: &IndexKey, now: Timestamp) -> Vec<IndexedSession> {
    fixture.sessions.records().store.load_index(index, now).await.unwrap().unwrap().index.sessions
}

#[actix_web::test]
async fn every_session_under_an_index_ends_everywhere() {
    let fixture = Fixture::new();
    let (ticket, other) = (fixture.signed_in().await, fixture.another_instance());
    assert!(other.load(&ticket, START).await.unwrap().is_some());
    let index = fixture.sessions.subject("ada");
    enter(&fixture, &index, &ticket).await;

    let ended = fixture.sessions.end_all(&index, START).await.unwrap();

    assert_eq!((ended, fixture.sessions.end_all(&index, START).await.unwrap()), (1, 0));
    assert!(fixture.sessions.load(&ticket, START).await.unwrap().is_none());
    let after = START.plus(Duration::from_secs(5)); // what the other instance's cache may believe
    assert!(other.load(&ticket, after).await.unwrap().is_none());
}

#[actix_web::test]
async fn an_index_that_is_not_there_ends_nothing() {
    let fixture = Fixture::new();

    assert_eq!(fixture.sessions.end_all(&fixture.sessions.subject("nobody"), START).await.unwrap(), 0);
    assert_eq!(fixture.sessions.end_all(&fixture.sessions.provider_session("none"), START).await.unwrap(), 0);
}

#[actix_web::test]
async fn a_session_that_is_on_its_way_ends_before_it_begins() {
    let fixture = Fixture::new();
    let index = fixture.sessions.subject("ada");
    let ticket = fixture.sessions.lifetime().issue(&[1; 32], "code", START);
    enter(&fixture, &index, &ticket).await;

    fixture.sessions.end_all(&index, START).await.unwrap();

    let late = fixture.sessions.records().store.create(&fixture.record_of(&ticket), START).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
}

#[actix_web::test]
async fn a_sign_in_that_began_before_an_end_does_not_outlive_it() {
    let fixture = Fixture::new();
    for index in [fixture.sessions.subject("ada"), fixture.sessions.provider_session("sid-1")] {
        let before = fixture.sessions.lifetime().issue(&[2; 32], "code", START);

        fixture.sessions.end_all(&index, START).await.unwrap();

        assert!(!enter(&fixture, &index, &before).await);
        let after = fixture.sessions.lifetime().issue(&[3; 32], "code", START.plus(Duration::from_secs(1)));
        assert!(enter(&fixture, &index, &after).await, "a later sign-in joins");
        fixture.sessions.end_all(&index, START.plus(Duration::from_secs(2))).await.unwrap();
        assert!(!enter(&fixture, &index, &after).await, "and may be ended again");
    }
}

#[actix_web::test]
async fn an_end_that_anyone_may_ask_for_writes_nothing_that_was_not_there() {
    let fixture = Fixture::new();
    let (made_up, known) = (fixture.sessions.provider_session("made-up"), fixture.sessions.provider_session("known"));
    let ticket = fixture.signed_in().await;
    enter(&fixture, &known, &ticket).await;

    assert_eq!(fixture.sessions.end_known(&made_up, START).await.unwrap(), 0);
    assert_eq!(fixture.sessions.end_known(&known, START).await.unwrap(), 1);

    assert!(fixture.sessions.records().store.load_index(&made_up, START).await.unwrap().is_none());
}

#[actix_web::test]
async fn an_index_that_was_ended_in_this_second_is_not_written_again() {
    let fixture = Fixture::new();
    let index = fixture.sessions.provider_session("sid-1");
    fixture.sessions.end_all(&index, START).await.unwrap();
    let written = fixture.sessions.records().store.load_index(&index, START).await.unwrap();

    fixture.sessions.end_all(&index, START).await.unwrap();

    assert_eq!(fixture.sessions.records().store.load_index(&index, START).await.unwrap(), written);
}

#[actix_web::test]
async fn one_session_that_cannot_be_ended_keeps_no_other_alive() {
    let fixture = Fixture::new();
    let index = fixture.sessions.subject("ada");
    let (first, second) = (fixture.signed_in().await, fixture.sessions.lifetime().issue(&[7; 32], "code", START));
    fixture.sessions.records().create(fixture.record_of(&second), START).await.unwrap();
    enter(&fixture, &index, &first).await;
    enter(&fixture, &index, &second).await;
    // The index is closed, then the first tombstone fails permanently.
    fixture.store.script([WriteOutcome::Written, WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed]);

    let failed = fixture.sessions.end_all(&index, START).await;

    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    assert!(fixture.sessions.load(&first, START).await.unwrap().is_some());
    assert!(fixture.sessions.load(&second, START).await.unwrap().is_none());
    assert_eq!(fixture.sessions.end_all(&index, START).await.unwrap(), 1);
}

#[actix_web::test]
async fn two_sign_ins_of_one_person_at_once_are_both_entered() {
    let fixture = Fixture::new();
    let index = fixture.sessions.subject("ada");
    let tickets = [[8; 32], [9; 32]].map(|seed| fixture.sessions.lifetime().issue(&seed, "code", START));
    fixture.store.script([WriteOutcome::ReplyLost]);

    let (one, two) = tokio::join!(enter(&fixture, &index, &tickets[0]), enter(&fixture, &index, &tickets[1]));

    assert!(one && two);
    assert_eq!(indexed(&fixture, &index, START).await.len(), 2);
}

/// Four instances over one store with write conflicts.
fn contended(fixture: &Fixture) -> (Arc<ContendedStore>, [Sessions; 4]) {
    let store = Arc::<ContendedStore>::default();
    let instances = [(); 4].map(|()| fixture.instance_over(Arc::clone(&store) as _));
    (store, instances)
}

fn numbered(sessions: &Sessions, number: usize) -> SessionTicket {
    let seed = [[3; 24].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap();
    sessions.lifetime().issue(&seed, "code", START)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_hundred_sign_ins_of_one_person_at_once_all_succeed_and_all_end() {
    let fixture = Fixture::new();
    let (_, instances) = contended(&fixture);
    let index = instances[0].subject("ada");
    let tickets: Vec<_> = (0..100).map(|number| numbered(&instances[0], number)).collect();

    let begun = futures_util::future::join_all(tickets.iter().enumerate().map(async |(number, ticket)| {
        let instance = &instances[number % instances.len()];
        let is_in = instance.provider_logout().enter(&index, session(ticket), START, START).await;
        instance.records().create(fixture.record_of(ticket), START).await.unwrap();
        is_in
    }));

    assert!(begun.await.into_iter().all(|entered| matches!(entered, Ok(true))));
    assert_eq!(instances[1].end_all(&index, START).await.unwrap(), 100);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_end_among_many_sign_ins_is_written() {
    let fixture = Fixture::new();
    let (_, instances) = contended(&fixture);
    let index = instances[0].subject("ada");
    let later = START.plus(Duration::from_secs(1));

    let entering = futures_util::future::join_all((0..100).map(async |number| {
        let instance = &instances[number % 3];
        instance.provider_logout().enter(&index, session(&numbered(instance, number)), later, START).await
    }));
    let (entered, ended) = tokio::join!(entering, instances[3].end_all(&index, START));

    assert!(ended.is_ok());
    assert!(entered.into_iter().all(|entered| matches!(entered, Ok(true))));
    assert!(
        !instances[0]
            .provider_logout()
            .enter(&index, session(&numbered(&instances[0], 100)), START, START)
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_sign_out_that_refreshes_and_leases_overtake_is_written() {
    let fixture = Fixture::new();
    let (store, [one, two, ..]) = contended(&fixture);
    let (ticket, index) = (numbered(&one, 1), one.subject("ada"));
    one.records().create(fixture.record_of(&ticket), START).await.unwrap();
    one.provider_logout().enter(&index, session(&ticket), START, START).await.unwrap();
    store.overtake(20);

    let ended = two.end_all(&index, START).await.unwrap();

    assert_eq!(ended, 1);
    assert!(two.load(&ticket, START).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_person_has_a_bounded_number_of_sessions_and_the_oldest_ends() {
    let fixture = Fixture::new();
    let index = fixture.sessions.subject("ada");
    let oldest = fixture.signed_in().await;
    enter(&fixture, &index, &oldest).await;

    for number in 0..MAX_SESSIONS {
        let ticket = numbered(&fixture.sessions, number);
        enter(&fixture, &index, &ticket).await;
    }

    assert_eq!(indexed(&fixture, &index, START).await.len(), MAX_SESSIONS);
    assert!(fixture.sessions.load(&oldest, START).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_session_is_entered_once_and_leaves_when_it_has_expired() {
    let fixture = Fixture::new();
    let index = fixture.sessions.subject("ada");
    let (first, second) = (fixture.signed_in().await, fixture.sessions.lifetime().issue(&[5; 32], "code", START));
    enter(&fixture, &index, &first).await;
    enter(&fixture, &index, &first).await;
    assert_eq!(indexed(&fixture, &index, START).await.len(), 1);

    let late = IndexedSession { expires_at: first.expires_at.plus(Duration::from_secs(60)), ..session(&second) };
    fixture
        .sessions
        .provider_logout()
        .enter(&index, late.clone(), START, first.expires_at.minus(Duration::from_secs(1)))
        .await
        .unwrap();
    let last = IndexedSession { key: fixture.sessions.lifetime().issue(&[6; 32], "x", START).id.key(), ..late.clone() };
    fixture.sessions.provider_logout().enter(&index, last.clone(), START, first.expires_at).await.unwrap();

    assert_eq!(indexed(&fixture, &index, first.expires_at).await, [late, last]);
}

#[actix_web::test]
async fn what_is_used_once_is_used_once_at_all_instances() {
    let fixture = Fixture::new();
    let (one, two) = (&fixture.sessions, fixture.another_instance());
    let end = START.plus(Duration::from_secs(60));
    let jti = one.logout_token("jti-1");

    let uses = [
        one.use_once(jti.clone(), end, START).await.unwrap(),
        two.use_once(jti.clone(), end, START).await.unwrap(),
        two.use_once(one.logout_token("jti-2"), end, START).await.unwrap(),
        two.use_once(jti, end.plus(Duration::from_secs(60)), end).await.unwrap(),
    ];

    assert_eq!(uses, [true, false, true, true]);
}

/// Indexes a session and writes its record, like a sign-in whose ID token has this `sid`.
async fn begin(fixture: &Fixture, number: usize, sid: Option<&str>) -> SessionTicket {
    let ticket = numbered(&fixture.sessions, number);
    assert!(try_enter(fixture, &ticket, sid, START).await);
    fixture.sessions.records().create(fixture.record_of(&ticket), START).await.unwrap();
    ticket
}

async fn try_enter(fixture: &Fixture, ticket: &SessionTicket, sid: Option<&str>, began_at: Timestamp) -> bool {
    let claims: Claims = serde_json::from_value(serde_json::json!({"sub": "ada", "sid": sid})).unwrap();
    fixture.sessions.provider_logout().enter_indexes(&claims, ticket, began_at, START).await.unwrap()
}

#[actix_web::test]
async fn a_logout_token_ends_the_sessions_that_it_may_mean_and_no_other() {
    let (sid, sub) = (Some("sid-1".to_owned()), Some("ada".to_owned()));
    for (sid, sub, ended, reason) in [
        (sid.clone(), sub.clone(), [true, false, true], "a session without a sid may be the one that is meant"),
        (sid, None, [true, false, false], "nothing says whose session it is"),
        (None, sub, [true, true, true], "the person is signed out everywhere"),
    ] {
        let fixture = Fixture::new();
        let tickets = [
            begin(&fixture, 1, Some("sid-1")).await,
            begin(&fixture, 2, Some("sid-2")).await,
            begin(&fixture, 3, None).await,
        ];
        let token = LogoutToken { sid, sub, jti: "jti".to_owned(), expires_at: START };

        let number = fixture.sessions.end_named(&token, START.plus(Duration::from_secs(1))).await.unwrap();

        let mut found = Vec::new();
        for ticket in &tickets {
            found.push(fixture.sessions.load(ticket, START).await.unwrap().is_none());
        }
        assert_eq!(found, ended, "{reason}");
        assert_eq!(number, ended.iter().filter(|ended| **ended).count(), "{reason}");
    }
}

#[actix_web::test]
async fn a_logout_of_one_sid_keeps_out_the_sign_ins_that_it_may_mean_and_no_other() {
    let fixture = Fixture::new();
    let sign_in = |number| numbered(&fixture.sessions, number);
    let token = LogoutToken {
        sid: Some("sid-1".to_owned()),
        sub: Some("ada".to_owned()),
        jti: "jti".to_owned(),
        expires_at: START,
    };

    fixture.sessions.end_named(&token, START).await.unwrap();

    assert!(!try_enter(&fixture, &sign_in(1), Some("sid-1"), START).await, "the sid that ended");
    assert!(try_enter(&fixture, &sign_in(2), Some("sid-2"), START).await, "another sid");
    assert!(!try_enter(&fixture, &sign_in(3), None, START).await, "no sid: it may be the one that is meant");
    let later = START.plus(Duration::from_secs(1));
    assert!(try_enter(&fixture, &sign_in(4), None, later).await, "a sign-in that began later");
}

#[actix_web::test]
async fn two_applications_in_one_container_end_only_their_own_sessions() {
    let fixture = Fixture::new();
    let another = fixture.another_client();
    let ours = begin(&fixture, 1, Some("sid-1")).await;
    let theirs = numbered(&another, 2);
    let claims: Claims = serde_json::from_value(serde_json::json!({"sub": "ada", "sid": "sid-1"})).unwrap();
    another.provider_logout().enter_indexes(&claims, &theirs, START, START).await.unwrap();
    another.records().create(crate::testing::record_of(&another, &theirs, "refresh-1"), START).await.unwrap();
    let jti = another.use_once(another.logout_token("jti"), START.plus(CLOSED_FOR), START).await.unwrap();

    let by_sid = another.end_all(&another.provider_session("sid-1"), START).await.unwrap();
    let by_sub = another.end_all(&another.subject("ada"), START).await.unwrap();

    assert_eq!((by_sid, by_sub), (1, 0), "its own session, once");
    assert!(fixture.sessions.load(&ours, START).await.unwrap().is_some());
    let ours_too = fixture.sessions.use_once(fixture.sessions.logout_token("jti"), START.plus(CLOSED_FOR), START).await;
    assert!(jti && ours_too.unwrap(), "each has its own logout token of that name");
}
