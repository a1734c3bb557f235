//! The contract of `SessionStore`, held by the Cosmos DB store through Azure's own library.

use std::time::Duration;

use async_trait::async_trait;
use contract::NOW;
use cosmos_emulator::{CONTAINER, CosmosEmulator, DATABASE, KEY};
use oauth_proxy::azure::{CosmosAuthorization, CosmosSettings, CosmosStore};
use oauth_proxy::clock::Timestamp;
use oauth_proxy::sessions::{
    Etag, IndexKey, IndexKind, SessionIndex, SessionKey, SessionRecord, SessionStore, StoreError, StoredIndex,
    StoredRecord, UseKey, UsedOnce, WriteId,
};
use serde_json::json;
use zeroize::Zeroizing;

/// The store of a Cosmos DB whose clock is the one that the store is told.
struct InTime {
    emulator: CosmosEmulator,
    store: CosmosStore,
}

impl InTime {
    fn set(&self, now: Timestamp) {
        self.emulator.control.set_ahead(now.since(NOW));
    }
}

#[async_trait]
impl SessionStore for InTime {
    async fn create(&self, record: &SessionRecord, now: Timestamp) -> Result<Etag, StoreError> {
        self.set(now);
        self.store.create(record, now).await
    }

    async fn load(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredRecord>, StoreError> {
        self.set(now);
        self.store.load(key, now).await
    }

    async fn replace(&self, record: &SessionRecord, read: &Etag, now: Timestamp) -> Result<Etag, StoreError> {
        self.set(now);
        self.store.replace(record, read, now).await
    }

    async fn load_index(&self, key: &IndexKey, now: Timestamp) -> Result<Option<StoredIndex>, StoreError> {
        self.set(now);
        self.store.load_index(key, now).await
    }

    async fn write_index(&self, index: &SessionIndex, read: Option<&Etag>, now: Timestamp) -> Result<Etag, StoreError> {
        self.set(now);
        self.store.write_index(index, read, now).await
    }

    async fn create_use(&self, used: &UsedOnce, now: Timestamp) -> Result<(), StoreError> {
        self.set(now);
        self.store.create_use(used, now).await
    }

    async fn load_use(&self, key: &UseKey, now: Timestamp) -> Result<Option<UsedOnce>, StoreError> {
        self.set(now);
        self.store.load_use(key, now).await
    }
}

async fn cosmos() -> InTime {
    let emulator = CosmosEmulator::start();
    let settings = CosmosSettings {
        endpoint: emulator.endpoint.parse().unwrap(),
        database: DATABASE.to_owned(),
        container: CONTAINER.to_owned(),
        region: None,
    };
    let store = CosmosStore::new(settings, CosmosAuthorization::Key(Zeroizing::new(KEY.to_owned())));
    InTime { emulator, store }
}

contract::session_store_contract!(cosmos);

/// Cosmos DB's clock is behind ours: it still has what has ended.
#[tokio::test]
async fn an_index_that_has_ended_by_our_clock_makes_room() {
    let InTime { emulator: _emulator, store } = cosmos().await;
    let end = NOW.plus(Duration::from_secs(60));
    let key = IndexKey::of(IndexKind::Subject, "https://op.example", "client", "ada");
    let index = |expires_at| SessionIndex {
        key: key.clone(),
        sessions: vec![],
        closed_at: None,
        closed_without_sid_at: None,
        expires_at,
    };
    store.write_index(&index(end), None, NOW).await.unwrap();
    assert!(matches!(store.write_index(&index(end), None, NOW).await, Err(StoreError::Conflict)));

    store.write_index(&index(end.plus(Duration::from_secs(60))), None, end).await.unwrap();

    assert!(store.load_index(&key, end).await.unwrap().is_some());
}

/// The same for what was used once.
#[tokio::test]
async fn a_use_that_has_ended_by_our_clock_makes_room() {
    let InTime { emulator: _emulator, store } = cosmos().await;
    let end = NOW.plus(Duration::from_secs(60));
    let used = UsedOnce {
        key: UseKey::of_logout_token("https://op.example", "client", "jti"),
        by: WriteId::random(),
        expires_at: end,
    };
    store.create_use(&used, NOW).await.unwrap();
    assert!(matches!(store.create_use(&used, NOW).await, Err(StoreError::Conflict)));

    let again = UsedOnce { expires_at: end.plus(Duration::from_secs(60)), ..used };
    store.create_use(&again, end).await.unwrap();

    assert_eq!(store.load_use(&again.key, end).await.unwrap(), Some(again));
}

#[tokio::test]
async fn a_session_of_another_version_is_absent_and_stays_as_it_is() {
    let InTime { emulator, store } = cosmos().await;
    let part = json!({ "kid": "k1", "salt": "AAAA", "ciphertext": "AAAA" });
    let table = [
        (json!({ "v": 1, "generation": 1, "parts": { "hot": part, "cold": part } }), "parts of other names"),
        (json!({ "v": 3, "generation": "one" }), "a newer handler's, before a rollback"),
    ];
    for (mut item, reason) in table {
        let record = contract::record();
        let read = store.create(&record, NOW).await.unwrap();
        item["id"] = record.key.as_str().into();
        emulator.control.set(record.key.as_str(), "", item);

        assert_eq!(store.load(&record.key, NOW).await.unwrap(), None, "{reason}");
        assert!(matches!(store.create(&record, NOW).await, Err(StoreError::Conflict)), "{reason}");
        assert!(matches!(store.replace(&record, &read, NOW).await, Err(StoreError::Conflict)), "{reason}");
    }
}

/// Taken for absent, its note of an end would be lost, and a sign-in that was logged out would live.
#[tokio::test]
async fn an_index_of_another_version_is_an_error_and_stays_as_it_is() {
    let InTime { emulator, store } = cosmos().await;
    let key = IndexKey::of(IndexKind::Subject, "https://op.example", "client", "ada");
    let index = SessionIndex {
        key: key.clone(),
        sessions: vec![],
        closed_at: Some(NOW),
        closed_without_sid_at: None,
        expires_at: contract::END,
    };
    store.write_index(&index, None, NOW).await.unwrap();
    emulator.control.set(key.as_str(), "/v", json!(3));

    assert!(matches!(store.load_index(&key, NOW).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.write_index(&index, None, contract::END).await, Err(StoreError::Conflict)));
}
