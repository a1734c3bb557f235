//! Transport rule for URLs that carry secrets: `https`, or plain `http` that never leaves the machine.
//!
//! Knows nothing of the requests sent there.

use url::{Host, Url};

/// True for `https`, and for `http` on loopback, where tests and demos live (RFC 6749 3.1 and 3.2 ask for TLS).
#[must_use]
pub fn is_https_or_loopback(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// True for `localhost` and the loopback addresses of RFC 1122 3.2.1.3 and RFC 4291 2.5.3.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
