//! The token response (RFC 6749 5.1, OIDC Core 3.1.3.3 and 12.2).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Timestamp;

macro_rules! secret_token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a token as it was received.
            #[must_use]
            pub fn new(token: String) -> Self {
                Self(token.into_boxed_str())
            }

            /// The token itself, for the one who must send it.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret_token! {
    /// What the Upstream is shown. Prints nothing, wiped when dropped.
    AccessToken
}
secret_token! {
    /// What gets the next access token. Prints nothing, wiped when dropped.
    RefreshToken
}

/// A successful answer of the token endpoint. At a refresh only the access token is sure to be there.
#[derive(Clone)]
pub struct TokenResponse {
    /// What the Upstream is shown.
    pub access_token: AccessToken,
    /// When it lapses, if the Provider told.
    pub expires_at: Option<Timestamp>,
    /// The next refresh token, if there is a new one.
    pub refresh_token: Option<RefreshToken>,
    /// The ID token, unverified.
    pub id_token: Option<String>,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why a token endpoint's body is no success.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenResponseError {
    /// Not JSON, or no access token that a header could hold: an intermediary's page, say.
    #[error("the token endpoint's answer cannot be read")]
    Malformed, // without its cause: serde quotes what it did not expect, and that may be a token
    /// RFC 6749 7.1: a client must not use a token of a type it doesn't understand.
    #[error("the access token is of a type other than bearer")]
    TokenType {
        /// The refresh token that came with it, to be revoked.
        refresh_token: Option<RefreshToken>,
    },
}

#[derive(Deserialize)]
struct Body {
    #[serde(deserialize_with = "bearer_token")]
    access_token: AccessToken,
    token_type: String,
    #[serde(default)]
    expires_in: Value,
    refresh_token: Option<RefreshToken>,
    id_token: Option<String>,
}

/// The access token travels in a header of every proxied request, next to those of the browser.
const LONGEST: usize = 16 * 1024;

/// RFC 6750 2.1: what can follow `Bearer` in a header; anything else could start a header of its own.
fn bearer_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessToken, D::Error> {
    let token = AccessToken::deserialize(deserializer)?;
    let is_printable = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if is_printable && (1..=LONGEST).contains(&token.expose().len()) {
        return Ok(token);
    }
    Err(de::Error::custom("the access token cannot be sent in a header"))
}

/// RFC 6749 5.1 has a whole number of seconds; some Providers send text, or a fraction. A lifetime that cannot be
/// read is as if none were given.
fn seconds(expires_in: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, a fraction drops")]
    let rounded = |seconds: f64| seconds as u64;
    match expires_in {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(rounded)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl TokenResponse {
    /// Reads the body of a 200 answer that was received at `now`.
    ///
    /// # Errors
    /// See [`TokenResponseError`].
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, TokenResponseError> {
        let body: Body = serde_json::from_slice(body).map_err(|_| TokenResponseError::Malformed)?;
        let refresh_token = body.refresh_token.filter(|token| !token.expose().is_empty());
        if !body.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenResponseError::TokenType { refresh_token });
        }
        Ok(Self {
            access_token: body.access_token,
            expires_at: seconds(&body.expires_in).map(|seconds| now.plus(Duration::from_secs(seconds))),
            refresh_token,
            id_token: body.id_token.filter(|token| !token.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn parse(body: &str) -> Result<TokenResponse, TokenResponseError> {
        TokenResponse::parse(body.as_bytes(), NOW)
    }

    #[test]
    fn a_response_without_optional_tokens_is_normal() {
        let tokens = parse(r#"{"access_token":"a","token_type":"bearer"}"#).unwrap();

        assert_eq!(tokens.access_token.expose(), "a");
        assert!(tokens.expires_at.is_none() && tokens.refresh_token.is_none() && tokens.id_token.is_none());
    }

    #[test]
    fn a_lifetime_may_be_a_number_or_text() {
        for lifetime in ["60", "\"60\"", "60.9", "\" 60\""] {
            let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{lifetime}}}"#);
            assert_eq!(parse(&body).unwrap().expires_at, Some(NOW.plus(Duration::from_secs(60))));
        }
    }

    #[test]
    fn a_lifetime_that_cannot_be_read_is_none() {
        for lifetime in ["null", "\"soon\"", "[]", "{}", "true", "\"-1\""] {
            let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{lifetime}}}"#);
            assert_eq!(parse(&body).unwrap().expires_at, None, "{lifetime}");
        }
        let negative = parse(r#"{"access_token":"a","token_type":"Bearer","expires_in":-5}"#).unwrap();
        assert_eq!(negative.expires_at, Some(NOW));
    }

    #[test]
    fn the_token_type_has_any_case_and_other_members_are_ignored() {
        for token_type in ["Bearer", "bearer", "BEARER"] {
            let body = format!(r#"{{"access_token":"a","token_type":"{token_type}","scope":7,"refresh_token":null}}"#);
            assert!(parse(&body).is_ok(), "{token_type}");
        }
    }

    #[test]
    fn another_token_type_is_refused_and_the_refresh_token_is_handed_out_to_be_revoked() {
        let refused = parse(r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r"}"#).unwrap_err();

        let TokenResponseError::TokenType { refresh_token } = refused else { panic!("{refused}") };
        assert_eq!(refresh_token.unwrap().expose(), "r");
    }

    #[test]
    fn an_access_token_that_no_header_can_hold_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for token in ["", "a b", "a\\r\\nX-Evil: 1", "\u{e9}", "a\\u0000", &long] {
            let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
            assert!(matches!(parse(&body), Err(TokenResponseError::Malformed)), "{token:.20}");
        }
    }

    #[test]
    fn what_is_no_token_response_is_refused() {
        for body in ["", "<html>sign in</html>", "{}", "[]", r#"{"access_token":1,"token_type":"Bearer"}"#] {
            assert!(matches!(parse(body), Err(TokenResponseError::Malformed)), "{body}");
        }
    }

    #[test]
    fn a_response_prints_no_token() {
        let tokens = parse(r#"{"access_token":"AAA","token_type":"bearer","refresh_token":"RRR","id_token":"III"}"#);

        let printed = format!("{:?} {:?}", tokens, tokens.as_ref().map(|tokens| tokens.refresh_token.clone()));

        for token in ["AAA", "RRR", "III"] {
            assert!(!printed.contains(token), "{printed}");
        }
    }
}
