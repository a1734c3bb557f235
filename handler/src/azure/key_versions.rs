//! Choice of the key versions in use and of the sealing one: pure, so that every instance chooses the same.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::crypto::KeyId;

/// One version of a secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyVersion {
    pub(super) kid: KeyId,
    pub(super) created: Timestamp,
    pub(super) is_enabled: bool,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
}

impl KeyVersion {
    fn is_active(&self, now: Timestamp) -> bool {
        let has_begun = self.not_before.is_none_or(|not_before| not_before <= now);
        self.is_enabled && has_begun && self.expires.is_none_or(|expires| now < expires)
    }

    /// Time from which the version is active.
    fn begins(&self) -> Timestamp {
        self.created.max(self.not_before.unwrap_or(self.created))
    }

    /// Time from which it may seal: every instance has loaded it by then.
    fn seals_from(&self, delay: Duration) -> Timestamp {
        self.begins().plus(delay)
    }
}

/// The newest active version and the one that sealed before it; the sealing one first. A version younger than `delay`
/// opens but doesn't seal, unless it is alone. A version superseded before it ever sealed is no key.
pub(super) fn choose(mut versions: Vec<KeyVersion>, delay: Duration, now: Timestamp) -> Vec<KeyVersion> {
    versions.retain(|version| version.is_active(now));
    // Same second: ordered by name, so that every instance agrees.
    versions.sort_by(|a, b| (b.created, &b.kid).cmp(&(a.created, &a.kid)));
    if let [newest, rest @ ..] = versions.as_slice() {
        let sealed = |version: &KeyVersion| version.seals_from(delay) <= newest.begins();
        let other = rest.iter().find(|version| sealed(version)).or(rest.first()).cloned();
        versions = [newest.clone()].into_iter().chain(other).collect();
    }
    if let [newest, _] = versions.as_slice()
        && now < newest.seals_from(delay)
    {
        versions.reverse();
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const DELAY: Duration = Duration::from_secs(600);

    fn version(kid: &str, age: u64) -> KeyVersion {
        KeyVersion {
            kid: KeyId::parse(kid).unwrap(),
            created: NOW.minus(Duration::from_secs(age)),
            is_enabled: true,
            not_before: None,
            expires: None,
        }
    }

    fn chosen(versions: &[KeyVersion]) -> Vec<String> {
        choose(versions.to_vec(), DELAY, NOW).iter().map(|version| version.kid.as_str().to_owned()).collect()
    }

    #[test]
    fn the_two_newest_are_kept_and_the_newest_seals() {
        assert_eq!(chosen(&[version("b", 2_000), version("a", 3_000), version("c", 1_000)]), ["c", "b"]);
    }

    #[test]
    fn a_version_seals_only_when_every_instance_has_met_it() {
        assert_eq!(chosen(&[version("old", 5_000), version("new", 599)]), ["old", "new"]);
        assert_eq!(chosen(&[version("old", 5_000), version("new", 600)]), ["new", "old"]);
    }

    #[test]
    fn a_rotation_that_was_begun_twice_takes_nothing_away() {
        assert_eq!(chosen(&[version("old", 5_000), version("first", 300), version("again", 100)]), ["old", "again"]);
        assert_eq!(chosen(&[version("old", 5_000), version("first", 900), version("again", 700)]), ["again", "old"]);
        assert_eq!(chosen(&[version("first", 300), version("again", 100)]), ["first", "again"]);
    }

    #[test]
    fn a_version_that_is_alone_seals_at_once() {
        assert_eq!(chosen(&[version("new", 0)]), ["new"]);
    }

    #[test]
    fn the_delay_counts_from_not_before_when_that_is_later() {
        let new = KeyVersion { not_before: Some(NOW.minus(Duration::from_secs(10))), ..version("new", 5_000) };

        assert_eq!(chosen(&[version("old", 9_000), new]), ["old", "new"]);
    }

    #[test]
    fn what_is_disabled_not_begun_or_expired_is_no_key() {
        let second = Duration::from_secs(1);
        for other in [
            KeyVersion { is_enabled: false, ..version("x", 700) },
            KeyVersion { not_before: Some(NOW.plus(second)), ..version("x", 700) },
            KeyVersion { expires: Some(NOW), ..version("x", 700) },
        ] {
            assert_eq!(chosen(&[version("a", 3_000), other, version("b", 2_000)]), ["b", "a"]);
        }
    }

    #[test]
    fn versions_of_one_second_have_the_same_order_everywhere() {
        assert_eq!(chosen(&[version("a", 900), version("b", 900)]), ["b", "a"]);
        assert_eq!(chosen(&[version("b", 900), version("a", 900)]), ["b", "a"]);
    }
}
