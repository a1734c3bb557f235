//! Background tasks that outlive their request; a drain waits for them.
//!
//! A closed browser connection drops its request's future. A code or refresh token in use must not be lost with it, nor
//! with the process if that can wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Running background tasks. A clone shares them.
#[derive(Clone, Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    is_draining: Arc<AtomicBool>,
}

impl Background {
    /// Runs `work` as a task of the calling worker.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.tasks.spawn_local(work)
    }

    /// True once [`Self::drain`] was called: optional work must not start any more.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Completes when no task is left.
    pub(super) async fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
