//! Authority of a URI reference: host and port, compared as browsers read them.
//!
//! Knows names only, not their owners.

use std::net::IpAddr;

use url::Host;

/// Reference with an authority, split behind it.
pub(super) struct NetworkReference<'v> {
    /// The server.
    pub(super) authority: Authority,
    /// Path, query and fragment, byte for byte.
    pub(super) rest: &'v [u8],
}

/// Host and port of an `http` or `https` reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    /// The host, as WHATWG URL serialises it, without the dot of the root.
    pub(super) host: Host<String>,
    /// True for `https`, false for `http`, absent in a reference that begins with `//`.
    pub(super) is_https: Option<bool>,
    /// The port; `None` if absent or the scheme's default.
    pub(super) port: Option<u16>,
}

impl<'v> NetworkReference<'v> {
    /// Parses `http://…`, `https://…` and `//…` (RFC 3986 4.2). `None` if it has user information.
    pub(super) fn parse(reference: &'v [u8]) -> Option<Self> {
        let (is_https, after) = [(Some(true), "https://"), (Some(false), "http://"), (None, "//")]
            .into_iter()
            .find_map(|(is_https, start)| Some((is_https, strip_prefix_ignore_case(reference, start)?)))?;
        // WHATWG URL 4.4: a backslash ends the authority of these schemes, too.
        let end = after.iter().position(|byte| b"/\\?#".contains(byte)).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let authority = Authority::parse(std::str::from_utf8(authority).ok()?, is_https)?;
        Some(Self { authority, rest })
    }
}

impl Authority {
    /// Parses `host` or `host:port`.
    pub(super) fn parse(text: &str, is_https: Option<bool>) -> Option<Self> {
        let host_end = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text[host_end..].split_once(':') {
            Some((rest, port)) => (&text[..host_end + rest.len()], port),
            None => (text, ""),
        };
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None, // also what follows user information
        };
        if host.contains('@') {
            return None;
        }
        let is_default = port.is_some() && port == is_https.map(default_port);
        Some(Self { host: normal_host(host)?, is_https, port: port.filter(|_| !is_default) })
    }

    /// The port that a browser would connect to.
    pub(super) fn effective_port(&self, is_https: bool) -> u16 {
        self.port.unwrap_or(default_port(self.is_https.unwrap_or(is_https)))
    }
}

pub(super) fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// Normalised host: lower case, decoded, an address in its shortest form, without the dot of the root.
pub(super) fn normal_host(text: &str) -> Option<Host<String>> {
    match Host::parse(text).ok()? {
        Host::Domain(mut name) => {
            name.truncate(name.strip_suffix('.').map_or(name.len(), str::len));
            Some(Host::Domain(name))
        }
        address => Some(address),
    }
}

/// True for equal hosts, and for two loopback names.
pub(super) fn is_same_host(one: &Host<String>, other: &Host<String>) -> bool {
    one == other || (is_loopback(one) && is_loopback(other))
}

pub(super) fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

fn strip_prefix_ignore_case<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reference: &str) -> Option<(String, Option<u16>, String)> {
        let NetworkReference { authority, rest } = NetworkReference::parse(reference.as_bytes())?;
        Some((authority.host.to_string(), authority.port, String::from_utf8(rest.to_vec()).unwrap()))
    }

    #[test]
    fn a_reference_to_a_server_is_read_as_browsers_read_it() {
        for (reference, host, port, rest) in [
            ("http://app", "app", None, ""),
            ("HTTP://App/x", "app", None, "/x"),
            ("https://app:8443/x?y#z", "app", Some(8443), "/x?y#z"),
            ("//app/x", "app", None, "/x"),
            ("//app:80/x", "app", Some(80), "/x"),
            ("http://app:80/x", "app", None, "/x"),
            ("https://app:443", "app", None, ""),
            ("https://app:80/", "app", Some(80), "/"),
            ("http://app:/x", "app", None, "/x"),
            ("http://app:0080/x", "app", None, "/x"),
            ("http://app./x", "app", None, "/x"),
            ("http://app?x=//y", "app", None, "?x=//y"),
            ("http://app#x", "app", None, "#x"),
            ("http://app\\x", "app", None, "\\x"),
            ("http://a%70p/x", "app", None, "/x"),
            ("http://bücher/x", "xn--bcher-kva", None, "/x"),
            ("http://127.1:81/x", "127.0.0.1", Some(81), "/x"),
            ("http://[::1]:81/x", "[::1]", Some(81), "/x"),
            ("http://[0:0:0:0:0:0:0:1]/x", "[::1]", None, "/x"),
        ] {
            assert_eq!(read(reference), Some((host.to_owned(), port, rest.to_owned())), "{reference}");
        }
    }

    #[test]
    fn what_names_no_server_or_a_user_is_none() {
        for reference in [
            "",
            "/x",
            "x",
            "?x",
            "http:/app/x",
            "http:app",
            "ftp://app/x",
            "http://",
            "http:///x",
            "http://user@app/x",
            "http://user:pw@app/x",
            "http://app@evil.example/x",
            "http://app:80@evil.example/x",
            "http://app:@evil.example/x",
            "http://app:x/",
            "http://app:99999/",
            "http://app:80:80/",
            "http://a b/",
            "http://[::1/x",
            "http://[::1]x/",
        ] {
            assert_eq!(read(reference), None, "{reference}");
        }
    }

    #[test]
    fn the_names_of_this_machine_are_one_host() {
        let host = |text| normal_host(text).unwrap();
        for (one, other, expected) in [
            ("localhost", "127.0.0.1", true),
            ("[::1]", "LOCALHOST.", true),
            ("[::ffff:127.0.0.1]", "app.localhost", true),
            ("app", "app.", true),
            ("app", "app.example", false),
            ("localhost", "localhost.example", false),
            ("10.0.0.1", "127.0.0.1", false),
        ] {
            assert_eq!(is_same_host(&host(one), &host(other)), expected, "{one} {other}");
        }
    }
}
