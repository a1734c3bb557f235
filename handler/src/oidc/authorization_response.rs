//! Authorization response: code or error that the browser brings back (RFC 6749 4.1.2, RFC 9207).

use url::form_urlencoded;

use super::{OAuthError, PendingLogin, ProviderMetadata};
use crate::clock::Timestamp;

/// A response as received; untrusted before [`Self::check`].
pub struct AuthorizationResponse {
    state: String,
    iss: Option<String>,
    outcome: Outcome,
}

enum Outcome {
    Code(String),
    Error(OAuthError),
}

/// Reason why a response is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationResponseError {
    /// A repeated parameter (RFC 6749 3.1).
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// No `state`.
    #[error("the response has no state")]
    StateMissing,
    /// A `state` of another sign-in.
    #[error("the response belongs to another sign-in")]
    State,
    /// The sign-in took longer than [`PendingLogin::LIFETIME`](super::PendingLogin::LIFETIME).
    #[error("the sign-in took longer than ten minutes")]
    Expired,
    /// Another issuer, or none though the metadata promises it (RFC 9207 2.4).
    #[error("the response does not come from the configured issuer")]
    Issuer,
    /// Neither a code nor an error.
    #[error("the response has neither a code nor an error")]
    Empty,
    /// An error response of the Provider (RFC 6749 4.1.2.1).
    #[error("the provider refused the sign-in ({error})")]
    Refused {
        /// The Provider's error response, sanitised.
        error: OAuthError,
    },
}

impl AuthorizationResponseError {
    /// Stable code for pages and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repeated(_) => "parameter_repeated",
            Self::StateMissing => "state_missing",
            Self::State => "state_mismatch",
            Self::Expired => "login_expired",
            Self::Issuer => "issuer_mismatch",
            Self::Empty => "code_missing",
            Self::Refused { error } => error.authorization_reason().code(),
        }
    }
}

impl AuthorizationResponse {
    /// Parses a query or a form, both `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// For a repeated parameter, no `state`, or neither `code` nor `error`.
    pub fn parse(urlencoded: &str) -> Result<Self, AuthorizationResponseError> {
        let once = |name: &'static str| {
            let mut values = parameter(urlencoded, name);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(AuthorizationResponseError::Repeated(name)),
                (first, None) => Ok(first.filter(|value| !value.is_empty())),
            }
        };
        let outcome = match (once("error")?, once("code")?) {
            (Some(error), _) => {
                let first = |name: &str| parameter(urlencoded, name).next();
                Outcome::Error(OAuthError::from_parameters(&error, first))
            }
            (None, Some(code)) => Outcome::Code(code),
            (None, None) => return Err(AuthorizationResponseError::Empty),
        };
        let state = once("state")?.ok_or(AuthorizationResponseError::StateMissing)?;
        Ok(Self { state, iss: once("iss")?, outcome })
    }

    /// The `state`, by which the pending login is found.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The code, unchecked; `None` for an error response.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Code(code) => Some(code),
            Outcome::Error(_) => None,
        }
    }

    /// The code to exchange, if the response belongs to `pending` and comes from our Provider.
    ///
    /// # Errors
    /// If it belongs to another sign-in, is too late, names another issuer, or is an error response.
    pub fn check(
        self,
        pending: &PendingLogin,
        provider: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<String, AuthorizationResponseError> {
        if !pending.has_state(&self.state) {
            return Err(AuthorizationResponseError::State);
        }
        if pending.is_expired(now) {
            return Err(AuthorizationResponseError::Expired);
        }
        // RFC 9207 2.4: refuse a response whose iss is not ours, or is missing though the metadata promises it.
        let is_ours = match &self.iss {
            Some(iss) => *iss == provider.issuer,
            None => !provider.authorization_response_iss_parameter_supported,
        };
        if !is_ours {
            return Err(AuthorizationResponseError::Issuer);
        }
        match self.outcome {
            Outcome::Code(code) => Ok(code),
            Outcome::Error(error) => Err(AuthorizationResponseError::Refused { error }),
        }
    }
}

/// All values of a parameter.
fn parameter(urlencoded: &str, name: &str) -> impl Iterator<Item = String> {
    let named = form_urlencoded::parse(urlencoded.as_bytes()).filter(move |(given, _)| given == name);
    named.map(|(_, value)| value.into_owned())
}

impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorizationResponse(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::AuthorizationResponseError::{Empty, Expired, Issuer, Refused, Repeated, State, StateMissing};
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn provider(promises_iss: bool) -> ProviderMetadata {
        let metadata = serde_json::json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
            "authorization_response_iss_parameter_supported": promises_iss,
        });
        ProviderMetadata::parse(metadata.to_string().as_bytes(), "https://op.example").unwrap()
    }

    fn check(rest: &str, promises_iss: bool, now: Timestamp) -> Result<String, AuthorizationResponseError> {
        let pending = PendingLogin::begin("/", None, NOW);
        let response = AuthorizationResponse::parse(&format!("state={}&{rest}", pending.state()))?;
        response.check(&pending, &provider(promises_iss), now)
    }

    #[test]
    fn a_code_from_our_provider_is_taken() {
        assert_eq!(check("code=a%20b", false, NOW), Ok("a b".to_owned()));
        assert_eq!(check("code=c&iss=https%3A%2F%2Fop.example&session_state=x", true, NOW), Ok("c".to_owned()));
    }

    #[test]
    fn a_response_that_breaks_a_rule_is_refused() {
        let refused = |error: &str| Refused { error: OAuthError::from_parameters(error, |_| None) };
        let table = [
            ("code=a&code=b", false, Repeated("code")),
            ("code=a&state=b", false, Repeated("state")),
            ("code=a&iss=b&iss=b", false, Repeated("iss")),
            ("code=", false, Empty),
            ("", false, Empty),
            ("code=a", true, Issuer),
            ("code=a&iss=https://evil.example", false, Issuer),
            ("code=a&iss=https://op.example/", false, Issuer),
            ("error=access_denied&iss=https://evil.example", false, Issuer),
            ("error=access_denied", false, refused("access_denied")),
            ("error=access_denied&code=a", false, refused("access_denied")),
            ("error=access_denied&error_description=a&error_description=b", false, refused("access_denied")),
            ("error=a&error=b", false, Repeated("error")),
            ("error=access_denied", true, Issuer),
            ("error=%3Cscript%3E", false, refused("unrecognized_error")),
            ("error=a%0Alevel%3Derror", false, refused("unrecognized_error")),
        ];
        for (rest, promises_iss, expected) in table {
            assert_eq!(check(rest, promises_iss, NOW), Err(expected), "{rest}");
        }
    }

    #[test]
    fn a_response_without_or_with_another_browsers_state_is_refused() {
        let pending = PendingLogin::begin("/", None, NOW);

        assert_eq!(AuthorizationResponse::parse("code=a").unwrap_err(), StateMissing);
        let other = AuthorizationResponse::parse("code=a&state=other").unwrap();
        assert_eq!(other.check(&pending, &provider(false), NOW), Err(State));
    }

    #[test]
    fn a_refusal_has_its_reason_by_number_then_by_code() {
        let table = [
            ("error=access_denied", "login_cancelled"),
            ("error=access_denied&error_subcode=cancel", "login_cancelled"),
            ("error=access_denied&error_description=AADSTS65004%3A+User+declined", "login_cancelled"),
            ("error=access_denied&error_description=AADSTS90094%3A+a", "admin_consent_required"),
            ("error=access_denied&error_description=AADSTS53003%3A+a", "provider_refused"),
            ("error=invalid_client&error_description=AADSTS650056%3A+a", "client_refused"),
            ("error=invalid_request&error_description=AADSTS50011%3A+a", "redirect_uri_refused"),
            ("error=invalid_request", "authorization_request_refused"),
            ("error=invalid_scope", "authorization_request_refused"),
            ("error=invalid_target", "authorization_request_refused"),
            ("error=unsupported_response_type", "authorization_request_refused"),
            ("error=unauthorized_client", "client_refused"),
            ("error=login_required", "interaction_required"),
            ("error=interaction_required&error_description=AADSTS50076%3A+a", "interaction_required"),
            ("error=temporarily_unavailable", "provider_unavailable"),
            ("error=server_error", "provider_unavailable"),
            ("error=made_up", "provider_refused"),
            ("error=made_up&error_description=AADSTS1%3A+a", "provider_refused"),
        ];
        for (rest, code) in table {
            assert_eq!(check(rest, false, NOW).unwrap_err().code(), code, "{rest}");
        }
    }

    #[test]
    fn a_response_after_ten_minutes_is_refused() {
        assert_eq!(check("code=a", false, NOW.plus(Duration::from_secs(600))), Err(Expired));
    }
}
