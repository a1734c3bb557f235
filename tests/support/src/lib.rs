//! Kit of the integration tests: the real handler as a process, real sockets, nothing mocked.
//!
//! Everything blocks and every wait has a generous limit, so that a test reads from top to bottom.

mod browser;
mod handler;
mod http;
mod provider;
mod socket_fixture;
mod telemetry;
mod upstream;
pub mod websocket;

pub use browser::Browser;
pub use handler::{Handler, HandlerOutput, binary, functions_host, host_double, run_to_end};
pub use http::{Response, read_response};
pub use provider::{Provider, Reuse, TokenReply, verify_assertion};
pub use socket_fixture::{Serve, SocketFixture, raw, raw_client, raw_head, read_head};
pub use telemetry::{Metric, Span, TelemetryReceiver};
pub use upstream::{Received, Upstream};

use std::time::{Duration, Instant, SystemTime};

/// Settings with keys that several instances share, of 32 bytes each.
pub const KEYS: [(&str, &str); 2] = [
    ("COOKIE_KEYS", "c1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("TOKEN_KEYS", "t1:HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="),
];

/// Time limit of every wait.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Panics
/// When it doesn't within [`LIMIT`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Waits until an access token with `expires_in: 1` that was issued before has lapsed: lifetimes count whole seconds.
pub fn wait_for_lapse() {
    let lapse = SystemTime::now() + Duration::from_secs(1);
    wait_until("the access token lapses", || SystemTime::now() > lapse);
}
