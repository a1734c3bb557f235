//! A session's life in the store, without a Provider.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::crypto::{KeyRing, KeySource, StaticKeys};
use crate::oidc::{AccessToken, Claims, RefreshToken};
use crate::sessions::{MemoryStore, TokenParts};
use crate::testing::KeysOnReload;
use crate::testing::{Fixture, START, WriteOutcome};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn sessions() -> Sessions {
    sessions_of(Arc::default(), Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate())))
}

fn sessions_of(store: Arc<MemoryStore>, keys: Arc<dyn KeySource>) -> Sessions {
    Sessions::new(SessionsSettings {
        store,
        keys,
        clock: Arc::new(SystemClock),
        lifetime: SessionLifetime { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(28_800) },
        cache_ttl: Duration::from_secs(5),
        refresh_before: RefreshBefore::Share(20),
        header_needs: HeaderNeeds { claims: Some(&["name"]), id_token: false },
        issuer: "https://op.example".to_owned(),
        client_id: "client".to_owned(),
    })
}

async fn start(sessions: &Sessions, seed: u8) -> SessionTicket {
    let ticket = sessions.lifetime().issue(&[seed; 32], "code", NOW);
    let request =
        RequestPart { access_token: AccessToken::new("access".to_owned()), id_token: None, claims: Claims::default() };
    let refresh_token = Some(RefreshToken::new("refresh".to_owned()));
    let refresh = RefreshPart { refresh_token, scope: None, id_token: None, claims: Claims::default().into() };
    let parts = TokenParts { request, refresh, access_token_expires_at: None, refresh_at: None };
    sessions.records().create(sessions.records().seal(&parts, 1, &ticket), NOW).await.unwrap();
    ticket
}

#[actix_web::test]
async fn a_started_session_is_loaded_by_its_ticket() {
    let sessions = sessions();
    let ticket = start(&sessions, 1).await;

    let session = sessions.load(&ticket, NOW).await.unwrap().unwrap();

    assert_eq!(session.part.access_token.expose(), "access");
}

#[actix_web::test]
async fn a_ticket_with_another_secret_opens_nothing() {
    let sessions = sessions();
    let (ticket, other) = (start(&sessions, 1).await, start(&sessions, 2).await);

    let mixed = SessionTicket { secret: other.secret.clone(), ..ticket };

    assert!(sessions.load(&mixed, NOW).await.unwrap().is_none());
}

#[actix_web::test]
async fn an_idle_session_is_not_loaded() {
    let sessions = sessions();
    let ticket = start(&sessions, 1).await;

    assert!(sessions.load(&ticket, NOW.plus(Duration::from_secs(1_800))).await.unwrap().is_none());
}

#[actix_web::test]
async fn an_ended_session_yields_its_refresh_token_once_and_never_loads_again() {
    let sessions = sessions();
    let ticket = start(&sessions, 1).await;

    let part = sessions.records().end(&ticket, NOW).await.0.unwrap();

    assert_eq!(part.refresh_token.unwrap().expose(), "refresh");
    assert!(sessions.records().end(&ticket, NOW).await.0.is_none());
    assert!(sessions.load(&ticket, NOW).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_write_that_began_before_the_sign_out_does_not_bring_the_session_back() {
    let sessions = sessions();
    let ticket = start(&sessions, 1).await;
    let read = sessions.records().store.load(&ticket.sid.key(), NOW).await.unwrap().unwrap();
    sessions.records().end(&ticket, NOW).await.1.unwrap();

    let late = sessions.records().replace(read.record, &read.etag, NOW).await;

    assert!(matches!(late, Err(StoreError::Conflict)));
    assert!(sessions.load(&ticket, NOW).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_record_under_a_key_that_is_not_in_hand_opens_after_one_reload() {
    let (store, newest) = (Arc::<MemoryStore>::default(), Arc::new(KeyRing::generate()));
    let (theirs, ours) = (Arc::new(KeysOnReload::new(&newest)), Arc::new(KeysOnReload::new(&newest)));
    theirs.reload().await.unwrap();
    let ticket = start(&sessions_of(Arc::clone(&store), theirs), 1).await;

    let loaded = sessions_of(store, Arc::clone(&ours) as Arc<dyn KeySource>).load(&ticket, NOW).await.unwrap();

    assert!(loaded.is_some());
    assert_eq!(ours.reloads(), 1);
}

#[actix_web::test]
async fn a_sign_out_that_the_store_does_not_confirm_is_reported_and_its_refresh_token_revoked() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.store.script([WriteOutcome::Failed, WriteOutcome::Failed, WriteOutcome::Failed]);

    let refused = fixture.sessions.sign_out(&ticket, &fixture.party, START).await;

    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert!(fixture.sessions.load(&ticket, START).await.unwrap().is_some());
    fixture.sessions.drain().await;
    assert_eq!(fixture.revoked(), ["refresh-1"]);
}

#[actix_web::test]
async fn a_tombstone_whose_reply_is_lost_is_a_sign_out_all_the_same() {
    let fixture = Fixture::new();
    let ticket = fixture.signed_in().await;
    fixture.store.script([WriteOutcome::ReplyLost]);

    let part = fixture.sessions.sign_out(&ticket, &fixture.party, START).await.unwrap().unwrap();

    assert_eq!(part.refresh_token.unwrap().expose(), "refresh-1", "it is there to be revoked");
    assert!(fixture.sessions.load(&ticket, START).await.unwrap().is_none());
}

/// Enters a session under its `sub`.
async fn enter(fixture: &Fixture, ticket: &SessionTicket) -> Result<bool, StoreError> {
    let claims: Claims = serde_json::from_value(serde_json::json!({"sub": "ada"})).unwrap();
    fixture.sessions.provider_logout().enter_indexes(&claims, ticket, START, START).await
}

fn unwritten(fixture: &Fixture) -> SessionTicket {
    fixture.sessions.lifetime().issue(&[9; 32], "code", START)
}

/// Results of the verbs whose last write has this outcome.
async fn reports(outcome: &WriteOutcome) -> Vec<(&'static str, String)> {
    let mut reports = Vec::new();
    let scripted = |before: usize| {
        let fixture = Fixture::new();
        fixture.store.script(std::iter::repeat_n(WriteOutcome::Written, before).chain([outcome.clone()]));
        fixture
    };

    let fixture = scripted(1); // the record that `signed_in` writes comes first
    let ticket = fixture.signed_in().await;
    let part = fixture.sessions.sign_out(&ticket, &fixture.party, START).await;
    reports.push(("sign_out", format!("{:?}", part.map(|part| part.and_then(|part| part.refresh_token).is_some()))));

    let fixture = scripted(3); // the record, its index, the index's end
    let ticket = fixture.signed_in().await;
    enter(&fixture, &ticket).await.unwrap();
    let ended = fixture.sessions.end_all(&fixture.sessions.subject("ada"), START).await;
    reports.push(("end_all, tombstone", format!("{ended:?}")));

    let fixture = scripted(2); // the record, its index
    let ticket = fixture.signed_in().await;
    enter(&fixture, &ticket).await.unwrap();
    let ended = fixture.sessions.end_all(&fixture.sessions.subject("ada"), START).await;
    reports.push(("end_all, index", format!("{ended:?}")));

    let fixture = scripted(0);
    let entered = enter(&fixture, &unwritten(&fixture)).await;
    reports.push(("enter", format!("{entered:?}")));

    let fixture = scripted(0);
    let ticket = unwritten(&fixture);
    let forestalled = fixture.sessions.records().forestall(&ticket.sid.key(), ticket.expires_at, START).await;
    reports.push(("forestall", format!("{forestalled:?}")));

    let fixture = scripted(0);
    let used = fixture
        .sessions
        .use_once(fixture.sessions.logout_token("jti"), START.plus(Duration::from_secs(60)), START)
        .await;
    reports.push(("use_once", format!("{used:?}")));
    reports
}

#[actix_web::test]
async fn a_write_of_our_own_is_recognised_by_every_verb() {
    for outcome in &[WriteOutcome::ReplyLost, WriteOutcome::Repeated] {
        let expected = [
            ("sign_out", "Ok(true)"),
            ("end_all, tombstone", "Ok(1)"),
            ("end_all, index", "Ok(1)"),
            ("enter", "Ok(true)"),
            ("forestall", "Ok(())"),
            ("use_once", "Ok(true)"),
        ];
        let reports = reports(outcome).await;
        assert_eq!(reports, expected.map(|(verb, report)| (verb, report.to_owned())), "{outcome:?}");
    }
}
