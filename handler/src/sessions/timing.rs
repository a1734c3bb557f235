//! Every time budget of a refresh, and the check that they fit into each other.

use std::time::Duration;

/// One call of the store, its own retries included.
const STORE_CALL: Duration = Duration::from_secs(3);

/// Everything a refresh asks of the Provider: assertion, metadata, tokens, keys, UserInfo.
pub(super) const PROVIDER_BUDGET: Duration = Duration::from_secs(25);

/// Retries of the write of new tokens. The lease that protects them is still held then.
pub(super) const WRITE_BUDGET: Duration = Duration::from_secs(12);

/// Life of a lease: longer than everything that happens under it, with ten seconds to spare for a slow machine.
pub(super) const LEASE: Duration = Duration::from_secs(60);

// The lease's own write and its re-read, the Provider, the write of new tokens; a deadline is only looked at between
// two tries, so the last one comes on top.
const _: () = assert!(
    LEASE.as_secs()
        >= 10 + 4 * STORE_CALL.as_secs() + PROVIDER_BUDGET.as_secs() + WRITE_BUDGET.as_secs() + MAX_PAUSE.as_secs()
);

/// Pause after a refresh without a usable response, unless the Provider asks for a longer one.
pub(super) const PROVIDER_BACKOFF: Duration = Duration::from_secs(5);
pub(super) const MAX_PROVIDER_BACKOFF: Duration = Duration::from_secs(60);

/// How long a request waits for a refresh, its own instance's or another's, before it gets 503.
pub(super) const REFRESH_WAIT: Duration = Duration::from_secs(12);

/// Pauses between two looks at the store.
pub(super) const MIN_PAUSE: Duration = Duration::from_millis(50);
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(1);
