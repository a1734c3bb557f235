//! Where a person goes after signing in or out: a path of the public origin, and nothing else.
//!
//! The accepted bytes are emitted as they came, never parsed and written again by another grammar:
//! every open redirect of our peers lived in the gap between two parsers.

use std::borrow::Cow;
use std::str::FromStr;

/// Longer return URLs are refused: they travel in the login cookie, and API Management passes 2048 bytes of query.
const LONGEST: usize = 2048;

/// How often a value is percent-decoded to see what some later parser might make of it.
const DECODINGS: usize = 3;

/// A path with an optional query on the public origin. Only [`FromStr`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrl(String);

/// Why a value is no [`ReturnUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReturnUrlError {
    /// Not a path: it doesn't begin with one `/`, or a second `/` or a `\` follows.
    #[error("a return URL is a path of this site and begins with one slash")]
    NotAPath,
    /// A byte that RFC 3986 has no place for in a path or a query, or a broken percent-encoding.
    #[error("a return URL holds only the characters of RFC 3986, percent-encoded where needed")]
    Character,
    /// Some decoding of the path holds `//`, `\`, a control byte or a dot segment.
    #[error("a return URL's path has no empty or dot segment, however encoded")]
    Segment,
    /// More than 2048 bytes.
    #[error("a return URL has at most 2048 bytes")]
    Length,
}

impl ReturnUrl {
    /// The site's root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The bytes as they were accepted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the path is `prefix` or lies below it: returning there after a sign-in would loop.
    #[must_use]
    pub fn is_under(&self, prefix: &str) -> bool {
        is_under(self.0.split('?').next().unwrap_or_default(), prefix)
    }
}

/// True when some reader could take `path` for `prefix` or a path below it: in other case, or encoded.
#[must_use]
pub fn is_under(path: &str, prefix: &str) -> bool {
    let mut decoded = Cow::Borrowed(path.as_bytes());
    for _ in 0..=DECODINGS {
        if is_segment_prefix(prefix.as_bytes(), &decoded) {
            return true;
        }
        if !decoded.contains(&b'%') {
            return false;
        }
        decoded = Cow::Owned(percent_decode(&decoded));
    }
    false
}

impl FromStr for ReturnUrl {
    type Err = ReturnUrlError;

    fn from_str(text: &str) -> Result<Self, ReturnUrlError> {
        if text.len() > LONGEST {
            return Err(ReturnUrlError::Length);
        }
        let bytes = text.as_bytes();
        if bytes.first() != Some(&b'/') || matches!(bytes.get(1), Some(b'/' | b'\\')) {
            return Err(ReturnUrlError::NotAPath);
        }
        if !has_only_url_characters(bytes) {
            return Err(ReturnUrlError::Character);
        }
        let path = text.split('?').next().unwrap_or_default();
        let mut decoded = path.as_bytes().to_vec();
        for _ in 0..=DECODINGS {
            if !has_plain_segments(&decoded) {
                return Err(ReturnUrlError::Segment);
            }
            decoded = percent_decode(&decoded);
        }
        Ok(Self(text.to_owned()))
    }
}

/// RFC 3986 3.3 and 3.4: `pchar`, `/` and `?`; no fragment, and every `%` begins a triplet.
fn has_only_url_characters(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte),
    })
}

fn has_plain_segments(path: &[u8]) -> bool {
    let is_clean = |byte: &u8| !byte.is_ascii_control() && *byte != b'\\';
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    let mut are_plain = path.iter().all(is_clean);
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_empty = segment.is_empty() && !is_last;
        are_plain &= !is_empty && name != b"." && name != b"..";
    }
    are_plain
}

fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

fn is_segment_prefix(prefix: &[u8], path: &[u8]) -> bool {
    path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        && matches!(path.get(prefix.len()), None | Some(b'/' | b';' | b'?'))
}

#[cfg(test)]
mod tests {
    use super::ReturnUrlError::{Character, Length, NotAPath, Segment};
    use super::*;

    /// What was tried against reverse proxies before us, and its relatives.
    const HOSTILE: &[(&str, ReturnUrlError)] = &[
        ("", NotAPath),
        (" ", NotAPath),
        ("evil.example", NotAPath),
        ("https://evil.example", NotAPath),
        ("https:evil.example", NotAPath),
        ("https:/evil.example", NotAPath),
        ("https:\\\\evil.example", NotAPath),
        ("http://127.0.0.1/", NotAPath),
        ("HTTPS://EVIL.EXAMPLE", NotAPath),
        ("javascript:alert(1)", NotAPath),
        ("JaVaScRiPt:alert(1)", NotAPath),
        ("data:text/html,x", NotAPath),
        ("file:///etc/passwd", NotAPath),
        ("mailto:a@evil.example", NotAPath),
        ("//evil.example", NotAPath),
        ("///evil.example", NotAPath),
        ("////evil.example", NotAPath),
        ("//evil.example/%2e%2e", NotAPath),
        ("//evil.example@app.example", NotAPath),
        ("//evil%E3%80%82example", NotAPath),
        ("//", NotAPath),
        ("///", NotAPath),
        ("/\\evil.example", NotAPath),
        ("/\\\\evil.example", NotAPath),
        ("/\\/evil.example", NotAPath),
        ("\\/evil.example", NotAPath),
        ("\\\\evil.example", NotAPath),
        ("\\evil.example", NotAPath),
        (" //evil.example", NotAPath),
        ("\t//evil.example", NotAPath),
        ("\n//evil.example", NotAPath),
        ("\r\n//evil.example", NotAPath),
        ("\u{0}//evil.example", NotAPath),
        ("\u{feff}//evil.example", NotAPath),
        ("?//evil.example", NotAPath),
        ("#//evil.example", NotAPath),
        ("@evil.example", NotAPath),
        (".evil.example", NotAPath),
        ("./evil", NotAPath),
        ("../evil", NotAPath),
        ("%2f%2fevil.example", NotAPath),
        ("%5cevil.example", NotAPath),
        ("/\t/evil.example", Character),
        ("/\n/evil.example", Character),
        ("/\r/evil.example", Character),
        ("/\r\n/evil.example", Character),
        ("/\u{b}/evil.example", Character),
        ("/\u{c}/evil.example", Character),
        ("/\u{0}/evil.example", Character),
        ("/\u{7f}/evil.example", Character),
        ("/ /evil.example", Character),
        ("/ \\evil.example", Character),
        ("/a\\b", Character),
        ("/a\\..\\b", Character),
        ("/a#//evil.example", Character),
        ("/a?b#c", Character),
        ("/\u{2028}/evil.example", Character),
        ("/\u{ff0f}evil.example", Character),
        ("/\u{3002}evil.example", Character),
        ("/ü", Character),
        ("/a b", Character),
        ("/a\"b", Character),
        ("/<script>", Character),
        ("/a|b", Character),
        ("/a^b", Character),
        ("/a`b", Character),
        ("/{a}", Character),
        ("/[::1]", Character),
        ("/a%", Character),
        ("/a%2", Character),
        ("/a%zz", Character),
        ("/a?x=%zz", Character),
        ("/a%u002f", Character),
        ("/a\r\nSet-Cookie: x=y", Character),
        ("/%2fevil.example", Segment),
        ("/%2Fevil.example", Segment),
        ("/%5cevil.example", Segment),
        ("/%5Cevil.example", Segment),
        ("/%252fevil.example", Segment),
        ("/%255cevil.example", Segment),
        ("/%25252fevil.example", Segment),
        ("/%09/evil.example", Segment),
        ("/%0a/evil.example", Segment),
        ("/%0d/evil.example", Segment),
        ("/%0d%0aSet-Cookie:x=y", Segment),
        ("/%250d%250aSet-Cookie:x", Segment),
        ("/%00", Segment),
        ("/%7f", Segment),
        ("/a//b", Segment),
        ("/a//evil.example", Segment),
        ("/a/%2fevil.example", Segment),
        ("/.", Segment),
        ("/..", Segment),
        ("/./", Segment),
        ("/.//evil.example", Segment),
        ("/..//evil.example", Segment),
        ("/a/../b", Segment),
        ("/a/..//evil.example", Segment),
        ("/a/%2e%2e//evil.example", Segment),
        ("/%2e/%5cevil.example", Segment),
        ("/%2e%2e/evil", Segment),
        ("/%252e%252e/evil", Segment),
        ("/..;/evil", Segment),
        ("/a/..;x=1/evil", Segment),
        ("/.;/evil", Segment),
    ];

    #[test]
    fn no_hostile_value_becomes_a_return_url() {
        assert!(HOSTILE.len() >= 80);
        for (value, reason) in HOSTILE {
            assert_eq!(value.parse::<ReturnUrl>(), Err(*reason), "{value:?}");
        }
    }

    #[test]
    fn an_overlong_value_is_refused() {
        assert_eq!("/".repeat(LONGEST + 1).parse::<ReturnUrl>(), Err(Length));
        assert!(format!("/{}", "a".repeat(LONGEST - 1)).parse::<ReturnUrl>().is_ok());
    }

    #[test]
    fn an_ordinary_path_is_kept_byte_for_byte() {
        let ordinary = [
            "/",
            "/a",
            "/a/",
            "/a/b.html",
            "/a?b=c&b=d",
            "/a?next=//x",
            "/a?u=https://x.example/",
            "/a%20b",
            "/%C3%BC",
            "/a;v=1/b",
            "/...",
            "/..a",
            "/a?x=%2F%5C",
            "/~u/@me!$&'()*+,;=:",
        ];
        for value in ordinary {
            assert_eq!(value.parse::<ReturnUrl>().unwrap().as_str(), value);
        }
    }

    #[test]
    fn our_own_urls_are_recognised_on_a_segment_boundary() {
        for inside in ["/oauth", "/oauth/signin", "/OAuth/signin", "/%6fauth/signin", "/oauth?x", "/oauth;x/signin"] {
            assert!(inside.parse::<ReturnUrl>().unwrap().is_under("/oauth"), "{inside}");
        }
        for outside in ["/", "/oauthfoo", "/a/oauth", "/a?/oauth"] {
            assert!(!outside.parse::<ReturnUrl>().unwrap().is_under("/oauth"), "{outside}");
        }
    }
}
