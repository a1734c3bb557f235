//! Ending sessions by what the Provider calls them.

use super::*;
use crate::sessions::scene::{Fate, START, Scene};

fn session(ticket: &SessionTicket) -> IndexedSession {
    IndexedSession { key: ticket.sid.key(), expires_at: ticket.expires_at }
}

async fn enter(scene: &Scene, index: &IndexKey, ticket: &SessionTicket) -> bool {
    scene.sessions.enter(index, session(ticket), ticket.issued_at, START).await.unwrap()
}

async fn indexed(scene: &Scene, index: &IndexKey, now: Timestamp) -> Vec<IndexedSession> {
    scene.sessions.store().load_index(index, now).await.unwrap().unwrap().index.sessions
}

#[actix_web::test]
async fn every_session_under_an_index_ends_everywhere() {
    let scene = Scene::new();
    let (ticket, other) = (scene.signed_in().await, scene.another_instance());
    assert!(other.load(&ticket, START).await.unwrap().is_some());
    let index = scene.sessions.subject("ada");
    enter(&scene, &index, &ticket).await;

    let ended = scene.sessions.end_all(&index, START).await.unwrap();

    assert_eq!((ended, scene.sessions.end_all(&index, START).await.unwrap()), (1, 0));
    assert!(scene.sessions.load(&ticket, START).await.unwrap().is_none());
    let after = START.plus(Duration::from_secs(5)); // what the other instance's cache may believe
    assert!(other.load(&ticket, after).await.unwrap().is_none());
}

#[actix_web::test]
async fn an_index_that_is_not_there_ends_nothing() {
    let scene = Scene::new();

    assert_eq!(scene.sessions.end_all(&scene.sessions.subject("nobody"), START).await.unwrap(), 0);
    assert_eq!(scene.sessions.end_all(&scene.sessions.provider_session("none"), START).await.unwrap(), 0);
}

#[actix_web::test]
async fn a_session_that_is_on_its_way_ends_before_it_begins() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let ticket = scene.sessions.lifetime().issue(&[1; 32], "code", START);
    enter(&scene, &index, &ticket).await;

    scene.sessions.end_all(&index, START).await.unwrap();

    let late = scene.sessions.store().create(&scene.record_of(&ticket), START).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
}

#[actix_web::test]
async fn no_session_joins_a_sign_in_that_the_provider_has_ended() {
    let scene = Scene::new();
    let index = scene.sessions.provider_session("sid-1");
    scene.sessions.end_all(&index, START).await.unwrap();

    let ticket = scene.sessions.lifetime().issue(&[2; 32], "code", START);

    assert!(!enter(&scene, &index, &ticket).await);
    assert!(enter(&scene, &scene.sessions.subject("ada"), &ticket).await, "a person may sign in again");
}

#[actix_web::test]
async fn a_sign_in_that_began_before_the_person_was_ended_does_not_outlive_it() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let before = scene.sessions.lifetime().issue(&[2; 32], "code", START);

    scene.sessions.end_all(&index, START).await.unwrap();

    assert!(!enter(&scene, &index, &before).await);
    let after = scene.sessions.lifetime().issue(&[3; 32], "code", START.plus(Duration::from_secs(1)));
    assert!(enter(&scene, &index, &after).await, "a person may sign in again");
    scene.sessions.end_all(&index, START.plus(Duration::from_secs(2))).await.unwrap();
    assert!(!enter(&scene, &index, &after).await, "and may be ended again");
}

#[actix_web::test]
async fn an_end_that_anyone_may_ask_for_writes_nothing_that_was_not_there() {
    let scene = Scene::new();
    let (made_up, known) = (scene.sessions.provider_session("made-up"), scene.sessions.provider_session("known"));
    let ticket = scene.signed_in().await;
    enter(&scene, &known, &ticket).await;

    assert_eq!(scene.sessions.end_known(&made_up, START).await.unwrap(), 0);
    assert_eq!(scene.sessions.end_known(&known, START).await.unwrap(), 1);

    assert!(scene.sessions.store().load_index(&made_up, START).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_sign_in_that_was_ended_is_not_written_again() {
    let scene = Scene::new();
    let index = scene.sessions.provider_session("sid-1");
    scene.sessions.end_all(&index, START).await.unwrap();
    let written = scene.sessions.store().load_index(&index, START).await.unwrap();

    scene.sessions.end_all(&index, START.plus(Duration::from_secs(5))).await.unwrap();

    assert_eq!(scene.sessions.store().load_index(&index, START).await.unwrap(), written);
}

#[actix_web::test]
async fn one_session_that_cannot_be_ended_keeps_no_other_alive() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let (first, second) = (scene.signed_in().await, scene.sessions.lifetime().issue(&[7; 32], "code", START));
    scene.sessions.create(scene.record_of(&second), START).await.unwrap();
    enter(&scene, &index, &first).await;
    enter(&scene, &index, &second).await;
    scene.store.script([Fate::Written, Fate::Failed]); // the index is closed, then the first tombstone fails

    let failed = scene.sessions.end_all(&index, START).await;

    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    assert!(scene.sessions.load(&second, START).await.unwrap().is_none());
    assert_eq!(scene.sessions.end_all(&index, START).await.unwrap(), 1);
}

#[actix_web::test]
async fn two_sign_ins_of_one_person_at_once_are_both_entered() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let tickets = [[8; 32], [9; 32]].map(|seed| scene.sessions.lifetime().issue(&seed, "code", START));
    scene.store.script([Fate::ReplyLost]);

    let (one, two) = tokio::join!(enter(&scene, &index, &tickets[0]), enter(&scene, &index, &tickets[1]));

    assert!(one && two);
    assert_eq!(indexed(&scene, &index, START).await.len(), 2);
}

#[actix_web::test]
async fn a_person_has_a_bounded_number_of_sessions_and_the_oldest_ends() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let oldest = scene.signed_in().await;
    enter(&scene, &index, &oldest).await;

    for number in 0..MOST_SESSIONS {
        let seed = [[3; 24].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap();
        let ticket = scene.sessions.lifetime().issue(&seed, "code", START);
        enter(&scene, &index, &ticket).await;
    }

    assert_eq!(indexed(&scene, &index, START).await.len(), MOST_SESSIONS);
    assert!(scene.sessions.load(&oldest, START).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_session_is_entered_once_and_leaves_when_it_has_expired() {
    let scene = Scene::new();
    let index = scene.sessions.subject("ada");
    let (first, second) = (scene.signed_in().await, scene.sessions.lifetime().issue(&[5; 32], "code", START));
    enter(&scene, &index, &first).await;
    enter(&scene, &index, &first).await;
    assert_eq!(indexed(&scene, &index, START).await.len(), 1);

    let late = IndexedSession { expires_at: first.expires_at.plus(Duration::from_secs(60)), ..session(&second) };
    scene.sessions.enter(&index, late.clone(), START, first.expires_at.minus(Duration::from_secs(1))).await.unwrap();
    let last = IndexedSession { key: scene.sessions.lifetime().issue(&[6; 32], "x", START).sid.key(), ..late.clone() };
    scene.sessions.enter(&index, last.clone(), START, first.expires_at).await.unwrap();

    assert_eq!(indexed(&scene, &index, first.expires_at).await, [late, last]);
}

#[actix_web::test]
async fn what_is_used_once_is_used_once_at_all_instances() {
    let scene = Scene::new();
    let (one, two) = (&scene.sessions, scene.another_instance());
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

#[actix_web::test]
async fn a_store_that_is_down_ends_nothing_and_says_so() {
    let scene = Scene::new();
    let ticket = scene.signed_in().await;
    let index = scene.sessions.subject("ada");
    enter(&scene, &index, &ticket).await;
    scene.store.script([Fate::Written, Fate::Failed]); // the index is closed, the tombstone fails

    let refused = scene.sessions.end_all(&index, START).await;

    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert!(scene.sessions.load(&ticket, START).await.unwrap().is_some());
}
