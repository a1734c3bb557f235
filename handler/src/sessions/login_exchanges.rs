//! Sign-ins whose code went to the token endpoint: a login cookie buys one exchange in this process.
//!
//! Bounded, in memory, and without a secret: a login is named by a hash. An entry needs no end of its own, because a
//! login that has expired sends no code any more.

use std::sync::Arc;

use quick_cache::sync::{Cache, GuardResult};
use sha2::{Digest, Sha256};

use super::ticket::SessionKey;
use crate::oidc::PendingLogin;

/// Sign-ins that are remembered at a time, about a megabyte; a login beyond them may send another code.
const CAPACITY: usize = 8_192;

/// SHA-256 of a login's seed.
type LoginHash = [u8; 32];

/// The exchanges of this process. A clone shares them.
#[derive(Clone)]
pub(super) struct LoginExchanges(Arc<Cache<LoginHash, SessionKey>>);

impl Default for LoginExchanges {
    fn default() -> Self {
        Self(Arc::new(Cache::new(CAPACITY)))
    }
}

impl LoginExchanges {
    /// True if the login's code was sent, and leads to another session than this one: it was another code.
    pub(super) fn is_of_another(&self, pending: &PendingLogin, session: &SessionKey) -> bool {
        self.0.get(&hash(pending)).is_some_and(|known| known != *session)
    }

    /// Notes that the code of this session is sent. False if the login has sent one before.
    pub(super) fn begin(&self, pending: &PendingLogin, session: &SessionKey) -> bool {
        match self.0.get_value_or_guard(&hash(pending), None) {
            GuardResult::Guard(guard) => guard.insert(session.clone()).is_ok(),
            GuardResult::Value(_) | GuardResult::Timeout => false,
        }
    }

    /// Lets the login send a code again: the Provider gave no response to this one.
    pub(super) fn forget(&self, pending: &PendingLogin) {
        self.0.remove(&hash(pending));
    }
}

fn hash(pending: &PendingLogin) -> LoginHash {
    Sha256::new().chain_update(b"login/v1").chain_update(pending.session_seed()).finalize().into()
}
