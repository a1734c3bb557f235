//! Sessions of signed-in people: their records, their lifetimes, and every verb on them.
//!
//! A [`SessionTicket`] travels in the browser's cookie, a [`SessionRecord`] is kept in the store. No store ever sees a
//! token, and no ticket reaches a store. Knows nothing of HTTP.

mod background;
mod freshness;
mod index;
mod index_writers;
mod lease;
mod lifetime;
mod login_exchanges;
mod memory_store;
mod parts;
mod provider_logout;
mod record;
mod record_cache;
mod records;
mod refresher;
mod route_token;
mod route_tokens;
#[allow(clippy::module_inception, reason = "the façade is named for the module that it is the face of")]
mod sessions;
mod sign_in;
mod single_flight;
mod store;
mod ticket;
mod timing;
mod used_once;
mod write_retry;

pub use freshness::{Freshness, RefreshBefore};
pub use index::{IndexKey, IndexKind, IndexedSession, SessionIndex};
pub use lifetime::SessionLifetime;
pub use memory_store::MemoryStore;
#[cfg(test)]
pub(crate) use parts::TokenParts;
pub use parts::{RefreshPart, RequestNeeds, RequestPart};
pub use record::{LeasePurpose, RecordState, RefreshLease, SessionRecord, WriteId};
pub use refresher::RefreshOutcome;
pub use route_token::{RoutePause, RouteToken, SealedRouteToken, TargetKey};
pub use route_tokens::RouteTokenError;
pub use sessions::{LivePerson, LiveSession, NoFreshToken, SessionError, Sessions, SessionsSettings};
pub use sign_in::SignInError;
pub use store::{Etag, SessionStore, StoreError, StoredIndex, StoredRecord};
pub use ticket::{SessionId, SessionKey, SessionSecret, SessionTicket, TicketError};
pub(crate) use timing::DRAINED_REFRESH;
pub use used_once::{UseKey, UsedOnce};
