//! Header rules that apply to every request and response: hop-by-hop fields, `Connection`, our cookies.
//!
//! Knows names only, no session.

use actix_web::http::header as down;
use hyper::header as up;

use super::cookies::OwnCookies;
use super::error::ForwardError;
use super::origin_mapping::OriginMapping;

/// True for a header of a single connection (RFC 9110 7.6.1), or of the message framing, which each connection has
/// anew.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    match name.len() {
        2 => name == "te",
        5 => name == "proxy",
        6 => name == "expect",
        7 => matches!(name, "upgrade" | "trailer"),
        8 => name == "trailers",
        10 => matches!(name, "connection" | "keep-alive"),
        14 => matches!(name, "content-length" | "http2-settings"),
        16 => name == "proxy-connection",
        17 => name == "transfer-encoding",
        18 => name == "proxy-authenticate",
        19 => name == "proxy-authorization",
        _ => false,
    }
}

/// Maximum names in `Connection` (RFC 9110 7.6.1 sets none); no client sends more. Each is compared with each header.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// Error for a `Connection` header with more than [`MAX_CONNECTION_OPTIONS`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyOptions;

/// Headers named by `Connection`, without `close` and `keep-alive`. Usually none, and then nothing is
/// allocated.
#[derive(Debug, Default)]
pub(super) struct ConnectionOptions<'v>(Vec<&'v [u8]>);

impl<'v> ConnectionOptions<'v> {
    pub(super) fn parse(values: impl Iterator<Item = &'v [u8]>) -> Result<Self, TooManyOptions> {
        let mut named = Vec::new();
        for token in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            let is_ours =
                token.is_empty() || token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close");
            if is_ours {
                continue;
            }
            if named.len() == MAX_CONNECTION_OPTIONS {
                return Err(TooManyOptions);
            }
            named.push(token);
        }
        Ok(Self(named))
    }

    /// True if `Connection` names this header, given in lower case.
    pub(super) fn contains(&self, header: &str) -> bool {
        self.0.iter().any(|named| named.eq_ignore_ascii_case(header.as_bytes()))
    }
}

/// Copies an Upstream's headers to the response in public names, without hop-by-hop headers and without cookies
/// named like ours.
///
/// # Errors
/// If its `Connection` header names more than any server does.
pub(super) fn copy_response(
    from: &up::HeaderMap,
    own: &OwnCookies,
    mapping: OriginMapping<'_>,
    to: &mut down::HeaderMap,
) -> Result<(), ForwardError> {
    let named = ConnectionOptions::parse(from.get_all(up::CONNECTION).iter().map(up::HeaderValue::as_bytes))
        .map_err(|TooManyOptions| ForwardError::Broken("its Connection header names too many headers".into()))?;
    for (name, value) in from {
        let text = name.as_str();
        if is_hop_by_hop(text) || named.contains(text) {
            continue;
        }
        if *name == up::SET_COOKIE && own.owns(value.as_bytes()) {
            continue;
        }
        let public = mapping.public_value(name, value.as_bytes());
        let name = down::HeaderName::from_bytes(text.as_bytes());
        let value = down::HeaderValue::from_bytes(public.as_deref().unwrap_or(value.as_bytes()));
        if let (Ok(name), Ok(value)) = (name, value) {
            to.append(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{PublicSide, RouteTable};

    #[test]
    fn every_header_of_one_connection_is_known_and_no_other() {
        let of_one_connection = [
            "te",
            "proxy",
            "expect",
            "upgrade",
            "trailer",
            "trailers",
            "connection",
            "keep-alive",
            "content-length",
            "http2-settings",
            "proxy-connection",
            "transfer-encoding",
            "proxy-authenticate",
            "proxy-authorization",
        ];
        for name in of_one_connection {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in ["", "dt", "range", "accept", "referer", "if-match", "user-agent", "content-type", "authorization"]
        {
            assert!(!is_hop_by_hop(name), "{name}");
        }
    }

    #[test]
    fn a_connection_header_names_headers_in_any_case_and_not_too_many() {
        let parse = |value: &str| ConnectionOptions::parse([value.as_bytes()].into_iter()).map(|named| named.0.len());

        let named = ConnectionOptions::parse([b"close, X-Hop ,,keep-alive".as_slice(), b"te"].into_iter()).unwrap();
        assert_eq!(["x-hop", "te", "close", "x-ho"].map(|header| named.contains(header)), [true, true, false, false]);
        assert_eq!(parse(&"close,".repeat(5_000)), Ok(0));
        assert_eq!(parse(&"a,".repeat(MAX_CONNECTION_OPTIONS)), Ok(MAX_CONNECTION_OPTIONS));
        assert_eq!(parse(&"a,".repeat(MAX_CONNECTION_OPTIONS + 1)), Err(TooManyOptions));
    }

    #[test]
    fn a_response_keeps_neither_headers_of_its_connection_nor_cookies_of_our_names() {
        let mut from = up::HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "own-session=x"),
            ("set-cookie", "other=x"),
            ("x-kept", "1"),
        ] {
            from.append(up::HeaderName::from_static(name), up::HeaderValue::from_static(value));
        }
        let public = PublicSide::new("https://app.example".parse().unwrap());
        let routes = RouteTable::single("https://app.internal").unwrap();
        let route = routes.find("/").unwrap().unwrap();
        let mapping = OriginMapping { public: &public, route, routes: &routes };
        let mut to = down::HeaderMap::new();

        copy_response(&from, &OwnCookies::new(vec!["own-session".to_owned()]), mapping, &mut to).unwrap();

        let mut kept: Vec<_> = to.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        kept.sort_unstable();
        assert_eq!(kept, [("set-cookie", "other=x"), ("x-kept", "1")]);
    }

    #[test]
    fn a_response_whose_connection_header_names_too_many_is_refused() {
        let mut from = up::HeaderMap::new();
        from.insert(up::CONNECTION, up::HeaderValue::try_from("a,".repeat(MAX_CONNECTION_OPTIONS + 1)).unwrap());

        let public = PublicSide::new("https://app.example".parse().unwrap());
        let routes = RouteTable::single("https://app.internal").unwrap();
        let route = routes.find("/").unwrap().unwrap();
        let mapping = OriginMapping { public: &public, route, routes: &routes };

        let copied = copy_response(&from, &OwnCookies::new(Vec::new()), mapping, &mut down::HeaderMap::new());

        assert!(matches!(copied, Err(ForwardError::Broken(_))));
    }
}
