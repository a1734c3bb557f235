//! What HTTP needs around the endpoints: cookies, CSRF, the Functions host, and how failures look.
//!
//! Decides nothing about sessions or tokens.

mod budget;
mod cookies;
mod csrf;
mod error;
mod failure;
mod framing;
mod functions_host;
mod gateway_proof;
mod isolation;
mod login_cookies;
mod navigation;
mod page;
mod problem;
mod request;

pub use budget::Budget;
pub use cookies::{CookieNames, SessionCookie};
pub use csrf::{CsrfRejection, check_csrf};
pub use error::{BackchannelLogoutError, Error};
pub use failure::Failure;
pub use framing::allow_framing_by;
pub use functions_host::is_host_ping;
pub use gateway_proof::{GatewayDoor, GatewayProof, GatewayProofError, GatewaySettings, Passed};
pub use isolation::{CrossSiteRejection, check_isolation};
pub use login_cookies::{LoginClient, LoginCookies, RememberedLogin};
pub use navigation::{is_background, is_navigation};
pub use page::{Link, Page, escape};
pub use request::{RequestId, header_text, single_header};
