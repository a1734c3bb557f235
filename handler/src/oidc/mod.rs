//! The protocol with the Provider: OpenID Connect Core 1.0 over OAuth 2.0, a file per noun of theirs.
//!
//! Only `relying_party` does I/O. Knows nothing of cookies, of stores or of a web framework.

mod authorization_request;
mod authorization_response;
mod claims;
mod discovery;
mod id_token;
mod jwks;
mod pending_login;
mod pkce;
mod relying_party;
mod token_response;

pub use authorization_request::{AuthorizationRequest, ClientRegistration, LoginHints, ResponseMode};
pub use authorization_response::{AuthorizationResponse, AuthorizationResponseError};
pub use claims::Claims;
pub use discovery::{DiscoveryError, ProviderMetadata, is_secure};
pub use id_token::{IdTokenError, IdTokenVerifier};
pub use jwks::{JwksError, VerificationKeys};
pub use pending_login::PendingLogin;
pub use relying_party::{
    ClientAuthentication, CompletedLogin, CompletedRefresh, LoginError, LogoutRequest, ProviderCache, ProviderError,
    RefreshError, RelyingParty, RelyingPartySettings,
};
pub use token_response::{AccessToken, RefreshToken, TokenResponse, TokenResponseError};
