//! Session record in the store: sealed parts and the fields that must be readable without them.

use serde::{Deserialize, Serialize};

use super::freshness::Freshness;
use super::route_token::{RouteToken, TargetKey};
use super::ticket::SessionKey;
use crate::clock::Timestamp;
use crate::crypto::SealedPart;
use crate::random;

/// Session record as the store keeps it. Nothing in it opens a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Key in the store.
    pub key: SessionKey,
    /// Number of the tokens, incremented by every refresh; authenticated by every part.
    pub generation: u64,
    /// Expiry of the access token, if known.
    pub access_token_expires_at: Option<Timestamp>,
    /// Time from which a refresh is due; `None` without a refresh token or an expiry.
    pub refresh_at: Option<Timestamp>,
    /// Absolute end of the session, and of the item.
    pub expires_at: Timestamp,
    /// The call of the Provider in progress, or the current backoff.
    pub lease: Option<RefreshLease>,
    /// The sealed parts, or a tombstone.
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
        /// Tokens of the routes that have their own, each once it was asked for.
        routes: Vec<RouteToken>,
    },
    /// Tombstone: the parts are gone, and no pending write may restore them.
    Ended {
        /// The write that ended it.
        by: WriteId,
    },
}

/// Random identifier of a write: a writer whose reply was lost, or whose write was repeated, recognises its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteId(String);

impl WriteId {
    /// A new random identifier.
    #[must_use]
    pub fn random() -> Self {
        Self(random::guid_pair())
    }
}

/// Right to call the Provider with this generation's tokens: to refresh the session, or for the token of a route.
///
/// Not authenticated: whoever can write to the store can delay a refresh, make a person sign in once the token has
/// lapsed, or cause one more call of the Provider, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshLease {
    /// State of the lease.
    pub purpose: LeasePurpose,
    /// Random for each acquisition, so that a holder whose write's outcome is unknown recognises it.
    pub holder: String,
    /// End of a backoff. During a refresh only a hint: the holder renews it, and others detect its death by
    /// observation.
    pub lapses_at: Timestamp,
    /// Calls of this generation that may have reached the Provider without a response, the current one included.
    pub unanswered: u8,
    /// Consecutive backoffs; each makes the next one longer.
    #[serde(rename = "rests")]
    pub backoffs: u8,
}

/// State of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeasePurpose {
    /// The holder is calling the Provider, and renews the lease meanwhile.
    Refreshing,
    /// The Provider gave no usable response; nobody calls it before the lease lapses.
    #[serde(rename = "Resting")]
    BackingOff,
    /// The Provider refused the request, though not the grant; nobody calls it before the lease lapses, and once the
    /// access token has lapsed the person signs in.
    Refused,
}

impl Freshness {
    /// State of the record's token at `now`. Without an expiry a token is used until the session ends.
    #[must_use]
    pub fn of(record: &SessionRecord, now: Timestamp) -> Self {
        Self::at(record.refresh_at, record.access_token_expires_at, now)
    }
}

impl SessionRecord {
    /// Tombstone of this session, kept at least until `until`. `by` identifies its writer.
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

    /// False for the tombstone of a session that ended before its record was written.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.generation > 0
    }

    /// True if the Provider has refused to refresh this generation.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.purpose == LeasePurpose::Refused)
    }

    /// The route tokens; none in a tombstone.
    pub(super) fn routes(&self) -> &[RouteToken] {
        if let RecordState::Active { routes, .. } = &self.state { routes } else { &[] }
    }

    /// Random name of the lease's holder; empty for a lease that nobody holds.
    pub(super) fn lease_holder(&self) -> Option<&str> {
        self.lease.as_ref().map(|lease| lease.holder.as_str())
    }

    /// The sealed refresh part; none in a tombstone.
    pub(super) fn refresh_part(&self) -> Option<&SealedPart> {
        if let RecordState::Active { refresh, .. } = &self.state { Some(refresh) } else { None }
    }

    /// Takes over the backoffs of the last generation's targets: a refresh changes nothing about their causes.
    pub(super) fn remember_backoffs(&mut self, last: &Self) {
        if let RecordState::Active { routes, .. } = &mut self.state {
            let backing_off = last.routes().iter().filter(|route| route.pause.is_some());
            routes.extend(backing_off.map(|route| RouteToken { token: None, ..route.clone() }));
        }
    }

    /// Puts a route's token or backoff in the place of the one before; nothing in a tombstone.
    pub(super) fn set_route(&mut self, route: RouteToken) {
        if let RecordState::Active { routes, .. } = &mut self.state {
            routes.retain(|other| other.target != route.target);
            routes.push(route);
        }
    }

    /// Token of this target, or its backoff.
    pub(super) fn route(&self, target: TargetKey) -> Option<&RouteToken> {
        self.routes().iter().find(|route| route.target == target)
    }

    /// Calls of this generation that may have reached the Provider without a response.
    pub(super) fn unanswered_calls(&self) -> u8 {
        self.lease.as_ref().map_or(0, |lease| lease.unanswered)
    }

    /// Consecutive backoffs of this generation.
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
