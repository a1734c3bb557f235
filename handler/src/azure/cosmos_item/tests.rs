//! Items as they are stored: frozen shapes, and what does not parse.

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
        (json!({"id": "a", "v": 1, "generation": 1, "parts": {"hot": part, "cold": part}}), "the names of version 1"),
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
