//! Refresh time of an access token: before its expiry, and not on every instance at once.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::random;

/// Time before expiry at which an access token is refreshed (`REFRESH_BEFORE_EXPIRY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshBefore {
    /// Percentage of the token's lifetime, 1 to 50.
    Share(u8),
    /// Duration; never more than half of the lifetime, or every request would refresh.
    Duration(Duration),
}

/// State of a session's access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Usable; no refresh is due.
    Fresh,
    /// Usable; a refresh is due.
    Due,
    /// Expired; needs a refresh first.
    Lapsed,
    /// Expired, with no refresh token: the session is over.
    Spent,
}

impl RefreshBefore {
    /// Refresh time of a token that lives from `now` to `expires_at`, up to a quarter earlier at random.
    #[must_use]
    pub fn refresh_at(self, expires_at: Timestamp, now: Timestamp) -> Timestamp {
        let lifetime = expires_at.since(now);
        let before = match self {
            Self::Share(share) => lifetime * u32::from(share) / 100,
            Self::Duration(before) => before,
        };
        let [chance] = random::bytes::<1>();
        let jitter = before / 4 * u32::from(chance) / 255;
        expires_at.minus((before + jitter).min(lifetime / 2))
    }
}

impl Freshness {
    /// State at `now` of a token that is due and lapses at these times. Without an expiry it never lapses.
    #[must_use]
    pub fn at(refresh_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        let has_lapsed = expires_at.is_some_and(|expires_at| now >= expires_at);
        match (refresh_at, has_lapsed) {
            (None, true) => Self::Spent,
            (None, false) => Self::Fresh,
            (Some(refresh_at), _) if now < refresh_at => Self::Fresh,
            (Some(_), false) => Self::Due,
            (Some(_), true) => Self::Lapsed,
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

    #[test]
    fn a_share_of_the_lifetime_is_left_when_a_refresh_is_due() {
        let refresh_at = RefreshBefore::Share(20).refresh_at(after(1_000), NOW);

        assert!((after(750)..=after(800)).contains(&refresh_at), "{refresh_at:?}");
    }

    #[test]
    fn no_token_is_refreshed_before_half_of_its_life() {
        let refresh_at = RefreshBefore::Duration(Duration::from_secs(3_600)).refresh_at(after(60), NOW);

        assert_eq!(refresh_at, after(30));
    }

    #[test]
    fn a_token_that_lapsed_at_once_is_refreshed_at_once() {
        assert_eq!(RefreshBefore::Share(20).refresh_at(NOW, NOW), NOW);
    }
}
