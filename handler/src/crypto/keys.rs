//! Keys, their identifiers, and the ring of the two in use for one purpose.
//!
//! The first seals, both open, chosen by [`KeyId`] and never by trial. The first is the newest, unless the newest
//! is too young for every instance to have seen it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Plaintext, base64url};
use crate::random;

/// Identifier of a key: 1 to 64 characters of `A-Z a-z 0-9 _ -`. Not secret; it travels in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Parses an identifier.
    ///
    /// # Errors
    /// [`KeyError::Id`] for anything but 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(is_allowed) {
            return Err(KeyError::Id);
        }
        Ok(Self(text.into()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 256 secret bits. Prints nothing, and is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// Copies a key of exactly 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length { found: bytes.len() })
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// True if both are the same 256 bits, compared in constant time.
    fn has_bytes_of(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Reason why a value is not a key, or a list of keys not a ring.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The identifier has another shape than [`KeyId::parse`] takes.
    #[error("a key identifier is 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
    Id,
    /// The key is not 256 bits.
    #[error("a key is 32 bytes, this one has {found}")]
    Length {
        /// Actual length in bytes.
        found: usize,
    },
    /// The ring would hold none or more than two keys.
    #[error("one or two keys are kept, not {found}")]
    Count {
        /// Actual number of keys.
        found: usize,
    },
    /// Two keys of the ring share an identifier.
    #[error("two keys share an identifier")]
    Duplicate,
    /// Two keys of the ring have the same bytes: a rotation that rotates nothing.
    #[error("two keys have the same bytes")]
    SameBytes,
}

/// The one or two keys in use for one purpose; the first seals.
#[derive(Clone, Debug)]
pub struct KeyRing(Vec<(KeyId, Key)>);

impl KeyRing {
    /// A ring of the given keys, the sealing one first.
    ///
    /// # Errors
    /// When there are none or more than two, or two of the same identifier or of the same bytes.
    pub fn new(sealing_first: Vec<(KeyId, Key)>) -> Result<Self, KeyError> {
        match sealing_first.as_slice() {
            [_] => Ok(Self(sealing_first)),
            [(first, _), (second, _)] if first == second => Err(KeyError::Duplicate),
            [(_, first), (_, second)] if first.has_bytes_of(second) => Err(KeyError::SameBytes),
            [_, _] => Ok(Self(sealing_first)),
            other => Err(KeyError::Count { found: other.len() }),
        }
    }

    /// A ring of one new random key under a random identifier. Values sealed before do not open.
    #[must_use]
    pub fn generate() -> Self {
        let id = KeyId(base64url(&random::bytes::<6>()).into());
        Self(vec![(id, Key::generate())])
    }

    /// The key that seals.
    #[must_use]
    pub fn sealing(&self) -> (&KeyId, &Key) {
        let (id, key) = &self.0[0];
        (id, key)
    }

    /// True if a key of this ring has the bytes of one of the other: two purposes need two keys (NIST SP 800-57 5.2).
    #[must_use]
    pub fn shares_a_key_with(&self, other: &Self) -> bool {
        self.0.iter().any(|(_, ours)| other.0.iter().any(|(_, theirs)| ours.has_bytes_of(theirs)))
    }

    /// The key of this identifier, if it is in the ring.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<(&KeyId, &Key)> {
        self.0.iter().find(|(known, _)| known.as_str() == id).map(|(id, key)| (id, key))
    }
}

/// Source of the keys, chosen at start-up.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Keys that seal cookies. They open nothing while the source isn't ready.
    fn cookie_keys(&self) -> Arc<KeyRing>;

    /// Keys that seal records. They open nothing while the source isn't ready.
    fn token_keys(&self) -> Arc<KeyRing>;

    /// `Ok` if keys are loaded.
    ///
    /// # Errors
    /// If none are loaded: without keys no cookie opens, so no session is recognised.
    fn is_ready(&self) -> Result<(), KeysUnavailable>;

    /// Loads the newest keys, because a value names an unknown key or none are loaded. The source limits the
    /// rate.
    ///
    /// # Errors
    /// If the newest keys cannot be loaded: an unknown key may be one of them.
    async fn reload(&self) -> Result<(), KeysUnavailable>;

    /// Follows the rotation of the keys for as long as the process lives. Returns at once if they never change.
    async fn follow(&self);
}

/// Opens a sealed value with the keys of the moment; an unknown key triggers one reload.
///
/// # Errors
/// If that key may exist but cannot be loaded now: the value may be valid.
pub async fn open_with_reload(
    keys: &dyn KeySource,
    open: impl Fn() -> Result<Plaintext, OpenError>,
) -> Result<Option<Plaintext>, KeysUnavailable> {
    let opened = open();
    if !matches!(opened, Err(OpenError::UnknownKey)) {
        return Ok(opened.ok());
    }
    let reloaded = keys.reload().await;
    let opened = open();
    if matches!(opened, Err(OpenError::UnknownKey)) {
        reloaded?;
    }
    Ok(opened.ok())
}

/// No keys are loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys are not in hand")]
pub struct KeysUnavailable(#[source] pub Arc<dyn std::error::Error + Send + Sync>);

/// Reason why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed under an unknown key; a reload may help.
    #[error("sealed under a key that is not in hand")]
    UnknownKey,
    /// Any other failure. Never more precise, neither here nor in a response.
    #[error("not sealed by these keys for this purpose")]
    Invalid,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    #[test]
    fn a_ring_holds_one_or_two_keys_of_different_names() {
        let key = Key::generate;

        assert!(KeyRing::new(vec![(id("a"), key())]).is_ok());
        assert!(KeyRing::new(vec![(id("a"), key()), (id("b"), key())]).is_ok());
        assert_eq!(KeyRing::new(vec![]).unwrap_err(), KeyError::Count { found: 0 });
        let three = vec![(id("a"), key()), (id("b"), key()), (id("c"), key())];
        assert_eq!(KeyRing::new(three).unwrap_err(), KeyError::Count { found: 3 });
        let twins = vec![(id("a"), key()), (id("a"), key())];
        assert_eq!(KeyRing::new(twins).unwrap_err(), KeyError::Duplicate);
    }

    #[test]
    fn a_ring_of_the_same_bytes_under_two_names_is_refused() {
        let same = Key::generate();

        let refused = KeyRing::new(vec![(id("a"), same.clone()), (id("b"), same)]).unwrap_err();

        assert_eq!(refused, KeyError::SameBytes);
    }

    #[test]
    fn two_rings_share_a_key_by_its_bytes_and_not_by_its_name() {
        let same = Key::generate();
        let ring = |name: &str, key: &Key| KeyRing::new(vec![(id("k1"), Key::generate()), (id(name), key.clone())]);
        let ring = ring("k2", &same).unwrap();

        assert!(ring.shares_a_key_with(&KeyRing::new(vec![(id("other"), same)]).unwrap()));
        assert!(!ring.shares_a_key_with(&KeyRing::new(vec![(id("k1"), Key::generate())]).unwrap()));
    }

    #[test]
    fn a_key_is_exactly_32_bytes() {
        assert_eq!(Key::from_bytes(&[0; 31]).unwrap_err(), KeyError::Length { found: 31 });
        assert_eq!(Key::from_bytes(&[0; 33]).unwrap_err(), KeyError::Length { found: 33 });
    }

    #[test]
    fn a_key_identifier_of_another_alphabet_is_refused() {
        for text in ["", "a.b", "a b", "ü", "a:b", &"a".repeat(65)] {
            assert_eq!(KeyId::parse(text).unwrap_err(), KeyError::Id, "{text:?}");
        }
        assert!(KeyId::parse(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn a_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Key::from_bytes(&[7; 32]).unwrap()), "Key(..)");
    }
}
