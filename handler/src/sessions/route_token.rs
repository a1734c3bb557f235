//! Access token of a route in a record: sealed like the other parts, with the backoff of its requests.
//!
//! Knows how a token is kept, never how it is obtained.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::freshness::Freshness;
use super::timing;
use crate::clock::Timestamp;
use crate::crypto::{SealedPart, base64url, base64url_decode};
use crate::oidc::TargetRefusal;
use crate::token_target::TokenTarget;

/// Key of a target in a record: an unkeyed hash, the same at every instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey([u8; 16]);

impl TargetKey {
    /// Key of this target.
    #[must_use]
    pub fn of(target: &TokenTarget) -> Self {
        let (parameter, value) = target.recipient().map_or(("", ""), |(name, value)| (name.parameter(), value));
        let mut hash = Sha256::new().chain_update(b"target/v1");
        for field in [parameter, value, target.scope().unwrap_or_default()] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }

    /// The key's bytes, authenticated by the sealed token.
    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key as text of the base64url alphabet.
    #[must_use]
    pub fn to_text(self) -> String {
        base64url(&self.0)
    }

    /// Reads what [`Self::to_text`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        base64url_decode(text)?.try_into().ok().map(Self)
    }
}

/// Token for one target, of the record's generation: a newer generation begins without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteToken {
    /// Its target.
    pub target: TargetKey,
    /// The token, if one was issued.
    pub token: Option<SealedRouteToken>,
    /// Backoff after the last request that brought none.
    pub pause: Option<RoutePause>,
}

/// A sealed token, and its readable times, which it authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRouteToken {
    /// The sealed token.
    pub part: SealedPart,
    /// Its expiry, if known.
    pub expires_at: Option<Timestamp>,
    /// Time from which it is renewed.
    pub refresh_at: Option<Timestamp>,
}

/// Backoff of one target. Not authenticated: whoever can write to the store can delay a token, or cause one more call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePause {
    /// End of the backoff.
    pub until: Timestamp,
    /// Consecutive backoffs; each makes the next one longer.
    pub backoffs: u8,
    /// Consecutive calls without a response, which make it longer still.
    #[serde(default)]
    pub unanswered: u8,
    /// The Provider's refusal; `None` after a failure to respond.
    pub refusal: Option<TargetRefusal>,
}

/// State of a target's token, which decides about a request for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetState {
    /// Usable; nothing is to be done.
    Fresh,
    /// Usable; a renewal is due.
    Due,
    /// Not usable, and nobody asks the Provider before the backoff is over.
    Paused { retry_after: Duration, refusal: Option<TargetRefusal> },
    /// Not usable: to be requested.
    Wanted,
}

impl RouteToken {
    /// A target without a token.
    pub(super) fn wanted(target: TargetKey) -> Self {
        Self { target, token: None, pause: None }
    }

    /// State at `now`. A paused renewal leaves a usable token as it is. A token with the salt `unreadable` is none.
    pub(super) fn state(&self, unreadable: Option<[u8; 32]>, now: Timestamp) -> TargetState {
        let pause = self.pause.as_ref().filter(|pause| now < pause.until);
        let token = self.token.as_ref().filter(|token| Some(token.part.salt) != unreadable);
        let freshness = token.map(|token| Freshness::at(token.refresh_at, token.expires_at, now));
        match (freshness, pause) {
            (Some(Freshness::Fresh), _) | (Some(Freshness::Due), Some(_)) => TargetState::Fresh,
            (Some(Freshness::Due), None) => TargetState::Due,
            (Some(Freshness::Lapsed | Freshness::Spent) | None, Some(pause)) => {
                TargetState::Paused { retry_after: timing::until(pause.until, now), refusal: pause.refusal }
            }
            (Some(Freshness::Lapsed | Freshness::Spent) | None, None) => TargetState::Wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn key(resource: Option<&str>, audience: Option<&str>, scope: Option<&str>) -> String {
        TargetKey::of(&TokenTarget::new(resource, audience, scope).unwrap()).to_text()
    }

    #[test]
    fn the_frozen_key_of_a_target_never_changes() {
        assert_eq!(key(None, Some("orders"), Some("read write")), "gdYOTfrD46CWlnCp6rbvkQ");
    }

    #[test]
    fn every_target_has_a_key_of_its_own() {
        let keys = [
            key(Some("a:b"), None, None),
            key(None, Some("a:b"), None),
            key(None, None, Some("a:b")),
            key(None, Some("a:b"), Some("c")),
            key(None, Some("a:bc"), None),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    #[test]
    fn a_key_reads_back_and_what_is_none_does_not() {
        let target = TargetKey::of(&TokenTarget::new(None, Some("b"), None).unwrap());

        assert_eq!(TargetKey::from_text(&target.to_text()), Some(target));
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(TargetKey::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_used_while_it_lives_and_asked_for_unless_a_backoff_lasts() {
        let target = TargetKey::of(&TokenTarget::new(None, Some("b"), None).unwrap());
        let part = SealedPart { kid: "k".to_owned(), salt: [0; 32], ciphertext: vec![] };
        let token = |refresh_at, expires_at| SealedRouteToken {
            part: part.clone(),
            expires_at: Some(after(expires_at)),
            refresh_at: Some(after(refresh_at)),
        };
        let pause = |seconds| RoutePause { until: after(seconds), backoffs: 1, unanswered: 0, refusal: None };
        let paused = TargetState::Paused { retry_after: Duration::from_secs(7), refusal: None };
        for (token, pause, expected) in [
            (None, None, TargetState::Wanted),
            (None, Some(pause(0)), TargetState::Wanted),
            (None, Some(pause(7)), paused),
            (Some(token(1, 2)), None, TargetState::Fresh),
            (Some(token(0, 1)), None, TargetState::Due),
            (Some(token(0, 1)), Some(pause(7)), TargetState::Fresh),
            (Some(token(0, 0)), None, TargetState::Wanted),
            (Some(token(0, 0)), Some(pause(7)), paused),
        ] {
            let entry = RouteToken { target, token, pause };
            assert_eq!(entry.state(None, NOW), expected, "{entry:?}");
            assert_eq!(entry.state(Some([1; 32]), NOW), expected, "{entry:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_opened_is_none() {
        let target = TargetKey::of(&TokenTarget::new(None, Some("b"), None).unwrap());
        let part = SealedPart { kid: "gone".to_owned(), salt: [7; 32], ciphertext: vec![] };
        let token = SealedRouteToken { part, expires_at: Some(after(9)), refresh_at: Some(after(8)) };
        let entry = RouteToken { target, token: Some(token), pause: None };

        assert_eq!(entry.state(Some([7; 32]), NOW), TargetState::Wanted);
    }
}
