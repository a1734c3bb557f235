//! Public origin: scheme and authority in the browser's address bar. It is configuration, never `Host` or
//! `X-Forwarded-*`.
//!
//! Knows nothing of requests: the Functions host replaces those headers, and clients forge them.

use std::borrow::Cow;
use std::str::FromStr;

use url::Url;

use crate::transport_security::is_https_or_loopback;

/// Public origin of the site, from `PUBLIC_BASE_URL`: scheme and authority, no path.
///
/// ```
/// use oauth_proxy::public_origin::{PublicOrigin, PublicOriginError};
///
/// let origin: PublicOrigin = "https://app.example:443".parse()?;
/// assert_eq!((origin.as_str(), origin.authority(), origin.port()), ("https://app.example", "app.example", 443));
///
/// assert_eq!("http://app.example".parse::<PublicOrigin>(), Err(PublicOriginError::Insecure));
/// # Ok::<(), PublicOriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    origin: String,
    scheme_end: usize,
    port: u16,
}

/// Reason why a URL can't be the public origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicOriginError {
    /// Not an absolute `http` or `https` URL.
    #[error("not an absolute http or https URL")]
    NotHttp,
    /// The URL has a path, a query, a fragment or a user: cookies with `__Host-` belong to a whole origin.
    #[error("more than scheme, host and port")]
    Excess,
    /// Plain `http` off loopback: cookies would travel unencrypted.
    #[error("http outside loopback")]
    Insecure,
}

impl PublicOrigin {
    /// `scheme://host[:port]`, as browsers write it in `Origin` (RFC 6454 section 6.2).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// `https`, or `http` on loopback.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.origin[..self.scheme_end]
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.origin[self.scheme_end + 3..]
    }

    /// The port, explicit or the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True for `https`: cookies are `Secure` and carry the `__Host-` prefix.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme() == "https"
    }

    /// The absolute URL of a path on this origin.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        [&self.origin, path].concat()
    }

    /// Value of `Location` for a path of this origin: the path itself, or an absolute URL if a reader could take the
    /// path for another host (RFC 3986 4.2: `//host` is a network-path reference).
    #[must_use]
    pub fn location<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if is_plain_start(path.as_bytes()) { Cow::Borrowed(path) } else { Cow::Owned(self.url(path)) }
    }

    /// Path, query and fragment of an absolute URL of this origin, byte for byte. `None` for any other URL, for one
    /// with a user, and for one whose authority only a lenient parser accepts.
    #[must_use]
    pub fn path_of<'a>(&self, url: &'a str) -> Option<Cow<'a, str>> {
        let scheme_end = url.find("://")?;
        let authority_start = scheme_end + 3;
        let authority_end = url[authority_start..].find(['/', '?', '#']).map_or(url.len(), |end| authority_start + end);
        let authority = &url[authority_start..authority_end];
        // Refuses `@`, `\\`, `%` and every byte that a URL parser drops.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_scheme = url[..scheme_end].eq_ignore_ascii_case(self.scheme());
        if !is_scheme || authority.is_empty() || !authority.bytes().all(is_plain) {
            return None;
        }
        let origin = Url::parse(&url[..authority_end]).ok()?.origin().ascii_serialization();
        if origin != self.origin {
            return None;
        }
        let rest = &url[authority_end..];
        Some(if rest.starts_with('/') { Cow::Borrowed(rest) } else { Cow::Owned(["/", rest].concat()) })
    }
}

impl FromStr for PublicOrigin {
    type Err = PublicOriginError;

    fn from_str(text: &str) -> Result<Self, PublicOriginError> {
        let url = Url::parse(text).map_err(|_| PublicOriginError::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PublicOriginError::NotHttp);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.path() != "/" || text.contains(['?', '#', '@']) {
            return Err(PublicOriginError::Excess);
        }
        if !is_https_or_loopback(&url) {
            return Err(PublicOriginError::Insecure);
        }
        let port = url.port_or_known_default().ok_or(PublicOriginError::NotHttp)?;
        Ok(Self { origin: url.origin().ascii_serialization(), scheme_end: url.scheme().len(), port })
    }
}

/// True for a path that no reader takes for a network-path reference: its second byte is no slash, no backslash, no
/// byte that a URL parser drops (WHATWG URL 4.4), and nothing encoded that a proxy on the way may decode.
pub(crate) fn is_plain_start(path: &[u8]) -> bool {
    matches!(path, [b'/'] | [b'/', b'!'..=b'$' | b'&'..=b'.' | b'0'..=b'[' | b']'..=b'~', ..])
}

#[cfg(test)]
mod tests {
    use super::PublicOriginError::{Excess, Insecure, NotHttp};
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, origin, authority, port) in [
            ("https://App.Example", "https://app.example", "app.example", 443),
            ("https://app.example:443/", "https://app.example", "app.example", 443),
            ("https://app.example:8443", "https://app.example:8443", "app.example:8443", 8443),
            ("http://127.0.0.1:7071/", "http://127.0.0.1:7071", "127.0.0.1:7071", 7071),
            ("http://localhost", "http://localhost", "localhost", 80),
            ("http://[::1]:7071", "http://[::1]:7071", "[::1]:7071", 7071),
        ] {
            let parsed: PublicOrigin = text.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.authority(), parsed.port()), (origin, authority, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_public_origin_is_refused() {
        for (text, expected) in [
            ("", NotHttp),
            ("app.example", NotHttp),
            ("ftp://app.example", NotHttp),
            ("https://app.example/app", Excess),
            ("https://app.example/?x", Excess),
            ("https://app.example/#x", Excess),
            ("https://user@app.example", Excess),
            ("http://app.example", Insecure),
            ("http://10.0.0.1", Insecure),
            ("http://127.0.0.1.evil.example", Insecure),
        ] {
            assert_eq!(text.parse::<PublicOrigin>().unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_location_that_could_name_another_host_is_absolute() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        for path in ["/", "/a", "/a//b", "/?x", "/#x", "/~", "/.well-known", "/a%2F"] {
            assert_eq!(origin.location(path), path);
        }
        for path in
            ["//evil.example", "///", "/\\evil.example", "/%2Fevil.example", "/%5Cevil.example", "/\t/evil.example"]
        {
            assert_eq!(origin.location(path), format!("https://app.example{path}"));
        }
    }

    #[test]
    fn a_url_of_this_origin_is_recognised_however_it_is_written() {
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let table = [
            ("https://app.example/a?b#c", Some("/a?b#c"), "as browsers write it"),
            ("https://app.example", Some("/"), "without a path"),
            ("https://app.example?b", Some("/?b"), "a query alone"),
            ("https://app.example#c", Some("/#c"), "a fragment alone"),
            ("https://app.example:443/a", Some("/a"), "the default port"),
            ("https://app.example:0443/a", Some("/a"), "the same number"),
            ("HTTPS://App.EXAMPLE/A", Some("/A"), "other case; the path's stays"),
            ("https://app.example//search", Some("//search"), "two slashes"),
            ("https://app.example/https://x/", Some("/https://x/"), "a URL within"),
            ("https://app.example:8443/a", None, "another port"),
            ("http://app.example/a", None, "another scheme"),
            ("http://app.example:443/a", None, "another scheme at the same port"),
            ("https://app.example.evil.example/", None, "a longer name"),
            ("https://app.example./", None, "another name"),
            ("https://evil.example/", None, "another host"),
            ("https://app.example@evil.example/", None, "ours as a user"),
            ("https://user@app.example/", None, "a user"),
            ("https://@app.example/", None, "an empty user"),
            ("https://app.example:x@evil.example/", None, "a user and a password"),
            ("https://app.example\\@evil.example/", None, "a backslash"),
            ("https://evil.example\\@app.example/", None, "a backslash the other way"),
            ("https:\\\\app.example/", None, "backslashes for slashes"),
            ("https:app.example/", None, "no slashes"),
            ("https:/app.example/", None, "one slash"),
            ("https:///app.example/", None, "three slashes"),
            ("https://app.exa\tmple/", None, "a tab, which parsers drop"),
            (" https://app.example/", None, "a blank first"),
            ("https://app%2Eexample/", None, "an encoded name"),
            ("blob:https://app.example/", None, "another scheme around it"),
            ("javascript://app.example/%0aalert(1)", None, "a script"),
            ("//app.example/", None, "without a scheme"),
            ("/a", None, "a path"),
        ];
        for (url, expected, reason) in table {
            assert_eq!(origin.path_of(url).as_deref(), expected, "{reason}");
        }
    }
}
