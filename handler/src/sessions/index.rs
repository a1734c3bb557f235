//! Indexes of sessions that end together: those of one sign-in at the Provider (`sid`), those of one person (`sub`).
//!
//! Small records beside the sessions'. They hold no token and no claim. Their keys are unkeyed hashes: whoever guesses a
//! `sub` or `sid` can check the guess.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ticket::SessionKey;
use crate::clock::Timestamp;
use crate::crypto::{base64url, base64url_decode};

/// The claim that an index is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// A sign-in at the Provider: the claim `sid`.
    ProviderSession,
    /// A person: the claim `sub`.
    Subject,
}

/// The store's name for an index: an unkeyed hash, the same at every instance and after every rotation of keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexKey(String);

/// The sessions that end together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionIndex {
    /// The store's name for it.
    pub key: IndexKey,
    /// The sessions, oldest first.
    pub sessions: Vec<IndexedSession>,
    /// When it was last ended: no session joins whose sign-in began by then.
    pub closed_at: Option<Timestamp>,
    /// When the sessions without a `sid` were last ended; the others don't notice.
    pub closed_without_sid_at: Option<Timestamp>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// A session in an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedSession {
    /// The store's name for the session.
    pub key: SessionKey,
    /// Its absolute end.
    pub expires_at: Timestamp,
    /// True if the Provider named its sign-in by a `sid`, so that a logout of another `sid` leaves it alone.
    pub has_sid: bool,
}

/// The sessions of an index that an end concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndScope {
    /// Every one.
    All,
    /// Those that no `sid` finds.
    WithoutSid,
}

impl IndexKey {
    /// The index of `value` among what `issuer` named to `client_id`: applications that share a container share none.
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

    /// The key of a person, as a log line names it; `None` for anything else.
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

    /// The same index without the sessions that have ended by themselves, and with one more.
    pub(crate) fn with(&self, session: IndexedSession, now: Timestamp) -> Self {
        let is_other = |known: &&IndexedSession| known.key != session.key && now < known.expires_at;
        let mut sessions: Vec<_> = self.sessions.iter().filter(is_other).cloned().collect();
        let expires_at = self.expires_at.max(session.expires_at);
        sessions.push(session);
        Self { sessions, expires_at, ..self.clone() }
    }

    /// True if the session of a sign-in that began at `began_at` may join. Time is in whole seconds: of two events of
    /// one second the end wins.
    pub(super) fn admits(&self, began_at: Timestamp, has_sid: bool) -> bool {
        let closed_at = if has_sid { self.closed_at } else { self.closed_at.max(self.closed_without_sid_at) };
        closed_at.is_none_or(|closed_at| closed_at < began_at)
    }

    /// True if an end at `now` of these sessions is noted already.
    pub(super) fn is_closed(&self, scope: EndScope, now: Timestamp) -> bool {
        !self.admits(now, scope == EndScope::All)
    }

    /// The same index with the note that these sessions ended at `now`, kept for so long at least.
    pub(super) fn closed(&self, scope: EndScope, now: Timestamp, keep: Duration) -> Self {
        let expires_at = self.expires_at.max(now.plus(keep));
        match scope {
            EndScope::All => Self { closed_at: Some(now), expires_at, ..self.clone() },
            EndScope::WithoutSid => Self { closed_without_sid_at: Some(now), expires_at, ..self.clone() },
        }
    }

    /// The sessions that an end concerns.
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
