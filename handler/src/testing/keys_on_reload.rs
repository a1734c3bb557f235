//! Key source whose newest version is loaded only by a reload, as if another instance used it first.

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

    fn loaded(&self) -> Arc<KeyRing> {
        Arc::clone(if self.reloads() == 0 { &self.before } else { &self.after })
    }
}

#[async_trait]
impl KeySource for KeysOnReload {
    fn cookie_keys(&self) -> Arc<KeyRing> {
        self.loaded()
    }

    fn token_keys(&self) -> Arc<KeyRing> {
        self.loaded()
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
