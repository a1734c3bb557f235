//! Indexes of sessions that end together: those of one sign-in at the Provider (`sid`), those of one person (`sub`).
//!
//! Small items beside the records, without token or claim. Their keys are unkeyed hashes: whoever guesses a
//! `sub` or `sid` can check the guess.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ticket::SessionKey;
use crate::clock::Timestamp;
use crate::crypto::{base64url, base64url_decode};

/// Claim that the index groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// The claim `sid`: a session at the Provider.
    ProviderSession,
    /// The claim `sub`: a person.
    Subject,
}

/// Index key in the store: an unkeyed hash, the same at every instance and after every rotation of keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexKey(String);

/// Index of sessions that end together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionIndex {
    /// Key in the store.
    pub key: IndexKey,
    /// The sessions, oldest first.
    pub sessions: Vec<IndexedSession>,
    /// Time of its last end: no session is admitted whose sign-in began by then.
    pub closed_at: Option<Timestamp>,
    /// Time when only the sessions without a `sid` were last ended.
    pub closed_without_sid_at: Option<Timestamp>,
    /// Expiry of the index.
    pub expires_at: Timestamp,
}

/// Session in an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedSession {
    /// Key of the session in the store.
    pub key: SessionKey,
    /// Absolute end of the session.
    pub expires_at: Timestamp,
    /// True if the session has a `sid`, so that a logout of another `sid` does not end it.
    pub has_sid: bool,
}

/// Sessions of an index that a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndScope {
    /// All sessions.
    All,
    /// Sessions without a `sid`.
    WithoutSid,
}

impl IndexKey {
    /// Index key of `value` for this issuer and client: applications that share a container share none.
    #[must_use]
    pub fn of(kind: IndexKind, issuer: &str, client_id: &str, value: &str) -> Self {
        let name = match kind {
            IndexKind::ProviderSession => "sid",
            IndexKind::Subject => "sub",
        };
        let mut hash = Sha256::new().chain_update(b"index/v2");
        for field in [name, issuer, client_id, value] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(base64url(&hash.finalize()))
    }

    /// Parses `person.key` of a log line; `None` for anything else.
    #[must_use]
    pub fn of_person(text: &str) -> Option<Self> {
        let is_key = base64url_decode(text).is_some_and(|hash| hash.len() == 32);
        is_key.then(|| Self(text.to_owned()))
    }

    /// The key as text, 43 characters of the base64url alphabet.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SessionIndex {
    pub(crate) fn empty(key: IndexKey, expires_at: Timestamp) -> Self {
        Self { key, sessions: Vec::new(), closed_at: None, closed_without_sid_at: None, expires_at }
    }

    /// Copy without expired sessions, and with one more.
    pub(crate) fn with(&self, session: IndexedSession, now: Timestamp) -> Self {
        let is_other = |known: &&IndexedSession| known.key != session.key && now < known.expires_at;
        let mut sessions: Vec<_> = self.sessions.iter().filter(is_other).cloned().collect();
        let expires_at = self.expires_at.max(session.expires_at);
        sessions.push(session);
        Self { sessions, expires_at, ..self.clone() }
    }

    /// True if a session whose sign-in began at `began_at` may join. Time is in whole seconds: in a tie the logout
    /// wins.
    pub(super) fn admits(&self, began_at: Timestamp, has_sid: bool) -> bool {
        let closed_at = if has_sid { self.closed_at } else { self.closed_at.max(self.closed_without_sid_at) };
        closed_at.is_none_or(|closed_at| closed_at < began_at)
    }

    /// True if the end of these sessions at `now` is already recorded.
    pub(super) fn is_closed(&self, scope: EndScope, now: Timestamp) -> bool {
        !self.admits(now, scope == EndScope::All)
    }

    /// Copy that records the end of these sessions at `now`, kept for at least `keep`.
    pub(super) fn closed(&self, scope: EndScope, now: Timestamp, keep: Duration) -> Self {
        let expires_at = self.expires_at.max(now.plus(keep));
        match scope {
            EndScope::All => Self { closed_at: Some(now), expires_at, ..self.clone() },
            EndScope::WithoutSid => Self { closed_without_sid_at: Some(now), expires_at, ..self.clone() },
        }
    }

    /// Sessions within the scope of a logout.
    pub(super) fn within(self, scope: EndScope) -> Vec<IndexedSession> {
        let mut sessions = self.sessions;
        sessions.retain(|session| scope == EndScope::All || !session.has_sid);
        sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indexs_key_follows_from_kind_issuer_client_and_value_alone() {
        let all = [
            IndexKey::of(IndexKind::ProviderSession, "a", "b", "c"),
            IndexKey::of(IndexKind::Subject, "a", "b", "c"),
            IndexKey::of(IndexKind::Subject, "a", "c", "b"),
            IndexKey::of(IndexKind::Subject, "ab", "", "c"),
            IndexKey::of(IndexKind::Subject, "", "ab", "c"),
            IndexKey::of(IndexKind::Subject, "a", "bc", ""),
        ];

        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        assert_eq!(all[1], IndexKey::of(IndexKind::Subject, "a", "b", "c"));
    }

    #[test]
    fn the_frozen_keys_of_indexes_never_change() {
        let key = |kind, value| IndexKey::of(kind, "https://op.example", "client", value);

        assert_eq!(key(IndexKind::ProviderSession, "sid-1").as_str(), "Ml9QwEBo6G8MHXKvvtj09VV_Tot3mfrFiTC0YfT_GD4");
        assert_eq!(key(IndexKind::Subject, "ada").as_str(), "RZ64-YSNQMEtqMIsq5qvlrVzRWaIDCxzdVNB7Vd4F64");
    }
}
