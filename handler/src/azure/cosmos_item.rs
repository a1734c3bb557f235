//! A session's record as a Cosmos DB item: one JSON object, its sealed parts in base64url.
//!
//! The item's `id` is its partition key. `ttl` lets Cosmos DB delete it; `expires_at` decides if it has expired.
//! `v` is the version of its shape and is read first: an item of another version is not parsed.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::crypto::{SealedPart, base64url, base64url_decode};
use crate::sessions::{
    IndexKey, IndexedSession, RecordState, RefreshLease, RoutePause, RouteToken, SealedRouteToken, SessionIndex,
    SessionKey, SessionRecord, TargetKey, UseKey, UsedOnce, WriteId,
};

/// An item of one kind, in the shape of this handler's version.
pub(super) trait Item: Serialize + DeserializeOwned {
    /// Version of the shape; incremented by every change that an older or a newer handler would misread.
    const VERSION: u8;

    /// Expiry by our clock, independent of Cosmos DB's own deletion.
    fn expires_at(&self) -> Timestamp;
}

/// Parses an item. `None` if it has another version, whatever its shape.
///
/// # Errors
/// If it names no version, or does not have the shape of its version.
pub(super) fn parse<T: Item>(item: Value) -> serde_json::Result<Option<T>> {
    let is_of_another_version = item["v"].as_u64().is_some_and(|version| version != u64::from(T::VERSION));
    if is_of_another_version { Ok(None) } else { serde_json::from_value(item).map(Some) }
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
    /// Only in a tombstone: the write that ended the session.
    ended_by: Option<WriteId>,
    /// Seconds from the write until Cosmos DB deletes the item.
    ttl: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartItems {
    request: PartItem,
    refresh: PartItem,
    /// Absent without route tokens, as in items of earlier versions, which ignore it and drop it at their next write.
    /// One that does not parse is dropped: another version's, or damaged. It is requested anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "those_that_parse")]
    routes: Vec<RouteItem>,
}

fn those_that_parse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RouteItem>, D::Error> {
    let items = Vec::<Value>::deserialize(deserializer)?;
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RouteItem {
    target: String,
    token: Option<RouteTokenItem>,
    pause: Option<RoutePause>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RouteTokenItem {
    #[serde(flatten)]
    part: PartItem,
    expires_at: Option<Timestamp>,
    refresh_at: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartItem {
    kid: String,
    salt: String,
    ciphertext: String,
}

impl Item for SessionItem {
    const VERSION: u8 = 2;

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl SessionItem {
    /// The item of a record written at `now`.
    pub(super) fn of(record: &SessionRecord, now: Timestamp) -> Self {
        let parts = match &record.state {
            RecordState::Active { request, refresh, routes } => Some(PartItems {
                request: PartItem::of(request),
                refresh: PartItem::of(refresh),
                routes: routes.iter().map(RouteItem::of).collect(),
            }),
            RecordState::Ended { .. } => None,
        };
        let ended_by = match &record.state {
            RecordState::Active { .. } => None,
            RecordState::Ended { by } => Some(by.clone()),
        };
        Self {
            id: record.key.as_str().to_owned(),
            v: Self::VERSION,
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

    /// The record, if its key is `key` and its parts parse.
    pub(super) fn record(self, key: &SessionKey) -> Option<SessionRecord> {
        if self.id != key.as_str() {
            return None;
        }
        let state = match self.parts {
            Some(parts) => RecordState::Active {
                request: parts.request.part()?,
                refresh: parts.refresh.part()?,
                routes: parts.routes.into_iter().filter_map(RouteItem::route).collect(),
            },
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

impl Item for IndexItem {
    /// The same version as in its key (`index/v2`): an item of another version has another name.
    const VERSION: u8 = 2;

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl IndexItem {
    /// The item of an index written at `now`.
    pub(super) fn of(index: &SessionIndex, now: Timestamp) -> Self {
        Self {
            id: index.key.as_str().to_owned(),
            v: Self::VERSION,
            sessions: index.sessions.clone(),
            closed_at: index.closed_at,
            closed_without_sid_at: index.closed_without_sid_at,
            expires_at: index.expires_at,
            ttl: time_to_live(index.expires_at, now),
        }
    }

    /// The index, if its key is `key`.
    pub(super) fn index(self, key: &IndexKey) -> Option<SessionIndex> {
        let Self { id, sessions, closed_at, closed_without_sid_at, expires_at, .. } = self;
        (id == key.as_str()).then(|| SessionIndex {
            key: key.clone(),
            sessions,
            closed_at,
            closed_without_sid_at,
            expires_at,
        })
    }
}

/// The item of a used identifier.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UseItem {
    id: String,
    v: u8,
    by: WriteId,
    expires_at: Timestamp,
    ttl: i64,
}

impl Item for UseItem {
    /// The same version as in its key (`used/v1`).
    const VERSION: u8 = 1;

    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl UseItem {
    /// The item of a use recorded at `now`.
    pub(super) fn of(used: &UsedOnce, now: Timestamp) -> Self {
        let ttl = time_to_live(used.expires_at, now);
        Self {
            id: used.key.as_str().to_owned(),
            v: Self::VERSION,
            by: used.by.clone(),
            expires_at: used.expires_at,
            ttl,
        }
    }

    /// The use, if its key is `key`.
    pub(super) fn used(self, key: &UseKey) -> Option<UsedOnce> {
        (self.id == key.as_str()).then(|| UsedOnce { key: key.clone(), by: self.by, expires_at: self.expires_at })
    }
}

impl RouteItem {
    fn of(route: &RouteToken) -> Self {
        let token = route.token.as_ref().map(|token| RouteTokenItem {
            part: PartItem::of(&token.part),
            expires_at: token.expires_at,
            refresh_at: token.refresh_at,
        });
        Self { target: route.target.to_text(), token, pause: route.pause.clone() }
    }

    fn route(self) -> Option<RouteToken> {
        let token = match self.token {
            Some(RouteTokenItem { part, expires_at, refresh_at }) => {
                Some(SealedRouteToken { part: part.part()?, expires_at, refresh_at })
            }
            None => None,
        };
        Some(RouteToken { target: TargetKey::from_text(&self.target)?, token, pause: self.pause })
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

/// TTL of at least one second: Cosmos DB refuses zero, and takes -1 for never.
fn time_to_live(expires_at: Timestamp, now: Timestamp) -> i64 {
    i64::try_from(expires_at.since(now).as_secs()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
}

#[cfg(test)]
mod tests;
