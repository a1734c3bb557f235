//! Reasons for which a request that identifies somebody may not pass, and the challenges that go with them.
//!
//! Knows no claim and no token.

use crate::oidc::{AccessTokenError, ProviderError};
use crate::proxy::SignInDemand;

/// A request that the rules of its route refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule of the route {route:?} is not met")]
pub struct AccessDenied {
    /// The path of the route whose rule decides.
    pub route: String,
    /// The operator's words (`explain` of that route).
    pub explain: Option<String>,
    /// True for an API client: no sign-in as somebody else helps it.
    pub is_bearer: bool,
}

/// A request whose access token does not open its route (RFC 6750 3).
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// There is none.
    #[error("there is no access token")]
    Missing,
    /// Another person's cookie could ride along, or the other way round.
    #[error("the request has an access token and a session cookie")]
    WithCookie,
    /// Several `Authorization` headers.
    #[error("the request has several Authorization headers")]
    Repeated,
    /// It breaks a rule of RFC 9068.
    #[error("the access token is not accepted")]
    Invalid(#[source] AccessTokenError),
    /// The keys that verify it cannot be had.
    #[error("the keys of the token's issuer cannot be had")]
    IssuerUnavailable(#[source] ProviderError),
    /// It is of a weaker or an older sign-in than the route asks for (RFC 9470 3).
    #[error("the sign-in behind the access token is too weak or too old")]
    StepUp(SignInDemand),
}

/// Sign-ins that follow each other without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInLoop {
    /// The browser brings no session cookie back.
    #[error("the browser does not return the session cookie")]
    CookieNotReturned,
    /// The session lives, and the application asks for a sign-in again.
    #[error("the application asks for a sign-in though there is a session")]
    ApplicationAsksAgain,
    /// The session has ended as soon as it began, by the clocks of this machine or the provider.
    #[error("sessions end as soon as they begin: a clock is off")]
    ClockSkew,
    /// The cookie is there, and its key or its record is not: instances that share no keys or no store.
    #[error("the session that was just begun is not found: instances share no keys or no store")]
    SessionLost,
}

impl BearerError {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "bearer_required",
            Self::WithCookie => "bearer_and_cookie",
            Self::Repeated => "bad_request",
            Self::Invalid(_) => "bearer_invalid",
            Self::IssuerUnavailable(_) => "issuer_unavailable",
            Self::StepUp(_) => "step_up_required",
        }
    }

    /// The challenge of a 401 (RFC 6750 3, RFC 9470 3). A request without a token gets no error code.
    pub(super) fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some("Bearer".to_owned()),
            Self::Invalid(error) => {
                Some(format!("Bearer error=\"invalid_token\", error_description=\"{}\"", quotable(&error.to_string())))
            }
            Self::StepUp(demand) => Some(step_up_challenge(demand)),
            Self::WithCookie | Self::Repeated | Self::IssuerUnavailable(_) => None,
        }
    }
}

impl SignInLoop {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::CookieNotReturned => "cookie_not_returned",
            Self::ApplicationAsksAgain => "application_asks_again",
            Self::ClockSkew => "clock_skew",
            Self::SessionLost => "session_lost",
        }
    }
}

fn step_up_challenge(demand: &SignInDemand) -> String {
    let mut challenge = "Bearer error=\"insufficient_user_authentication\"".to_owned();
    if !demand.acr_values.is_empty() {
        challenge.push_str(&format!(", acr_values=\"{}\"", quotable(&demand.acr_values.join(" "))));
    }
    if let Some(max_age) = demand.max_age {
        challenge.push_str(&format!(", max_age=\"{max_age}\""));
    }
    challenge
}

/// RFC 6750 3: a value holds neither quotation marks nor backslashes, and visible ASCII alone.
fn quotable(text: &str) -> String {
    let is_plain = |character: &char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
    text.chars().filter(is_plain).collect()
}
