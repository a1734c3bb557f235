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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::TargetRefusal;
    use crate::sessions::{IndexKind, LeasePurpose, SessionTicket};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const END: Timestamp = Timestamp::from_unix(1_800_028_800);
    const SESSION: &str = r#"{
        "id": "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0",
        "v": 2,
        "generation": 1,
        "access_token_expires_at": 1800003600,
        "refresh_at": 1800002880,
        "expires_at": 1800028800,
        "lease": {"purpose": "Refreshing", "holder": "holder", "lapses_at": 1800000040, "unanswered": 1, "rests": 2},
        "parts": {
            "request": {
                "kid": "k1",
                "salt": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
                "ciphertext": "axeeeVPYj_hVPWxsQZv5HeNbQ6Eigphn9E_-pL_WKu7_0k9hH7rROj36vrva9XkfEahKbHCN-SNW991s0vH_QN2-Bq4n-GyG5r52aZbDV_hq"
            },
            "refresh": {
                "kid": "k1",
                "salt": "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg",
                "ciphertext": "Y2z6pPjPjnEuC1Ownc4NtOfNsIL4crAvzX3lUo9zewTpsVRW3omAMku_EhUK3lhRULe6N3IC9GCJv5aBP2sllOsUo8hg0Ssqrc2MmLjP4bNSvL3KpOSj37IwV-Au22Aj4rIWlMNjBSAmQnTBmbPdgz1inOMb4A-Q4xhLU6yK_-yvpDWf31a7ZEAS9BY"
            }
        },
        "ended_by": null,
        "ttl": 28800
    }"#;
    const TOMBSTONE: &str = r#"{
        "id": "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0",
        "v": 2,
        "generation": 1,
        "access_token_expires_at": 1800003600,
        "refresh_at": 1800002880,
        "expires_at": 1800028800,
        "lease": null,
        "parts": null,
        "ended_by": "write",
        "ttl": 28800
    }"#;
    const INDEX: &str = r#"{
        "id": "RZ64-YSNQMEtqMIsq5qvlrVzRWaIDCxzdVNB7Vd4F64",
        "v": 2,
        "sessions": [{"key": "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0", "expires_at": 1800028800, "has_sid": true}],
        "closed_at": 1799999940,
        "closed_without_sid_at": null,
        "expires_at": 1800028800,
        "ttl": 28800
    }"#;
    const USE: &str = r#"{
        "id": "9pmXsl-IZhtA7_fTOQUt3LSaVo_rAS5w3sOiKyKUt2M",
        "v": 1,
        "by": "write",
        "expires_at": 1800000120,
        "ttl": 120
    }"#;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn session() -> SessionRecord {
        let part = |name: &str, salt| SealedPart {
            kid: "k1".to_owned(),
            salt: [salt; 32],
            ciphertext: base64url_decode(value(SESSION)["parts"][name]["ciphertext"].as_str().unwrap()).unwrap(),
        };
        SessionRecord {
            key: SessionTicket::from_seed(&[3; 32], "frozen", NOW, END).id.key(),
            generation: 1,
            access_token_expires_at: Some(Timestamp::from_unix(1_800_003_600)),
            refresh_at: Some(Timestamp::from_unix(1_800_002_880)),
            expires_at: END,
            lease: Some(RefreshLease {
                purpose: LeasePurpose::Refreshing,
                holder: "holder".to_owned(),
                lapses_at: Timestamp::from_unix(1_800_000_040),
                unanswered: 1,
                backoffs: 2,
            }),
            state: RecordState::Active { request: part("request", 7), refresh: part("refresh", 8), routes: Vec::new() },
        }
    }

    const ROUTES: &str = r#"[{
        "target": "gdYOTfrD46CWlnCp6rbvkQ",
        "token": {
            "kid": "k1",
            "salt": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk",
            "ciphertext": "tSRkgoPuPwP7yqCD8PH1KLyzYkpHeHioOrS5mxUNUBdoZHIgRvukUQ",
            "expires_at": 1800001800,
            "refresh_at": 1800001440
        },
        "pause": null
    }, {
        "target": "AAECAwQFBgcICQoLDA0ODw",
        "token": null,
        "pause": {"until": 1800000060, "backoffs": 1, "unanswered": 0, "refusal": "ConsentRequired"}
    }]"#;

    /// The same session with a token of one target, and a refusal of another.
    fn session_with_routes() -> SessionRecord {
        let sealed = value(ROUTES)[0]["token"]["ciphertext"].as_str().map(base64url_decode).unwrap().unwrap();
        let token = SealedRouteToken {
            part: SealedPart { kid: "k1".to_owned(), salt: [9; 32], ciphertext: sealed },
            expires_at: Some(Timestamp::from_unix(1_800_001_800)),
            refresh_at: Some(Timestamp::from_unix(1_800_001_440)),
        };
        let target = value(ROUTES)[0]["target"].as_str().and_then(TargetKey::from_text).unwrap();
        let pause = RoutePause {
            until: Timestamp::from_unix(1_800_000_060),
            backoffs: 1,
            unanswered: 0,
            refusal: Some(TargetRefusal::ConsentRequired),
        };
        let refused = TargetKey::from_text("AAECAwQFBgcICQoLDA0ODw").unwrap();
        let mut record = session();
        if let RecordState::Active { routes, .. } = &mut record.state {
            routes.push(RouteToken { target, token: Some(token), pause: None });
            routes.push(RouteToken { target: refused, token: None, pause: Some(pause) });
        }
        record
    }

    fn write_id() -> WriteId {
        serde_json::from_value(json!("write")).unwrap()
    }

    fn index() -> SessionIndex {
        SessionIndex {
            key: IndexKey::of(IndexKind::Subject, "https://op.example", "client", "ada"),
            sessions: vec![IndexedSession { key: session().key, expires_at: END, has_sid: true }],
            closed_at: Some(Timestamp::from_unix(1_799_999_940)),
            closed_without_sid_at: None,
            expires_at: END,
        }
    }

    #[test]
    fn a_route_that_does_not_parse_is_dropped_and_takes_no_session_along() {
        let [token, refused] = [0, 1].map(|at| value(ROUTES)[at].clone());
        let with = |pointer: &str, other: Value| {
            let mut damaged = token.clone();
            *damaged.pointer_mut(pointer).unwrap() = other;
            damaged
        };
        for damaged in [
            with("/target", Value::from("short")),
            with("/token/salt", Value::from("AAAA")),
            with("/token/expires_at", Value::from("soon")),
            with("/pause", serde_json::json!({"until": 1})),
            with("/pause", serde_json::json!({"until": 1, "backoffs": 1, "refusal": "OfAnotherVersion"})),
            Value::from(7),
        ] {
            let mut item = value(SESSION);
            item["parts"]["routes"] = Value::from(vec![damaged.clone(), refused.clone()]);

            let record = parse::<SessionItem>(item).unwrap().unwrap().record(&session().key).unwrap();

            let RecordState::Active { routes, .. } = record.state else { panic!("a tombstone") };
            assert_eq!(routes.len(), 1, "{damaged}");
        }
    }

    #[test]
    fn the_frozen_session_items_never_change() {
        let tombstone = session_with_routes().tombstone(write_id(), NOW);
        let mut with_routes = value(SESSION);
        with_routes["parts"]["routes"] = value(ROUTES);
        for (record, frozen) in
            [(session(), value(SESSION)), (session_with_routes(), with_routes), (tombstone, value(TOMBSTONE))]
        {
            assert_eq!(serde_json::to_value(SessionItem::of(&record, NOW)).unwrap(), frozen);

            let read = parse::<SessionItem>(frozen).unwrap().unwrap();
            assert_eq!(read.record(&record.key), Some(record));
        }
    }

    #[test]
    fn the_frozen_index_item_never_changes() {
        assert_eq!(serde_json::to_value(IndexItem::of(&index(), NOW)).unwrap(), value(INDEX));

        let read = parse::<IndexItem>(value(INDEX)).unwrap().unwrap();
        assert_eq!(read.index(&index().key), Some(index()));
    }

    #[test]
    fn the_frozen_used_once_item_never_changes() {
        let key = UseKey::of_logout_token("https://op.example", "client", "jti-1");
        let used = UsedOnce { key, by: write_id(), expires_at: Timestamp::from_unix(1_800_000_120) };

        assert_eq!(serde_json::to_value(UseItem::of(&used, NOW)).unwrap(), value(USE));

        let read = parse::<UseItem>(value(USE)).unwrap().unwrap();
        assert_eq!(read.used(&used.key), Some(used));
    }

    /// Cosmos DB adds its own members to what we wrote.
    #[test]
    fn an_item_reads_back_with_the_members_of_the_database() {
        let mut item = value(SESSION);
        item.as_object_mut().unwrap().extend([("_ts".to_owned(), json!(1)), ("_etag".to_owned(), json!("a"))]);

        assert!(parse::<SessionItem>(item).unwrap().is_some());
    }

    #[test]
    fn an_item_of_another_version_is_not_parsed() {
        let part = json!({"kid": "k1", "salt": "AAAA", "ciphertext": "AAAA"});
        let table = [
            (
                json!({"id": "a", "v": 1, "generation": 1, "parts": {"hot": part, "cold": part}}),
                "the names of version 1",
            ),
            (json!({"v": 3, "state": "unknown"}), "a newer one, before a rollback"),
            (json!({"v": 258}), "a version that has the last byte of ours"),
        ];
        for (item, reason) in table {
            assert_eq!(parse::<SessionItem>(item).unwrap(), None, "{reason}");
        }
    }

    #[test]
    fn an_item_of_our_version_in_another_shape_is_an_error() {
        for item in [json!({"v": 2}), json!({"id": "a"}), json!({"v": "2"}), json!([]), json!(null)] {
            assert!(parse::<SessionItem>(item.clone()).is_err(), "{item}");
        }
    }

    #[test]
    fn the_item_of_another_key_is_no_record() {
        let read = parse::<SessionItem>(value(SESSION)).unwrap().unwrap();

        assert_eq!(read.record(&SessionTicket::from_seed(&[4; 32], "other", NOW, END).id.key()), None);
    }
}
