//! The state of a sign-in between the authorization request and its response.
//!
//! It travels sealed in the browser, so that strangers who never come back cost the store nothing.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::pkce;
use crate::clock::Timestamp;
use crate::random;

/// One sign-in that has begun. Prints nothing secret.
#[derive(Serialize, Deserialize)]
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
    /// The time that a person may take at the Provider.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    pub(super) fn begin(return_url: &str, max_age: Option<u64>, now: Timestamp) -> Self {
        Self {
            state: random::guid_pair().into(),
            nonce: random::guid_pair().into(),
            code_verifier: pkce::code_verifier().into(),
            session_seed: random::bytes().into(),
            return_url: return_url.to_owned(),
            max_age,
            issued_at: now,
        }
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

    /// Eight hexadecimal digits that tell this login from others without telling its state.
    #[must_use]
    pub fn tag(&self) -> String {
        Self::tag_of(&self.state)
    }

    /// The [`tag`](Self::tag) of the login with this `state`.
    #[must_use]
    pub fn tag_of(state: &str) -> String {
        Sha256::digest(state.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect()
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

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("issued_at", &self.issued_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_login_expires_after_ten_minutes() {
        let login = PendingLogin::begin("/", None, NOW);

        assert!(!login.is_expired(NOW.plus(Duration::from_secs(599))));
        assert!(login.is_expired(NOW.plus(Duration::from_secs(600))));
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

    const FROZEN: &str = r#"{
        "state": "state",
        "nonce": "nonce",
        "code_verifier": "verifier",
        "session_seed": [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        "return_url": "/orders?page=2",
        "max_age": 600,
        "issued_at": 1800000000
    }"#;

    #[test]
    fn the_frozen_login_never_changes() {
        let login = PendingLogin {
            state: "state".to_owned().into(),
            nonce: "nonce".to_owned().into(),
            code_verifier: "verifier".to_owned().into(),
            session_seed: [3; 32].into(),
            return_url: "/orders?page=2".to_owned(),
            max_age: Some(600),
            issued_at: NOW,
        };

        assert_eq!(serde_json::to_value(&login).unwrap(), serde_json::from_str::<Value>(FROZEN).unwrap());
    }

    #[test]
    fn the_frozen_login_still_reads() {
        let login: PendingLogin = serde_json::from_str(FROZEN).unwrap();

        assert_eq!([login.state(), login.nonce(), login.code_verifier()], ["state", "nonce", "verifier"]);
        assert_eq!((login.session_seed(), login.return_url()), (&[3; 32], "/orders?page=2"));
        assert_eq!((login.max_age(), login.issued_at()), (Some(600), NOW));
    }
}
