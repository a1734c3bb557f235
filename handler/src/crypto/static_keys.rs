//! Keys given at start-up that never change.

use std::sync::Arc;

use async_trait::async_trait;

use super::{KeyRing, KeySource, KeysUnavailable};

/// The keys of `COOKIE_KEYS` and `TOKEN_KEYS`, or generated ones.
#[derive(Debug)]
pub struct StaticKeys {
    cookie: Arc<KeyRing>,
    token: Arc<KeyRing>,
}

impl StaticKeys {
    /// A source of these keys for the life of the process.
    #[must_use]
    pub fn new(cookie: KeyRing, token: KeyRing) -> Self {
        Self { cookie: Arc::new(cookie), token: Arc::new(token) }
    }
}

#[async_trait]
impl KeySource for StaticKeys {
    fn cookie_keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.cookie)
    }

    fn token_keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.token)
    }

    fn is_ready(&self) -> Result<(), KeysUnavailable> {
        Ok(())
    }

    async fn reload(&self) -> Result<(), KeysUnavailable> {
        Ok(())
    }

    async fn follow(&self) {}
}
