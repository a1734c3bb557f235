//! The origin under which browsers know us. It is configuration, never `Host` or `X-Forwarded-*`.
//!
//! Knows nothing of requests: the Functions host replaces those headers, and clients forge them.

use std::str::FromStr;

use url::Url;

use crate::transport_security::is_https_or_loopback;

/// Scheme and authority of `PUBLIC_BASE_URL`, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    origin: String,
    scheme_end: usize,
    port: u16,
}

/// Why a URL can't be the public origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicOriginError {
    /// It isn't an absolute `http` or `https` URL.
    #[error("not an absolute http or https URL")]
    NotHttp,
    /// It has a path, a query, a fragment or a user: cookies with `__Host-` belong to a whole origin.
    #[error("more than scheme, host and port")]
    Excess,
    /// It is `http` and not on loopback: cookies would travel in the clear.
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

    /// The port, also where it is the scheme's default and not written.
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
}
