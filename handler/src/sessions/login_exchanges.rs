//! Sign-ins whose code was sent to the token endpoint: each login cookie allows one code exchange per process.
//!
//! Bounded, in memory, and without a secret: a login is stored as a hash. Entries need no expiry, because an
//! expired login sends no code.

use std::sync::Arc;

use quick_cache::sync::{Cache, GuardResult};
use sha2::{Digest, Sha256};

use super::ticket::SessionKey;
use crate::oidc::PendingLogin;

/// Maximum remembered sign-ins, about a megabyte; a login beyond them may send another code.
const CAPACITY: usize = 8_192;

/// SHA-256 of a login's seed.
type LoginHash = [u8; 32];

/// Code exchanges of this process. A clone shares them.
#[derive(Clone)]
pub(super) struct LoginExchanges(Arc<Cache<LoginHash, SessionKey>>);

impl Default for LoginExchanges {
    fn default() -> Self {
        Self(Arc::new(Cache::new(CAPACITY)))
    }
}

impl LoginExchanges {
    /// True if the login has sent a code for another session than this one: it was another code.
    pub(super) fn is_of_another(&self, pending: &PendingLogin, session: &SessionKey) -> bool {
        self.0.get(&hash(pending)).is_some_and(|known| known != *session)
    }

    /// Records that the code of this session is sent. False if the login has sent one before.
    pub(super) fn begin(&self, pending: &PendingLogin, session: &SessionKey) -> bool {
        match self.0.get_value_or_guard(&hash(pending), None) {
            GuardResult::Guard(guard) => guard.insert(session.clone()).is_ok(),
            GuardResult::Value(_) | GuardResult::Timeout => false,
        }
    }

    /// Allows the login to send a code again, after an exchange without a response.
    pub(super) fn forget(&self, pending: &PendingLogin) {
        self.0.remove(&hash(pending));
    }
}

fn hash(pending: &PendingLogin) -> LoginHash {
    Sha256::new().chain_update(b"login/v1").chain_update(pending.session_seed()).finalize().into()
}
