//! What is remembered about a person who signed in, and for how long.
//!
//! A [`SessionTicket`] is what the browser's cookie carries, a [`SessionRecord`] what the store
//! keeps. No store ever sees a token, and no ticket reaches a store. Knows nothing of HTTP.

mod flights;
mod freshness;
mod index;
mod lease;
mod lifetime;
mod logout;
mod memory_store;
mod parts;
mod record;
mod record_cache;
mod refresh;
#[cfg(test)]
mod scene;
mod service;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod simulation;
mod store;
mod ticket;

pub use freshness::{Freshness, RefreshBefore};
pub use index::{IndexKey, IndexKind, IndexedSession, SessionIndex};
pub use lifetime::SessionLifetime;
pub use memory_store::MemoryStore;
pub use parts::{ColdPart, HeaderNeeds, HotPart};
pub use record::{LeasePurpose, RecordState, RefreshLease, SessionRecord};
pub use refresh::{NoFreshToken, RefreshOutcome, SessionError};
pub use service::{LiveSession, Sessions, SessionsSettings};
pub use sign_in::SignInError;
pub use store::{Etag, SessionStore, StoreError, StoredIndex, StoredRecord};
pub use ticket::{SessionId, SessionKey, SessionSecret, SessionTicket, TicketError};
