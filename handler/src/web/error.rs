//! Errors of requests, mapped to responses: the only place that knows status codes.
//!
//! Every kind has a stable code, a title and a sentence for the person; the cause goes to the log alone.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use super::{
    AccessDenied, BearerError, CrossSiteRejection, CsrfRejection, FormError, GatewayProofError, NotKept, SignInLoop,
};
use crate::crypto::KeysUnavailable;
use crate::oidc::{
    AuthorizationResponseError, GatewayTokenError, LoginError, LogoutTokenError, OAuthError, ProviderError,
    RefusalReason, Remedy,
};
use crate::proxy::{ForwardError, SignInDemand, TargetError};
use crate::return_url::ReturnUrl;
use crate::sessions::{NoFreshToken, SessionError, SignInError, StoreError};

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A session is required, and there is none.
    #[error("nobody is signed in")]
    SessionRequired,
    /// The gateway's proof is missing or wrong, or cannot be verified now.
    #[error(transparent)]
    Gateway(#[from] GatewayProofError),
    /// An unsafe request from another origin.
    #[error(transparent)]
    Csrf(#[from] CsrfRejection),
    /// A rule of the route is not met.
    #[error(transparent)]
    AccessDenied(Box<AccessDenied>),
    /// The route asks for a stronger or a more recent sign-in.
    #[error("the route asks for another sign-in")]
    StepUpRequired(Box<SignInDemand>),
    /// The person signed in for a rule, and still does not meet it.
    #[error("the sign-in does not meet the demand of the route")]
    StepUpUnmet,
    /// The access token of an API client does not open the route.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Sign-ins follow each other without an end.
    #[error(transparent)]
    SignInLoop(#[from] SignInLoop),
    /// A page of another site requests an isolated route.
    #[error(transparent)]
    CrossSite(#[from] CrossSiteRejection),
    /// The request target is ambiguous.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The request is malformed.
    #[error("the request cannot be understood: {0}")]
    Request(&'static str),
    /// The request's headers are larger than `MAX_HEADER_BYTES` together.
    #[error("the request's headers are too large")]
    HeadersTooLarge,
    /// No route covers the path.
    #[error("no route covers the path")]
    RouteNotFound,
    /// The URL is ours and does not allow the method.
    #[error("the method is not allowed here")]
    MethodNotAllowed {
        /// The allowed methods.
        allowed: &'static [Method],
    },
    /// A WebSocket handshake came through a hop that passes none, such as the Functions host.
    #[error("a hop in front passes no WebSocket")]
    WebSocketUnsupported,
    /// The Upstream gave no response.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A sign-in can't begin: the Provider is unreachable or refuses.
    #[error("a sign-in cannot begin")]
    Provider {
        /// The cause.
        #[source]
        error: ProviderError,
        /// Return URL of the sign-in.
        return_url: ReturnUrl,
    },
    /// A third party began a sign-in at another issuer (OIDC Core 4).
    #[error("the sign-in is meant for another issuer")]
    OtherIssuer,
    /// The URL to return to after a sign-in is longer than a sign-in can keep.
    #[error("the return URL is too long")]
    ReturnUrlTooLong,
    /// A sign-in did not finish.
    #[error("the sign-in did not finish")]
    SignIn {
        /// The cause.
        #[source]
        error: SignInError,
        /// Return URL of the sign-in.
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
    /// Too many front-channel logouts with an unknown `sid` in the last second.
    #[error("too many front-channel logouts name an unknown session")]
    FrontchannelBusy,
    /// The session store failed.
    #[error(transparent)]
    Store(StoreError),
    /// No keys are loaded, so no cookie opens.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The access token has lapsed, and the Provider currently issues no other.
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
    /// A form of another site can't be read.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A form to send again can't be opened: too old, changed, or sealed by a key that is gone.
    #[error("the kept form cannot be opened")]
    KeptFormInvalid,
    /// A form to send again belongs to another person than the one who is signed in.
    #[error("the kept form belongs to another person")]
    FormOfAnotherPerson,
    /// A navigation that would change something failed with another error before it was sent.
    #[error(transparent)]
    Unsent(#[from] Box<Unsent>),
}

/// Reason why a logout token ends nothing.
#[derive(Debug, thiserror::Error)]
pub enum BackchannelLogoutError {
    /// There is none, or more than one.
    #[error("there is not exactly one logout token")]
    Missing,
    /// It was used before.
    #[error("the logout token was used before")]
    Replayed,
    /// It is invalid, or can't be verified now.
    #[error(transparent)]
    Token(LogoutTokenError),
}

/// Unsafe navigation of which nothing was forwarded.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unsent {
    /// The error that stopped it.
    #[source]
    pub error: Error,
    /// Its sealed form for the page, or the reason why the page does not keep it.
    pub kept: Result<String, NotKept>,
}

/// Response to an error: status, title and text.
pub(super) struct Telling {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
}

impl Error {
    /// Stable code for pages, problem documents and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SessionRequired => "session_required",
            Self::Gateway(error) => gateway_code(error),
            Self::Csrf(_) => "csrf_rejected",
            Self::CrossSite(_) => "cross_site_rejected",
            Self::AccessDenied(_) => "access_denied",
            Self::StepUpRequired(_) => "step_up_required",
            Self::StepUpUnmet => "step_up_unmet",
            Self::Bearer(error) => error.code(),
            Self::SignInLoop(error) => error.code(),
            Self::Target(error) => error.code(),
            Self::Request(_) => "bad_request",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::WebSocketUnsupported => "websocket_unsupported",
            Self::Forward(ForwardError::Cut) => "session_ended",
            Self::Forward(error) => error.code(),
            Self::Provider { error, .. } => error.code(),
            Self::OtherIssuer => "issuer_mismatch",
            Self::ReturnUrlTooLong => "return_url_too_long",
            Self::SignIn { error, .. } => sign_in_code(error),
            Self::AuthorizationResponse(error) => error.code(),
            Self::LoginUnknown => "login_unknown",
            Self::BackchannelLogout(error) => backchannel_logout_code(error),
            Self::FrontchannelBusy => "frontchannel_busy",
            Self::Store(_) => STORE_DOWN,
            Self::Keys(_) => "keys_unavailable",
            Self::NoFreshToken(_) => "refresh_unavailable",
            Self::RefreshRefused => "renewal_refused",
            Self::RefreshTokenMissing => "refresh_token_missing",
            Self::ConfigurationIncomplete => "configuration_incomplete",
            Self::Form(error) => form_code(*error),
            Self::KeptFormInvalid => "kept_form_invalid",
            Self::FormOfAnotherPerson => "form_of_another_person",
            Self::Unsent(unsent) => unsent.error.code(),
        }
    }

    /// True if a sign-in is the remedy.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        matches!(
            self.cause(),
            Self::SessionRequired
                | Self::StepUpRequired(_)
                | Self::RefreshRefused
                | Self::RefreshTokenMissing
                | Self::Forward(ForwardError::Cut)
        )
    }

    /// The operator's words for a rule that is not met.
    pub(super) fn explain(&self) -> Option<&str> {
        if let Self::AccessDenied(denied) = self.cause() { denied.explain.as_deref() } else { None }
    }

    /// The sign-in that the route asks for, if it asks for more than any.
    #[must_use]
    pub fn demand(&self) -> Option<&SignInDemand> {
        if let Self::StepUpRequired(demand) = self.cause() { Some(demand) } else { None }
    }

    /// The error itself, of a navigation that it held up as of any other request.
    #[must_use]
    pub fn cause(&self) -> &Self {
        if let Self::Unsent(unsent) = self { &unsent.error } else { self }
    }

    /// True if retries fail until an operator fixes something at the Provider or in the settings.
    pub(super) fn needs_operator(&self) -> bool {
        let cannot_begin = matches!(self, Self::Provider { error, .. } if error.needs_operator());
        cannot_begin || self.login_error().is_some_and(LoginError::needs_operator)
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        if let Self::Provider { error, .. } = self { error.oauth_error() } else { self.login_error()?.oauth_error() }
    }

    fn login_error(&self) -> Option<&LoginError> {
        if let Self::SignIn { error: SignInError::Login(error), .. } = self { Some(error) } else { None }
    }

    /// Value of `Retry-After`, if a retry can help.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoFreshToken(NoFreshToken { retry_after }) => Some(*retry_after),
            Self::Gateway(error) => is_gateway_unknown(error).then_some(SOON),
            Self::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => Some(SOON),
            Self::Provider { error, .. } => (!error.needs_operator()).then_some(SOON),
            Self::Store(_)
            | Self::Keys(_)
            | Self::FrontchannelBusy
            | Self::Form(FormError::Busy)
            | Self::Bearer(BearerError::IssuerUnavailable(_)) => Some(SOON),
            Self::Unsent(unsent) => unsent.error.retry_after(),
            Self::SignIn { error, .. } => match error {
                SignInError::Store(_) | SignInError::Interrupted => Some(SOON),
                SignInError::Login(error) => is_temporary(error).then_some(SOON),
                SignInError::Over | SignInError::Used | SignInError::LoggedOut => None,
            },
            Self::SessionRequired
            | Self::AccessDenied(_)
            | Self::StepUpRequired(_)
            | Self::StepUpUnmet
            | Self::Bearer(_)
            | Self::SignInLoop(_)
            | Self::Csrf(_)
            | Self::CrossSite(_)
            | Self::Target(_)
            | Self::Request(_)
            | Self::HeadersTooLarge
            | Self::RouteNotFound
            | Self::MethodNotAllowed { .. }
            | Self::WebSocketUnsupported
            | Self::Forward(_)
            | Self::OtherIssuer
            | Self::ReturnUrlTooLong
            | Self::AuthorizationResponse(_)
            | Self::LoginUnknown
            | Self::BackchannelLogout(_)
            | Self::RefreshRefused
            | Self::RefreshTokenMissing
            | Self::ConfigurationIncomplete
            | Self::Form(_)
            | Self::KeptFormInvalid
            | Self::FormOfAnotherPerson => None,
        }
    }

    pub(super) fn telling(&self) -> Telling {
        let (status, title, detail) = match self {
            Self::SessionRequired => (
                StatusCode::UNAUTHORIZED,
                "Your session has ended",
                "The request was not passed on, because nobody is signed in. Sign in, then send it again.",
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
                "It came from another site, so it was not passed on. If you meant to do this, open the application itself \
                 and do it there.",
            ),
            Self::CrossSite(_) => (
                StatusCode::FORBIDDEN,
                "This request was refused",
                "A page of another site asked for it. Open the application itself.",
            ),
            Self::AccessDenied(_) => (
                StatusCode::FORBIDDEN,
                "You may not open this",
                "You are signed in, and this part of the application is not open to you.",
            ),
            Self::StepUpRequired(_) => (
                StatusCode::UNAUTHORIZED,
                "Please sign in once more",
                "This part of the application asks for a stronger or a more recent sign-in. The request was not passed on.",
            ),
            Self::StepUpUnmet => (
                StatusCode::FORBIDDEN,
                "Your sign-in is not strong enough",
                "This part of the application asks for a stronger or a more recent sign-in than the sign-in service made.",
            ),
            Self::Bearer(error) => error.row(),
            Self::SignInLoop(error) => error.row(),
            Self::Target(_) | Self::Request(_) => (
                StatusCode::BAD_REQUEST,
                "This address cannot be used",
                "The request is not written as the web's rules ask for, so it was not passed on.",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "This request cannot be passed on",
                "Its headers are too large. Deleting the cookies of this site may help.",
            ),
            Self::RouteNotFound => {
                (StatusCode::NOT_FOUND, "There is nothing here", "No application is published under this address.")
            }
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here", "The address exists, for other methods.")
            }
            Self::WebSocketUnsupported => (
                StatusCode::NOT_IMPLEMENTED,
                "Live updates do not work here",
                "The application asked for a WebSocket, and a server on the way here passes none. Reloading does not \
                 help: tell your operator the reason and the request below.",
            ),
            Self::Forward(error) => forward(error),
            Self::Provider { error, .. } => provider(error),
            Self::OtherIssuer => (
                StatusCode::BAD_REQUEST,
                "This link cannot sign you in",
                "It is meant for another sign-in service. Open the application itself; if that fails, tell your operator.",
            ),
            Self::ReturnUrlTooLong => (
                StatusCode::URI_TOO_LONG,
                "This address is too long to return to",
                "Nobody is signed in, and a sign-in cannot keep an address of this length. Sign in, then open it again.",
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
            Self::FrontchannelBusy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This logout was not carried out",
                "Too many others name sessions that do not exist. Try again in a moment.",
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
            Self::Form(error) => form(*error),
            Self::KeptFormInvalid => (
                StatusCode::BAD_REQUEST,
                "This form cannot be sent any more",
                "It was kept for too long, or was changed. Nothing of it was passed on: fill it in again.",
            ),
            Self::FormOfAnotherPerson => (
                StatusCode::FORBIDDEN,
                "This form is another person's",
                "It was filled in under another account than the one that is signed in now, so it was not passed on.",
            ),
            Self::Unsent(unsent) => return unsent.error.telling(),
        };
        Telling { status, title, detail }
    }
}

type Row = (StatusCode, &'static str, &'static str);

/// Retry delay for conditions of unknown duration.
const SOON: Duration = Duration::from_secs(5);

const STORE_DOWN: &str = "store_unavailable";

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
        ForwardError::ClientStalled => (
            StatusCode::REQUEST_TIMEOUT,
            "Your upload stopped",
            "Nothing of it arrived for a while. The application may have received a part; look before you repeat it.",
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

fn form(error: FormError) -> Row {
    let (status, detail) = match error {
        FormError::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "It is too large to come from another site. Nothing of it was passed on.")
        }
        FormError::Timeout => {
            (StatusCode::REQUEST_TIMEOUT, "It did not arrive in time. Nothing of it was passed on: send it again.")
        }
        FormError::Incomplete => {
            (StatusCode::BAD_REQUEST, "It did not arrive whole. Nothing of it was passed on: send it again.")
        }
        FormError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many others arrive right now. Nothing of it was passed on. Try again in a moment.",
        ),
        FormError::File | FormError::Unsupported => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "A form with a file, or in an unusual encoding, cannot come from another site. Nothing of it was passed on.",
        ),
    };
    (status, "This form cannot be taken in", detail)
}

fn form_code(error: FormError) -> &'static str {
    match error {
        FormError::TooLarge => "form_too_large",
        FormError::Timeout => "form_timeout",
        FormError::Incomplete => "form_incomplete",
        FormError::Busy => "form_busy",
        FormError::File | FormError::Unsupported => "form_unsupported",
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
            LoginError::Provider(error) => provider(error),
            LoginError::Response(error) => authorization_response(error),
            LoginError::TokenRequestRefused { .. } if error.reason().is_none() => REQUEST_REFUSED,
            _ => error.reason().map_or(refused, refusal),
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

/// True if the keys to verify a proof can't be fetched: no refusal then.
pub(super) fn is_gateway_unknown(error: &GatewayProofError) -> bool {
    matches!(error, GatewayProofError::Token(GatewayTokenError::Unavailable(_)))
}

fn gateway_code(error: &GatewayProofError) -> &'static str {
    match error {
        GatewayProofError::Missing => "gateway_proof_missing",
        GatewayProofError::Token(GatewayTokenError::Unavailable(_)) => "gateway_proof_unavailable",
        GatewayProofError::Secret
        | GatewayProofError::Certificate
        | GatewayProofError::Purpose
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

/// True if the Provider may accept the same sign-in in a moment.
fn is_temporary(error: &LoginError) -> bool {
    let is_unavailable = matches!(error, LoginError::Provider(error) if !error.needs_operator());
    is_unavailable || error.reason().is_some_and(|reason| reason.remedy() == Remedy::Time)
}

fn provider(error: &ProviderError) -> Row {
    if !error.needs_operator() {
        return PROVIDER_DOWN;
    }
    if matches!(error, ProviderError::Refused(_) | ProviderError::PushedResponse) {
        return REQUEST_REFUSED; // RFC 9126 2.3
    }
    (
        StatusCode::BAD_GATEWAY,
        NOT_SET_UP,
        "The sign-in service was found, but it is not the one that the settings describe. Trying again does not help: \
         tell your operator the reason and the request below.",
    )
}

const NOT_SET_UP: &str = "Signing in is not set up correctly";

const REQUEST_REFUSED: Row = (
    StatusCode::BAD_REQUEST,
    NOT_SET_UP,
    "The sign-in service does not accept what this application asks for. Trying again does not help: tell your \
     operator the reason and the request below.",
);

/// Page of a refusal by the Provider, by its reason.
fn refusal(reason: RefusalReason) -> Row {
    match reason {
        RefusalReason::Cancelled => (
            StatusCode::FORBIDDEN,
            "You were not signed in",
            "The sign-in was cancelled, or the sign-in service did not allow it. You can try again.",
        ),
        RefusalReason::NotAllowed => (
            StatusCode::FORBIDDEN,
            "You were not signed in",
            "The sign-in service refused. You can try again, with another account perhaps.",
        ),
        RefusalReason::Interaction => (
            StatusCode::FORBIDDEN,
            "Your sign-in needs one more step",
            "The sign-in service asks for more, such as a second factor or your consent. Sign in again and finish \
             every step.",
        ),
        RefusalReason::AdminConsent => (
            StatusCode::FORBIDDEN,
            "This application must be approved first",
            "An administrator of your organisation has to allow it. Trying again does not help: tell your operator \
             the reason and the request below.",
        ),
        RefusalReason::Request => REQUEST_REFUSED,
        RefusalReason::Client => (
            StatusCode::BAD_REQUEST,
            NOT_SET_UP,
            "The sign-in service does not accept this application. Trying again does not help: tell your operator \
             the reason and the request below.",
        ),
        RefusalReason::SecretExpired => (
            StatusCode::BAD_REQUEST,
            NOT_SET_UP,
            "The secret that this application shows to the sign-in service has expired. Trying again does not help: \
             tell your operator the reason and the request below.",
        ),
        RefusalReason::SecretWrong => (
            StatusCode::BAD_REQUEST,
            NOT_SET_UP,
            "The secret that this application shows to the sign-in service is wrong. Trying again does not help: \
             tell your operator the reason and the request below.",
        ),
        RefusalReason::FederatedCredential => (
            StatusCode::BAD_REQUEST,
            NOT_SET_UP,
            "The sign-in service does not trust the identity of this application. Trying again does not help: tell \
             your operator the reason and the request below.",
        ),
        RefusalReason::RedirectUri => (
            StatusCode::BAD_REQUEST,
            NOT_SET_UP,
            "The sign-in service does not know the address of this application. Trying again does not help: tell \
             your operator the reason and the request below.",
        ),
        RefusalReason::Temporary => PROVIDER_DOWN,
    }
}

fn authorization_response(error: &AuthorizationResponseError) -> Row {
    match error {
        AuthorizationResponseError::Expired => (
            StatusCode::BAD_REQUEST,
            "The sign-in took too long",
            "It was not finished within ten minutes. Start again.",
        ),
        AuthorizationResponseError::Refused { error } => refusal(error.authorization_reason()),
        _ => (
            StatusCode::BAD_REQUEST,
            "You were not signed in",
            "The answer of the sign-in service could not be read. Start again; if it stays, tell your operator.",
        ),
    }
}

impl From<StoreError> for Error {
    /// Converts a store error. With an unavailable key behind it the store is not to blame.
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
    use crate::oidc::DiscoveryError;
    use crate::oidc::TokenError;

    fn sign_in(error: SignInError) -> Error {
        Error::SignIn { error, return_url: ReturnUrl::root() }
    }

    fn refused(error: &str, number: u32) -> OAuthError {
        let body = serde_json::json!({ "error": error, "error_codes": [number] });
        OAuthError::from_json(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_cannot_heal_sends_the_person_to_the_operator_and_what_can_is_tried_again() {
        let response = |error, number| AuthorizationResponseError::Refused { error: refused(error, number) };
        let login = |error: LoginError| sign_in(error.into());
        let begin = |error| Error::Provider { error, return_url: ReturnUrl::root() };
        let client = |number| login(LoginError::ClientRefused { error: refused("invalid_client", number) });
        let code = |error, number| login(LoginError::CodeRefused { error: refused(error, number) });
        let token = |error, number| login(LoginError::TokenRequestRefused { error: refused(error, number) });
        let callback = |error, number| login(response(error, number).into());
        let operators = [
            (client(0), 400, "client_refused"),
            (client(700_016), 400, "client_refused"),
            (client(7_000_222), 400, "client_secret_expired"),
            (client(7_000_215), 400, "client_secret_wrong"),
            (client(700_213), 400, "federated_credential_mismatch"),
            (token("invalid_scope", 0), 400, "token_request_refused"),
            (token("invalid_request", 50_011), 400, "redirect_uri_refused"),
            (code("invalid_grant", 65_001), 403, "admin_consent_required"),
            (callback("access_denied", 90_094), 403, "admin_consent_required"),
            (callback("invalid_scope", 0), 400, "authorization_request_refused"),
            (callback("unauthorized_client", 0), 400, "client_refused"),
            (begin(ProviderError::MetadataMissing(404)), 502, "provider_misconfigured"),
            (begin(ProviderError::EndpointMissing("userinfo_endpoint")), 502, "provider_misconfigured"),
            (begin(DiscoveryError::Issuer { found: "i".to_owned() }.into()), 502, "provider_misconfigured"),
            (login(ProviderError::MetadataMissing(400).into()), 502, "provider_misconfigured"),
        ];
        let persons = [
            (callback("access_denied", 0), 403, "login_cancelled"),
            (callback("access_denied", 65_004), 403, "login_cancelled"),
            (callback("access_denied", 53_003), 403, "provider_refused"),
            (callback("made_up", 0), 403, "provider_refused"),
            (callback("login_required", 0), 403, "interaction_required"),
            (code("interaction_required", 50_076), 403, "interaction_required"),
            (code("consent_required", 0), 403, "interaction_required"),
            (code("invalid_grant", 0), 400, "code_refused"),
        ];
        let temporary = [
            (callback("temporarily_unavailable", 0), 503, "provider_unavailable"),
            (callback("server_error", 0), 503, "provider_unavailable"),
            (begin(ProviderError::Status(503)), 503, "provider_unavailable"),
            (begin(ProviderError::NoResponse), 503, "provider_unavailable"),
            (login(ProviderError::Status(404).into()), 503, "provider_unavailable"),
        ];

        let rows = [(&operators[..], true, None), (&persons, false, None), (&temporary, false, Some(SOON))];
        for (error, status, code, needs_operator, retry_after) in rows.into_iter().flat_map(|(errors, needs, retry)| {
            errors.iter().map(move |(error, status, code)| (error, *status, *code, needs, retry))
        }) {
            let Telling { status: found, detail, .. } = error.telling();
            assert_eq!((found.as_u16(), error.code()), (status, code));
            assert_eq!((error.needs_operator(), error.retry_after()), (needs_operator, retry_after), "{code}");
            assert_eq!(detail.contains("tell your operator the reason and the request"), needs_operator, "{code}");
            assert_eq!(detail.contains("in a moment"), retry_after.is_some(), "{code}");
        }
    }

    #[test]
    fn what_a_store_leaves_open_asks_for_patience_and_names_its_code() {
        let down = || StoreError::Unavailable("down".into());
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
        let said = |error| refused(error, 0);
        let push = |error: TokenError| begin(error.into());
        let later = StatusCode::SERVICE_UNAVAILABLE;
        for (error, code, status) in [
            (push(TokenError::Client { error: said("invalid_client") }), "client_refused", StatusCode::BAD_REQUEST),
            (
                push(TokenError::Other { error: said("invalid_request") }),
                "authorization_request_refused",
                StatusCode::BAD_REQUEST,
            ),
            (begin(ProviderError::PushedResponse), "pushed_response_invalid", StatusCode::BAD_REQUEST),
            (push(TokenError::Later { error: said("slow_down") }), "provider_unavailable", later),
            (begin(ProviderError::Status(503)), "provider_unavailable", later),
        ] {
            assert_eq!((error.code(), error.telling().status), (code, status));
            assert_eq!(error.retry_after().is_some(), status == later, "{code}");
        }
    }

    #[test]
    fn a_form_that_is_not_taken_in_says_why() {
        for (error, status, code, retry_after) in [
            (FormError::TooLarge, 413, "form_too_large", None),
            (FormError::Timeout, 408, "form_timeout", None),
            (FormError::Incomplete, 400, "form_incomplete", None),
            (FormError::Busy, 503, "form_busy", Some(SOON)),
            (FormError::File, 415, "form_unsupported", None),
            (FormError::Unsupported, 415, "form_unsupported", None),
        ] {
            let error = Error::from(error);
            let Telling { status: found, detail, .. } = error.telling();
            assert_eq!((found.as_u16(), error.code(), error.retry_after()), (status, code, retry_after));
            assert!(detail.contains("Nothing of it was passed on"), "{code}");
        }
    }

    #[test]
    fn a_navigation_that_was_held_up_is_the_error_that_held_it_up() {
        let unsent = |error| Error::from(Box::new(Unsent { error, kept: Err(NotKept::Other) }));

        let store = unsent(Error::Store(StoreError::Missing));
        let session = unsent(Error::SessionRequired);

        assert_eq!(
            (store.code(), store.retry_after(), store.needs_sign_in()),
            ("store_unavailable", Some(SOON), false)
        );
        assert_eq!((session.code(), session.retry_after(), session.needs_sign_in()), ("session_required", None, true));
        assert_eq!((store.telling().status, session.telling().status.as_u16()), (StatusCode::SERVICE_UNAVAILABLE, 401));
    }

    #[test]
    fn an_exchange_that_was_cut_asks_for_a_sign_in() {
        let cut = Error::from(ForwardError::Cut);

        assert_eq!((cut.telling().status, cut.code()), (StatusCode::UNAUTHORIZED, "session_ended"));
        assert!(cut.needs_sign_in() && !Error::from(ForwardError::Timeout).needs_sign_in());
    }
}
