//! Time budgets of a refresh, and compile-time checks that they fit together.

use std::time::Duration;

use tokio::time::sleep;

use crate::clock::Timestamp;
use crate::oidc::{MAX_REFRESH_TIME, MAX_TIME_TO_SEND};
use crate::random;

/// Time budget of one store call, retries included.
const STORE_CALL: Duration = Duration::from_secs(3);

/// Duration of a lease that nobody renews. Measured by the observer's own monotonic clock from the first
/// time it saw that version of the record, so that differing clocks take no lease from a living holder.
pub(super) const LEASE: Duration = Duration::from_secs(12);

/// Interval at which a holder renews its lease.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(2);

// One renewal may fail and the next is still in time.
const _: () = assert!(LEASE.as_secs() >= 2 * (RENEW_EVERY.as_secs() + STORE_CALL.as_secs()) + MAX_POLL_PAUSE.as_secs());

/// Maximum age of the last renewal at which a refresh token is sent: no observer can declare the lease dead before the
/// request is sent.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(6);
const _: () = assert!(SEND_WITHIN.as_secs() + MAX_TIME_TO_SEND.as_secs() < LEASE.as_secs());
const _: () = assert!(SEND_WITHIN.as_secs() > RENEW_EVERY.as_secs() + STORE_CALL.as_secs());

/// Time budget of all Provider requests of a refresh, and of the client assertion. Longer than the sum of their
/// timeouts: a cut between the tokens and the steps after them would lose a rotated refresh token.
pub(super) const PROVIDER_BUDGET: Duration = Duration::from_secs(40);
const _: () = assert!(PROVIDER_BUDGET.as_secs() >= MAX_REFRESH_TIME.as_secs() + ASSERTION.as_secs());

/// Time budget of a client assertion by the managed identity or a key of the vault, retries included.
const ASSERTION: Duration = Duration::from_secs(10);

/// Time budget of the write of new tokens. Independent of the lease: a new holder finds the newer generation.
pub(super) const WRITE_BUDGET: Duration = Duration::from_secs(12);

/// Maximum wait for another instance's lease.
pub(super) const LEASE_WAIT: Duration = Duration::from_secs(70);
const _: () = assert!(
    LEASE_WAIT.as_secs() >= LEASE.as_secs() + PROVIDER_BUDGET.as_secs() + WRITE_BUDGET.as_secs() + STORE_CALL.as_secs()
);

/// Maximum wait of a request for a refresh, by its own or another instance, before 503. Longer than a lease, so
/// that a person whose instance died waits once.
pub(super) const REFRESH_WAIT: Duration = Duration::from_secs(15);
const _: () = assert!(REFRESH_WAIT.as_secs() > LEASE.as_secs() + MAX_POLL_PAUSE.as_secs());

/// Maximum calls of one generation without a response while the access token lives, those for routes included. After
/// them a backoff lasts until the token lapses.
pub(super) const MAX_UNANSWERED: u8 = 2;

/// Minimum and maximum backoff after a refresh without a usable response.
pub(super) const MIN_BACKOFF: Duration = Duration::from_secs(5);
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Maximum backoff of a target whose calls have no response: each is followed by a refresh of the session.
const MAX_TARGET_BACKOFF: Duration = Duration::from_secs(600);

/// Minimum and maximum pause between two reads of a record that another instance is writing.
const MIN_POLL_PAUSE: Duration = Duration::from_millis(50);
const MAX_POLL_PAUSE: Duration = Duration::from_secs(1);

/// Maximum duration of a refresh: another's lease, the Provider, and the write with its last attempt (a write and a
/// read).
pub(super) const MAX_REFRESH: Duration = Duration::from_secs(
    LEASE_WAIT.as_secs() + PROVIDER_BUDGET.as_secs() + WRITE_BUDGET.as_secs() + 2 * STORE_CALL.as_secs(),
);

/// Maximum duration of a request for a route's token: it may find the refresh token in doubt, and refresh first.
pub(super) const MAX_ROUTE_TOKEN: Duration =
    Duration::from_secs(LEASE_WAIT.as_secs() + REFRESH_WAIT.as_secs() + MAX_REFRESH.as_secs());

/// `Retry-After` while the process drains: another instance serves the retry.
pub(super) const DRAIN_RETRY: Duration = Duration::from_secs(1);

/// Maximum duration of a refresh with a free lease and no client assertion: a drain waits for it.
pub(crate) const DRAINED_REFRESH: Duration =
    Duration::from_secs(MAX_REFRESH_TIME.as_secs() + WRITE_BUDGET.as_secs() + 2 * STORE_CALL.as_secs());

/// Pause between two reads of a record, doubled each time.
pub(super) struct PollPause(Duration);

impl PollPause {
    pub(super) fn start() -> Self {
        Self(MIN_POLL_PAUSE)
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(MAX_POLL_PAUSE);
    }
}

/// Backoff after this many in a row: doubled each time up to [`MAX_BACKOFF`], less up to a fifth at random, and
/// never shorter than the Provider's `Retry-After` as long as that is no longer than [`MAX_BACKOFF`].
pub(super) fn backoff(backoffs: u8, retry_after: Option<Duration>) -> Duration {
    backoff_up_to(MAX_BACKOFF, backoffs, retry_after)
}

/// The same after this many calls of a target without a response in a row, up to [`MAX_TARGET_BACKOFF`].
pub(super) fn target_backoff(unanswered: u8, retry_after: Option<Duration>) -> Duration {
    backoff_up_to(MAX_TARGET_BACKOFF, unanswered, retry_after)
}

fn backoff_up_to(longest: Duration, backoffs: u8, retry_after: Option<Duration>) -> Duration {
    let doubled = MIN_BACKOFF.saturating_mul(1 << u32::from(backoffs.min(8))).min(longest);
    let [chance] = random::bytes::<1>();
    let jittered = doubled - doubled / 5 * u32::from(chance) / 255;
    let pause = Duration::from_secs(jittered.as_secs()); // timestamps count whole seconds
    pause.max(retry_after.unwrap_or_default().min(MAX_BACKOFF))
}

/// Time from `now` to `then`, at least a second.
pub(super) fn until(then: Timestamp, now: Timestamp) -> Duration {
    then.since(now).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_grow_to_a_minute_and_differ_by_a_fifth() {
        for (backoffs, longest) in [(0, 5), (1, 10), (2, 20), (3, 40), (4, 60), (8, 60), (255, 60)] {
            for _ in 0..100 {
                let pause = backoff(backoffs, None).as_secs();
                assert!(pause <= longest && pause * 5 >= longest * 4 - 5, "{pause} s after {backoffs} backoffs");
            }
        }
    }

    #[test]
    fn backoffs_of_a_target_without_a_response_grow_to_ten_minutes() {
        for (backoffs, longest) in [(0, 5), (4, 80), (6, 320), (7, 600), (255, 600)] {
            let pause = target_backoff(backoffs, None).as_secs();
            assert!(pause <= longest && pause * 5 >= longest * 4 - 5, "{pause} s after {backoffs} backoffs");
        }
    }

    #[test]
    fn a_backoff_is_as_long_as_the_provider_asks_up_to_a_minute() {
        assert_eq!(backoff(0, Some(Duration::from_secs(30))).as_secs(), 30);
        assert_eq!(backoff(0, Some(Duration::MAX)).as_secs(), 60);
        assert!(backoff(0, Some(Duration::ZERO)).as_secs() >= 4);
    }
}
