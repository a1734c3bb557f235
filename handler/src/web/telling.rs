//! Response to each error: status, title, and the sentences of its page. The only place that knows their statuses.

use actix_web::http::StatusCode;

use super::error::is_gateway_unknown;
use super::{BackchannelLogoutError, BearerError, Error, FormError, Language, Sentence, SignInLoop, Title};
use crate::oidc::{AuthorizationResponseError, LoginError, LogoutTokenError, ProviderError, RefusalReason};
use crate::proxy::ForwardError;
use crate::sessions::SignInError;

/// Response to an error.
pub(super) struct Telling {
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

type Row = (StatusCode, Title, &'static [Sentence]);

impl Error {
    /// Status, title and cause.
    pub(super) fn telling(&self) -> Telling {
        let (status, title, sentences) = row(self);
        Telling { status, title, sentences }
    }

    /// The sentences after the cause: if the input was passed on, and what to do.
    pub(super) fn advice(&self, input: Input) -> &'static [Sentence] {
        match input {
            Input::ForUpstream if self.may_have_arrived() => &[Sentence::MayHaveArrived],
            Input::ForUpstream if self.is_of_application() => &[Sentence::NotAccepted],
            _ if self.needs_operator() => &[Sentence::RetryUseless, Sentence::PleaseTell],
            Input::ForUpstream if self.is_temporary() => &[Sentence::NothingPassedOn, Sentence::ReloadToSend],
            Input::ForUpstream => &[Sentence::NothingPassedOn],
            Input::None if self.is_temporary() => &[Sentence::RetrySoon],
            Input::None => &[],
        }
    }

    /// Cause and advice as a text.
    pub(super) fn text(&self, input: Input, language: Language) -> String {
        language.text(&[self.telling().sentences, self.advice(input)].concat())
    }
}

/// Row of an error. One table, so that a reader finds each error in one place.
fn row(error: &Error) -> Row {
    match error {
        Error::SessionRequired => (StatusCode::UNAUTHORIZED, Title::SessionEnded, &[Sentence::SessionRequired]),
        Error::Gateway(error) if is_gateway_unknown(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, Title::ServiceNotReady, &[Sentence::GatewayUnknown])
        }
        Error::Gateway(_) => (StatusCode::FORBIDDEN, Title::NotTheWayIn, &[Sentence::NotTheWayIn]),
        Error::Csrf(_) => (StatusCode::FORBIDDEN, Title::RequestRefused, &[Sentence::Csrf]),
        Error::CrossSite(_) => (StatusCode::FORBIDDEN, Title::RequestRefused, &[Sentence::CrossSite]),
        Error::AccessDenied(_) => (StatusCode::FORBIDDEN, Title::MayNotOpen, &[Sentence::AccessDenied]),
        Error::StepUpRequired(_) | Error::StepUpChallenged(_) => {
            (StatusCode::UNAUTHORIZED, Title::SignInOnceMore, &[Sentence::StepUpRequired])
        }
        Error::StepUpUnmet | Error::StepUpChallengeUnmet => {
            (StatusCode::FORBIDDEN, Title::SignInTooWeak, &[Sentence::StepUpUnmet])
        }
        Error::Bearer(error) => (bearer(error), Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::SignInLoop(error) => sign_in_loop(*error),
        Error::Target(_) | Error::Request(_) => {
            (StatusCode::BAD_REQUEST, Title::AddressUnusable, &[Sentence::AddressUnusable])
        }
        Error::HeadersTooLarge => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Title::NotPassedOn, &[Sentence::HeadersTooLarge])
        }
        Error::RouteNotFound => (StatusCode::NOT_FOUND, Title::NothingHere, &[Sentence::RouteNotFound]),
        Error::MethodNotAllowed { .. } => {
            (StatusCode::METHOD_NOT_ALLOWED, Title::NotPossibleHere, &[Sentence::MethodNotAllowed])
        }
        Error::WebSocketUnsupported => (
            StatusCode::NOT_IMPLEMENTED,
            Title::NoLiveUpdates,
            &[Sentence::WebSocketUnsupported, Sentence::RetryUseless, Sentence::PleaseTell],
        ),
        Error::Forward(error) => forward(error),
        Error::Provider { error, .. } => provider(error),
        Error::OtherIssuer => (StatusCode::BAD_REQUEST, Title::LinkForAnother, &[Sentence::OtherIssuer]),
        Error::ReturnUrlTooLong => (StatusCode::URI_TOO_LONG, Title::AddressTooLong, &[Sentence::ReturnUrlTooLong]),
        Error::SignIn { error, .. } => sign_in(error),
        Error::AuthorizationResponse(error) => authorization_response(error),
        Error::LoginUnknown => (
            StatusCode::BAD_REQUEST,
            Title::SignInUnfinished,
            &[Sentence::LoginUnknown, Sentence::CookiesMayBeBlocked, Sentence::StartAgain],
        ),
        Error::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => PROVIDER_DOWN,
        // These are of URLs for scripts alone, so nobody sees a page of them.
        Error::BackchannelLogout(_) => (StatusCode::BAD_REQUEST, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::RefreshTokenMissing => (StatusCode::CONFLICT, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::RefreshRefused => (StatusCode::UNAUTHORIZED, Title::ForPrograms, &[Sentence::ForPrograms]),
        Error::FrontchannelBusy => {
            (StatusCode::SERVICE_UNAVAILABLE, Title::LogoutNotDone, &[Sentence::FrontchannelBusy])
        }
        Error::Store(_) | Error::Keys(_) => SESSIONS_UNREADABLE,
        Error::NoFreshToken(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, Title::ProviderDown, &[Sentence::RefreshUnavailable])
        }
        Error::ConfigurationIncomplete => {
            (StatusCode::SERVICE_UNAVAILABLE, Title::NotSetUpYet, &[Sentence::ConfigurationIncomplete])
        }
        Error::Form(error) => form(*error),
        Error::KeptFormInvalid => (StatusCode::BAD_REQUEST, Title::FormTooOld, &[Sentence::KeptFormInvalid]),
        Error::FormOfAnotherPerson => (StatusCode::FORBIDDEN, Title::FormOfAnother, &[Sentence::FormOfAnother]),
        Error::Unsent(unsent) => row(&unsent.error),
    }
}

const SESSIONS_UNREADABLE: Row =
    (StatusCode::SERVICE_UNAVAILABLE, Title::SessionsUnreadable, &[Sentence::SessionsUnreadable]);

const PROVIDER_DOWN: Row = (StatusCode::SERVICE_UNAVAILABLE, Title::ProviderDown, &[Sentence::ProviderDown]);

const REQUEST_REFUSED: Row = (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::RequestRefused]);

fn bearer(error: &BearerError) -> StatusCode {
    match error {
        BearerError::Missing | BearerError::Invalid(_) | BearerError::StepUp(_) => StatusCode::UNAUTHORIZED,
        BearerError::WithCookie | BearerError::Repeated => StatusCode::BAD_REQUEST,
        BearerError::IssuerUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn sign_in_loop(error: SignInLoop) -> Row {
    let title = Title::SignInLoop;
    match error {
        SignInLoop::CookieNotReturned => (
            StatusCode::BAD_REQUEST,
            title,
            &[Sentence::CookieNotReturned, Sentence::CookiesMayBeBlocked, Sentence::AllowCookies],
        ),
        SignInLoop::ApplicationAsksAgain => {
            (StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::ApplicationAsksAgain, Sentence::PleaseTell])
        }
        SignInLoop::ClockSkew => {
            (StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::ClockSkew, Sentence::PleaseTell])
        }
        SignInLoop::SessionLost => {
            (StatusCode::INTERNAL_SERVER_ERROR, title, &[Sentence::SessionLost, Sentence::PleaseTell])
        }
    }
}

fn forward(error: &ForwardError) -> Row {
    match error {
        ForwardError::Connect(_) => (StatusCode::BAD_GATEWAY, Title::ApplicationDown, &[Sentence::UpstreamUnreachable]),
        ForwardError::Broken(_) => (StatusCode::BAD_GATEWAY, Title::ApplicationDown, &[Sentence::UpstreamBroken]),
        ForwardError::Timeout => (StatusCode::GATEWAY_TIMEOUT, Title::ApplicationSlow, &[Sentence::UpstreamTimeout]),
        ForwardError::ClientStalled => (StatusCode::REQUEST_TIMEOUT, Title::UploadStopped, &[Sentence::UploadStopped]),
        ForwardError::Cut => (StatusCode::UNAUTHORIZED, Title::SessionEnded, &[Sentence::SessionCut]),
        ForwardError::BadRequest(_) => (StatusCode::BAD_REQUEST, Title::NotPassedOn, &[Sentence::RequestIncomplete]),
    }
}

fn form(error: FormError) -> Row {
    let (status, sentences): (_, &[Sentence]) = match error {
        FormError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, &[Sentence::FormTooLarge]),
        FormError::Timeout => (StatusCode::REQUEST_TIMEOUT, &[Sentence::FormTimeout]),
        FormError::Incomplete => (StatusCode::BAD_REQUEST, &[Sentence::FormIncomplete]),
        FormError::Busy => (StatusCode::SERVICE_UNAVAILABLE, &[Sentence::FormBusy]),
        FormError::File | FormError::Unsupported => (StatusCode::UNSUPPORTED_MEDIA_TYPE, &[Sentence::FormUnsupported]),
    };
    (status, Title::FormRefused, sentences)
}

fn sign_in(error: &SignInError) -> Row {
    match error {
        SignInError::Login(error) => match &**error {
            LoginError::Provider(error) => provider(error),
            LoginError::Response(error) => authorization_response(error),
            LoginError::TokenRequestRefused { .. } if error.reason().is_none() => REQUEST_REFUSED,
            _ => error.reason().map_or(UNUSABLE, refusal),
        },
        SignInError::Store(_) | SignInError::Interrupted => SESSIONS_UNREADABLE,
        SignInError::Over => {
            (StatusCode::BAD_REQUEST, Title::SignInOver, &[Sentence::SignInOver, Sentence::StartAgain])
        }
        SignInError::Used => {
            (StatusCode::BAD_REQUEST, Title::SignInUsed, &[Sentence::SignInUsed, Sentence::StartAgain])
        }
        SignInError::LoggedOut => {
            (StatusCode::BAD_REQUEST, Title::SignedOutMeanwhile, &[Sentence::SignedOutMeanwhile, Sentence::StartAgain])
        }
    }
}

/// A response of the Provider that breaks a rule.
const UNUSABLE: Row = (
    StatusCode::BAD_REQUEST,
    Title::NotSignedIn,
    &[Sentence::SignInUnusable, Sentence::StartAgain, Sentence::PersistsTell],
);

fn authorization_response(error: &AuthorizationResponseError) -> Row {
    match error {
        AuthorizationResponseError::Expired => {
            (StatusCode::BAD_REQUEST, Title::SignInTooSlow, &[Sentence::SignInTooSlow, Sentence::StartAgain])
        }
        AuthorizationResponseError::Refused { error } => refusal(error.authorization_reason()),
        _ => UNUSABLE,
    }
}

fn provider(error: &ProviderError) -> Row {
    if !error.needs_operator() {
        return PROVIDER_DOWN;
    }
    if matches!(error, ProviderError::Refused(_) | ProviderError::PushedResponse) {
        return REQUEST_REFUSED; // RFC 9126 2.3
    }
    (StatusCode::BAD_GATEWAY, Title::SignInNotSetUp, &[Sentence::ProviderMismatch])
}

/// Row of a refusal by the Provider, by its reason.
fn refusal(reason: RefusalReason) -> Row {
    match reason {
        RefusalReason::Cancelled => (StatusCode::FORBIDDEN, Title::NotSignedIn, &[Sentence::Cancelled]),
        RefusalReason::NotAllowed => (StatusCode::FORBIDDEN, Title::NotSignedIn, &[Sentence::NotAllowed]),
        RefusalReason::Interaction => (StatusCode::FORBIDDEN, Title::OneMoreStep, &[Sentence::Interaction]),
        RefusalReason::AdminConsent => (StatusCode::FORBIDDEN, Title::ApprovalNeeded, &[Sentence::AdminConsent]),
        RefusalReason::Request => REQUEST_REFUSED,
        RefusalReason::Client => (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::ClientRefused]),
        RefusalReason::SecretExpired => (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::SecretExpired]),
        RefusalReason::SecretWrong => (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::SecretWrong]),
        RefusalReason::FederatedCredential => {
            (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::FederatedCredential])
        }
        RefusalReason::RedirectUri => (StatusCode::BAD_REQUEST, Title::SignInNotSetUp, &[Sentence::RedirectUri]),
        RefusalReason::Temporary => PROVIDER_DOWN,
    }
}
