//! A session as the store keeps it: two sealed parts and what must be readable without them.

use serde::{Deserialize, Serialize};

use super::ticket::SessionKey;
use crate::clock::Timestamp;
use crate::crypto::SealedPart;
use crate::random;

/// A session as the store keeps it. Nothing in it opens a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The store's name for the session.
    pub key: SessionKey,
    /// One more after every refresh; authenticated by both parts.
    pub generation: u64,
    /// When the access token lapses, if known.
    pub access_token_expires_at: Option<Timestamp>,
    /// From when on a refresh is due; `None` when there is no refresh token or no expiry.
    pub refresh_at: Option<Timestamp>,
    /// The session's absolute end, and the item's.
    pub expires_at: Timestamp,
    /// The refresh under way, or the backoff until the next one.
    pub lease: Option<RefreshLease>,
    /// The sealed parts, or that they are gone.
    pub state: RecordState,
}

/// Live with its parts, or ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// The session lives as long as its ticket allows.
    Active {
        /// Access token and the claims that become headers.
        request: SealedPart,
        /// Refresh token, ID token and all claims.
        refresh: SealedPart,
    },
    /// A tombstone: the parts are gone, and nothing in flight may bring them back.
    Ended {
        /// The write that ended it.
        by: WriteId,
    },
}

/// Random for each write: a writer whose reply was lost, or whose write was repeated, recognises its own by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteId(String);

impl WriteId {
    /// The identifier of one write.
    #[must_use]
    pub fn random() -> Self {
        Self(random::guid_pair())
    }
}

/// The right to ask the Provider for the next token of this generation.
///
/// Not authenticated: whoever can write to the store can delay a refresh, have a person sign in once the token has
/// lapsed, or cause one more call of the Provider, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshLease {
    /// State of the lease.
    pub purpose: LeasePurpose,
    /// Random for each acquisition: a holder that doesn't know if its write happened finds out by this.
    pub holder: String,
    /// End of a backoff. For a refresh under way only a hint: its holder renews it, and its death is judged by
    /// observation.
    pub lapses_at: Timestamp,
    /// Calls of this generation that the Provider may have seen without responding, the one under way included.
    pub unanswered: u8,
    /// Backoffs in a row; each makes the next one longer.
    #[serde(rename = "rests")]
    pub backoffs: u8,
}

/// State of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeasePurpose {
    /// The holder is asking the Provider, and renews the lease meanwhile.
    Refreshing,
    /// The Provider gave no usable response; nobody asks before the lease lapses.
    #[serde(rename = "Resting")]
    BackingOff,
    /// The Provider refused the request, though not the grant; nobody asks before the lease lapses, and once the access
    /// token has lapsed the person signs in.
    Refused,
}

impl SessionRecord {
    /// The same session with its parts gone, kept until `until` at least. Recognised by its writer.
    #[must_use]
    pub fn tombstone(&self, by: WriteId, until: Timestamp) -> Self {
        let expires_at = self.expires_at.max(until);
        Self { state: RecordState::Ended { by }, lease: None, expires_at, ..self.clone() }
    }

    /// Tombstone written before the session's record, so that the sign-in fails.
    #[must_use]
    pub fn never_begun(key: SessionKey, expires_at: Timestamp, until: Timestamp) -> Self {
        Self {
            key,
            generation: 0,
            access_token_expires_at: None,
            refresh_at: None,
            expires_at: expires_at.max(until),
            lease: None,
            state: RecordState::Ended { by: WriteId::random() },
        }
    }

    /// False for the tombstone of a session that was ended before it was written.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.generation > 0
    }

    /// True once the Provider has refused to renew the access token of this generation, until it gives another.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.purpose == LeasePurpose::Refused)
    }

    /// Calls of this generation that the Provider may have seen without responding.
    pub(super) fn unanswered_calls(&self) -> u8 {
        self.lease.as_ref().map_or(0, |lease| lease.unanswered)
    }

    /// Backoffs of this generation in a row.
    pub(super) fn backoffs(&self) -> u8 {
        self.lease.as_ref().map_or(0, |lease| lease.backoffs)
    }

    /// True for a tombstone.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, RecordState::Ended { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_frozen_leases_never_change() {
        let table = [
            (
                LeasePurpose::Refreshing,
                r#"{"purpose":"Refreshing","holder":"holder","lapses_at":1800000040,"unanswered":1,"rests":2}"#,
            ),
            (
                LeasePurpose::BackingOff,
                r#"{"purpose":"Resting","holder":"holder","lapses_at":1800000040,"unanswered":1,"rests":2}"#,
            ),
            (
                LeasePurpose::Refused,
                r#"{"purpose":"Refused","holder":"holder","lapses_at":1800000040,"unanswered":1,"rests":2}"#,
            ),
        ];
        for (purpose, frozen) in table {
            let lease = RefreshLease {
                purpose,
                holder: "holder".to_owned(),
                lapses_at: Timestamp::from_unix(1_800_000_040),
                unanswered: 1,
                backoffs: 2,
            };

            assert_eq!(serde_json::to_value(&lease).unwrap(), serde_json::from_str::<Value>(frozen).unwrap());
            assert_eq!(serde_json::from_str::<RefreshLease>(frozen).unwrap(), lease);
        }
    }
}
