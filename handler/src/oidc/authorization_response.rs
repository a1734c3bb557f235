//! The authorization response: what the browser brings back (RFC 6749 4.1.2, RFC 9207).

use url::form_urlencoded;

use super::error_code::error_code;
use super::{PendingLogin, ProviderMetadata};
use crate::clock::Timestamp;

/// A response as it was received; nothing in it is believed before [`Self::check`].
pub struct AuthorizationResponse {
    state: String,
    iss: Option<String>,
    outcome: Outcome,
}

enum Outcome {
    Code(String),
    Error(String),
}

/// The rule that a response breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationResponseError {
    /// RFC 6749 3.1: parameters must not be repeated.
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// There is no `state`.
    #[error("the response has no state")]
    StateMissing,
    /// The `state` is not that of this sign-in.
    #[error("the response belongs to another sign-in")]
    State,
    /// The person took too long.
    #[error("the sign-in took longer than ten minutes")]
    Expired,
    /// RFC 9207 2.4: the issuer is missing though promised, or another.
    #[error("the response does not come from the configured issuer")]
    Issuer,
    /// Neither a code nor an error.
    #[error("the response has neither a code nor an error")]
    Empty,
    /// The Provider refused, with its `error` (RFC 6749 4.1.2.1).
    #[error("the provider refused the sign-in")]
    Refused {
        /// The Provider's error code: at most 64 letters, digits and `_-.`, whatever the browser brought.
        error: String,
    },
}

impl AuthorizationResponseError {
    /// A stable name for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Repeated(_) => "parameter_repeated",
            Self::StateMissing => "state_missing",
            Self::State => "state_mismatch",
            Self::Expired => "login_expired",
            Self::Issuer => "issuer_mismatch",
            Self::Empty => "code_missing",
            Self::Refused { .. } => "provider_refused",
        }
    }
}

impl AuthorizationResponse {
    /// Reads a query or a form, both `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// For a repeated parameter, no `state`, or neither `code` nor `error`.
    pub fn parse(urlencoded: &str) -> Result<Self, AuthorizationResponseError> {
        let once = |name: &'static str| {
            let mut values = form_urlencoded::parse(urlencoded.as_bytes()).filter(|(given, _)| given == name);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(AuthorizationResponseError::Repeated(name)),
                (first, None) => Ok(first.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())),
            }
        };
        let outcome = match (once("error")?, once("code")?) {
            (Some(error), _) => Outcome::Error(error_code(&error)),
            (None, Some(code)) => Outcome::Code(code),
            (None, None) => return Err(AuthorizationResponseError::Empty),
        };
        let state = once("state")?.ok_or(AuthorizationResponseError::StateMissing)?;
        Ok(Self { state, iss: once("iss")?, outcome })
    }

    /// The `state`, which names the pending login.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The code, not yet believed; `None` for a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Code(code) => Some(code),
            Outcome::Error(_) => None,
        }
    }

    /// The code to exchange, if this belongs to `pending` and comes from our Provider.
    ///
    /// # Errors
    /// When it belongs to another sign-in, came too late, names another issuer, or is a refusal.
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
        let refused = Refused { error: "access_denied".to_owned() };
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
            ("error=access_denied", false, refused.clone()),
            ("error=access_denied&code=a", false, refused),
            ("error=a&error=b", false, Repeated("error")),
            ("error=access_denied", true, Issuer),
            ("error=%3Cscript%3E", false, Refused { error: "unrecognized_error".to_owned() }),
            ("error=a%0Alevel%3Derror", false, Refused { error: "unrecognized_error".to_owned() }),
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
    fn a_response_after_ten_minutes_is_refused() {
        assert_eq!(check("code=a", false, NOW.plus(Duration::from_secs(600))), Err(Expired));
    }
}
