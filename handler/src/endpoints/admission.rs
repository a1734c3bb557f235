//! The rules of a route: the last check before the application sees a request, by session or by access token.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;

use super::request::Request;
use crate::clock::Timestamp;
use crate::oidc::{AccessTokenError, Claims, VerifiedAccessToken};
use crate::proxy::{Facts, Route, SignInDemand, TargetError, Verdict};
use crate::sessions::SessionTicket;
use crate::state::AppState;
use crate::web::{AccessDenied, BearerError, Error};

/// A request as its rules see it; the gateway may ask about one that it has not sent yet.
#[derive(Clone, Copy)]
pub(super) struct Ruled<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
}

enum Outcome<'a> {
    Met,
    Denied(&'a Route, Option<&'a str>),
    NeedsSignIn(SignInDemand),
}

/// An API client that meets every rule.
pub(super) struct AdmittedClient {
    pub(super) verified: Arc<VerifiedAccessToken>,
    /// The token as it came.
    pub(super) token: String,
}

/// Lets a signed-in person pass who meets every rule.
///
/// # Errors
/// [`Error::AccessDenied`], which is an audit event; [`Error::StepUpRequired`], and [`Error::StepUpUnmet`] after one
/// sign-in that was to meet the same demand.
pub(super) fn admit_person(
    ruled: Ruled<'_>,
    claims: &Claims,
    ticket: &SessionTicket,
    request: &Request<'_>,
    state: &AppState,
) -> Result<(), Error> {
    match judge(ruled, claims, request.now, state)? {
        Outcome::Met => Ok(()),
        Outcome::Denied(rule, explain) => {
            tracing::warn!(target: "audit", event = "access_denied", rule = rule.path(),
                session.key = ticket.id.key().as_str(),
                person.key = state.sessions.subject(claims.subject()).as_str(),
                request.id = request.id.as_str(), "access denied: the rule of the route is not met");
            Err(denied(rule, explain, false))
        }
        Outcome::NeedsSignIn(demand) if has_tried(&demand, ticket, request, state) => Err(Error::StepUpUnmet),
        Outcome::NeedsSignIn(demand) => Err(Error::StepUpRequired(Box::new(demand))),
    }
}

/// The error of a request whose application asks for this sign-in: after one that was to meet it, there is no other.
pub(super) fn step_up(demand: SignInDemand, ticket: &SessionTicket, request: &Request<'_>, state: &AppState) -> Error {
    if has_tried(&demand, ticket, request, state) {
        return Error::StepUpChallengeUnmet;
    }
    Error::StepUpChallenged(Box::new(demand))
}

/// True if the session began by a sign-in that was to meet this demand.
fn has_tried(demand: &SignInDemand, ticket: &SessionTicket, request: &Request<'_>, state: &AppState) -> bool {
    state.sign_in_rounds.read(request.http).has_tried(demand, ticket.issued_at, request.now)
}

/// Verifies the access token of an API client, and lets it pass if it meets every rule.
///
/// # Errors
/// [`Error::Bearer`] for no token, one that is not accepted, or one beside a session cookie; [`Error::AccessDenied`].
pub(super) async fn admit_client(
    ruled: Ruled<'_>,
    request: &Request<'_>,
    state: &AppState,
) -> Result<AdmittedClient, Error> {
    let token = bearer_token(request.http)?.ok_or(BearerError::Missing)?;
    if state.session_cookie.is_sent(request.http) {
        return Err(BearerError::WithCookie.into());
    }
    let verified = state.access_tokens.verify(token, request.now).await.map_err(|error| match error {
        AccessTokenError::Unavailable(error) => BearerError::IssuerUnavailable(error),
        error => BearerError::Invalid(error),
    })?;
    match judge(ruled, &verified.claims, request.now, state)? {
        Outcome::Met => Ok(AdmittedClient { verified, token: token.to_owned() }),
        Outcome::Denied(rule, explain) => {
            tracing::warn!(target: "audit", event = "access_denied", rule = rule.path(),
                issuer = verified.issuer.as_str(),
                request.id = request.id.as_str(), "access denied: the access token does not meet the rule of the route");
            Err(denied(rule, explain, true))
        }
        Outcome::NeedsSignIn(demand) => Err(BearerError::StepUp(demand).into()),
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 2.1); `None` for another scheme.
///
/// # Errors
/// When there is more than one `Authorization`: two readers could pick different ones.
pub(super) fn bearer_token(req: &HttpRequest) -> Result<Option<&str>, BearerError> {
    let mut values = req.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        return if req.headers().contains_key(header::AUTHORIZATION) { Err(BearerError::Repeated) } else { Ok(None) };
    };
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.trim().split_once([' ', '\t'])) else {
        return Ok(None);
    };
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty()))
}

fn judge<'a>(
    ruled: Ruled<'a>,
    claims: &Claims,
    now: Timestamp,
    state: &'a AppState,
) -> Result<Outcome<'a>, TargetError> {
    let facts = Facts { method: ruled.method, claims: claims.as_map(), now };
    let mut demand: Option<SignInDemand> = None;
    for (route, requirement) in state.routes.requirements(ruled.path)? {
        match requirement.judge(facts) {
            Verdict::Met => {}
            Verdict::Unmet => return Ok(Outcome::Denied(route, requirement.explain())),
            Verdict::NeedsSignIn(further) => demand = Some(demand.unwrap_or_default().and(*further)),
        }
    }
    Ok(demand.map_or(Outcome::Met, Outcome::NeedsSignIn))
}

fn denied(rule: &Route, explain: Option<&str>, is_bearer: bool) -> Error {
    let (route, explain) = (rule.path().to_owned(), explain.map(str::to_owned));
    Error::AccessDenied(Box::new(AccessDenied { route, explain, is_bearer }))
}
