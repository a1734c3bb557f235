//! How a request reaches the Upstream and its answer comes back: which Upstream, with which headers, streamed.
//!
//! Knows nothing of sign-in, sessions or tokens: whoever calls `Forwarder::forward` has already decided
//! that the request may pass, and says which headers speak for it.

mod cookies;
mod cutoff;
mod decoding;
mod early_answer;
mod error;
mod forgeable;
mod forward;
mod headers;
mod identity;
mod pool;
mod probe;
mod request_body;
mod response_body;
mod routes;
mod spelling;
mod target;
#[cfg(test)]
mod tests;
mod upstream;
mod watch;

pub use self::cookies::OwnCookies;
pub use self::error::ForwardError;
pub use self::forgeable::{HeaderRuleError, HeaderRules};
pub use self::forward::{ForwardRequest, Forwarder, ForwarderSettings, copy_client_headers};
pub use self::identity::{EasyAuthProvider, HeaderPreset, identity_headers};
pub use self::pool::READ_AHEAD;
pub use self::probe::{ProbeError, probe};
pub use self::routes::{Access, Route, RouteError, RouteTable, Streams};
pub use self::spelling::is_under;
pub use self::target::{RequestTarget, TargetError};
pub use self::upstream::{Upstream, UpstreamError};
