//! The token response (RFC 6749 5.1, OIDC Core 3.1.3.3 and 12.2).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Timestamp;

macro_rules! secret_token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a token as it was received.
            #[must_use]
            pub fn new(token: String) -> Self {
                Self(token)
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
#[derive(Debug, thiserror::Error)]
pub enum TokenResponseError {
    /// Not JSON, or no access token: an intermediary's page, say.
    #[error("the token endpoint's answer cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// RFC 6749 7.1: a client must not use a token of a type it doesn't understand.
    #[error("the access token is of a type other than bearer")]
    TokenType,
}

#[derive(Deserialize)]
struct Body {
    access_token: AccessToken,
    token_type: String,
    expires_in: Option<ExpiresIn>,
    refresh_token: Option<RefreshToken>,
    id_token: Option<String>,
}

/// RFC 6749 5.1 has a number; some Providers send it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExpiresIn {
    Number(u64),
    Text(String),
}

impl TokenResponse {
    /// Reads the body of a 200 answer that was received at `now`.
    ///
    /// # Errors
    /// See [`TokenResponseError`].
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, TokenResponseError> {
        let body: Body = serde_json::from_slice(body).map_err(TokenResponseError::Malformed)?;
        if !body.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenResponseError::TokenType);
        }
        let seconds = body.expires_in.and_then(|expires_in| match expires_in {
            ExpiresIn::Number(seconds) => Some(seconds),
            ExpiresIn::Text(text) => text.parse().ok(),
        });
        Ok(Self {
            access_token: body.access_token,
            expires_at: seconds.map(|seconds| now.plus(Duration::from_secs(seconds))),
            refresh_token: body.refresh_token.filter(|token| !token.expose().is_empty()),
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
        for lifetime in ["60", "\"60\""] {
            let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{lifetime}}}"#);
            assert_eq!(parse(&body).unwrap().expires_at, Some(NOW.plus(Duration::from_secs(60))));
        }
    }

    #[test]
    fn another_token_type_is_refused() {
        let refused = parse(r#"{"access_token":"a","token_type":"DPoP"}"#).unwrap_err();

        assert!(matches!(refused, TokenResponseError::TokenType));
    }

    #[test]
    fn what_is_no_token_response_is_refused() {
        for body in ["", "<html>sign in</html>", "{}", "[]", r#"{"access_token":1,"token_type":"Bearer"}"#] {
            assert!(matches!(parse(body), Err(TokenResponseError::Malformed(_))), "{body}");
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
