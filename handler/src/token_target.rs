//! Target of a route's own access token: the resource or audience it is for, and its scope.
//!
//! Plain data of the configuration. Knows no Provider and no token.

use std::fmt;

/// Parameter of a token request that names the token's recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// `resource` (RFC 8707): an absolute URI.
    Resource,
    /// `audience` (RFC 8693 2.1): a name at the Provider.
    Audience,
}

impl Recipient {
    /// Name of the parameter.
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Audience => "audience",
        }
    }
}

/// Target of an access token: a recipient, a scope, or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenTarget {
    recipient: Option<(Recipient, String)>,
    scope: Option<String>,
}

/// Mistake in a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenTargetError {
    /// Neither recipient nor scope.
    #[error("there is no resource, audience or scope")]
    Empty,
    /// A resource and an audience.
    #[error("there are a resource and an audience: one names the recipient")]
    TwoRecipients,
    /// RFC 8707 2: an absolute URI without a fragment.
    #[error("the resource {0:?} is no absolute URI without a fragment")]
    Resource(String),
    /// Empty, too long, or with characters other than printable ASCII.
    #[error("the audience {0:?} is not 1 to 1024 printable characters")]
    Audience(String),
    /// RFC 6749 3.3.
    #[error("the scope {0:?} is no list of scopes separated by single spaces")]
    Scope(String),
}

/// Maximum length of a value: it travels with every token request.
const MAX_LENGTH: usize = 1024;

impl TokenTarget {
    /// Builds a target from the members of a route's `token`.
    ///
    /// # Errors
    /// See [`TokenTargetError`].
    pub fn new(resource: Option<&str>, audience: Option<&str>, scope: Option<&str>) -> Result<Self, TokenTargetError> {
        let recipient = match (resource, audience) {
            (Some(_), Some(_)) => return Err(TokenTargetError::TwoRecipients),
            (Some(uri), None) if !is_absolute_uri(uri) => return Err(TokenTargetError::Resource(uri.to_owned())),
            (Some(uri), None) => Some((Recipient::Resource, uri.to_owned())),
            (None, Some(name)) if !is_printable(name) => return Err(TokenTargetError::Audience(name.to_owned())),
            (None, Some(name)) => Some((Recipient::Audience, name.to_owned())),
            (None, None) => None,
        };
        if let Some(scope) = scope.filter(|scope| !is_scope(scope)) {
            return Err(TokenTargetError::Scope(scope.to_owned()));
        }
        if recipient.is_none() && scope.is_none() {
            return Err(TokenTargetError::Empty);
        }
        Ok(Self { recipient, scope: scope.map(str::to_owned) })
    }

    /// The recipient's parameter and value.
    #[must_use]
    pub fn recipient(&self) -> Option<(Recipient, &str)> {
        self.recipient.as_ref().map(|(recipient, value)| (*recipient, value.as_str()))
    }

    /// The scope, if it is asked for by name.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

/// Prints the parameters, as `audience=orders scope=read`.
impl fmt::Display for TokenTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((recipient, value)) = self.recipient() {
            write!(f, "{}={value}", recipient.parameter())?;
        }
        match (&self.recipient, &self.scope) {
            (_, None) => Ok(()),
            (None, Some(scope)) => write!(f, "scope={scope}"),
            (Some(_), Some(scope)) => write!(f, " scope={scope}"),
        }
    }
}

fn is_printable(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// RFC 3986 4.3: a scheme, a colon and something behind it; without a fragment.
fn is_absolute_uri(text: &str) -> bool {
    let is_graphic = text.len() <= MAX_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme =
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic()) && scheme.bytes().all(is_scheme_byte);
    is_graphic && is_scheme && !rest.is_empty()
}

/// Single spaces as RFC 6749 3.3 writes them: the text is sent as it is, and names the target in the log.
fn is_scope(text: &str) -> bool {
    text.len() <= MAX_LENGTH && text.split(' ').all(is_scope_token)
}

/// True for one scope of a list (RFC 6749 3.3).
#[must_use]
pub fn is_scope_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_recipient_a_scope_or_both() {
        for (resource, audience, scope, printed) in [
            (Some("https://api.example/orders"), None, None, "resource=https://api.example/orders"),
            (Some("urn:example:orders"), None, Some("read"), "resource=urn:example:orders scope=read"),
            (None, Some("orders"), None, "audience=orders"),
            (None, Some("the orders"), Some("read write"), "audience=the orders scope=read write"),
            (None, None, Some("api://orders/.default"), "scope=api://orders/.default"),
        ] {
            assert_eq!(TokenTarget::new(resource, audience, scope).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        let long = format!("https://{}", "a".repeat(MAX_LENGTH));
        assert_eq!(TokenTarget::new(None, None, None), Err(TokenTargetError::Empty));
        assert_eq!(TokenTarget::new(Some("a:b"), Some("b"), None), Err(TokenTargetError::TwoRecipients));
        for uri in ["", "orders", "/orders", "https:", ":x", "1a:x", "https://a/#b", "https://a b", "a_b:c", &long] {
            let refused = TokenTarget::new(Some(uri), None, None);
            assert_eq!(refused, Err(TokenTargetError::Resource(uri.to_owned())));
        }
        for name in ["", "a\nb", "\u{e9}", &long] {
            let refused = TokenTarget::new(None, Some(name), None);
            assert_eq!(refused, Err(TokenTargetError::Audience(name.to_owned())));
        }
        for scope in ["", " ", "a  b", " a", "a\"", "a\\b", "\u{e9}", &long] {
            let refused = TokenTarget::new(None, None, Some(scope));
            assert_eq!(refused, Err(TokenTargetError::Scope(scope.to_owned())));
        }
    }
}
