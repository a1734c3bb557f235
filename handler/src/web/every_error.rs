//! One error of every kind, for tables over all of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AccessDenied, BackchannelLogoutError, BearerError, CrossSiteRejection, CsrfRejection, Error, FormError,
    GatewayProofError, NotKept, SignInLoop, Unsent,
};
use crate::crypto::KeysUnavailable;
use crate::oidc::{
    AccessTokenError, AuthorizationResponseError, DiscoveryError, GatewayTokenError, LoginError, LogoutTokenError,
    OAuthError, ProviderError, TargetRefusal, UserInfoError,
};
use crate::proxy::{ForwardError, SignInDemand, TargetError};
use crate::return_url::ReturnUrl;
use crate::sessions::{NoFreshToken, RouteTokenError, SignInError, StoreError};

/// One error of every kind, but for those of a navigation that was held up.
pub(super) fn every_error() -> Vec<Error> {
    let forward: [ForwardError; 6] = [
        ForwardError::ClientStalled,
        ForwardError::Connect(io::ErrorKind::ConnectionRefused.into()),
        ForwardError::Timeout,
        ForwardError::Broken("cut".into()),
        ForwardError::BadRequest("cut"),
        ForwardError::Cut,
    ];
    let forms = [
        FormError::TooLarge,
        FormError::Timeout,
        FormError::Incomplete,
        FormError::Busy,
        FormError::File,
        FormError::Unsupported,
    ];
    let bearers = [
        BearerError::Missing,
        BearerError::WithCookie,
        BearerError::Repeated,
        BearerError::Invalid(AccessTokenError::Subject),
        BearerError::IssuerUnavailable(ProviderError::NoResponse),
        BearerError::StepUp(SignInDemand::default()),
    ];
    let loops = [
        SignInLoop::CookieNotReturned,
        SignInLoop::ApplicationAsksAgain,
        SignInLoop::ClockSkew,
        SignInLoop::SessionLost,
    ];
    let unavailable = || GatewayProofError::Token(GatewayTokenError::Unavailable(ProviderError::NoResponse));
    let denied = |is_bearer| AccessDenied { route: "/".to_owned(), explain: None, is_bearer };
    let unsent = Unsent { error: Error::SessionRequired, kept: Err(NotKept::Other) };
    let logout_unavailable = || LogoutTokenError::Unavailable(ProviderError::NoResponse);
    let others = [
        Error::SessionRequired,
        Error::Gateway(GatewayProofError::Missing),
        Error::Gateway(GatewayProofError::Secret),
        Error::Gateway(unavailable()),
        Error::Csrf(CsrfRejection),
        Error::AccessDenied(Box::new(denied(false))),
        Error::AccessDenied(Box::new(denied(true))),
        Error::StepUpRequired(Box::default()),
        Error::StepUpUnmet,
        Error::StepUpChallenged(Box::default()),
        Error::StepUpChallengeUnmet,
        Error::Target(TargetError::Fragment),
        Error::Request("no"),
        Error::CrossSite(CrossSiteRejection),
        Error::HeadersTooLarge,
        Error::WebSocketUnsupported,
        Error::HeaderNotAscii,
        Error::ReturnUrlTooLong,
        Error::FrontchannelBusy,
        Error::RouteNotFound,
        Error::MethodNotAllowed { allowed: &[] },
        Error::OtherIssuer,
        Error::AuthorizationResponse(AuthorizationResponseError::Expired),
        Error::AuthorizationResponse(AuthorizationResponseError::StateMissing),
        Error::LoginUnknown,
        Error::BackchannelLogout(BackchannelLogoutError::Missing),
        Error::BackchannelLogout(BackchannelLogoutError::Token(logout_unavailable())),
        Error::Store(StoreError::Missing),
        Error::Keys(KeysUnavailable(Arc::new(io::Error::other("down")))),
        Error::NoFreshToken(NoFreshToken { retry_after: Duration::ZERO }),
        Error::RouteToken(RouteTokenError::Store(StoreError::Missing)),
        Error::RouteToken(RouteTokenError::Unavailable { retry_after: Duration::ZERO }),
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::Refused)),
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::ConsentRequired)),
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::InteractionRequired)),
        Error::RefreshRefused,
        Error::RefreshTokenMissing,
        Error::ConfigurationIncomplete,
        Error::KeptFormInvalid,
        Error::FormOfAnotherPerson,
        Error::Unsent(Box::new(unsent)),
    ];
    let forwarded = forward.map(Error::Forward).into_iter().chain(forms.map(Error::Form));
    let refused = bearers.map(Error::Bearer).into_iter().chain(loops.map(Error::SignInLoop));
    others.into_iter().chain(sign_ins()).chain(forwarded).chain(refused).collect()
}

/// Errors of a sign-in, also one for every reason of a refusal.
fn sign_ins() -> Vec<Error> {
    let begin = |error| Error::Provider { error, return_url: ReturnUrl::root() };
    let finish = |error| Error::SignIn { error, return_url: ReturnUrl::root() };
    let said = |error: &str, number: u32| {
        let body = serde_json::json!({ "error": error, "error_codes": [number] });
        OAuthError::from_json(body.to_string().as_bytes()).expect("an OAuth error")
    };
    let refused = |error, number| LoginError::from(AuthorizationResponseError::Refused { error: said(error, number) });
    let refusals = [
        ("access_denied", 0),
        ("access_denied", 53_003),
        ("login_required", 0),
        ("access_denied", 90_094),
        ("invalid_scope", 0),
        ("unauthorized_client", 0),
        ("invalid_client", 7_000_222),
        ("invalid_client", 7_000_215),
        ("invalid_client", 700_213),
        ("invalid_request", 50_011),
        ("server_error", 0),
    ];
    let others = [
        begin(ProviderError::NoResponse),
        begin(ProviderError::PushedResponse),
        begin(DiscoveryError::Issuer { found: "i".to_owned() }.into()),
        finish(SignInError::Over),
        finish(SignInError::Used),
        finish(SignInError::LoggedOut),
        finish(SignInError::Interrupted),
        finish(SignInError::Store(Arc::new(StoreError::Missing))),
        finish(LoginError::TokenRequestRefused { error: said("invalid_target", 0) }.into()),
        finish(LoginError::UserInfo(UserInfoError::Subject).into()),
    ];
    let refusals = refusals.into_iter().map(|(error, number)| finish(refused(error, number).into()));
    others.into_iter().chain(refusals).collect()
}
