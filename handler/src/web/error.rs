//! Why a request gets no answer of its endpoint: the only place that knows status codes.
//!
//! Every kind has a stable code, a title and a sentence for the person; the cause goes to the log alone.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use super::{CsrfRejection, GatewayProofError};
use crate::crypto::KeysUnavailable;
use crate::oidc::{
    AuthorizationResponseError, GatewayTokenError, LoginError, LogoutTokenError, ProviderError, TokenError,
};
use crate::proxy::{ForwardError, TargetError};
use crate::return_url::ReturnUrl;
use crate::sessions::{NoFreshToken, SessionError, SignInError, StoreError};

/// Why a request gets no answer of its endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is signed in, and this needs someone.
    #[error("nobody is signed in")]
    SessionRequired,
    /// The request came around the gateway, or its gateway can't be told now.
    #[error(transparent)]
    Gateway(#[from] GatewayProofError),
    /// An unsafe request that didn't come from our own pages.
    #[error(transparent)]
    Csrf(#[from] CsrfRejection),
    /// The request target is ambiguous.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The request itself can't be understood.
    #[error("the request cannot be understood: {0}")]
    Request(&'static str),
    /// No route covers the path.
    #[error("no route covers the path")]
    RouteNotFound,
    /// The URL is ours, the method isn't.
    #[error("the method is not allowed here")]
    MethodNotAllowed {
        /// What is.
        allowed: &'static [Method],
    },
    /// The Upstream gave no answer.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A sign-in can't begin: the Provider can't be asked now.
    #[error("a sign-in cannot begin")]
    Provider {
        /// Why.
        #[source]
        error: ProviderError,
        /// Where the person was going.
        return_url: ReturnUrl,
    },
    /// A third party began a sign-in at another issuer (OIDC Core 4).
    #[error("the sign-in is meant for another issuer")]
    OtherIssuer,
    /// A sign-in did not finish.
    #[error("the sign-in did not finish")]
    SignIn {
        /// Why.
        #[source]
        error: SignInError,
        /// Where the person was going.
        return_url: ReturnUrl,
    },
    /// The authorization response can't be read.
    #[error(transparent)]
    AuthorizationResponse(#[from] AuthorizationResponseError),
    /// The callback belongs to no sign-in that this browser began in the last ten minutes.
    #[error("the callback belongs to no sign-in of this browser")]
    LoginUnknown,
    /// The Provider's logout token ends nothing.
    #[error(transparent)]
    BackchannelLogout(#[from] BackchannelLogoutError),
    /// The session store failed.
    #[error(transparent)]
    Store(StoreError),
    /// There are no keys to open a cookie with.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The access token has lapsed, and the Provider gives no other now.
    #[error(transparent)]
    NoFreshToken(#[from] NoFreshToken),
    /// The Provider refuses to refresh the access token, which may still be good.
    #[error("the provider refuses to refresh the access token")]
    RefreshRefused,
    /// The Provider gave no refresh token, so the session ends with its access token.
    #[error("the session has no refresh token")]
    RefreshTokenMissing,
    /// The settings have mistakes; the log lists them.
    #[error("the configuration is incomplete")]
    ConfigurationIncomplete,
}

/// Why a logout token ends nothing.
#[derive(Debug, thiserror::Error)]
pub enum BackchannelLogoutError {
    /// There is none, or more than one.
    #[error("there is not exactly one logout token")]
    Missing,
    /// It was used before.
    #[error("the logout token was used before")]
    Replayed,
    /// It breaks a rule, or can't be judged now.
    #[error(transparent)]
    Token(LogoutTokenError),
}

/// How an error is told to whoever asked.
pub(super) struct Telling {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
}

impl Error {
    /// A stable name for pages, problem documents and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SessionRequired => "session_required",
            Self::Gateway(error) => gateway_code(error),
            Self::Csrf(_) => "csrf_rejected",
            Self::Target(error) => error.code(),
            Self::Request(_) => "bad_request",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Forward(ForwardError::Cut) => "session_ended",
            Self::Forward(error) => error.code(),
            Self::Provider { error, .. } => begin_sign_in_code(error),
            Self::OtherIssuer => "issuer_mismatch",
            Self::SignIn { error, .. } => sign_in_code(error),
            Self::AuthorizationResponse(error) => error.code(),
            Self::LoginUnknown => "login_unknown",
            Self::BackchannelLogout(error) => backchannel_logout_code(error),
            Self::Store(_) => STORE_DOWN,
            Self::Keys(_) => "keys_unavailable",
            Self::NoFreshToken(_) => "refresh_unavailable",
            Self::RefreshRefused => "renewal_refused",
            Self::RefreshTokenMissing => "refresh_token_missing",
            Self::ConfigurationIncomplete => "configuration_incomplete",
        }
    }

    /// True if a sign-in is the remedy.
    pub(super) fn needs_sign_in(&self) -> bool {
        matches!(
            self,
            Self::SessionRequired | Self::RefreshRefused | Self::RefreshTokenMissing | Self::Forward(ForwardError::Cut)
        )
    }

    /// When to try again, if that helps.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoFreshToken(NoFreshToken { retry_after }) => Some(*retry_after),
            Self::Gateway(error) => is_gateway_unknown(error).then_some(SOON),
            Self::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => Some(SOON),
            Self::Provider { error, .. } => (begin_sign_in_code(error) == PROVIDER_UNAVAILABLE).then_some(SOON),
            Self::Store(_) | Self::Keys(_) => Some(SOON),
            Self::SignIn { error, .. } => match error {
                SignInError::Store(_) | SignInError::Interrupted => Some(SOON),
                SignInError::Login(error) => matches!(**error, LoginError::Provider(_)).then_some(SOON),
                SignInError::Over | SignInError::Used | SignInError::LoggedOut => None,
            },
            Self::SessionRequired
            | Self::Csrf(_)
            | Self::Target(_)
            | Self::Request(_)
            | Self::RouteNotFound
            | Self::MethodNotAllowed { .. }
            | Self::Forward(_)
            | Self::OtherIssuer
            | Self::AuthorizationResponse(_)
            | Self::LoginUnknown
            | Self::BackchannelLogout(_)
            | Self::RefreshRefused
            | Self::RefreshTokenMissing
            | Self::ConfigurationIncomplete => None,
        }
    }

    pub(super) fn telling(&self) -> Telling {
        let (status, title, detail) = match self {
            Self::SessionRequired => (
                StatusCode::UNAUTHORIZED,
                "Your session has ended",
                "Nothing of what you sent was passed on. Go back first if you want to keep what you typed, then sign in.",
            ),
            Self::Gateway(error) if is_gateway_unknown(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is not ready",
                "Whether your request came the right way cannot be told right now. Try again in a moment.",
            ),
            Self::Gateway(_) => (
                StatusCode::FORBIDDEN,
                "This is not the way in",
                "The application is published under another address. Use that one.",
            ),
            Self::Csrf(_) => (
                StatusCode::FORBIDDEN,
                "This request was refused",
                "It came from another site. If you meant to do this, open the application itself and do it there.",
            ),
            Self::Target(_) | Self::Request(_) => (
                StatusCode::BAD_REQUEST,
                "This address cannot be used",
                "The request is not written as the web's rules ask for, so it was not passed on.",
            ),
            Self::RouteNotFound => {
                (StatusCode::NOT_FOUND, "There is nothing here", "No application is published under this address.")
            }
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here", "The address exists, for other methods.")
            }
            Self::Forward(error) => forward(error),
            Self::Provider { error, .. } if begin_sign_in_code(error) == PROVIDER_UNAVAILABLE => PROVIDER_DOWN,
            Self::Provider { .. } => PUSHED_REQUEST_REFUSED,
            Self::OtherIssuer => (
                StatusCode::BAD_REQUEST,
                "This link cannot sign you in",
                "It is meant for another sign-in service. Open the application itself; if that fails, tell your operator.",
            ),
            Self::SignIn { error, .. } => sign_in(error),
            Self::AuthorizationResponse(error) => authorization_response(error),
            Self::LoginUnknown => (
                StatusCode::BAD_REQUEST,
                "This sign-in cannot be finished",
                "It was begun in another browser, more than ten minutes ago, or was finished already. Start again.",
            ),
            Self::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => PROVIDER_DOWN,
            Self::BackchannelLogout(_) => (
                StatusCode::BAD_REQUEST,
                "This logout token ends nothing",
                "It is missing, was used before, or breaks a rule of OpenID Connect Back-Channel Logout 1.0.",
            ),
            Self::Store(_) | Self::Keys(_) => SESSIONS_UNREADABLE,
            Self::NoFreshToken(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The sign-in service does not answer",
                "You are still signed in, but your access could not be renewed. Try again in a moment.",
            ),
            Self::RefreshTokenMissing => (
                StatusCode::CONFLICT,
                "Your access cannot be renewed",
                "The sign-in service gave nothing to renew it with. It lasts until it lapses; then sign in again.",
            ),
            Self::RefreshRefused => (
                StatusCode::UNAUTHORIZED,
                "Your access cannot be renewed",
                "The sign-in service refuses to renew it. You can go on until it lapses; then sign in again.",
            ),
            Self::ConfigurationIncomplete => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This service is not set up yet",
                "Its settings are incomplete. Its operator finds the list in the log.",
            ),
        };
        Telling { status, title, detail }
    }
}

type Row = (StatusCode, &'static str, &'static str);

/// When to try again what nobody knows the end of.
const SOON: Duration = Duration::from_secs(5);

const STORE_DOWN: &str = "store_unavailable";
const PROVIDER_UNAVAILABLE: &str = "provider_unavailable";

/// The code of a sign-in that cannot begin. A refusal (RFC 9126 2.3) does not heal by itself.
fn begin_sign_in_code(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Refused(TokenError::Client { .. }) => "client_refused",
        ProviderError::Refused(TokenError::Grant { .. } | TokenError::Other { .. }) => "authorization_request_refused",
        ProviderError::PushedResponse => "pushed_response_invalid",
        ProviderError::Refused(TokenError::Later { .. })
        | ProviderError::Unreachable(_)
        | ProviderError::NoResponse
        | ProviderError::Unreadable(_)
        | ProviderError::Status(_)
        | ProviderError::TokenResponse(_)
        | ProviderError::Metadata(_)
        | ProviderError::Keys(_)
        | ProviderError::Assertion(_)
        | ProviderError::Withheld
        | ProviderError::EndpointMissing(_) => PROVIDER_UNAVAILABLE,
    }
}

const PUSHED_REQUEST_REFUSED: Row = (
    StatusCode::BAD_REQUEST,
    "The sign-in cannot begin",
    "The sign-in service refuses the request of this application. Its operator must mend the settings.",
);

const SESSIONS_UNREADABLE: Row = (
    StatusCode::SERVICE_UNAVAILABLE,
    "Sessions cannot be read right now",
    "You are still signed in if you were before. Try again in a moment.",
);

const PROVIDER_DOWN: Row = (
    StatusCode::SERVICE_UNAVAILABLE,
    "The sign-in service does not answer",
    "Signing in is not possible right now. Try again in a moment.",
);

fn forward(error: &ForwardError) -> Row {
    match error {
        ForwardError::Connect(_) | ForwardError::Broken(_) => (
            StatusCode::BAD_GATEWAY,
            "The application does not answer",
            "The application behind this address could not be reached. Try again in a moment.",
        ),
        ForwardError::Timeout => (
            StatusCode::GATEWAY_TIMEOUT,
            "The application took too long",
            "It may still be working on what you asked for. Look before you ask again.",
        ),
        ForwardError::Cut => (
            StatusCode::UNAUTHORIZED,
            "Your session has ended",
            "It ended while the application was working. What you sent may have arrived. Sign in and look.",
        ),
        ForwardError::BadRequest(_) => {
            (StatusCode::BAD_REQUEST, "This request cannot be passed on", "It arrived incomplete or malformed.")
        }
    }
}

fn sign_in(error: &SignInError) -> Row {
    let refused = (
        StatusCode::BAD_REQUEST,
        "You were not signed in",
        "The answer of the sign-in service could not be accepted. Start again; if it stays, tell your operator.",
    );
    match error {
        SignInError::Login(error) => match &**error {
            LoginError::Provider(_) => PROVIDER_DOWN,
            LoginError::Response(error) => authorization_response(error),
            _ => refused,
        },
        SignInError::Store(_) | SignInError::Interrupted => SESSIONS_UNREADABLE,
        SignInError::Over => (
            StatusCode::BAD_REQUEST,
            "This sign-in is over",
            "It was finished before, and its session has ended since. Start again.",
        ),
        SignInError::Used => (
            StatusCode::BAD_REQUEST,
            "This sign-in was used already",
            "It can be finished once, and its page cannot be opened again later. Start again.",
        ),
        SignInError::LoggedOut => (
            StatusCode::BAD_REQUEST,
            "You were signed out meanwhile",
            "You, your sign-in service or an operator ended your sessions while this sign-in was under way. Start again.",
        ),
    }
}

fn sign_in_code(error: &SignInError) -> &'static str {
    match error {
        SignInError::Login(error) => error.code(),
        SignInError::Store(_) => STORE_DOWN,
        SignInError::Over => "login_over",
        SignInError::Used => "login_used",
        SignInError::LoggedOut => "login_logged_out",
        SignInError::Interrupted => "login_interrupted",
    }
}

/// True when the keys to judge a proof can't be had: then it is no refusal.
fn is_gateway_unknown(error: &GatewayProofError) -> bool {
    matches!(error, GatewayProofError::Token(GatewayTokenError::Unavailable(_)))
}

fn gateway_code(error: &GatewayProofError) -> &'static str {
    match error {
        GatewayProofError::Missing => "gateway_proof_missing",
        GatewayProofError::Token(GatewayTokenError::Unavailable(_)) => "gateway_proof_unavailable",
        GatewayProofError::Secret
        | GatewayProofError::Certificate
        | GatewayProofError::Token(GatewayTokenError::Invalid(_) | GatewayTokenError::Identity) => {
            "gateway_proof_invalid"
        }
    }
}

fn backchannel_logout_code(error: &BackchannelLogoutError) -> &'static str {
    match error {
        BackchannelLogoutError::Missing => "logout_token_missing",
        BackchannelLogoutError::Replayed => "logout_token_replayed",
        BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_)) => "provider_unavailable",
        BackchannelLogoutError::Token(_) => "logout_token_invalid",
    }
}

fn authorization_response(error: &AuthorizationResponseError) -> Row {
    match error {
        AuthorizationResponseError::Expired => (
            StatusCode::BAD_REQUEST,
            "The sign-in took too long",
            "It was not finished within ten minutes. Start again.",
        ),
        AuthorizationResponseError::Refused { .. } => (
            StatusCode::FORBIDDEN,
            "You were not signed in",
            "The sign-in service refused, or it was cancelled. You can try again.",
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "You were not signed in",
            "The answer of the sign-in service could not be read. Start again; if it stays, tell your operator.",
        ),
    }
}

impl From<StoreError> for Error {
    /// What is missing may be the key that opens a record, and then the store is not to blame.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => match source.downcast::<KeysUnavailable>() {
                Ok(keys) => Self::Keys(*keys),
                Err(source) => Self::Store(StoreError::Unavailable(source)),
            },
            StoreError::Conflict | StoreError::Missing => Self::Store(error),
        }
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::NoFreshToken(error) => Self::NoFreshToken(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_a_store_leaves_open_asks_for_patience_and_names_its_code() {
        let down = || StoreError::Unavailable("down".into());
        let sign_in = |error| Error::SignIn { error, return_url: ReturnUrl::root() };
        for (error, code) in [
            (Error::Store(down()), "store_unavailable"),
            (sign_in(SignInError::Store(Arc::new(down()))), "store_unavailable"),
            (sign_in(SignInError::Interrupted), "login_interrupted"),
        ] {
            let (status, told) = (error.telling().status, error.code());
            assert_eq!((status, told, error.retry_after()), (StatusCode::SERVICE_UNAVAILABLE, code, Some(SOON)));
        }
    }

    #[test]
    fn a_sign_in_that_the_provider_refuses_to_begin_asks_for_no_retry() {
        let begin = |error| Error::Provider { error, return_url: ReturnUrl::root() };
        let name = || "the provider's own".to_owned();
        let refused = |error: TokenError| begin(error.into());
        let later = StatusCode::SERVICE_UNAVAILABLE;
        for (error, code, status) in [
            (refused(TokenError::Client { error: name() }), "client_refused", StatusCode::BAD_REQUEST),
            (refused(TokenError::Other { error: name() }), "authorization_request_refused", StatusCode::BAD_REQUEST),
            (begin(ProviderError::PushedResponse), "pushed_response_invalid", StatusCode::BAD_REQUEST),
            (refused(TokenError::Later { error: name() }), "provider_unavailable", later),
            (begin(ProviderError::Status(503)), "provider_unavailable", later),
        ] {
            assert_eq!((error.code(), error.telling().status), (code, status));
            assert_eq!(error.retry_after().is_some(), status == later, "{code}");
        }
    }

    #[test]
    fn an_exchange_that_was_cut_asks_for_a_sign_in() {
        let cut = Error::from(ForwardError::Cut);

        assert_eq!((cut.telling().status, cut.code()), (StatusCode::UNAUTHORIZED, "session_ended"));
        assert!(cut.needs_sign_in() && !Error::from(ForwardError::Timeout).needs_sign_in());
    }
}
