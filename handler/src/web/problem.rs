//! Error as a problem document (RFC 9457), for clients other than a person's browser.
//!
//! Scripts show `detail` on pages of their own: it names no page, button or tab of ours, and nothing "below".

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::error::{BackchannelLogoutError, Telling, is_gateway_unknown};
use super::{BearerError, Error, RequestId};
use crate::oidc::LogoutTokenError;
use crate::proxy::ForwardError;

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
    let Telling { status, title, .. } = error.telling();
    let detail = detail(error);
    let document = Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
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

/// Member `detail` (RFC 9457 3.1.4): helps the client to correct the problem.
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
        Error::StepUpUnmet => "The sign-in that was made for this route does not meet its demand.",
        Error::Bearer(BearerError::Missing) => {
            "The route takes requests of programs, with an access token in Authorization (RFC 6750 2.1)."
        }
        Error::Bearer(_) => error.telling().detail,
        Error::SignInLoop(_) => "Sign-ins followed each other without an end. Open the page in a browser to see why.",
        Error::CrossSite(_) => {
            "The request was not passed on: other sites may link to this route, and fetch or embed nothing of it."
        }
        Error::HeadersTooLarge => {
            "The request was not passed on: its headers are larger than MAX_HEADER_BYTES together."
        }
        Error::WebSocketUnsupported => {
            "The handshake was not passed on: a hop in front of this service passes no WebSocket, as the Functions host."
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
        Error::BackchannelLogout(_) | Error::Form(_) | Error::KeptFormInvalid | Error::FormOfAnotherPerson => {
            error.telling().detail
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::crypto::KeysUnavailable;
    use crate::oidc::{AuthorizationResponseError, DiscoveryError, GatewayTokenError, ProviderError};
    use crate::proxy::TargetError;
    use crate::return_url::ReturnUrl;
    use crate::sessions::{NoFreshToken, SignInError, StoreError};
    use crate::web::{CrossSiteRejection, CsrfRejection, FormError, GatewayProofError, NotKept, Unsent};

    fn every_error() -> Vec<Error> {
        let begin = |error| Error::Provider { error, return_url: ReturnUrl::root() };
        let sign_in = |error| Error::SignIn { error, return_url: ReturnUrl::root() };
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
        let unavailable = || GatewayProofError::Token(GatewayTokenError::Unavailable(ProviderError::NoResponse));
        let unsent = Unsent { error: Error::SessionRequired, kept: Err(NotKept::Other) };
        let others = [
            Error::SessionRequired,
            Error::Gateway(GatewayProofError::Missing),
            Error::Gateway(unavailable()),
            Error::Csrf(CsrfRejection),
            Error::Target(TargetError::Fragment),
            Error::Request("no"),
            Error::CrossSite(CrossSiteRejection),
            Error::HeadersTooLarge,
            Error::WebSocketUnsupported,
            Error::ReturnUrlTooLong,
            Error::FrontchannelBusy,
            Error::RouteNotFound,
            Error::MethodNotAllowed { allowed: &[] },
            begin(ProviderError::NoResponse),
            begin(DiscoveryError::Issuer { found: "i".to_owned() }.into()),
            Error::OtherIssuer,
            sign_in(SignInError::Used),
            sign_in(SignInError::Interrupted),
            Error::AuthorizationResponse(AuthorizationResponseError::Expired),
            Error::LoginUnknown,
            Error::BackchannelLogout(BackchannelLogoutError::Missing),
            Error::BackchannelLogout(BackchannelLogoutError::Token(LogoutTokenError::Unavailable(
                ProviderError::NoResponse,
            ))),
            Error::Store(StoreError::Missing),
            Error::Keys(KeysUnavailable(Arc::new(io::Error::other("down")))),
            Error::NoFreshToken(NoFreshToken { retry_after: Duration::ZERO }),
            Error::RefreshRefused,
            Error::RefreshTokenMissing,
            Error::ConfigurationIncomplete,
            Error::KeptFormInvalid,
            Error::FormOfAnotherPerson,
            Error::Unsent(Box::new(unsent)),
        ];
        others.into_iter().chain(forward.map(Error::Forward)).chain(forms.map(Error::Form)).collect()
    }

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
    fn a_script_is_told_if_its_request_was_passed_on() {
        let told = ["not passed on", "may have arrived", "may still be working", "no session has ended"];
        let open = every_error().into_iter().filter(|error| {
            let is_before = matches!(error, Error::Store(_) | Error::Keys(_) | Error::NoFreshToken(_) | Error::Csrf(_));
            let is_forward = matches!(error, Error::Forward(error) if !matches!(error, ForwardError::BadRequest(_)));
            is_before || is_forward || matches!(error, Error::SessionRequired | Error::Gateway(_) | Error::Target(_))
        });
        for error in open {
            assert!(told.iter().any(|told| detail(&error).contains(told)), "{}", error.code());
        }
    }
}
