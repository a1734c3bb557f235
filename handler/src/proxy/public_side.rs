//! Public origin in the headers that tell it to an upstream.
//!
//! Built once at start-up from `PUBLIC_BASE_URL`; no request changes it.

use hyper::header::{HeaderName, HeaderValue};
use url::Host;

use super::authority::{Authority, is_loopback, is_same_host, normal_host};
use crate::public_origin::PublicOrigin;

/// Public origin, prepared for headers.
#[derive(Debug)]
pub struct PublicSide {
    origin: PublicOrigin,
    host: Host<String>,
    host_text: String,
    host_header: HeaderValue,
    forwarded_headers: [(HeaderName, HeaderValue); 3],
}

impl PublicSide {
    /// Prepares this origin.
    ///
    /// # Panics
    /// Never: an origin is visible ASCII.
    #[must_use]
    pub fn new(origin: PublicOrigin) -> Self {
        // RFC 6454 6.2: an origin is ASCII, an international name is punycode.
        let value = |text: &str| HeaderValue::from_str(text).expect("an origin is visible ASCII");
        let name = HeaderName::from_static;
        let port = origin.port();
        let spelt_port = format!(":{port}");
        let host_text = origin.authority().strip_suffix(&spelt_port).unwrap_or(origin.authority()).to_owned();
        Self {
            host: normal_host(&host_text).expect("the host of an origin is a host"),
            host_header: value(origin.authority()),
            // No `X-Forwarded-Prefix`: no path prefix is removed, so links need none.
            forwarded_headers: [
                (name("x-forwarded-proto"), value(origin.scheme())),
                (name("x-forwarded-host"), value(origin.authority())),
                (name("x-forwarded-port"), HeaderValue::from(port)),
            ],
            host_text,
            origin,
        }
    }

    /// The headers `X-Forwarded-Proto`, `-Host` and `-Port`.
    #[must_use]
    pub fn forwarded_headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.forwarded_headers
    }

    pub(super) fn origin(&self) -> &PublicOrigin {
        &self.origin
    }

    /// The host without a port.
    pub(super) fn host(&self) -> &str {
        &self.host_text
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// True if this is exactly the public origin.
    pub(super) fn is(&self, named: &Authority) -> bool {
        let is_secure = self.origin.is_secure();
        self.host == named.host
            && named.is_https.is_none_or(|is_https| is_https == is_secure)
            && named.effective_port(is_secure) == self.origin.port()
    }

    /// True if this has the public host, whatever its scheme and port: a server builds them from its own.
    ///
    /// Other ports on loopback are other programs, so there the port must be absent or the public one.
    pub(super) fn is_named_by(&self, named: &Authority) -> bool {
        let is_any_port = !is_loopback(&self.host);
        is_same_host(&self.host, &named.host)
            && (is_any_port || named.port.is_none_or(|port| port == self.origin.port()))
    }

    /// True if this is the public host, whatever its spelling.
    pub(super) fn is_host(&self, host: &Host<String>) -> bool {
        self.host == *host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_told_of_the_public_origin() {
        for (origin, expected) in [
            ("https://app.example", ["https", "app.example", "443"]),
            ("https://app.example:8443", ["https", "app.example:8443", "8443"]),
            ("http://[::1]:7071", ["http", "[::1]:7071", "7071"]),
        ] {
            let public = PublicSide::new(origin.parse().unwrap());

            let values = public.forwarded_headers().iter().map(|(_, value)| value.to_str().unwrap());

            assert_eq!(values.collect::<Vec<_>>(), expected, "{origin}");
            assert_eq!(public.host_header(), expected[1], "{origin}");
        }
    }
}
