//! HTTP around the endpoints: cookies, CSRF, the Functions host, error responses.
//!
//! Decides nothing about sessions or tokens.

mod accent;
mod arrived_target;
mod budget;
mod challenge;
mod claims_seal;
mod clear_site_data;
mod contact;
mod cookies;
mod csrf;
mod denial;
mod error;
mod error_response;
#[cfg(test)]
mod every_error;
mod failure;
mod form_fields;
mod form_reader;
mod fragment_page;
mod frame_page;
mod framing;
mod functions_host;
mod gateway_proof;
mod header_names;
mod html;
mod isolation;
mod kept_form;
mod language;
mod login_cookies;
mod logo;
mod navigation;
mod not_kept;
mod page;
mod page_design;
mod person_cookie;
mod plain_text;
mod problem;
mod public_host;
mod request;
mod sign_in_rounds;
mod socket_notice;
mod texts;
mod unsent;
mod viewer;
mod websocket;

pub use accent::{Accent, AccentError};
pub use arrived_target::{RoutePrefix, RoutePrefixError, arrived_target};
pub use budget::Budget;
pub use challenge::allow;
pub use claims_seal::{CLAIMS, ClaimsSeal};
pub use clear_site_data::{BrowserData, ClearSiteData};
pub use contact::{Contact, ContactError};
pub use cookies::{CookieNames, SessionCookie};
pub use csrf::{CsrfRejection, check_csrf, is_from_elsewhere};
pub use denial::{AccessDenied, BearerError, SignInLoop};
pub use error::{BackchannelLogoutError, Error, Unsent};
pub use failure::{AGAIN, Failure};
pub use form_fields::FormFields;
pub use form_reader::{FormError, FormReader, MAX_KEPT_FORM, MAX_POSTED_FORM, form_type};
pub use fragment_page::{FRAGMENT, fragment_page};
pub use frame_page::sign_in_at_top;
pub use framing::{allow_framing_by, allow_framing_by_self, is_framed};
pub use functions_host::is_host_ping;
pub use gateway_proof::{
    GatewayGuard, GatewayProof, GatewayProofError, GatewaySettings, ProofHeader, Purpose, VerifiedGateway,
};
pub use html::escape;
pub use isolation::{CrossSiteRejection, check_isolation};
pub use kept_form::{KeptForm, KeptForms};
pub use language::Language;
pub use login_cookies::{LoginClient, LoginCookies, RememberedLogin};
pub use logo::{Logo, LogoError};
pub use navigation::{is_background, is_navigation};
pub use not_kept::NotKept;
pub use page::{Link, Page, Sender};
pub use page_design::{PageDesign, PageSettings, PageTitle};
pub use person_cookie::PersonCookie;
pub use public_host::PublicHost;
pub use request::{RequestId, header_text, single_header};
pub use sign_in_rounds::{Rounds, SignInRounds};
pub use socket_notice::SocketNotice;
pub(crate) use texts::{Label, Sentence, Title};
pub use viewer::Viewer;
pub use websocket::{WebSocketWarning, check_websocket_origin, is_websocket_handshake, was_websocket_handshake};
