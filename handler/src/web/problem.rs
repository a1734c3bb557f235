//! Error as a problem document (RFC 9457), for clients other than a person's browser.
//!
//! In English: the reader is a developer. Scripts show `detail` on pages of their own: it names no page, button or tab
//! of ours, and nothing "below".

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::error::{BackchannelLogoutError, is_gateway_unknown};
use super::{BearerError, Error, FormError, Language, RequestId};
use crate::oidc::{LogoutTokenError, TargetRefusal};
use crate::proxy::ForwardError;
use crate::sessions::RouteTokenError;

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
    /// The operator's words for a rule that is not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'a str>,
}

/// The document, with the sign-in URL if a session is missing.
pub(super) fn problem(error: &Error, login_url: Option<&str>, request_id: &RequestId) -> HttpResponse {
    let status = error.response().status;
    let document = Problem {
        r#type: "about:blank",
        title: title(error),
        status: status.as_u16(),
        detail: detail(error),
        code: error.code(),
        request_id: request_id.as_str(),
        login_url,
        explain: error.explain(),
    };
    let body = serde_json::to_vec(&document).expect("a problem document is plain data");
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}

/// Member `title`: that of the page, or one for URLs that have no page.
fn title(error: &Error) -> &'static str {
    match error {
        Error::BackchannelLogout(BackchannelLogoutError::Missing | BackchannelLogoutError::Replayed) => NO_LOGOUT,
        Error::BackchannelLogout(BackchannelLogoutError::Token(error))
            if !matches!(error, LogoutTokenError::Unavailable(_)) =>
        {
            NO_LOGOUT
        }
        Error::RefreshRefused | Error::RefreshTokenMissing => "Your access cannot be renewed",
        error => Language::English.title(error.response().title),
    }
}

const NO_LOGOUT: &str = "This logout token ends nothing";

/// Member `detail` (RFC 9457 3.1.4): helps the client to correct the problem. One `match`, long as it is: a new error does
/// not compile without its text, and the texts are read beside each other.
fn detail(error: &Error) -> &'static str {
    match error {
        Error::SessionRequired => {
            "There is no live session, so the request was not passed on. Sign in at login_url, then send it again."
        }
        Error::Forward(ForwardError::Cut) => {
            "The session ended while the application was working: the request may have arrived. Sign in at login_url, and \
             look before you send it again."
        }
        Error::Forward(ForwardError::Connect(_)) => {
            "The application could not be reached, so the request was not passed on. Send it again in a moment."
        }
        Error::Forward(ForwardError::Broken(_)) => {
            "The application gave no whole response: the request may have arrived. Look before you send it again."
        }
        Error::Forward(ForwardError::Timeout) => {
            "The application gave no response in time: it may still be working on the request. Look before you send it again."
        }
        Error::Forward(ForwardError::BadRequest(_)) => "The request arrived incomplete or malformed.",
        Error::Forward(ForwardError::ClientStalled) => {
            "The request body stopped arriving: a part of the request may have arrived. Look before you send it again."
        }
        Error::AccessDenied(_) => "The rules of this route do not let the request pass, so it was not passed on.",
        Error::StepUpRequired(_) => {
            "The route asks for a stronger or a more recent sign-in, so the request was not passed on. Sign in at login_url, \
             then send it again."
        }
        Error::StepUpChallenged(_) => {
            "The application refused the request: it asks for a stronger or a more recent sign-in. Sign in at login_url, then \
             send it again."
        }
        Error::StepUpUnmet | Error::StepUpChallengeUnmet => {
            "The sign-in that was made for this route does not meet its demand."
        }
        Error::Bearer(BearerError::Missing) => {
            "The route takes requests of programs, with an access token in Authorization (RFC 6750 2.1)."
        }
        Error::Bearer(BearerError::WithCookie) => {
            "The request has an access token and the cookie of a session. Send one of them."
        }
        Error::Bearer(BearerError::Repeated) => "The request has more than one Authorization header.",
        Error::Bearer(BearerError::Invalid(_)) => "The access token is not accepted.",
        Error::Bearer(BearerError::IssuerUnavailable(_)) => {
            "The access token cannot be verified right now. Try again in a moment."
        }
        Error::Bearer(BearerError::StepUp(_)) => {
            "The access token is of a weaker or an older sign-in than this route asks for."
        }
        Error::SignInLoop(_) => "Sign-ins followed each other without an end. The code names the reason.",
        Error::CrossSite(_) => {
            "The request was not passed on: other sites may link to this route, and fetch or embed nothing of it."
        }
        Error::HeadersTooLarge => {
            "The request was not passed on: its headers are larger than MAX_HEADER_BYTES together."
        }
        Error::WebSocketUnsupported => {
            "The handshake was not passed on: a hop in front of this service passes no WebSocket, as the Functions host."
        }
        Error::HeaderNotAscii => {
            "The request was not passed on: a header about the person has characters beyond ASCII, which the Functions host \
             cannot pass to the gateway."
        }
        Error::ReturnUrlTooLong => "A sign-in cannot keep a return URL of this length: at most 8192 bytes.",
        Error::FrontchannelBusy => {
            "No session has ended: too many requests name sessions that do not exist. Send it again after Retry-After."
        }
        Error::Csrf(_) => {
            "The request was not passed on: an unsafe method must come from this origin, as Sec-Fetch-Site or Origin names it."
        }
        Error::Gateway(error) if is_gateway_unknown(error) => {
            "The gateway's proof cannot be verified now, so the request was not passed on. Send it again in a moment."
        }
        Error::Gateway(_) => "The request did not come through the gateway, so it was not passed on.",
        Error::Target(_) => "Two readers could understand the request's target differently, so it was not passed on.",
        Error::Request(_) => "The request breaks a rule of HTTP or of this URL, so it was not passed on.",
        Error::RouteNotFound => "No application is published under this path.",
        Error::MethodNotAllowed { .. } => "The URL exists for the methods in Allow.",
        Error::Store(_) | Error::Keys(_) => {
            "Sessions cannot be read now, so the request was not passed on. It is no sign-out: send it again in a moment."
        }
        Error::NoFreshToken(_) => {
            "The access token has lapsed and cannot be refreshed now, so the request was not passed on. The session lives: \
             send it again after Retry-After."
        }
        Error::RouteToken(RouteTokenError::Store(_)) => {
            "Sessions cannot be read or written now, so the request was not passed on. Send it again in a moment."
        }
        Error::RouteToken(RouteTokenError::Unavailable { .. }) => {
            "The provider issues no access token for this route now, so the request was not passed on. The session and other \
             routes go on: send it again after Retry-After."
        }
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::Refused)) => {
            "The provider refuses an access token for this route, so the request was not passed on. The session and other \
             routes go on; an operator finds the provider's reason in the log."
        }
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::ConsentRequired)) => {
            "The provider issues an access token for this route after a consent only, so the request was not passed on. An \
             administrator of the provider grants it."
        }
        Error::RouteToken(RouteTokenError::Refused(TargetRefusal::InteractionRequired)) => {
            "The provider issues an access token for this route after a new sign-in only, so the request was not passed on. \
             Sign in once more at login_url."
        }
        Error::RefreshRefused => {
            "The provider refuses to refresh the access token. It works until it lapses; then sign in at login_url."
        }
        Error::RefreshTokenMissing => {
            "The provider gave no refresh token. The access token works until it lapses; then sign in again."
        }
        Error::ConfigurationIncomplete => "The settings of this service are incomplete. The log lists the mistakes.",
        Error::Unsent(unsent) => detail(&unsent.error),
        // A script rarely gets errors of a sign-in, which is a navigation: code and title are enough.
        Error::Provider { error, .. } if !error.needs_operator() => {
            "The provider does not respond, so no sign-in can begin. Try again in a moment."
        }
        Error::Provider { .. } => "A sign-in cannot begin before an operator mends settings or registration.",
        Error::OtherIssuer => "The sign-in is meant for another issuer.",
        Error::SignIn { .. } | Error::AuthorizationResponse(_) | Error::LoginUnknown => {
            "The sign-in did not finish. Navigate to signin to start another."
        }
        Error::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(_))) => {
            "The logout token cannot be verified now, so no session has ended. Send it again in a moment."
        }
        Error::BackchannelLogout(_) => {
            "The logout token is missing, was used before, or breaks a rule of OpenID Connect Back-Channel Logout 1.0."
        }
        Error::Form(FormError::TooLarge) => "The form is too large, so it was not passed on.",
        Error::Form(FormError::Timeout | FormError::Incomplete) => {
            "The form did not arrive whole, so it was not passed on. Send it again."
        }
        Error::Form(FormError::Busy) => {
            "Too many other forms arrive right now, so this one was not passed on. Send it again after Retry-After."
        }
        Error::Form(FormError::File | FormError::Unsupported) => {
            "A form with a file, or in an unusual encoding, is not accepted here, so it was not passed on."
        }
        Error::KeptFormInvalid => "The kept form cannot be opened: it is too old, or it was changed.",
        Error::FormOfAnotherPerson => {
            "The form was filled in under another account than the one that is signed in, so it was not passed on."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::every_error::every_error;

    #[test]
    fn no_detail_for_a_script_speaks_of_our_pages() {
        let of_pages = [
            "page",
            " tab",
            "below",
            "go back",
            "back button",
            "button",
            "you typed",
            "you sent",
            "reload",
            "open the",
        ];
        for error in every_error() {
            let text = detail(&error).to_ascii_lowercase();
            let found = of_pages.iter().find(|word| text.contains(*word));
            assert_eq!(found, None, "{}: {text}", error.code());
        }
    }

    #[test]
    fn a_detail_reports_if_the_request_was_passed_on() {
        let reports = ["not passed on", "may have arrived", "may still be working", "no session has ended"];
        let open = every_error().into_iter().filter(|error| {
            let is_before = matches!(error, Error::Store(_) | Error::Keys(_) | Error::NoFreshToken(_) | Error::Csrf(_));
            let is_forward = matches!(error, Error::Forward(error) if !matches!(error, ForwardError::BadRequest(_)));
            is_before || is_forward || matches!(error, Error::SessionRequired | Error::Gateway(_) | Error::Target(_))
        });
        for error in open {
            assert!(reports.iter().any(|report| detail(&error).contains(report)), "{}", error.code());
        }
    }
}
