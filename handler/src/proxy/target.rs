//! Request target: validated, and then forwarded in exactly the validated bytes.
//!
//! Nothing is normalised here. A path that two readers could understand differently is refused; in a query, which
//! belongs to the application, only bytes that no request line may contain.

use super::punctuation::folded;
use crate::percent::decode_fully;

/// A request target in origin form (RFC 9112 3.2.1) that is safe to match and to forward.
///
/// ```
/// use oauth_proxy::proxy::{RequestTarget, TargetError};
///
/// let target = RequestTarget::parse("/a%20b?q=100%")?;
/// assert_eq!(target.path(), "/a%20b");
///
/// assert_eq!(RequestTarget::parse("/a/%2e%2E/b"), Err(TargetError::DotSegment));
/// assert_eq!(RequestTarget::parse("https://app.example/a"), Err(TargetError::NotOriginForm));
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    raw: &'a str,
    path_end: usize,
}

/// Reason why a request target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not in origin form: absolute, authority or asterisk form, or empty.
    #[error("the request target is not in origin form")]
    NotOriginForm,
    /// A raw `#`: some readers stop there, some don't.
    #[error("the request target holds a fragment")]
    Fragment,
    /// A raw backslash in the path: some readers take it for a slash.
    #[error("the request target's path holds a backslash")]
    Backslash,
    /// A space, a control byte or a byte beyond ASCII.
    #[error("the request target holds a byte that must be percent-encoded")]
    ForbiddenByte,
    /// A `%` in the path without two hexadecimal digits.
    #[error("the request target holds a malformed percent-encoding")]
    BadEscape,
    /// An encoded control byte in the path: some readers stop there, others drop it.
    #[error("the request target holds an encoded control byte")]
    EncodedControl,
    /// A path segment `.` or `..`, in any encoding.
    #[error("the request target holds a dot segment")]
    DotSegment,
    /// A path with more than one reading, below an anonymous route, where one of them could need a session.
    #[error("the request target's path can be read in several ways")]
    Ambiguous,
}

impl TargetError {
    /// Stable code for logs and problem documents.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotOriginForm => "target_not_origin_form",
            Self::Fragment => "target_fragment",
            Self::Backslash => "target_backslash",
            Self::ForbiddenByte => "target_forbidden_byte",
            Self::BadEscape => "target_bad_escape",
            Self::EncodedControl => "target_encoded_control",
            Self::DotSegment => "target_dot_segment",
            Self::Ambiguous => "target_ambiguous",
        }
    }
}

impl<'a> RequestTarget<'a> {
    /// Parses an unambiguous target in origin form.
    ///
    /// # Errors
    /// The first broken rule, from the left; dot segments last.
    pub fn parse(raw: &'a str) -> Result<Self, TargetError> {
        let bytes = raw.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(TargetError::NotOriginForm);
        }

        let mut path_end = None;
        let mut has_escape = false;
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'#' => return Err(TargetError::Fragment),
                0..=b' ' | 0x7f.. => return Err(TargetError::ForbiddenByte),
                b'\\' if path_end.is_none() => return Err(TargetError::Backslash),
                b'%' if path_end.is_none() => {
                    check_escape(&bytes[at + 1..])?;
                    has_escape = true;
                }
                b'?' if path_end.is_none() => path_end = Some(at),
                _ => {}
            }
        }

        let path_end = path_end.unwrap_or(bytes.len());
        check_segments(&bytes[..path_end], has_escape)?;
        Ok(Self { raw, path_end })
    }

    /// The path, byte for byte.
    #[must_use]
    pub fn path(&self) -> &'a str {
        &self.raw[..self.path_end]
    }

    /// The query without its `?`, byte for byte.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.raw.get(self.path_end + 1..)
    }

    /// Path and query, byte for byte.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.raw
    }
}

/// Checks an escape: `%` and two hexadecimal digits (RFC 3986 2.1).
fn check_escape(rest: &[u8]) -> Result<(), TargetError> {
    let [high, low, ..] = rest else {
        return Err(TargetError::BadEscape);
    };
    match (high, low) {
        _ if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => Ok(()),
        _ => Err(TargetError::BadEscape),
    }
}

/// Refuses dot segments in any reading: decoded first, however often, with `\` as `/`, with `;parameters` cut off, or
/// in full width. Also refuses control bytes: some readers drop them, which moves dots together.
fn check_segments(path: &[u8], has_escape: bool) -> Result<(), TargetError> {
    if splits_to_dots(path) {
        return Err(TargetError::DotSegment);
    }
    if !has_escape {
        return Ok(());
    }
    // A `.`, `/`, `;` or control byte that is decoded early is still there after the last round.
    let decoded = decode_fully(path);
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(TargetError::EncodedControl);
    }
    if splits_to_dots(&decoded) || folded(&decoded).is_some_and(|folded| splits_to_dots(&folded)) {
        return Err(TargetError::DotSegment);
    }
    Ok(())
}

fn splits_to_dots(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        let dots = name.iter().filter(|byte| !byte.is_ascii_whitespace()); // Windows drops blanks and dots at the end
        dots.clone().eq(b".") || dots.eq(b"..")
    })
}

#[cfg(test)]
mod tests {
    use super::TargetError::*;
    use super::*;

    #[test]
    fn hostile_targets_are_refused() {
        for (raw, expected) in [
            ("", NotOriginForm),
            ("*", NotOriginForm),
            ("x", NotOriginForm),
            ("?x", NotOriginForm),
            ("http://a/", NotOriginForm),
            ("a:443", NotOriginForm),
            ("\\", NotOriginForm),
            ("/#", Fragment),
            ("/a#b", Fragment),
            ("/a?b#c", Fragment),
            ("/\\", Backslash),
            ("/\\evil", Backslash),
            ("/ ", ForbiddenByte),
            ("/\t", ForbiddenByte),
            ("/\r\nX: 1", ForbiddenByte),
            ("/\0", ForbiddenByte),
            ("/\u{7f}", ForbiddenByte),
            ("/é", ForbiddenByte),
            ("/a?é", ForbiddenByte),
            ("/a?b c", ForbiddenByte),
            ("/%", BadEscape),
            ("/%2", BadEscape),
            ("/%zz", BadEscape),
            ("/%2g", BadEscape),
            ("/%u002e", BadEscape),
            ("/%%32e", BadEscape),
            ("/%00", EncodedControl),
            ("/a%00.png", EncodedControl),
            ("/a%0a", EncodedControl),
            ("/a/.%0a./b", EncodedControl),
            ("/a/.%09%2e/b", EncodedControl),
            ("/a%250db", EncodedControl),
            ("/a%7F", EncodedControl),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/..", DotSegment),
            ("/%2e", DotSegment),
            ("/%2e%2e/", DotSegment),
            ("/.%2E/", DotSegment),
            ("/a/..;/b", DotSegment),
            ("/a/..;x=1/b", DotSegment),
            ("/a/.;/b", DotSegment),
            ("/a/%2e%2e%3b/b", DotSegment),
            ("/a%2f..%2fb", DotSegment),
            ("/a/..%2fb", DotSegment),
            ("/a%2f%2e%2e", DotSegment),
            ("/a/..%5cb", DotSegment),
            ("/a%5c..", DotSegment),
            ("/%252e%252e/", DotSegment),
            ("/%25252e%25252e/", DotSegment),
            ("/%2525252525252e%2e/", DotSegment),
            ("/%25%32%65./", DotSegment),
            ("/a%252525252500", EncodedControl),
            ("/a/.%2525253b/b", DotSegment),
            ("/..%20/", DotSegment),
            ("/.%20./", DotSegment),
            ("/a/..?x=1", DotSegment),
            ("/a/%EF%BC%8E%EF%BC%8E/b", DotSegment),
            ("/a/%E2%80%A5/b", DotSegment),
            ("/a%EF%BC%8F..%EF%BC%8Fb", DotSegment),
            ("/a/..%C2%A0/b", DotSegment),
            ("/a/.%E2%80%8B./b", DotSegment),
            ("/a/%C0%AE%C0%AE/b", DotSegment),
            ("/a/..%C0%AFb", DotSegment),
            ("/a/..%C1%9Cb", DotSegment),
            ("/a/..%E0%80%AFb", DotSegment),
        ] {
            assert_eq!(RequestTarget::parse(raw).unwrap_err(), expected, "{raw:?}");
        }
    }

    #[test]
    fn ordinary_targets_pass_in_their_own_bytes() {
        for (raw, path, query) in [
            ("/", "/", None),
            ("/?", "/", Some("")),
            ("/a?b=1&b=2", "/a", Some("b=1&b=2")),
            ("//a//b", "//a//b", None),
            ("/a%2Fb", "/a%2Fb", None),
            ("/a?b=../c?d", "/a", Some("b=../c?d")),
            ("/...", "/...", None),
            ("/.well-known/x", "/.well-known/x", None),
            ("/100%25", "/100%25", None),
            ("/a?q=100%", "/a", Some("q=100%")),
            ("/a?p=C:\\x&q=%zz&r=%00", "/a", Some("p=C:\\x&q=%zz&r=%00")),
            ("/D%5Cuser;v=1", "/D%5Cuser;v=1", None),
            ("/wait%E2%80%A6", "/wait%E2%80%A6", None),
            ("/%C3%A9%EF%BC%8F%FF", "/%C3%A9%EF%BC%8F%FF", None),
        ] {
            let target = RequestTarget::parse(raw).unwrap();
            assert_eq!((target.path(), target.query(), target.as_str()), (path, query, raw));
        }
    }
}
