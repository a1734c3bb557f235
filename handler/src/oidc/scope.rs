//! The scope of a grant (RFC 6749 3.3). Knows no scope but `openid`.

use serde::{Deserialize, Serialize};

use crate::token_target::is_scope_token;

/// Maximum length; a longer scope is ignored, because it travels with every refresh.
const MAX_LENGTH: usize = 4 * 1024;

/// Scope tokens, separated by single spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// Parses scope tokens separated by spaces; `None` if there are none or a token is invalid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
        let is_usable =
            text.len() <= MAX_LENGTH && !tokens.is_empty() && tokens.iter().all(|token| is_scope_token(token));
        is_usable.then(|| Self(tokens.join(" ")))
    }

    /// Scope that a sign-in was granted: that of its token response, otherwise the requested one (RFC 6749 5.1).
    ///
    /// A scope without `openid` in the response to a sign-in is not the whole grant: Entra names only the scopes of the
    /// access token. The requested scope is used then.
    pub(super) fn granted(in_response: Option<Self>, asked: &[String]) -> Option<Self> {
        in_response.filter(|scope| scope.names("openid")).or_else(|| Self::parse(&asked.join(" ")))
    }

    /// The tokens as a parameter.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn names(&self, token: &str) -> bool {
        self.0.split(' ').any(|named| named == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_made_of_tokens() {
        assert_eq!(Scope::parse(" openid  api://a/x ").unwrap().as_str(), "openid api://a/x");
        for text in ["", "  ", "a\"b", "a\\b", "caf\u{e9}", "a\u{7f}", &"a".repeat(MAX_LENGTH + 1)] {
            assert_eq!(Scope::parse(text), None, "{text:.20}");
        }
    }

    #[test]
    fn what_was_asked_stands_in_for_a_scope_that_is_missing_or_lacks_openid() {
        let asked = ["openid".to_owned(), "a".to_owned(), "b".to_owned()];
        let granted = |text: &str| Scope::granted(Scope::parse(text), &asked).unwrap().as_str().to_owned();

        assert_eq!(granted("openid a"), "openid a");
        assert_eq!((granted("").as_str(), granted("a").as_str()), ("openid a b", "openid a b"));
    }
}
