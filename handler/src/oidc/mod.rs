//! OpenID Connect Core 1.0 over OAuth 2.0, as relying party: one file per noun of the specifications.
//!
//! Only `http` does I/O, and only `relying_party` and its verbs use it. Knows no cookie, no store and no
//! web framework.

mod access_token;
mod authorization_request;
mod authorization_response;
mod claims;
mod client_assertion;
mod client_authentication;
mod client_registration;
mod client_token;
mod discovery;
mod error_code;
mod gateway_token;
mod group_overage;
mod http;
mod id_token;
mod identity_assertion;
mod issuer;
mod json;
mod jwks;
mod jws;
mod jwt;
mod login_error;
mod login_hints;
mod logout_request;
mod logout_token;
mod oauth_error;
mod pending_login;
mod person_claims;
mod pkce;
mod provider_cache;
mod provider_dialect;
mod provider_error;
mod pushed_authorization_request;
mod refresh;
mod refusal_reason;
mod relying_party;
mod relying_party_settings;
mod request_parameters;
mod revocation;
mod scope;
mod signing_algorithm;
mod signing_key;
mod target_grants;
mod targeted_token;
mod token_error;
mod token_request;
mod token_request_error;
mod token_response;
mod userinfo;
mod userinfo_error;

pub use access_token::{
    AccessTokenCaches, AccessTokenError, AccessTokenType, AccessTokenVerifier, ApiIssuer, VerifiedAccessToken,
};
pub use authorization_request::AuthorizationRequest;
pub use authorization_response::{AuthorizationResponse, AuthorizationResponseError};
pub use claims::{ClaimAlias, Claims};
pub use client_assertion::{ClientAssertion, ClientAssertionError, PrivateKeyJwt, assertion_to_sign};
pub use client_authentication::ClientAuthentication;
pub use client_registration::{ClientRegistration, ResponseMode};
pub use discovery::{DiscoveryError, ProviderMetadata};
pub use gateway_token::{GatewayTokenError, GatewayTokenVerifier};
pub use group_overage::GroupOverage;
pub use http::MAX_TIME_TO_SEND;
#[cfg(test)]
pub(crate) use http::{Response, ScriptedRequest, ScriptedWire};
pub use id_token::IdTokenError;
pub use identity_assertion::{AssertedSubject, AssertionKeysError, IdentityAssertions};
pub use issuer::Issuer;
pub use jwks::{JwksError, VerificationKeys};
pub use jwt::{JwtError, VerifiedJwt, verify_signature};
pub use login_error::LoginError;
pub use login_hints::LoginHints;
pub use logout_request::LogoutRequest;
pub use logout_token::{LogoutToken, LogoutTokenError};
pub use oauth_error::{OAuthError, OAuthErrorFields};
pub use pending_login::PendingLogin;
pub use person_claims::PersonClaims;
pub use provider_cache::ProviderCache;
pub use provider_dialect::{LogoutChannel, LogoutDialect, OwnLogout, ProviderDialect, PushedAuthorizationRequests};
pub use provider_error::ProviderError;
pub use refresh::{CompletedRefresh, MAX_REFRESH_TIME, RefreshError};
pub use refusal_reason::{RefusalReason, Remedy};
pub use relying_party::{CompletedLogin, RelyingParty};
pub use relying_party_settings::RelyingPartySettings;
pub use request_parameters::{RequestParameters, RequestParametersError};
pub use scope::Scope;
pub use signing_algorithm::{SigningAlgorithm, UnknownAlgorithm};
pub use signing_key::{PrivateKeyError, SigningKey};
pub use target_grants::{TargetGrant, TargetGrants};
pub use targeted_token::{TargetRefusal, TargetedToken, TargetedTokenError};
pub use token_error::TokenError;
pub use token_response::{AccessToken, RefreshToken, TokenResponse, TokenResponseError};
pub use userinfo_error::UserInfoError;
