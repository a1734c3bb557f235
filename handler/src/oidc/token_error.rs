//! The token endpoint's error response (RFC 6749 5.2), which revocation shares (RFC 7009 2.2.1).

use serde::Deserialize;

use super::error_code::error_code;

/// An OAuth error, by who can mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The code or the refresh token: it is spent, revoked, or only the person can renew it.
    #[error("the provider refuses the grant ({error})")]
    Grant {
        /// The Provider's error code.
        error: String,
    },
    /// Us: the secret, or what we are allowed. Only an operator can mend it.
    #[error("the provider refuses this client ({error})")]
    Client {
        /// The Provider's error code.
        error: String,
    },
    /// Nothing for good: the same request may succeed later.
    #[error("the provider defers the request ({error})")]
    Later {
        /// The Provider's error code.
        error: String,
    },
    /// Anything else.
    #[error("the provider refuses the request ({error})")]
    Other {
        /// The Provider's error code.
        error: String,
    },
}

/// `error_description` is not read: it is text for developers, and nobody knows what is in it.
#[derive(Deserialize)]
struct Body {
    error: String,
}

impl TokenError {
    /// Reads a body that may be an error response.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let Body { error } = serde_json::from_slice(body).ok()?;
        let error = error_code(&error);
        Some(match error.as_str() {
            // The last three are OIDC Core 3.1.2.6's; some Providers send them at a refresh. They all say that
            // nothing but a sign-in helps.
            "invalid_grant" | "interaction_required" | "login_required" | "consent_required" => Self::Grant { error },
            "invalid_client" | "unauthorized_client" => Self::Client { error },
            // RFC 6749 4.1.2.1 and RFC 8628 3.5, met at token endpoints with status 400 too.
            "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" => Self::Later { error },
            _ => Self::Other { error },
        })
    }

    /// The Provider's error code: at most 64 letters, digits and `_-.`.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Self::Grant { error } | Self::Client { error } | Self::Later { error } | Self::Other { error } => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_tells_who_can_mend_it() {
        let parse = |error: &str| TokenError::parse(serde_json::json!({ "error": error }).to_string().as_bytes());
        for error in ["invalid_grant", "interaction_required", "login_required", "consent_required"] {
            assert_eq!(parse(error), Some(TokenError::Grant { error: error.to_owned() }));
        }
        for error in ["invalid_client", "unauthorized_client"] {
            assert_eq!(parse(error), Some(TokenError::Client { error: error.to_owned() }));
        }
        for error in ["temporarily_unavailable", "server_error", "slow_down", "authorization_pending"] {
            assert_eq!(parse(error), Some(TokenError::Later { error: error.to_owned() }));
        }
        for error in ["invalid_request", "invalid_scope", "unsupported_grant_type", "made_up"] {
            assert_eq!(parse(error), Some(TokenError::Other { error: error.to_owned() }));
        }
    }

    #[test]
    fn nothing_of_the_body_but_a_plain_code_is_kept() {
        let body = br#"{"error":"<b>eyJ</b>","error_description":"code abc was used","refresh_token":"secret"}"#;

        let error = TokenError::parse(body).unwrap();

        assert_eq!(error, TokenError::Other { error: "unrecognized_error".to_owned() });
        assert_eq!(error.to_string(), "the provider refuses the request (unrecognized_error)");
    }

    #[test]
    fn a_body_that_is_no_error_response_is_none() {
        for body in ["", "<html>", "{}", "[]", r#"{"error":5}"#, r#"{"error":"a","error":"b"}"#] {
            assert_eq!(TokenError::parse(body.as_bytes()), None, "{body}");
        }
    }
}
