//! The token response (RFC 6749 5.1, OIDC Core 3.1.3.3 and 12.2).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::json;
use super::jws::Jws;
use super::jwt::numeric_date;
use super::{Claims, Scope};
use crate::clock::Timestamp;

macro_rules! secret_token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Wraps a received token.
            #[must_use]
            pub fn new(token: String) -> Self {
                Self(token.into_boxed_str())
            }

            /// The token's text, for the request that must send it.
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
    /// Access token for the Upstream's `Authorization` header. Prints nothing, wiped when dropped.
    AccessToken
}
secret_token! {
    /// Refresh token. Prints nothing, wiped when dropped.
    RefreshToken
}

/// Successful response of the token endpoint. At a refresh only the access token is always present.
#[derive(Clone)]
pub struct TokenResponse {
    /// The access token, sent to the Upstream.
    pub access_token: AccessToken,
    /// Expiry of the access token, from `expires_in` or else from its own `exp`; a second to ten years ahead.
    pub expires_at: Option<Timestamp>,
    /// The new refresh token, if one was issued.
    pub refresh_token: Option<RefreshToken>,
    /// The ID token, unverified.
    pub id_token: Option<String>,
    /// Type of the issued token, at a Token Exchange (RFC 8693 2.2.1).
    pub issued_token_type: Option<String>,
    /// The scope; after a sign-in always that of the grant.
    pub scope: Option<Scope>,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Reason why a 200 of the token endpoint is no success.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenResponseError {
    /// Not JSON, or no access token that a header could contain: an intermediary's page, say.
    #[error("the token endpoint's response cannot be read")]
    Malformed, // without its cause: serde quotes what it did not expect, and that may be a token
    /// The same, but for a refresh token: the one before it may be good no longer.
    #[error("the token endpoint's response has no usable access token")]
    AccessToken {
        /// The refresh token that came with it.
        refresh_token: RefreshToken,
        /// Person of the ID token that came with it, unverified.
        subject: Option<String>,
    },
    /// Unknown token type, which a client must not use (RFC 6749 7.1).
    #[error("the access token is of a type other than bearer")]
    TokenType {
        /// The refresh token that came with it.
        refresh_token: Option<RefreshToken>,
        /// Person of the ID token that came with it, unverified.
        subject: Option<String>,
    },
}

impl TokenResponseError {
    /// The refresh token that came with the response.
    pub(super) fn refresh_token(&self) -> Option<&RefreshToken> {
        match self {
            Self::Malformed => None,
            Self::AccessToken { refresh_token, .. } => Some(refresh_token),
            Self::TokenType { refresh_token, .. } => refresh_token.as_ref(),
        }
    }

    /// The same, unless its ID token names another person than `person`.
    pub(super) fn refresh_token_of(&self, person: &str) -> Option<&RefreshToken> {
        let subject = match self {
            Self::Malformed => None,
            Self::AccessToken { subject, .. } | Self::TokenType { subject, .. } => subject.as_deref(),
        };
        self.refresh_token().filter(|_| subject.is_none_or(|subject| subject == person))
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(deserialize_with = "bearer_token")]
    access_token: AccessToken,
    token_type: String,
    #[serde(default)]
    expires_in: Value,
    #[serde(default, deserialize_with = "optional_text")]
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    id_token: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    issued_token_type: Option<String>,
    #[serde(default)]
    scope: Value,
}

/// Maximum length of an access token: it travels in a header of every proxied request, next to the browser's.
const MAX_LENGTH: usize = 16 * 1024;

/// Replacement of a lifetime below one second: after an `expires_in: 0` every request would wait for a refresh of
/// its own.
const NOMINAL_LIFETIME: Duration = Duration::from_secs(10);

/// Maximum lifetime: stores keep the expiry as a JSON number, and no arithmetic on it overflows.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Deserialises an access token. RFC 6750 2.1 limits its characters; others could start another header.
fn bearer_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessToken, D::Error> {
    let token = AccessToken::deserialize(deserializer)?;
    let is_printable = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if is_printable && (1..=MAX_LENGTH).contains(&token.expose().len()) {
        return Ok(token);
    }
    Err(de::Error::custom("the access token cannot be sent in a header"))
}

/// Deserialises an optional text. An empty one, or another type, counts as absent.
fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// Parses `expires_in`: whole seconds (RFC 6749 5.1), or text, or a fraction, as some Providers send it.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite())?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, a fraction drops")]
    let whole = seconds as u64;
    Some(Duration::from_secs(whole))
}

/// Limits a lifetime to usable values.
fn usable(lifetime: Duration) -> Duration {
    if lifetime.is_zero() { NOMINAL_LIFETIME } else { lifetime.min(MAX_LIFETIME) }
}

/// Time until `exp` of an access token that is a JWT (RFC 9068). Unverified: only a hint of when to refresh.
fn lifetime_of_jwt(access_token: &AccessToken, now: Timestamp) -> Option<Duration> {
    let claims = Claims::new(Jws::parse(access_token.expose())?.payload()?);
    Some(numeric_date(&claims, "exp")?.since(now))
}

/// Error for a body without a usable access token.
fn unusable(body: &[u8]) -> TokenResponseError {
    let members: Option<Map<String, Value>> = json::parse(body).ok();
    let text = |name: &str| members.as_ref().and_then(|members| members.get(name)?.as_str());
    text("refresh_token").filter(|token| !token.is_empty()).map_or(TokenResponseError::Malformed, |token| {
        let subject = text("id_token").and_then(subject_of);
        TokenResponseError::AccessToken { refresh_token: RefreshToken::new(token.to_owned()), subject }
    })
}

/// Person of an ID token; `None` if it cannot be read. Unverified, as the token came from the Provider itself.
pub(super) fn subject_of(id_token: &str) -> Option<String> {
    let claims = Claims::new(Jws::parse(id_token)?.payload()?);
    claims.text("sub").map(str::to_owned)
}

impl TokenResponse {
    /// Parses the body of a 200 received at `now`.
    ///
    /// # Errors
    /// See [`TokenResponseError`].
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, TokenResponseError> {
        let body: Body = json::parse(body).map_err(|_| unusable(body))?;
        let refresh_token = body.refresh_token.map(RefreshToken::new);
        if !body.token_type.eq_ignore_ascii_case("bearer") {
            let subject = body.id_token.as_deref().and_then(subject_of);
            return Err(TokenResponseError::TokenType { refresh_token, subject });
        }
        let lifetime = lifetime(&body.expires_in).or_else(|| lifetime_of_jwt(&body.access_token, now));
        Ok(Self {
            access_token: body.access_token,
            expires_at: lifetime.map(|lifetime| now.plus(usable(lifetime))),
            refresh_token,
            id_token: body.id_token,
            issued_token_type: body.issued_token_type,
            scope: body.scope.as_str().and_then(Scope::parse),
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

    /// Seconds until the expiry of this access token with this `expires_in`.
    fn lifetime_with(access_token: &str, expires_in: &str) -> Option<u64> {
        let body = format!(r#"{{"access_token":"{access_token}","token_type":"Bearer","expires_in":{expires_in}}}"#);
        parse(&body).unwrap().expires_at.map(|expires_at| expires_at.since(NOW).as_secs())
    }

    const TEN_YEARS: u64 = 315_360_000;

    #[test]
    fn a_lifetime_is_a_second_to_ten_years_whatever_number_the_provider_sends() {
        let table = [
            ("3600", Some(3600), "as usual"),
            ("\"60\"", Some(60), "text"),
            ("\" 60\"", Some(60), "text with a blank"),
            ("60.9", Some(60), "a fraction"),
            ("\"60.9\"", Some(60), "a fraction as text"),
            ("6e1", Some(60), "an exponent"),
            ("1", Some(1), "the least"),
            ("1.9", Some(1), "a little more"),
            ("0.5", Some(10), "half a second"),
            ("0", Some(10), "nothing"),
            ("-0.0", Some(10), "less than nothing, as floats go"),
            ("-5", Some(10), "past"),
            ("\"-1\"", Some(10), "past, as text"),
            ("-9223372036854775808", Some(10), "i64::MIN"),
            ("-1e300", Some(10), "long past"),
            ("315360000", Some(TEN_YEARS), "the most"),
            ("315360001", Some(TEN_YEARS), "more"),
            ("9223372036854775807", Some(TEN_YEARS), "i64::MAX"),
            ("18446744073709551615", Some(TEN_YEARS), "u64::MAX"),
            ("18446744073709551616", Some(TEN_YEARS), "beyond u64"),
            ("\"18446744073709551616\"", Some(TEN_YEARS), "beyond u64, as text"),
            ("1e300", Some(TEN_YEARS), "beyond everything"),
            ("null", None, "null"),
            ("\"soon\"", None, "a word"),
            ("\"\"", None, "nothing as text"),
            ("\"NaN\"", None, "no number as text"),
            ("\"inf\"", None, "infinity as text"),
            ("[]", None, "a list"),
            ("{}", None, "an object"),
            ("true", None, "a boolean"),
        ];
        for (expires_in, expected, reason) in table {
            assert_eq!(lifetime_with("a", expires_in), expected, "{reason}: {expires_in}");
        }
    }

    #[test]
    fn without_a_readable_lifetime_an_access_token_that_is_a_jwt_lapses_by_its_exp() {
        let jwt = |payload: &str| {
            let encode = |part: &str| crate::oidc::pkce::base64url(part.as_bytes());
            format!("{}.{}.AA", encode(r#"{"alg":"ES256"}"#), encode(payload))
        };
        let table = [
            (r#"{"exp":1800000300}"#, "null", Some(300), "its exp"),
            (r#"{"exp":1800000300}"#, "\"soon\"", Some(300), "its exp for a lifetime that cannot be read"),
            (r#"{"exp":1800000300}"#, "60", Some(60), "the lifetime goes first"),
            (r#"{"exp":1800000300.9}"#, "null", Some(300), "a fraction"),
            (r#"{"exp":1800000001}"#, "null", Some(1), "soon"),
            (r#"{"exp":1799999999}"#, "null", Some(10), "past"),
            (r#"{"exp":-1e300}"#, "null", Some(10), "long past"),
            (r#"{"exp":1e300}"#, "null", Some(TEN_YEARS), "beyond i64"),
            (r#"{"exp":9223372036854775807}"#, "null", Some(TEN_YEARS), "i64::MAX"),
            (r#"{"exp":18446744073709551615}"#, "null", Some(TEN_YEARS), "u64::MAX"),
            (r#"{"exp":"1800000300"}"#, "null", Some(300), "text"),
            (r#"{"exp":"soon"}"#, "null", None, "a word"),
            (r#"{"exp":null}"#, "null", None, "null"),
            (r#"{"exp":1,"exp":2}"#, "null", None, "two of them"),
            (r"{}", "null", None, "none"),
            ("[]", "null", None, "no claims"),
            ("no json", "null", None, "no JSON"),
        ];
        for (payload, expires_in, expected, reason) in table {
            assert_eq!(lifetime_with(&jwt(payload), expires_in), expected, "{reason}");
        }
        for opaque in ["opaque", "a.b.c", "..", "e30.e30.e30.e30.e30"] {
            assert_eq!(lifetime_with(opaque, "null"), None, "{opaque}");
        }
    }

    #[test]
    fn the_token_type_has_any_case_and_other_members_are_ignored() {
        for token_type in ["Bearer", "bearer", "BEARER"] {
            let body = format!(r#"{{"access_token":"a","token_type":"{token_type}","scope":7,"refresh_token":null}}"#);
            assert!(parse(&body).is_ok(), "{token_type}");
        }
    }

    #[test]
    fn an_optional_token_that_is_none_is_as_if_absent() {
        for value in ["null", "\"\"", "5", "false", "[]", "{}", "[\"r\"]"] {
            let body = format!(
                r#"{{"access_token":"a","token_type":"Bearer","refresh_token":{value},"id_token":{value},"scope":{value}}}"#
            );
            let tokens = parse(&body).unwrap();
            assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none(), "{value}");
        }
    }

    #[test]
    fn another_token_type_is_refused_and_the_refresh_token_is_handed_out_to_be_revoked() {
        let refused = parse(r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r"}"#).unwrap_err();

        let TokenResponseError::TokenType { refresh_token, .. } = refused else { panic!("{refused}") };
        assert_eq!(refresh_token.unwrap().expose(), "r");
    }

    #[test]
    fn an_access_token_that_no_header_can_hold_is_refused() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for token in ["", "a b", "a\\r\\nX-Evil: 1", "\u{e9}", "a\\u0000", &long] {
            let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
            assert!(matches!(parse(&body), Err(TokenResponseError::Malformed)), "{token:.20}");
        }
    }

    #[test]
    fn a_refresh_token_beside_an_unusable_access_token_is_kept() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for rest in [
            String::new(),
            r#","access_token":"a""#.to_owned(),
            r#","access_token":1,"token_type":"Bearer""#.to_owned(),
            format!(r#","access_token":"{long}","token_type":"Bearer""#),
        ] {
            let response = parse(&format!(r#"{{"refresh_token":"next"{rest}}}"#));

            let Err(TokenResponseError::AccessToken { refresh_token, .. }) = response else { panic!("{rest:.40}") };
            assert_eq!(refresh_token.expose(), "next");
        }
    }

    #[test]
    fn what_is_no_token_response_is_refused() {
        for body in [
            "",
            "<html>sign in</html>",
            "{}",
            "[]",
            r#"["x"]"#,
            r#"{"refresh_token":""}"#,
            r#"{"access_token":1,"token_type":"Bearer"}"#,
        ] {
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
