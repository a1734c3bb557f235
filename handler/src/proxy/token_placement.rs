//! Placement of an access token in forwarded requests, which also decides about the client's own `Authorization`.
//!
//! Knows header names only, no token.

use hyper::header::HeaderName;

use super::reserved_header::{Content, is_reserved};

/// Header that carries the access token to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TokenPlacement {
    /// `Authorization: Bearer`. The client's `Authorization` is removed.
    #[default]
    Bearer,
    /// No header. The client's `Authorization` passes.
    None,
    /// The bare token in this header, which no client can send. The client's `Authorization` passes.
    Header(HeaderName),
}

/// Mistake in the name of a token's header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenPlacementError {
    /// A header name with other characters than letters, digits and hyphens, or longer than 64.
    #[error("the token's header {0:?} is not 1 to 64 letters, digits and hyphens")]
    Name(String),
    /// A header with a meaning of its own.
    #[error("the token's header {0:?} already has another meaning")]
    Reserved(String),
}

impl TokenPlacement {
    /// The bare token in the header of this name.
    ///
    /// # Errors
    /// If the name can't be used.
    pub(super) fn in_header(text: &str) -> Result<Self, TokenPlacementError> {
        // No underscore: it would be removed from clients' requests, and CGI and WSGI fold `-` to it: two names for one
        // variable.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
        let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| is_name);
        let name = name.ok_or_else(|| TokenPlacementError::Name(text.to_owned()))?;
        if is_reserved(name.as_str(), Content::AccessToken) {
            return Err(TokenPlacementError::Reserved(text.to_owned()));
        }
        Ok(Self::Header(name))
    }

    /// True if the client's own `Authorization` reaches the upstream.
    #[must_use]
    pub fn passes_authorization(&self) -> bool {
        match self {
            Self::Bearer => false,
            Self::None | Self::Header(_) => true,
        }
    }

    /// The configured header, for [`Self::Header`].
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Bearer | Self::None => None,
            Self::Header(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_no_plain_name_is_refused() {
        for name in ["", "X Token", "X_Token", "X.Token", "X-Tokén", "X-Token:", "X-T\r\nX: 1", &"x".repeat(65)] {
            assert_eq!(TokenPlacement::in_header(name), Err(TokenPlacementError::Name(name.to_owned())));
        }
    }

    #[test]
    fn a_header_with_a_meaning_is_no_place() {
        for name in ["Authorization", "Set-Cookie", "X-Forwarded-User"] {
            assert_eq!(TokenPlacement::in_header(name), Err(TokenPlacementError::Reserved(name.to_owned())));
        }
    }
}
