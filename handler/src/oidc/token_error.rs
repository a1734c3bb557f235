//! The token endpoint's error response (RFC 6749 5.2), which revocation shares (RFC 7009 2.2.1).

use super::{OAuthError, RefusalReason};

/// OAuth error, classified by the party that can fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The code or the refresh token is used, revoked, or only the person can renew it.
    #[error("the provider refuses the grant ({error})")]
    Grant {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// Our client is refused: its secret or its permissions. Only an operator can fix it.
    #[error("the provider refuses this client ({error})")]
    Client {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// Temporary: the same request may succeed later.
    #[error("the provider defers the request ({error})")]
    Later {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// Any other error.
    #[error("the provider refuses the request ({error})")]
    Other {
        /// The Provider's error response.
        error: OAuthError,
    },
}

impl TokenError {
    /// Parses a body that may be an error response.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let error = OAuthError::from_json(body)?;
        // Some Providers report a refused client as `invalid_request`; their number is more specific.
        if error.numbered_reason().is_some_and(RefusalReason::is_about_client) {
            return Some(Self::Client { error });
        }
        Some(match error.error() {
            // The last three are OIDC Core 3.1.2.6's; some Providers send them at a refresh. They all say that
            // nothing but a sign-in helps.
            "invalid_grant" | "interaction_required" | "login_required" | "consent_required" => Self::Grant { error },
            "invalid_client" | "unauthorized_client" => Self::Client { error },
            // RFC 6749 4.1.2.1 and RFC 8628 3.5, met at token endpoints with status 400 too.
            "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" => Self::Later { error },
            _ => Self::Other { error },
        })
    }

    /// The Provider's error response.
    #[must_use]
    pub fn error(&self) -> &OAuthError {
        match self {
            Self::Grant { error } | Self::Client { error } | Self::Later { error } | Self::Other { error } => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variant's name and the rest of the response.
    fn parse(body: &str) -> Option<(&'static str, String)> {
        let error = TokenError::parse(body.as_bytes())?;
        let who = match error {
            TokenError::Grant { .. } => "grant",
            TokenError::Client { .. } => "client",
            TokenError::Later { .. } => "later",
            TokenError::Other { .. } => "other",
        };
        Some((who, error.error().to_string()))
    }

    #[test]
    fn an_error_code_tells_who_can_mend_it() {
        let table = [
            ("grant", &["invalid_grant", "interaction_required", "login_required", "consent_required"][..]),
            ("client", &["invalid_client", "unauthorized_client"]),
            ("later", &["temporarily_unavailable", "server_error", "slow_down", "authorization_pending"]),
            ("other", &["invalid_request", "invalid_scope", "unsupported_grant_type", "made_up"]),
        ];
        for (who, errors) in table {
            for error in errors {
                let body = serde_json::json!({ "error": error }).to_string();
                assert_eq!(parse(&body), Some((who, (*error).to_owned())));
            }
        }
    }

    #[test]
    fn a_number_of_the_client_outweighs_the_code_and_another_number_does_not() {
        let table = [
            ("invalid_request", 70_021, "client"),
            ("invalid_request", 700_213, "client"),
            ("invalid_grant", 7_000_222, "client"),
            ("invalid_grant", 50_076, "grant"),
            ("invalid_grant", 65_001, "grant"),
            ("invalid_request", 90_009, "other"),
            ("temporarily_unavailable", 90_033, "later"),
        ];
        for (error, number, who) in table {
            let body = serde_json::json!({ "error": error, "error_codes": [number] }).to_string();
            assert_eq!(parse(&body), Some((who, format!("{error} {number}"))));
        }
    }

    #[test]
    fn nothing_of_the_body_but_a_plain_code_is_kept() {
        let body = br#"{"error":"<b>eyJ</b>","error_description":"code abc was used","refresh_token":"secret"}"#;

        let error = TokenError::parse(body).unwrap();

        assert_eq!(error.to_string(), "the provider refuses the request (unrecognized_error)");
    }

    #[test]
    fn a_body_that_is_no_error_response_is_none() {
        for body in ["", "<html>", "{}", "[]", r#"{"error":5}"#, r#"{"error":"a","error":"b"}"#] {
            assert_eq!(TokenError::parse(body.as_bytes()), None, "{body}");
        }
    }
}
