//! Reverse proxy: forwards a request to its Upstream and streams the response back, with the right headers both ways.
//!
//! Knows nothing of sign-in, sessions or tokens: the caller of `Forwarder::forward` has already decided
//! that the request may pass, and supplies the identity headers.

mod authority;
mod caching;
mod claim_headers;
mod client_socket;
mod cookies;
mod cutoff;
mod early_response_io;
mod error;
mod field_value;
mod forgeable;
mod forward;
mod headers;
mod host_headers;
mod identity;
mod method;
mod once_a_minute;
mod origin_mapping;
mod own_login;
mod pool;
mod probe;
mod public_side;
mod punctuation;
mod relay;
mod request_body;
mod requirement;
mod reserved_header;
mod response_body;
mod route_access_token;
mod routes;
mod spelling;
mod step_up_challenge;
mod target;
#[cfg(test)]
mod tests;
mod token_placement;
mod upstream;
mod upstream_host;
mod watch;
mod webdav;
mod websocket;
mod www_authenticate;

pub use self::caching::BrowserCache;
pub use self::claim_headers::{ClaimHeaders, ClaimHeadersError, with_claim_headers};
pub use self::client_socket::ClientSocket;
pub use self::cookies::{OwnCookies, cookie_pairs};
pub use self::error::ForwardError;
pub use self::forgeable::{HeaderRuleError, HeaderRules};
pub use self::forward::{ClientHeaderRules, ForwardRequest, Forwarder, ForwarderSettings, copy_client_headers};
pub use self::host_headers::first_unwritable;
pub use self::identity::{ASSERTION_HEADER, EasyAuthProvider, HeaderPreset, identity_headers};
pub use self::method::{is_forwarded, is_safe};
pub(crate) use self::once_a_minute::OnceAMinute;
pub use self::pool::READ_AHEAD;
pub use self::probe::{ProbeError, ProbeResponse, SIGN_IN_CHALLENGE, probe};
pub use self::public_side::PublicSide;
pub use self::relay::WebSocketClient;
pub use self::requirement::{Facts, Requirement, RequirementError, SignInDemand, Verdict};
pub use self::route_access_token::RouteAccessTokenError;
pub use self::routes::{Access, Route, RouteError, RouteProblem, RouteTable, Streams};
pub use self::step_up_challenge::{StepUpChallengeError, demanded_sign_in};
pub use self::target::{RequestTarget, TargetError};
pub use self::token_placement::{TokenPlacement, TokenPlacementError};
pub use self::upstream::{Upstream, UpstreamError};
pub use self::upstream_host::UpstreamHost;
pub use self::webdav::has_destination;
