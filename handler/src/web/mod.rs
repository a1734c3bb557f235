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
mod form_fields;
mod form_reader;
mod fragment_page;
mod frame_page;
mod framing;
mod functions_host;
mod gateway_proof;
mod html;
mod isolation;
mod kept_form;
mod login_cookies;
mod navigation;
mod not_kept;
mod page;
mod person_cookie;
mod problem;
mod public_host;
mod request;
mod unsent;
mod websocket;

pub use arrived_target::{RoutePrefix, RoutePrefixError, arrived_target};
pub use budget::Budget;
pub use challenge::allow;
pub use clear_site_data::{BrowserData, ClearSiteData};
pub use cookies::{CookieNames, SessionCookie};
pub use csrf::{CsrfRejection, check_csrf, is_from_elsewhere};
pub use error::{BackchannelLogoutError, Error, Unsent};
pub use failure::Failure;
pub use form_fields::FormFields;
pub use form_reader::{FormError, FormReader, MAX_KEPT_FORM, MAX_POSTED_FORM, form_type};
pub use fragment_page::{FRAGMENT, fragment_page};
pub use frame_page::sign_in_at_top;
pub use framing::{allow_framing_by, allow_framing_by_self, is_framed};
pub use functions_host::is_host_ping;
pub use gateway_proof::{GatewayDoor, GatewayProof, GatewayProofError, GatewaySettings, Passed, Purpose};
pub use html::escape;
pub use isolation::{CrossSiteRejection, check_isolation};
pub use kept_form::{KeptForm, KeptForms};
pub use login_cookies::{LoginClient, LoginCookies, RememberedLogin};
pub use navigation::{is_background, is_navigation};
pub use not_kept::NotKept;
pub use page::{Link, Page, Sender};
pub use person_cookie::PersonCookie;
pub use public_host::PublicHost;
pub use request::{RequestId, header_text, single_header};
pub use websocket::{WebSocketWarning, check_websocket_origin, is_websocket_handshake, was_websocket_handshake};
