//! The store in memory keeps the contract.

use oauth_proxy::sessions::MemoryStore;

async fn memory() -> MemoryStore {
    MemoryStore::default()
}

contract::session_store_contract!(memory);
