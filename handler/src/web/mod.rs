//! What HTTP needs around the endpoints: cookies, CSRF, the Functions host, and how failures look.
//!
//! Decides nothing about sessions or tokens.

mod arrived_target;
mod budget;
mod challenge;
mod clear_site_data;
mod cookies;
mod csrf;
mod error;
mod failure;
mod fragment_page;
mod frame_page;
mod framing;
mod functions_host;
mod gateway_proof;
mod isolation;
mod login_cookies;
mod navigation;
mod page;
mod person_cookie;
mod problem;
mod public_host;
mod request;
mod websocket;

pub use arrived_target::{RoutePrefix, RoutePrefixError, arrived_target};
pub use budget::Budget;
pub use challenge::allow;
pub use clear_site_data::{BrowserData, ClearSiteData};
pub use cookies::{CookieNames, SessionCookie};
pub use csrf::{CsrfRejection, check_csrf, check_csrf_of};
pub use error::{BackchannelLogoutError, Error};
pub use failure::Failure;
pub use fragment_page::{FRAGMENT, fragment_page};
pub use frame_page::sign_in_at_top;
pub use framing::{allow_framing_by, is_framed};
pub use functions_host::is_host_ping;
pub use gateway_proof::{GatewayDoor, GatewayProof, GatewayProofError, GatewaySettings, Passed, Purpose};
pub use isolation::{CrossSiteRejection, check_isolation};
pub use login_cookies::{LoginClient, LoginCookies, RememberedLogin};
pub use navigation::{is_background, is_navigation};
pub use page::{Link, Page, escape};
pub use person_cookie::PersonCookie;
pub use public_host::PublicHost;
pub use request::{RequestId, header_text, single_header};
pub use websocket::{WebSocketWarning, check_websocket_origin, is_websocket_handshake, was_websocket_handshake};
