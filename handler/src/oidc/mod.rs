//! The protocol with the Provider: OpenID Connect Core 1.0 over OAuth 2.0, a file per noun of theirs.
//!
//! Only `http` does I/O, and only `relying_party` and its verbs use it. Knows nothing of cookies, of stores or of a
//! web framework.

mod authorization_request;
mod authorization_response;
mod claims;
mod client_assertion;
mod client_authentication;
mod discovery;
mod error_code;
mod gateway_token;
mod group_overage;
mod http;
mod id_token;
mod issuer;
mod jwks;
mod jws;
mod jwt;
mod login_error;
mod logout_request;
mod logout_token;
mod pending_login;
mod person_claims;
mod pkce;
mod provider_cache;
mod provider_error;
mod refresh;
mod relying_party;
mod revocation;
mod token_error;
mod token_request;
mod token_request_error;
mod token_response;
mod userinfo;

pub use authorization_request::{AuthorizationRequest, ClientRegistration, LoginHints, ResponseMode};
pub use authorization_response::{AuthorizationResponse, AuthorizationResponseError};
pub use claims::Claims;
pub use client_assertion::{ClientAssertion, ClientAssertionError, PrivateKeyError, PrivateKeyJwt, assertion_to_sign};
pub use client_authentication::ClientAuthentication;
pub use discovery::{DiscoveryError, ProviderMetadata};
pub use gateway_token::{GatewayTokenError, GatewayTokenVerifier};
pub use group_overage::GroupOverage;
#[cfg(test)]
pub(crate) use http::{Response, ScriptedRequest, ScriptedWire};
pub use id_token::IdTokenError;
pub use issuer::Issuer;
pub use jwks::{JwksError, VerificationKeys};
pub use jwt::JwtError;
pub use login_error::LoginError;
pub use logout_request::LogoutRequest;
pub use logout_token::{LogoutToken, LogoutTokenError};
pub use pending_login::PendingLogin;
pub use person_claims::PersonClaims;
pub use provider_cache::ProviderCache;
pub use provider_error::ProviderError;
pub use refresh::{CompletedRefresh, MAX_REFRESH_TIME, RefreshError};
pub use relying_party::{CompletedLogin, RelyingParty, RelyingPartySettings};
pub use token_error::TokenError;
pub use token_response::{AccessToken, RefreshToken, TokenResponse, TokenResponseError};
pub use userinfo::UserInfoError;
