//! Response to each error: status, title, and the sentences of its page. The only place that knows their statuses.

use actix_web::http::StatusCode;

use super::error::is_gateway_unknown;
use super::{BackchannelLogoutError, BearerError, Error, FormError, Language, Sentence, SignInLoop, Title};
use crate::oidc::{
    AuthorizationResponseError, LoginError, LogoutTokenError, ProviderError, RefusalReason, TargetRefusal,
};
use crate::proxy::ForwardError;
use crate::sessions::{RouteTokenError, SignInError};

/// Response to an error.
pub(super) struct ErrorResponse {
    pub(super) status: StatusCode,
    pub(super) title: Title,
    /// The cause, as a person needs to know it. [`Error::advice`] follows.
    pub(super) sentences: &'static [Sentence],
}

/// Input of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// None of the person's: it is a safe request, or one to a URL of ours.
    None,
    /// Something for the Upstream, such as a form.
    ForUpstream,
}

impl Error {
    /// Status, title and cause.
    pub(super) fn response(&self) -> ErrorResponse {
        row(self)
    }

    /// The sentences after the cause: if the input was passed on, and what to do.
    pub(super) fn advice(&self, input: Input) -> &'static [Sentence] {
        match input {
            Input::ForUpstream if self.may_have_arrived() => &[Sentence::MayHaveArrived],
            Input::ForUpstream if self.is_of_application() => &[Sentence::NotAccepted],
            _ if self.needs_operator() => &[Sentence::RetryUseless, Sentence::PleaseReport],
            Input::ForUpstream if self.is_temporary() => &[Sentence::NothingPassedOn, Sentence::ReloadToSend],
            Input::ForUpstream => &[Sentence::NothingPassedOn],
            Input::None if self.is_temporary() => &[Sentence::RetrySoon],
            Input::None => &[],
        }
    }

    /// Cause and advice as a text.
    pub(super) fn text(&self, input: Input, language: Language) -> String {
        language.text(&[self.response().sentences, self.advice(input)].concat())
    }
}

const fn page(status: StatusCode, title: Title, sentences: &'static [Sentence]) -> ErrorResponse {
    ErrorResponse { status, title, sentences }
}

/// Row of an error. One table, so that a reader finds each error in one place.
fn row(error: &Error) -> ErrorResponse {
    match error {
        Error::SessionRequired => page(StatusCode::UNAUTHORIZED, Title::SessionEnded, &[Sentence::SessionRequired]),
        Error::Gateway(error) if is_gateway_unknown(error) => {
            page(StatusCode::SERVICE_UNAVAILABLE, Title::ServiceNotReady, &[Sentence::GatewayUnknown])
        }
        Error::Gateway(_) => page(StatusCode::FORBIDDEN, Title::NotTheWayIn, &[Sentence::NotTheWayIn]),
        Error::Csrf(_) => page(StatusCode::FORBIDDEN, Title::RequestRefused, &[Sentence::Csrf]),
        Error::CrossSite(_) => page(StatusCode::FORBIDDEN, Title::RequestRefused, &[Sentence::CrossSite]),
        Error::AccessDenied(_) => page(StatusCode::FORBIDDEN, Title::MayNotOpen, &[Sentence::AccessDenied]),
        Error::StepUpRequired(_) | Error::StepUpChallenged(_) => {
            page(StatusCode::UNAUTHORIZED, Title::SignInOnceMore, &[Sentence::StepUpRequired])
        }
        Error::StepUpUnmet | Error::StepUpChallengeUnmet => {
            page(StatusCode::FORBIDDEN, Title::SignInTooWeak, &[Sentence::StepUpUnmet])
        }
        Error::Bearer(error @ BearerError::Missing) => {
            page(bearer(error), Title::ForPrograms, &[Sentence::ForPrograms, Sentence::BrowserSendsNone])
        }
        Error::Bearer(error) => page(bearer(error), Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::SignInLoop(error) => sign_in_loop(*error),
        Error::Target(_) | Error::Request(_) => {
            page(StatusCode::BAD_REQUEST, Title::AddressUnusable, &[Sentence::AddressUnusable])
        }
        Error::HeadersTooLarge => {
            page(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Title::NotPassedOn, &[Sentence::HeadersTooLarge])
        }
        Error::RouteNotFound => page(StatusCode::NOT_FOUND, Title::NothingHere, &[Sentence::RouteNotFound]),
        Error::MethodNotAllowed { .. } => {
            page(StatusCode::METHOD_NOT_ALLOWED, Title::NotPossibleHere, &[Sentence::MethodNotAllowed])
        }
        Error::WebSocketUnsupported => page(
            StatusCode::NOT_IMPLEMENTED,
            Title::NoLiveUpdates,
            &[Sentence::WebSocketUnsupported, Sentence::RetryUseless, Sentence::PleaseReport],
        ),
        Error::HeaderNotAscii => {
            page(StatusCode::NOT_IMPLEMENTED, Title::NotPassedOn, &[Sentence::RetryUseless, Sentence::PleaseReport])
        }
        Error::Forward(error) => forward(error),
        Error::Provider { error, .. } => provider(error),
        Error::OtherIssuer => page(StatusCode::BAD_REQUEST, Title::LinkForAnother, &[Sentence::OtherIssuer]),
        Error::ReturnUrlTooLong => page(StatusCode::URI_TOO_LONG, Title::AddressTooLong, &[Sentence::ReturnUrlTooLong]),
        Error::SignIn { error, .. } => sign_in(error),
        Error::AuthorizationResponse(error) => authorization_response(error),
        Error::LoginUnknown => page(
            StatusCode::BAD_REQUEST,
            Title::SignInUnfinished,
            &[Sentence::LoginUnknown, Sentence::CookiesMayBeBlocked, Sentence::StartAgain],
        ),
        Error::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => PROVIDER_DOWN,
        // These are of URLs for scripts alone, so nobody sees a page of them.
        Error::BackchannelLogout(_) => page(StatusCode::BAD_REQUEST, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::RefreshTokenMissing => page(StatusCode::CONFLICT, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::RefreshRefused => page(StatusCode::UNAUTHORIZED, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::FrontchannelBusy => {
            page(StatusCode::SERVICE_UNAVAILABLE, Title::LogoutNotDone, &[Sentence::FrontchannelBusy])
        }
        Error::Store(_) | Error::Keys(_) => SESSIONS_UNREADABLE,
        Error::NoFreshToken(_) => {
            page(StatusCode::SERVICE_UNAVAILABLE, Title::ProviderDown, &[Sentence::RefreshUnavailable])
        }
        Error::RouteToken(error) => route_token(error),
        Error::ConfigurationIncomplete => {
            page(StatusCode::SERVICE_UNAVAILABLE, Title::NotSetUpYet, &[Sentence::ConfigurationIncomplete])
        }
        Error::Form(error) => form(*error),
        Error::KeptFormInvalid => page(StatusCode::BAD_REQUEST, Title::FormTooOld, &[Sentence::KeptFormInvalid]),
        Error::FormOfAnotherPerson => page(StatusCode::FORBIDDEN, Title::FormOfAnother, &[Sentence::FormOfAnother]),
        Error::Unsent(unsent) => row(&unsent.error),
    }
}

const SESSIONS_UNREADABLE: ErrorResponse =
    page(StatusCode::SERVICE_UNAVAILABLE, Title::SessionsUnreadable, &[Sentence::SessionsUnreadable]);

const PROVIDER_DOWN: ErrorResponse =
    page(StatusCode::SERVICE_UNAVAILABLE, Title::ProviderDown, &[Sentence::ProviderDown]);

const REQUEST_REFUSED: ErrorResponse =
    page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::RequestRefused]);

fn bearer(error: &BearerError) -> StatusCode {
    match error {
        BearerError::Missing | BearerError::Invalid(_) | BearerError::StepUp(_) => StatusCode::UNAUTHORIZED,
        BearerError::WithCookie | BearerError::Repeated => StatusCode::BAD_REQUEST,
        BearerError::IssuerUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn sign_in_loop(error: SignInLoop) -> ErrorResponse {
    let title = Title::SignInLoop;
    match error {
        SignInLoop::CookieNotReturned => page(
            StatusCode::BAD_REQUEST,
            title,
            &[Sentence::CookieNotReturned, Sentence::CookiesMayBeBlocked, Sentence::AllowCookies],
        ),
        SignInLoop::ApplicationAsksAgain => {
            page(StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::ApplicationAsksAgain, Sentence::PleaseReport])
        }
        SignInLoop::ClockSkew => {
            page(StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::ClockSkew, Sentence::PleaseReport])
        }
        SignInLoop::SessionLost => {
            page(StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::SessionLost, Sentence::PleaseReport])
        }
    }
}

fn route_token(error: &RouteTokenError) -> ErrorResponse {
    match error {
        RouteTokenError::Store(_) => SESSIONS_UNREADABLE,
        RouteTokenError::Unavailable { .. } => {
            page(StatusCode::SERVICE_UNAVAILABLE, Title::ServiceNotReady, &[Sentence::RouteTokenUnavailable])
        }
        RouteTokenError::Refused(TargetRefusal::Refused) => {
            page(StatusCode::FORBIDDEN, Title::MayNotOpen, &[Sentence::RouteTokenRefused])
        }
        RouteTokenError::Refused(TargetRefusal::ConsentRequired) => {
            page(StatusCode::FORBIDDEN, Title::ApprovalNeeded, &[Sentence::AdminConsent])
        }
        RouteTokenError::Refused(TargetRefusal::InteractionRequired) => {
            page(StatusCode::FORBIDDEN, Title::SignInOnceMore, &[Sentence::RouteTokenInteraction])
        }
    }
}

fn forward(error: &ForwardError) -> ErrorResponse {
    match error {
        ForwardError::Connect(_) => {
            page(StatusCode::BAD_GATEWAY, Title::ApplicationDown, &[Sentence::UpstreamUnreachable])
        }
        ForwardError::Broken(_) => page(StatusCode::BAD_GATEWAY, Title::ApplicationDown, &[Sentence::UpstreamBroken]),
        ForwardError::Timeout => {
            page(StatusCode::GATEWAY_TIMEOUT, Title::ApplicationSlow, &[Sentence::UpstreamTimeout])
        }
        ForwardError::ClientStalled => {
            page(StatusCode::REQUEST_TIMEOUT, Title::UploadStopped, &[Sentence::UploadStopped])
        }
        ForwardError::Cut => page(StatusCode::UNAUTHORIZED, Title::SessionEnded, &[Sentence::SessionCut]),
        ForwardError::BadRequest(_) => {
            page(StatusCode::BAD_REQUEST, Title::NotPassedOn, &[Sentence::RequestIncomplete])
        }
    }
}

fn form(error: FormError) -> ErrorResponse {
    let title = Title::FormRefused;
    match error {
        FormError::TooLarge => page(StatusCode::PAYLOAD_TOO_LARGE, title, &[Sentence::FormTooLarge]),
        FormError::Timeout => page(StatusCode::REQUEST_TIMEOUT, title, &[Sentence::FormTimeout]),
        FormError::Incomplete => page(StatusCode::BAD_REQUEST, title, &[Sentence::FormIncomplete]),
        FormError::Busy => page(StatusCode::SERVICE_UNAVAILABLE, title, &[Sentence::FormBusy]),
        FormError::File | FormError::Unsupported => {
            page(StatusCode::UNSUPPORTED_MEDIA_TYPE, title, &[Sentence::FormUnsupported])
        }
    }
}

fn sign_in(error: &SignInError) -> ErrorResponse {
    match error {
        SignInError::Login(error) => match &**error {
            LoginError::Provider(error) => provider(error),
            LoginError::Response(error) => authorization_response(error),
            LoginError::TokenRequestRefused { .. } if error.reason().is_none() => REQUEST_REFUSED,
            _ => error.reason().map_or(UNUSABLE, refusal),
        },
        SignInError::Store(_) | SignInError::Interrupted => SESSIONS_UNREADABLE,
        SignInError::Over => {
            page(StatusCode::BAD_REQUEST, Title::SignInOver, &[Sentence::SignInOver, Sentence::StartAgain])
        }
        SignInError::Used => {
            page(StatusCode::BAD_REQUEST, Title::SignInUsed, &[Sentence::SignInUsed, Sentence::StartAgain])
        }
        SignInError::LoggedOut => page(
            StatusCode::BAD_REQUEST,
            Title::SignedOutMeanwhile,
            &[Sentence::SignedOutMeanwhile, Sentence::StartAgain],
        ),
    }
}

/// A response of the Provider that breaks a rule.
const UNUSABLE: ErrorResponse = page(
    StatusCode::BAD_REQUEST,
    Title::NotSignedIn,
    &[Sentence::SignInUnusable, Sentence::StartAgain, Sentence::ReportIfAgain],
);

fn authorization_response(error: &AuthorizationResponseError) -> ErrorResponse {
    match error {
        AuthorizationResponseError::Expired => {
            page(StatusCode::BAD_REQUEST, Title::SignInTooSlow, &[Sentence::SignInTooSlow, Sentence::StartAgain])
        }
        AuthorizationResponseError::Refused { error } => refusal(error.authorization_reason()),
        _ => UNUSABLE,
    }
}

fn provider(error: &ProviderError) -> ErrorResponse {
    if !error.needs_operator() {
        return PROVIDER_DOWN;
    }
    if matches!(error, ProviderError::Refused(_) | ProviderError::PushedResponse) {
        return REQUEST_REFUSED; // RFC 9126 2.3
    }
    page(StatusCode::BAD_GATEWAY, Title::SignInNotSetUp, &[Sentence::ProviderMismatch])
}

/// Row of a refusal by the Provider, by its reason.
fn refusal(reason: RefusalReason) -> ErrorResponse {
    match reason {
        RefusalReason::Cancelled => page(StatusCode::FORBIDDEN, Title::NotSignedIn, &[Sentence::Cancelled]),
        RefusalReason::NotAllowed => page(StatusCode::FORBIDDEN, Title::NotSignedIn, &[Sentence::NotAllowed]),
        RefusalReason::Interaction => page(StatusCode::FORBIDDEN, Title::OneMoreStep, &[Sentence::Interaction]),
        RefusalReason::AdminConsent => page(StatusCode::FORBIDDEN, Title::ApprovalNeeded, &[Sentence::AdminConsent]),
        RefusalReason::Request => REQUEST_REFUSED,
        RefusalReason::Client => page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::ClientRefused]),
        RefusalReason::SecretExpired => {
            page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::SecretExpired])
        }
        RefusalReason::SecretWrong => page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::SecretWrong]),
        RefusalReason::FederatedCredential => {
            page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::FederatedCredential])
        }
        RefusalReason::RedirectUri => page(StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::RedirectUri]),
        RefusalReason::Temporary => PROVIDER_DOWN,
    }
}
