//! What HTTP needs around the endpoints: cookies, CSRF, the Functions host, and how failures look.
//!
//! Decides nothing about sessions or tokens.

mod cookies;
mod csrf;
mod error;
mod failure;
mod form_fields;
mod form_reader;
mod framing;
mod functions_host;
mod gateway_proof;
mod html;
mod kept_form;
mod login_cookies;
mod navigation;
mod not_kept;
mod page;
mod problem;
mod request;
mod unsent;

pub use cookies::{CookieNames, SessionCookie};
pub use csrf::{CsrfRejection, check_csrf, is_from_elsewhere};
pub use error::{BackchannelLogoutError, Error, Unsent};
pub use failure::Failure;
pub use form_fields::FormFields;
pub use form_reader::{FormError, FormReader, MAX_KEPT_FORM, MAX_POSTED_FORM, form_type};
pub use framing::allow_framing_by;
pub use functions_host::is_host_ping;
pub use gateway_proof::{GatewayDoor, GatewayProof, GatewayProofError, GatewaySettings, Passed};
pub use html::escape;
pub use kept_form::{KeptForm, KeptForms};
pub use login_cookies::{LoginCookies, RememberedLogin};
pub use navigation::{is_background, is_navigation};
pub use not_kept::NotKept;
pub use page::{Link, Page, Sender};
pub use request::{RequestId, header_text, single_header};
