//! The contract of `SessionStore`, one suite for every store: `session_store_contract!(make_a_store)`.
//!
//! Knows nothing of how a store keeps its records. Time is an argument, so nothing here waits.

use std::time::Duration;

use oauth_proxy::clock::Timestamp;
use oauth_proxy::crypto::SealedPart;
use oauth_proxy::oidc::TargetRefusal;
use oauth_proxy::random;
use oauth_proxy::sessions::{
    Etag, IndexKey, IndexKind, IndexedSession, LeasePurpose, RecordState, RefreshLease, RoutePause, RouteToken,
    SealedRouteToken, SessionIndex, SessionRecord, SessionStore, SessionTicket, StoreError, StoredIndex, StoredRecord,
    TargetKey, UseKey, UsedOnce, WriteId,
};

/// Start time of every case.
pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
/// Expiry of its records.
pub const END: Timestamp = Timestamp::from_unix(1_800_000_100);

/// A record of a session of its own, with every field filled.
#[must_use]
pub fn record() -> SessionRecord {
    let part = |byte: u8| SealedPart { kid: "k1".to_owned(), salt: [byte; 32], ciphertext: vec![byte, 0, 255] };
    SessionRecord {
        key: SessionTicket::from_seed(&random::bytes(), "code", NOW, END).id.key(),
        generation: 7,
        access_token_expires_at: Some(NOW.plus(Duration::from_secs(60))),
        refresh_at: Some(NOW.plus(Duration::from_secs(48))),
        expires_at: END,
        lease: Some(RefreshLease {
            purpose: LeasePurpose::Refreshing,
            holder: "one".to_owned(),
            lapses_at: NOW.plus(Duration::from_secs(40)),
            unanswered: 1,
            backoffs: 2,
        }),
        state: RecordState::Active { request: part(1), refresh: part(2), routes: vec![route(part(3))] },
    }
}

/// A route's token with a renewal that was refused.
fn route(part: SealedPart) -> RouteToken {
    RouteToken {
        target: TargetKey::from_text("AAECAwQFBgcICQoLDA0ODw").unwrap(),
        token: Some(SealedRouteToken {
            part,
            expires_at: Some(NOW.plus(Duration::from_secs(50))),
            refresh_at: Some(NOW.plus(Duration::from_secs(40))),
        }),
        pause: Some(RoutePause {
            until: NOW.plus(Duration::from_secs(5)),
            backoffs: 1,
            unanswered: 1,
            refusal: Some(TargetRefusal::ConsentRequired),
        }),
    }
}

/// A created record is loaded, field for field.
pub async fn what_is_created_is_loaded(store: &dyn SessionStore) {
    let record = record();

    let etag = store.create(&record, NOW).await.unwrap();

    assert_eq!(store.load(&record.key, NOW).await.unwrap(), Some(StoredRecord { record, etag }));
}

/// A record that was never created is absent.
pub async fn what_was_never_created_is_absent(store: &dyn SessionStore) {
    assert_eq!(store.load(&record().key, NOW).await.unwrap(), None);
}

/// A second create of one session is refused.
pub async fn a_second_create_is_refused(store: &dyn SessionStore) {
    let record = record();
    store.create(&record, NOW).await.unwrap();

    assert!(matches!(store.create(&record, NOW).await, Err(StoreError::Conflict)));
}

/// A tombstone is a record: it is loaded, and a second create is refused.
pub async fn a_tombstone_stays_and_leaves_no_room(store: &dyn SessionStore) {
    let record = record();
    let etag = store.create(&record, NOW).await.unwrap();
    let tombstone = record.tombstone(WriteId::random(), END);
    store.replace(&tombstone, &etag, NOW).await.unwrap();

    assert_eq!(store.load(&record.key, NOW).await.unwrap().unwrap().record, tombstone);
    assert!(matches!(store.create(&record, NOW).await, Err(StoreError::Conflict)));
}

/// A replaced record is the new one, under a new version.
pub async fn a_replaced_record_has_a_new_version(store: &dyn SessionStore) {
    let record = record();
    let first = store.create(&record, NOW).await.unwrap();
    let renewed = SessionRecord { generation: 8, lease: None, ..record };

    let second = store.replace(&renewed, &first, NOW).await.unwrap();

    assert_ne!(first, second);
    let loaded = store.load(&renewed.key, NOW).await.unwrap();
    assert_eq!(loaded, Some(StoredRecord { record: renewed, etag: second }));
}

/// A write that read before the sign-out cannot undo it.
pub async fn a_write_that_read_before_the_sign_out_cannot_undo_it(store: &dyn SessionStore) {
    let record = record();
    let read = store.create(&record, NOW).await.unwrap();
    store.replace(&record.tombstone(WriteId::random(), END), &read, NOW).await.unwrap();

    let refreshed = SessionRecord { generation: 8, ..record.clone() };

    assert!(matches!(store.replace(&refreshed, &read, NOW).await, Err(StoreError::Conflict)));
    assert!(store.load(&record.key, NOW).await.unwrap().unwrap().record.is_ended());
}

/// An absent record is not replaced: there is no way to write without having read.
pub async fn an_absent_record_is_not_replaced(store: &dyn SessionStore) {
    let refused = store.replace(&record(), &Etag("none".to_owned()), NOW).await;

    assert!(matches!(refused, Err(StoreError::Missing)));
}

/// An expired record is absent to every call.
pub async fn an_expired_record_is_absent_to_every_call(store: &dyn SessionStore) {
    let record = record();
    let etag = store.create(&record, NOW).await.unwrap();

    assert_eq!(store.load(&record.key, END).await.unwrap(), None);
    assert!(matches!(store.replace(&record, &etag, END).await, Err(StoreError::Missing)));
    let again = SessionRecord { expires_at: END.plus(Duration::from_secs(1)), ..record };
    assert!(store.create(&again, END).await.is_ok());
}

/// Of two writers that read the same version, exactly one wins.
pub async fn of_two_writers_one_wins(store: &dyn SessionStore) {
    let record = record();
    let read = store.create(&record, NOW).await.unwrap();
    let (one, two) = (SessionRecord { generation: 8, ..record.clone() }, SessionRecord { generation: 9, ..record });

    let results = tokio::join!(store.replace(&one, &read, NOW), store.replace(&two, &read, NOW));

    assert_eq!(usize::from(results.0.is_ok()) + usize::from(results.1.is_ok()), 1);
}

/// An index of one session, and that session.
fn index(value: &str) -> SessionIndex {
    SessionIndex {
        key: IndexKey::of(IndexKind::Subject, "https://op.example", "client", value),
        sessions: vec![IndexedSession { key: record().key, expires_at: END, has_sid: true }],
        closed_at: None,
        closed_without_sid_at: Some(NOW),
        expires_at: END,
    }
}

/// A written index is loaded, field for field.
pub async fn what_is_written_of_an_index_is_loaded(store: &dyn SessionStore) {
    let index = index(&random::guid_pair());
    assert_eq!(store.load_index(&index.key, NOW).await.unwrap(), None);

    let first = store.write_index(&index, None, NOW).await.unwrap();
    let closed = SessionIndex { closed_at: Some(NOW), sessions: vec![], ..index.clone() };
    let etag = store.write_index(&closed, Some(&first), NOW).await.unwrap();

    assert_ne!(first, etag);
    assert_eq!(store.load_index(&index.key, NOW).await.unwrap(), Some(StoredIndex { index: closed, etag }));
}

/// An index is never written over what was not read.
pub async fn an_index_is_never_written_over_what_was_not_read(store: &dyn SessionStore) {
    let index = index(&random::guid_pair());
    assert!(matches!(store.write_index(&index, Some(&Etag("none".to_owned())), NOW).await, Err(StoreError::Missing)));
    let first = store.write_index(&index, None, NOW).await.unwrap();
    store.write_index(&index, Some(&first), NOW).await.unwrap();

    assert!(matches!(store.write_index(&index, None, NOW).await, Err(StoreError::Conflict)));
    assert!(matches!(store.write_index(&index, Some(&first), NOW).await, Err(StoreError::Conflict)));
}

/// An expired index is absent to every call.
pub async fn an_expired_index_is_absent_to_every_call(store: &dyn SessionStore) {
    let index = index(&random::guid_pair());
    let etag = store.write_index(&index, None, NOW).await.unwrap();

    assert_eq!(store.load_index(&index.key, END).await.unwrap(), None);
    assert!(matches!(store.write_index(&index, Some(&etag), END).await, Err(StoreError::Missing)));
    let again = SessionIndex { expires_at: END.plus(Duration::from_secs(1)), ..index };
    assert!(store.write_index(&again, None, END).await.is_ok());
}

fn used() -> UsedOnce {
    UsedOnce {
        key: UseKey::of_logout_token("https://op.example", "client", &random::guid_pair()),
        by: WriteId::random(),
        expires_at: END,
    }
}

/// A use is loaded, field for field.
pub async fn what_was_used_is_loaded(store: &dyn SessionStore) {
    let used = used();
    assert_eq!(store.load_use(&used.key, NOW).await.unwrap(), None);

    store.create_use(&used, NOW).await.unwrap();

    assert_eq!(store.load_use(&used.key, NOW).await.unwrap(), Some(used));
}

/// A second use is refused until the first has expired.
pub async fn a_second_use_is_refused_until_the_first_has_expired(store: &dyn SessionStore) {
    let used = used();
    store.create_use(&used, NOW).await.unwrap();

    assert!(matches!(store.create_use(&used, NOW).await, Err(StoreError::Conflict)));
    assert_eq!(store.load_use(&used.key, END).await.unwrap(), None);
    let again = UsedOnce { expires_at: END.plus(Duration::from_secs(1)), ..used };
    assert!(store.create_use(&again, END).await.is_ok());
}

/// Runs the whole contract against the stores that an async function without arguments makes.
#[macro_export]
macro_rules! session_store_contract {
    ($make:path) => {
        $crate::session_store_contract! { $make:
            what_is_created_is_loaded
            what_was_never_created_is_absent
            a_second_create_is_refused
            a_tombstone_stays_and_leaves_no_room
            a_replaced_record_has_a_new_version
            a_write_that_read_before_the_sign_out_cannot_undo_it
            an_absent_record_is_not_replaced
            an_expired_record_is_absent_to_every_call
            of_two_writers_one_wins
            what_is_written_of_an_index_is_loaded
            an_index_is_never_written_over_what_was_not_read
            an_expired_index_is_absent_to_every_call
            what_was_used_is_loaded
            a_second_use_is_refused_until_the_first_has_expired
        }
    };
    ($make:path: $($case:ident)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let store = $make().await;
                $crate::$case(&store).await;
            }
        )+
    };
}
