//! Errors of requests: their stable codes, and what helps against them.
//!
//! Status and texts are in [`error_response`](super::error_response); the cause goes to the log alone.

use std::time::Duration;

use actix_web::http::Method;

use super::{
    AccessDenied, BearerError, CrossSiteRejection, CsrfRejection, FormError, GatewayProofError, NotKept, SignInLoop,
};
use crate::crypto::KeysUnavailable;
use crate::oidc::{
    AuthorizationResponseError, GatewayTokenError, LoginError, LogoutTokenError, OAuthError, ProviderError, Remedy,
    TargetRefusal,
};
use crate::proxy::{ForwardError, SignInDemand, TargetError};
use crate::return_url::ReturnUrl;
use crate::sessions::{NoFreshToken, RouteTokenError, SessionError, SignInError, StoreError};

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
    /// The application asks for a stronger or a more recent sign-in (RFC 9470): it has seen the request.
    #[error("the application asks for another sign-in")]
    StepUpChallenged(Box<SignInDemand>),
    /// The person signed in for a rule, and still does not meet it.
    #[error("the sign-in does not meet the demand of the route")]
    StepUpUnmet,
    /// The person signed in for the application, and it still asks for the same.
    #[error("the sign-in does not meet the demand of the application")]
    StepUpChallengeUnmet,
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
    /// The response to `check` has a header beyond ASCII, which the Functions host cannot write.
    #[error("a header of the response is beyond ASCII")]
    HeaderNotAscii,
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
    /// The route has no access token of its own now.
    #[error(transparent)]
    RouteToken(RouteTokenError),
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
            Self::StepUpRequired(_) | Self::StepUpChallenged(_) => "step_up_required",
            Self::StepUpUnmet | Self::StepUpChallengeUnmet => "step_up_unmet",
            Self::Bearer(error) => error.code(),
            Self::SignInLoop(error) => error.code(),
            Self::Target(error) => error.code(),
            Self::Request(_) => "bad_request",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::WebSocketUnsupported => "websocket_unsupported",
            Self::HeaderNotAscii => "header_not_ascii",
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
            Self::RouteToken(RouteTokenError::Store(_)) => STORE_DOWN,
            Self::RouteToken(RouteTokenError::Unavailable { .. }) => "route_token_unavailable",
            Self::RouteToken(RouteTokenError::Refused(refusal)) => refusal.code(),
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
                | Self::StepUpChallenged(_)
                | Self::RefreshRefused
                | Self::RefreshTokenMissing
                | Self::Forward(ForwardError::Cut)
        )
    }

    /// True if a sign-in is the remedy, or may be: the Provider or the application wants to meet the person once more.
    pub(super) fn may_need_sign_in(&self) -> bool {
        self.needs_sign_in()
            || matches!(
                self.cause(),
                Self::RouteToken(RouteTokenError::Refused(TargetRefusal::InteractionRequired))
                    | Self::StepUpUnmet
                    | Self::StepUpChallengeUnmet
            )
    }

    /// The operator's words for a rule that is not met.
    pub(super) fn explain(&self) -> Option<&str> {
        if let Self::AccessDenied(denied) = self.cause() { denied.explain.as_deref() } else { None }
    }

    /// The sign-in that the route or its application asks for, if it asks for more than any.
    #[must_use]
    pub fn demand(&self) -> Option<&SignInDemand> {
        let (Self::StepUpRequired(demand) | Self::StepUpChallenged(demand)) = self.cause() else { return None };
        Some(demand)
    }

    /// True if the application saw the request, and refused it for the person's sign-in.
    pub(super) fn is_of_application(&self) -> bool {
        matches!(self.cause(), Self::StepUpChallenged(_) | Self::StepUpChallengeUnmet)
    }

    /// The error itself, of a navigation that it held up as of any other request.
    #[must_use]
    pub fn cause(&self) -> &Self {
        if let Self::Unsent(unsent) = self { &unsent.error } else { self }
    }

    /// True if retries fail until an operator fixes something at the Provider or in the settings.
    pub(super) fn needs_operator(&self) -> bool {
        let cannot_begin = matches!(self, Self::Provider { error, .. } if error.needs_operator());
        let is_refused = matches!(
            self,
            Self::RouteToken(RouteTokenError::Refused(TargetRefusal::Refused | TargetRefusal::ConsentRequired))
        );
        cannot_begin || is_refused || self.login_error().is_some_and(LoginError::needs_operator)
    }

    /// True for a request that came around the gateway.
    pub(super) fn is_wrong_address(&self) -> bool {
        matches!(self, Self::Gateway(error) if !is_gateway_unknown(error))
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        if let Self::Provider { error, .. } = self { error.oauth_error() } else { self.login_error()?.oauth_error() }
    }

    fn login_error(&self) -> Option<&LoginError> {
        if let Self::SignIn { error: SignInError::Login(error), .. } = self { Some(error) } else { None }
    }

    /// True if the same request may succeed in a moment.
    pub(super) fn is_temporary(&self) -> bool {
        let is_passing = matches!(
            self.cause(),
            Self::Forward(ForwardError::Connect(_) | ForwardError::Broken(_) | ForwardError::Timeout)
                | Self::Form(FormError::Timeout | FormError::Incomplete)
        );
        is_passing || self.retry_after().is_some()
    }

    /// True if the Upstream may have got what was sent, or a part of it.
    pub(super) fn may_have_arrived(&self) -> bool {
        matches!(self.cause(), Self::Forward(error) if !matches!(error, ForwardError::Connect(_)))
    }

    /// Value of `Retry-After`, if a retry can help.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoFreshToken(NoFreshToken { retry_after })
            | Self::RouteToken(RouteTokenError::Unavailable { retry_after }) => Some(*retry_after),
            Self::RouteToken(RouteTokenError::Store(_)) => Some(RETRY_DELAY),
            Self::Gateway(error) => is_gateway_unknown(error).then_some(RETRY_DELAY),
            Self::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => {
                Some(RETRY_DELAY)
            }
            Self::Provider { error, .. } => (!error.needs_operator()).then_some(RETRY_DELAY),
            Self::Store(_)
            | Self::Keys(_)
            | Self::FrontchannelBusy
            | Self::Form(FormError::Busy)
            | Self::Bearer(BearerError::IssuerUnavailable(_)) => Some(RETRY_DELAY),
            Self::Unsent(unsent) => unsent.error.retry_after(),
            Self::SignIn { error, .. } => match error {
                SignInError::Store(_) | SignInError::Interrupted => Some(RETRY_DELAY),
                SignInError::Login(error) => is_temporary(error).then_some(RETRY_DELAY),
                SignInError::Over | SignInError::Used | SignInError::LoggedOut => None,
            },
            Self::SessionRequired
            | Self::AccessDenied(_)
            | Self::StepUpRequired(_)
            | Self::StepUpChallenged(_)
            | Self::StepUpUnmet
            | Self::StepUpChallengeUnmet
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
            | Self::HeaderNotAscii
            | Self::Forward(_)
            | Self::OtherIssuer
            | Self::ReturnUrlTooLong
            | Self::AuthorizationResponse(_)
            | Self::LoginUnknown
            | Self::BackchannelLogout(_)
            | Self::RouteToken(RouteTokenError::Refused(_))
            | Self::RefreshRefused
            | Self::RefreshTokenMissing
            | Self::ConfigurationIncomplete
            | Self::Form(_)
            | Self::KeptFormInvalid
            | Self::FormOfAnotherPerson => None,
        }
    }
}

/// Retry delay for conditions of unknown duration.
const RETRY_DELAY: Duration = Duration::from_secs(5);

const STORE_DOWN: &str = "store_unavailable";

fn form_code(error: FormError) -> &'static str {
    match error {
        FormError::TooLarge => "form_too_large",
        FormError::Timeout => "form_timeout",
        FormError::Incomplete => "form_incomplete",
        FormError::Busy => "form_busy",
        FormError::File | FormError::Unsupported => "form_unsupported",
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

    use actix_web::http::StatusCode;

    use super::*;
    use crate::oidc::{DiscoveryError, TokenError};
    use crate::web::Language;
    use crate::web::error_response::Input;
    use crate::web::every_error::every_error;

    fn sign_in(error: SignInError) -> Error {
        Error::SignIn { error, return_url: ReturnUrl::root() }
    }

    fn refused(error: &str, number: u32) -> OAuthError {
        let body = serde_json::json!({ "error": error, "error_codes": [number] });
        OAuthError::from_json(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_code_has_its_row_in_the_documentation() {
        let documentation = include_str!("../../../docs/endpoints.md");
        let codes = documentation.split_once("\n## Codes\n").unwrap().1.split_once("\n### ").unwrap().0;
        let rows = codes.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let documented: Vec<&str> =
            rows.flat_map(|cell| cell.split("`, `")).map(|code| code.trim_matches('`')).collect();

        for code in every_error().iter().map(Error::code) {
            let is_family = |row: &&str| row.strip_suffix('*').is_some_and(|family| code.starts_with(family));
            assert!(documented.iter().any(|row| *row == code || is_family(row)), "{code}");
        }
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

        let rows = [(&operators[..], true, None), (&persons, false, None), (&temporary, false, Some(RETRY_DELAY))];
        for (error, status, code, needs_operator, retry_after) in rows.into_iter().flat_map(|(errors, needs, retry)| {
            errors.iter().map(move |(error, status, code)| (error, *status, *code, needs, retry))
        }) {
            let text = error.text(Input::None, Language::English);
            assert_eq!((error.response().status.as_u16(), error.code()), (status, code));
            assert_eq!((error.needs_operator(), error.retry_after()), (needs_operator, retry_after), "{code}");
            assert_eq!(text.contains("Trying again does not help. Please tell the people"), needs_operator, "{code}");
            assert_eq!(text.contains("in a moment"), retry_after.is_some(), "{code}");
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
            let shown = (error.response().status, error.code(), error.retry_after());
            assert_eq!(shown, (StatusCode::SERVICE_UNAVAILABLE, code, Some(RETRY_DELAY)));
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
            assert_eq!((error.code(), error.response().status), (code, status));
            assert_eq!(error.retry_after().is_some(), status == later, "{code}");
        }
    }

    #[test]
    fn a_form_that_is_not_taken_in_says_why() {
        for (error, status, code, retry_after) in [
            (FormError::TooLarge, 413, "form_too_large", None),
            (FormError::Timeout, 408, "form_timeout", None),
            (FormError::Incomplete, 400, "form_incomplete", None),
            (FormError::Busy, 503, "form_busy", Some(RETRY_DELAY)),
            (FormError::File, 415, "form_unsupported", None),
            (FormError::Unsupported, 415, "form_unsupported", None),
        ] {
            let error = Error::from(error);
            assert_eq!(
                (error.response().status.as_u16(), error.code(), error.retry_after()),
                (status, code, retry_after)
            );
            let text = error.text(Input::ForUpstream, Language::English);
            assert!(text.contains("Nothing of what you sent was passed on."), "{code}");
        }
    }

    #[test]
    fn a_navigation_that_was_held_up_is_the_error_that_held_it_up() {
        let unsent = |error| Error::from(Box::new(Unsent { error, kept: Err(NotKept::Other) }));

        let store = unsent(Error::Store(StoreError::Missing));
        let session = unsent(Error::SessionRequired);

        assert_eq!(
            (store.code(), store.retry_after(), store.needs_sign_in()),
            ("store_unavailable", Some(RETRY_DELAY), false)
        );
        assert_eq!((session.code(), session.retry_after(), session.needs_sign_in()), ("session_required", None, true));
        assert_eq!(
            (store.response().status, session.response().status.as_u16()),
            (StatusCode::SERVICE_UNAVAILABLE, 401)
        );
    }

    #[test]
    fn an_exchange_that_was_cut_asks_for_a_sign_in() {
        let cut = Error::from(ForwardError::Cut);

        assert_eq!((cut.response().status, cut.code()), (StatusCode::UNAUTHORIZED, "session_ended"));
        assert!(cut.needs_sign_in() && !Error::from(ForwardError::Timeout).needs_sign_in());
    }
}
