//! What is remembered about a person who signed in, and for how long.
//!
//! A [`SessionTicket`] is what the browser's cookie carries, a [`SessionRecord`] what the store
//! keeps. No store ever sees a token, and no ticket reaches a store. Knows nothing of HTTP.

mod lifetime;
mod memory_store;
mod record;
mod service;
mod store;
mod ticket;

pub use lifetime::SessionLifetime;
pub use memory_store::MemoryStore;
pub use record::{RecordState, RefreshLease, SessionRecord};
pub use service::{ColdPart, HotPart, SessionError, Sessions};
pub use store::{Etag, SessionStore, StoreError, StoredRecord};
pub use ticket::{SessionId, SessionKey, SessionSecret, SessionTicket, TicketError};
