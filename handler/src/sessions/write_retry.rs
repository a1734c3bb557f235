//! Retry of a conditional write that conflicted: jittered pauses within a time budget.
//!
//! The writer reads again before each attempt. Knows nothing of the content.

use std::time::Duration;

use tokio::time::Instant;

use super::store::StoreError;
use crate::random;

/// Time budget of a conditional write's retries; a browser waits behind it.
pub(super) const CONTENTION_BUDGET: Duration = Duration::from_secs(10);

/// Maximum retries while the store is unavailable: each has already used the store's own time budget.
const MAX_UNAVAILABLE: u8 = 2;

/// Maximum pause before the first retry; it doubles up to [`MAX_RETRY_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_RETRY_PAUSE: Duration = Duration::from_millis(320);

/// Retries of one write.
pub(super) struct WriteRetry {
    deadline: Instant,
    pause: Duration,
    unavailable: u8,
}

impl WriteRetry {
    /// Starts the budget.
    pub(super) fn start() -> Self {
        Self { deadline: Instant::now() + CONTENTION_BUDGET, pause: FIRST_PAUSE, unavailable: 0 }
    }

    /// End of the budget.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure itself, once the budget is used up or the store was unavailable too often.
    pub(super) async fn pause_after(&mut self, failure: StoreError) -> Result<(), StoreError> {
        self.unavailable += u8::from(matches!(failure, StoreError::Unavailable(_)));
        if self.unavailable > MAX_UNAVAILABLE || Instant::now() >= self.deadline {
            return Err(failure);
        }
        // Full jitter: writers that collided spread over the whole pause.
        let chance = u32::from(u16::from_be_bytes(random::bytes()));
        tokio::time::sleep(self.pause * chance / u32::from(u16::MAX)).await;
        self.pause = (self.pause * 2).min(MAX_RETRY_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> StoreError {
        StoreError::Unavailable("scripted".into())
    }

    #[tokio::test(start_paused = true)]
    async fn conflicts_are_retried_until_the_budget_is_spent() {
        let mut retry = WriteRetry::start();
        let started = Instant::now();
        let mut attempts = 0;

        while retry.pause_after(StoreError::Conflict).await.is_ok() {
            attempts += 1;
        }

        assert!(attempts >= 30, "{attempts}");
        assert!((CONTENTION_BUDGET..CONTENTION_BUDGET + MAX_RETRY_PAUSE * 2).contains(&started.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_unavailable_is_asked_three_times() {
        let mut retry = WriteRetry::start();

        let outcomes =
            [retry.pause_after(down()).await, retry.pause_after(down()).await, retry.pause_after(down()).await];

        assert_eq!(outcomes.map(|outcome| outcome.is_ok()), [true, true, false]);
    }
}
