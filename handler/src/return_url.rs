//! Return URL after signing in or out: a path of the public origin, and nothing else.
//!
//! Whatever a browser can have in its address bar on this origin (WHATWG URL) is kept byte for byte. Staying on the
//! origin does not hang on these rules alone: `PublicOrigin::location` writes a path that another reader could take
//! for a host as an absolute URL.

use std::str::FromStr;

use crate::percent::{decode_fully, is_under};

/// Maximum length in bytes: servers on the way accept request lines of about this length (Kestrel: 8 KiB).
pub const MAX_LENGTH: usize = 8192;

/// A path with an optional query and fragment on the public origin. Only [`FromStr`] makes one.
///
/// ```
/// use oauth_proxy::return_url::{ReturnUrl, ReturnUrlError};
///
/// let url: ReturnUrl = "/orders?from=mail#42".parse()?;
/// assert_eq!((url.as_str(), url.path()), ("/orders?from=mail#42", "/orders"));
///
/// assert_eq!("https://evil.example/".parse::<ReturnUrl>(), Err(ReturnUrlError::NotAPath));
/// assert_eq!("/a/..%2fb".parse::<ReturnUrl>(), Err(ReturnUrlError::Segment));
/// # Ok::<(), ReturnUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrl(String);

/// Reason why a value is no [`ReturnUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReturnUrlError {
    /// Not a path: it does not begin with `/`.
    #[error("a return URL is a path of this site and begins with a slash")]
    NotAPath,
    /// A control byte, or a backslash in the path. A browser never sends them: it drops controls and turns `\` into
    /// `/`.
    #[error("a return URL has no control byte, and no backslash in its path")]
    Character,
    /// A dot segment in some decoding of the path; a browser resolves these before it sends the request.
    #[error("a return URL's path has no dot segment, however encoded")]
    Segment,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("a return URL has at most 8192 bytes")]
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

    /// The path, without query and fragment.
    #[must_use]
    pub fn path(&self) -> &str {
        path(&self.0)
    }

    /// True if the path is `prefix` or below it: a sign-in that returns there would loop.
    #[must_use]
    pub fn is_under(&self, prefix: &str) -> bool {
        is_under(path(&self.0), prefix)
    }
}

impl FromStr for ReturnUrl {
    type Err = ReturnUrlError;

    /// Accepts a path. A blank and bytes beyond ASCII, which a link that nobody encoded has, are percent-encoded as
    /// browsers do.
    fn from_str(text: &str) -> Result<Self, ReturnUrlError> {
        if text.len() > MAX_LENGTH {
            return Err(ReturnUrlError::Length);
        }
        if !text.starts_with('/') {
            return Err(ReturnUrlError::NotAPath);
        }
        let path = path(text);
        // URL Standard 4.4: tabs and line ends are removed, and `\\` is `/` in the path of an http URL.
        if text.bytes().any(|byte| byte.is_ascii_control()) || path.contains('\\') {
            return Err(ReturnUrlError::Character);
        }
        if has_dot_segment(path.as_bytes()) {
            return Err(ReturnUrlError::Segment);
        }
        let url: String = percent_encoding::utf8_percent_encode(text, BLANK).collect();
        if url.len() > MAX_LENGTH {
            return Err(ReturnUrlError::Length);
        }
        Ok(Self(url))
    }
}

/// Bytes to percent-encode beside everything beyond ASCII. Control bytes are refused before.
const BLANK: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');

fn path(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// True for a path with `.`, `..` or an encoded form (URL Standard 4.4), also behind `;`, `%2f` and `%5c` as servers
/// read it. The proxy refuses such targets, so nothing that can be opened is lost.
fn has_dot_segment(path: &[u8]) -> bool {
    decode_fully(path).split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::ReturnUrlError::Length;
    use super::*;
    use crate::public_origin::PublicOrigin;

    /// Row of `tests/vectors/hostile_return_urls.json`: an open-redirect attempt published against another reverse
    /// proxy, or a variation.
    #[derive(serde::Deserialize)]
    struct Attempt {
        value: String,
        accepted: Option<String>,
        refused: Option<String>,
        reason: String,
    }

    fn attempts() -> Vec<Attempt> {
        let rows: Vec<Attempt> =
            serde_json::from_str(include_str!("../../tests/vectors/hostile_return_urls.json")).unwrap();
        assert!(rows.len() >= 160, "{}", rows.len());
        rows
    }

    fn origin() -> PublicOrigin {
        "https://app.example".parse().unwrap()
    }

    /// Origin and path where a browser on this site arrives when it is redirected to `location`.
    fn arrive(location: &str) -> (String, String) {
        let url = Url::parse("https://app.example/oauth/callback?code=x").unwrap().join(location).unwrap();
        (url.origin().ascii_serialization(), url[url::Position::BeforePath..].to_owned())
    }

    #[test]
    fn no_hostile_value_leaves_the_origin() {
        for Attempt { value, .. } in attempts() {
            let Ok(url) = value.parse::<ReturnUrl>() else { continue };
            let location = origin().location(url.as_str()).into_owned();

            // Parsed as WHATWG does, and as readers that stop at the first control byte or that decode.
            let (arrived, _) = arrive(&location);
            let decoded = String::from_utf8_lossy(&decode_fully(location.as_bytes())).into_owned();

            assert_eq!(arrived, "https://app.example", "{value:?}");
            assert_eq!(arrive(&decoded).0, "https://app.example", "{value:?}");
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{value:?}");
        }
    }

    #[test]
    fn what_no_browser_has_in_its_address_bar_is_refused_and_the_rest_is_kept() {
        for Attempt { value, accepted, refused, reason } in attempts() {
            let parsed = value.parse::<ReturnUrl>();

            assert_eq!(parsed.as_ref().ok().map(ReturnUrl::as_str), accepted.as_deref(), "{reason}");
            assert_eq!(parsed.err().map(|error| format!("{error:?}")), refused, "{reason}");
        }
    }

    #[test]
    fn an_overlong_value_is_refused() {
        assert_eq!("/".repeat(MAX_LENGTH + 1).parse::<ReturnUrl>(), Err(Length));
        assert_eq!(format!("/{}", " ".repeat(MAX_LENGTH - 1)).parse::<ReturnUrl>(), Err(Length), "once it is encoded");
        assert!(format!("/{}", "a".repeat(MAX_LENGTH - 1)).parse::<ReturnUrl>().is_ok());
    }

    /// Every row is unchanged by `new URL(…).href`, so a browser sends it like this.
    #[test]
    fn what_a_browser_has_in_its_address_bar_is_kept_byte_for_byte() {
        let addresses = [
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
            "/list?filter[status]=open",
            "/a?b=x|y",
            "/a?b=^`{}[]|\\",
            "/a[0]|b",
            "/api/datasources/proxy/2//search",
            "/image/https%3A%2F%2Fh%2Fa.png",
            "/image/https://h/a.png",
            "//search",
            "///",
            "//evil.example/a",
            "//user@evil.example:8080/a?b#c",
            "/a//b//",
            "/%2F",
            "/%2f%2fx",
            "/%5C",
            "/D%5Cuser",
            "/%00",
            "/%0d%0aSet-Cookie:x=y",
            "/100%",
            "/100%25",
            "/a%zz%2",
            "/a?q=100%",
            "/a?q=%zz&r=%00",
            "/a?q=it%27s",
            "/it's",
            "/a?/../b",
            "/a?",
            "/a#",
            "/a?#",
            "/a?b#c",
            "/a#/route?x=[1]|{2}^'",
            "/#!/orders/7",
            "/#//evil.example",
        ];
        for address in addresses {
            let kept: ReturnUrl = address.parse().unwrap();
            let location = origin().location(kept.as_str()).into_owned();

            assert_eq!(kept.as_str(), address);
            assert_eq!(arrive(&location), ("https://app.example".to_owned(), address.to_owned()));
        }
    }

    #[test]
    fn a_link_that_nobody_encoded_is_encoded_as_browsers_do() {
        let table = [
            ("/a b", "/a%20b"),
            ("/ü", "/%C3%BC"),
            ("/a?q=ü b", "/a?q=%C3%BC%20b"),
            ("/\u{ff0f}evil.example", "/%EF%BC%8Fevil.example"),
            ("/\u{2028}/x", "/%E2%80%A8/x"),
        ];
        for (value, expected) in table {
            let url: ReturnUrl = value.parse().unwrap();
            assert_eq!((url.as_str(), arrive(value).1.as_str()), (expected, expected));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_leaves_the_origin(text in "[/\\\\a.:@?#%20-9e \t\n\u{e9}]{0,24}") {
            if let Ok(url) = text.parse::<ReturnUrl>() {
                let (arrived, path) = arrive(&origin().location(url.as_str()));
                proptest::prop_assert_eq!(arrived, "https://app.example");
                proptest::prop_assert_eq!(path, url.as_str());
            }
        }
    }

    #[test]
    fn our_own_urls_are_recognised_on_a_segment_boundary() {
        let inside = [
            "/oauth",
            "/oauth/signin",
            "/OAuth/signin",
            "/%6fauth/signin",
            "/oauth?x",
            "/oauth;x/signin",
            "/oauth#x",
            "/%252525256fauth/x",
        ];
        for inside in inside {
            assert!(inside.parse::<ReturnUrl>().unwrap().is_under("/oauth"), "{inside}");
        }
        for outside in ["/", "/oauthfoo", "/a/oauth", "/a?/oauth", "/#/oauth"] {
            assert!(!outside.parse::<ReturnUrl>().unwrap().is_under("/oauth"), "{outside}");
        }
    }
}
