//! Keys of which the newest are in hand only after a reload, as when another instance used them first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::crypto::{KeyRing, KeySource, KeysUnavailable};

pub(crate) struct KeysOnReload {
    before: Arc<KeyRing>,
    after: Arc<KeyRing>,
    reloads: AtomicUsize,
}

impl KeysOnReload {
    pub(crate) fn new(after: &Arc<KeyRing>) -> Self {
        Self { before: Arc::new(KeyRing::generate()), after: Arc::clone(after), reloads: AtomicUsize::new(0) }
    }

    pub(crate) fn reloads(&self) -> usize {
        self.reloads.load(Ordering::SeqCst)
    }

    fn in_hand(&self) -> Arc<KeyRing> {
        Arc::clone(if self.reloads() == 0 { &self.before } else { &self.after })
    }
}

#[async_trait]
impl KeySource for KeysOnReload {
    fn cookie_keys(&self) -> Arc<KeyRing> {
        self.in_hand()
    }

    fn token_keys(&self) -> Arc<KeyRing> {
        self.in_hand()
    }

    fn is_ready(&self) -> Result<(), KeysUnavailable> {
        Ok(())
    }

    async fn reload(&self) -> Result<(), KeysUnavailable> {
        self.reloads.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn follow(&self) {}
}
