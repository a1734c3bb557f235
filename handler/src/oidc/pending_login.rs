//! State of a sign-in between the authorization request and its response.
//!
//! It travels sealed in the browser, so abandoned sign-ins cost the store nothing.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::pkce;
use crate::clock::Timestamp;
use crate::random;

/// A sign-in in progress. Prints nothing secret.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct PendingLogin {
    state: Zeroizing<String>,
    nonce: Zeroizing<String>,
    code_verifier: Zeroizing<String>,
    session_seed: Zeroizing<[u8; 32]>,
    return_url: String,
    max_age: Option<u64>,
    issued_at: Timestamp,
}

impl PendingLogin {
    /// Time limit of a sign-in at the Provider.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    pub(super) fn begin(return_url: &str, max_age: Option<u64>, now: Timestamp) -> Self {
        Self {
            state: random::guid_pair().into(),
            nonce: pkce::base64url(&random::bytes::<NONCE_LENGTH>()).into(),
            code_verifier: pkce::code_verifier().into(),
            session_seed: random::bytes().into(),
            return_url: return_url.to_owned(),
            max_age,
            issued_at: now,
        }
    }

    /// Serialises the login, to be sealed.
    ///
    /// # Panics
    /// If state, nonce or verifier were not made by this module.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_LENGTH + self.return_url.len()));
        let own = "32 bytes that this module drew";
        bytes.extend_from_slice(unhex(&self.state).expect(own).as_slice());
        bytes.extend_from_slice(&pkce::base64url_decode(&self.nonce).expect(own));
        bytes.extend_from_slice(unhex(&self.code_verifier).expect(own).as_slice());
        bytes.extend_from_slice(self.session_seed.as_slice());
        bytes.extend_from_slice(&self.issued_at.as_unix().to_be_bytes());
        bytes.extend_from_slice(&self.max_age.unwrap_or(NO_MAX_AGE).to_be_bytes());
        bytes.extend_from_slice(self.return_url.as_bytes());
        bytes
    }

    /// Parses the bytes of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (state, rest) = bytes.split_first_chunk::<32>()?;
        let (nonce, rest) = rest.split_first_chunk::<32>()?;
        let (code_verifier, rest) = rest.split_first_chunk::<32>()?;
        let (session_seed, rest) = rest.split_first_chunk::<32>()?;
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let (max_age, return_url) = rest.split_first_chunk::<8>()?;
        Some(Self {
            state: hex(state).into(),
            nonce: pkce::base64url(nonce).into(),
            code_verifier: hex(code_verifier).into(),
            session_seed: (*session_seed).into(),
            return_url: std::str::from_utf8(return_url).ok()?.to_owned(),
            max_age: Some(u64::from_be_bytes(*max_age)).filter(|max_age| *max_age != NO_MAX_AGE),
            issued_at: Timestamp::from_unix(i64::from_be_bytes(*issued_at)),
        })
    }

    /// True if the response's `state` is this login's (RFC 6749 10.12), compared in constant time.
    #[must_use]
    pub fn has_state(&self, state: &str) -> bool {
        bool::from(self.state.as_bytes().ct_eq(state.as_bytes()))
    }

    /// The URL that the sign-in returns to.
    #[must_use]
    pub fn return_url(&self) -> &str {
        &self.return_url
    }

    /// The time of the authorization request.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// True once [`Self::LIFETIME`] has passed.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.issued_at.plus(Self::LIFETIME)
    }

    /// The verifier to send with the code (RFC 7636 section 4.5).
    #[must_use]
    pub fn code_verifier(&self) -> &str {
        &self.code_verifier
    }

    /// 32 random bytes of this sign-in alone, from which its session's identifier and secret are derived.
    #[must_use]
    pub fn session_seed(&self) -> &[u8; 32] {
        &self.session_seed
    }

    /// Eight hexadecimal digits that identify this login without revealing its state.
    #[must_use]
    pub fn tag(&self) -> String {
        Self::tag_of(&self.state)
    }

    /// The [`tag`](Self::tag) of the login with this `state`.
    #[must_use]
    pub fn tag_of(state: &str) -> String {
        hex(&Sha256::digest(state.as_bytes())[..4])
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn max_age(&self) -> Option<u64> {
        self.max_age
    }
}

/// Bytes of a nonce: 256 bits in 43 characters of base64url, the longest that every Provider accepts.
const NONCE_LENGTH: usize = 32;

/// Length of state, nonce, verifier and seed, and of two numbers.
const FIXED_LENGTH: usize = 4 * 32 + 2 * 8;

/// Encoding of an absent `max_age`; no request uses this value.
const NO_MAX_AGE: u64 = u64::MAX;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes 64 hexadecimal digits into 32 bytes.
fn unhex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let pairs = digits.as_bytes().chunks_exact(2);
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("issued_at", &self.issued_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_login_expires_after_ten_minutes() {
        let login = PendingLogin::begin("/", None, NOW);

        assert!(!login.is_expired(NOW.plus(Duration::from_secs(599))));
        assert!(login.is_expired(NOW.plus(Duration::from_secs(600))));
    }

    #[test]
    fn a_nonce_has_43_characters_and_is_never_the_same() {
        let login = PendingLogin::begin("/", None, NOW);

        assert_eq!((login.nonce().len(), login.state().len(), login.code_verifier().len()), (43, 64, 64));
        assert!(login.nonce().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_ne!(login.nonce(), PendingLogin::begin("/", None, NOW).nonce());
    }

    #[test]
    fn another_state_is_not_this_logins() {
        let login = PendingLogin::begin("/", None, NOW);

        assert!(login.has_state(login.state()));
        assert!(!login.has_state(PendingLogin::begin("/", None, NOW).state()));
        assert!(!login.has_state(""));
    }

    #[test]
    fn a_login_prints_no_secret() {
        let login = PendingLogin::begin("/private", None, NOW);

        let printed = format!("{login:?}");

        for secret in [login.state(), login.nonce(), login.code_verifier(), "/private"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    const FROZEN: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgQEBAQEBAQE\
        BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMAAAAAa0nSAAAAAAAAAAJYL29yZGVycz9wYWdlPTI";

    fn frozen_login(max_age: Option<u64>) -> PendingLogin {
        PendingLogin {
            state: "01".repeat(32).into(),
            nonce: pkce::base64url(&[2; 32]).into(),
            code_verifier: "04".repeat(32).into(),
            session_seed: [3; 32].into(),
            return_url: "/orders?page=2".to_owned(),
            max_age,
            issued_at: NOW,
        }
    }

    #[test]
    fn the_frozen_login_never_changes() {
        assert_eq!(pkce::base64url(&frozen_login(Some(600)).to_bytes()), FROZEN);
    }

    #[test]
    fn a_login_is_read_as_it_was_written() {
        for login in [frozen_login(Some(600)), frozen_login(None), PendingLogin::begin("/", Some(0), NOW)] {
            let read = PendingLogin::from_bytes(&login.to_bytes()).unwrap();

            assert_eq!(read.to_bytes(), login.to_bytes());
        }
        let bytes = frozen_login(None).to_bytes();
        for end in 0..FIXED_LENGTH {
            assert!(PendingLogin::from_bytes(&bytes[..end]).is_none(), "{end} bytes");
        }
        assert!(PendingLogin::from_bytes(&[&bytes[..], &[0xff]].concat()).is_none(), "a return URL that is no text");
    }
}
