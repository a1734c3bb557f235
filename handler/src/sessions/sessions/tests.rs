//! Session life in the store, without a Provider.

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
        request_needs: RequestNeeds { claims: Some(["name".to_owned()].into()), id_token: false },
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

    let part = sessions.records().end(&ticket, NOW).await.part.unwrap();

    assert_eq!(part.refresh_token.unwrap().expose(), "refresh");
    assert!(sessions.records().end(&ticket, NOW).await.part.is_none());
    assert!(sessions.load(&ticket, NOW).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_write_that_began_before_the_sign_out_does_not_bring_the_session_back() {
    let sessions = sessions();
    let ticket = start(&sessions, 1).await;
    let read = sessions.records().store.load(&ticket.id.key(), NOW).await.unwrap().unwrap();
    sessions.records().end(&ticket, NOW).await.confirmed.unwrap();

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

/// Indexes a session under its `sub`.
async fn enter(fixture: &Fixture, ticket: &SessionTicket) -> Result<bool, StoreError> {
    let claims: Claims = serde_json::from_value(serde_json::json!({"sub": "ada"})).unwrap();
    fixture.sessions.provider_logout().enter_indexes(&claims, ticket, START, START).await
}

fn unwritten(fixture: &Fixture) -> SessionTicket {
    fixture.sessions.lifetime().issue(&[9; 32], "code", START)
}

/// A fixture whose writes after the first `before` have this outcome, once.
fn scripted(before: usize, outcome: &WriteOutcome) -> Fixture {
    let fixture = Fixture::new();
    fixture.store.script(std::iter::repeat_n(WriteOutcome::Written, before).chain([outcome.clone()]));
    fixture
}

/// Outcomes of a write that succeeded although the store reports a failure.
const OURS: [WriteOutcome; 2] = [WriteOutcome::ReplyLost, WriteOutcome::Repeated];

#[actix_web::test]
async fn a_sign_out_recognises_its_own_write() {
    for outcome in &OURS {
        let fixture = scripted(1, outcome); // the record that `signed_in` writes comes first
        let ticket = fixture.signed_in().await;

        let part = fixture.sessions.sign_out(&ticket, &fixture.party, START).await;

        assert!(matches!(&part, Ok(Some(part)) if part.refresh_token.is_some()), "{outcome:?}: {part:?}");
        assert!(fixture.sessions.load(&ticket, START).await.unwrap().is_none(), "{outcome:?}");
    }
}

#[actix_web::test]
async fn an_end_by_an_index_recognises_its_own_writes() {
    for outcome in &OURS {
        for before in [2, 3] {
            let fixture = scripted(before, outcome); // the record, its index; the index's end; then the tombstone
            let ticket = fixture.signed_in().await;
            enter(&fixture, &ticket).await.unwrap();

            let ended = fixture.sessions.end_all(&fixture.sessions.subject("ada"), START).await;

            assert!(matches!(ended, Ok(1)), "{outcome:?} after {before} writes: {ended:?}");
        }
    }
}

#[actix_web::test]
async fn an_index_entry_recognises_its_own_write() {
    for outcome in &OURS {
        let fixture = scripted(0, outcome);

        let entered = enter(&fixture, &unwritten(&fixture)).await;

        assert!(matches!(entered, Ok(true)), "{outcome:?}: {entered:?}");
    }
}

#[actix_web::test]
async fn an_early_tombstone_recognises_its_own_write() {
    for outcome in &OURS {
        let fixture = scripted(0, outcome);
        let ticket = unwritten(&fixture);
        let records = fixture.sessions.records();

        let written = records.write_early_tombstone(&ticket.id.key(), ticket.expires_at, START).await;

        assert!(matches!(written, Ok(())), "{outcome:?}: {written:?}");
    }
}

#[actix_web::test]
async fn a_use_recognises_its_own_write() {
    for outcome in &OURS {
        let fixture = scripted(0, outcome);
        let key = fixture.sessions.logout_token("jti");

        let used = fixture.sessions.use_once(key, START.plus(Duration::from_secs(60)), START).await;

        assert!(matches!(used, Ok(true)), "{outcome:?}: {used:?}");
    }
}
