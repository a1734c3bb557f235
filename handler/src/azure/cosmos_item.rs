//! A session's record as a Cosmos DB item: one JSON object, its sealed parts in base64url.
//!
//! The item's `id` is its partition key. `ttl` lets Cosmos DB delete it; whether it has expired is said by `expires_at`.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::crypto::{SealedPart, base64url, base64url_decode};
use crate::sessions::{
    IndexKey, IndexedSession, RecordState, RefreshLease, SessionIndex, SessionKey, SessionRecord, UseKey, UsedOnce,
    WriteId,
};

const VERSION: u8 = 1;

/// An item that ends by our clock, whatever Cosmos DB's own says.
pub(super) trait Expires {
    /// From when on it is absent.
    fn expires_at(&self) -> Timestamp;
}

/// The item of one session.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionItem {
    id: String,
    v: u8,
    generation: u64,
    access_token_expires_at: Option<Timestamp>,
    refresh_at: Option<Timestamp>,
    expires_at: Timestamp,
    lease: Option<RefreshLease>,
    parts: Option<PartItems>,
    /// Of a tombstone: the write that ended the session.
    ended_by: Option<WriteId>,
    /// Seconds from the write until Cosmos DB deletes the item.
    ttl: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartItems {
    request: PartItem,
    refresh: PartItem,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartItem {
    kid: String,
    salt: String,
    ciphertext: String,
}

impl SessionItem {
    /// The item of a record that is written at `now`.
    pub(super) fn of(record: &SessionRecord, now: Timestamp) -> Self {
        let parts = match &record.state {
            RecordState::Active { request, refresh } => {
                Some(PartItems { request: PartItem::of(request), refresh: PartItem::of(refresh) })
            }
            RecordState::Ended { .. } => None,
        };
        let ended_by = match &record.state {
            RecordState::Active { .. } => None,
            RecordState::Ended { by } => Some(by.clone()),
        };
        Self {
            id: record.key.as_str().to_owned(),
            v: VERSION,
            generation: record.generation,
            access_token_expires_at: record.access_token_expires_at,
            refresh_at: record.refresh_at,
            expires_at: record.expires_at,
            lease: record.lease.clone(),
            parts,
            ended_by,
            ttl: time_to_live(record.expires_at, now),
        }
    }

    /// The record of `key`, if this is one of this version.
    pub(super) fn record(self, key: &SessionKey) -> Option<SessionRecord> {
        if self.v != VERSION || self.id != key.as_str() {
            return None;
        }
        let state = match self.parts {
            Some(parts) => RecordState::Active { request: parts.request.part()?, refresh: parts.refresh.part()? },
            None => RecordState::Ended { by: self.ended_by.unwrap_or_default() },
        };
        Some(SessionRecord {
            key: key.clone(),
            generation: self.generation,
            access_token_expires_at: self.access_token_expires_at,
            refresh_at: self.refresh_at,
            expires_at: self.expires_at,
            lease: self.lease,
            state,
        })
    }
}

/// The item of one index.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexItem {
    id: String,
    v: u8,
    sessions: Vec<IndexedSession>,
    closed_at: Option<Timestamp>,
    closed_without_sid_at: Option<Timestamp>,
    expires_at: Timestamp,
    ttl: i64,
}

impl Expires for IndexItem {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl IndexItem {
    /// The item of an index that is written at `now`.
    pub(super) fn of(index: &SessionIndex, now: Timestamp) -> Self {
        Self {
            id: index.key.as_str().to_owned(),
            v: VERSION,
            sessions: index.sessions.clone(),
            closed_at: index.closed_at,
            closed_without_sid_at: index.closed_without_sid_at,
            expires_at: index.expires_at,
            ttl: time_to_live(index.expires_at, now),
        }
    }

    /// The index of `key`, if this is one of this version.
    pub(super) fn index(self, key: &IndexKey) -> Option<SessionIndex> {
        let Self { id, v, sessions, closed_at, closed_without_sid_at, expires_at, .. } = self;
        let is_known = v == VERSION && id == key.as_str();
        is_known.then(|| SessionIndex { key: key.clone(), sessions, closed_at, closed_without_sid_at, expires_at })
    }
}

/// The item of an identifier that was used.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UseItem {
    id: String,
    v: u8,
    by: WriteId,
    expires_at: Timestamp,
    ttl: i64,
}

impl Expires for UseItem {
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl UseItem {
    /// The item of a use that is noted at `now`.
    pub(super) fn of(used: &UsedOnce, now: Timestamp) -> Self {
        let ttl = time_to_live(used.expires_at, now);
        Self { id: used.key.as_str().to_owned(), v: VERSION, by: used.by.clone(), expires_at: used.expires_at, ttl }
    }

    /// The use of `key`, if this is one of this version.
    pub(super) fn used(self, key: &UseKey) -> Option<UsedOnce> {
        let is_known = self.v == VERSION && self.id == key.as_str();
        is_known.then(|| UsedOnce { key: key.clone(), by: self.by, expires_at: self.expires_at })
    }
}

impl PartItem {
    fn of(part: &SealedPart) -> Self {
        Self { kid: part.kid.clone(), salt: base64url(&part.salt), ciphertext: base64url(&part.ciphertext) }
    }

    fn part(self) -> Option<SealedPart> {
        let salt = base64url_decode(&self.salt)?.try_into().ok()?;
        Some(SealedPart { kid: self.kid, salt, ciphertext: base64url_decode(&self.ciphertext)? })
    }
}

/// At least a second: Cosmos DB refuses zero, and takes -1 for never.
fn time_to_live(expires_at: Timestamp, now: Timestamp) -> i64 {
    i64::try_from(expires_at.since(now).as_secs()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
}
