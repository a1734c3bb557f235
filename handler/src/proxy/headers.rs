//! Which headers pass, in each direction, and what an answer to a signed-in person may say about caches.
//!
//! Knows names only; who is signed in is the caller's business.

use actix_web::http::header as down;
use hyper::header as up;

use super::cookies::OwnCookies;

/// Whether a header belongs to one connection (RFC 9110 7.6.1), or to the framing each leg makes anew.
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

/// More names in `Connection` than any client sends (RFC 9110 7.6.1 sets no limit). Each is compared with each header.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// A `Connection` header with more than [`MAX_CONNECTION_OPTIONS`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyOptions;

/// The headers that a `Connection` header names, besides `close` and `keep-alive`. Usually none, and then nothing is
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

    /// True if this header, in lower case, belongs to the connection.
    pub(super) fn contains(&self, header: &str) -> bool {
        self.0.iter().any(|named| named.eq_ignore_ascii_case(header.as_bytes()))
    }
}

/// Copies an Upstream's headers to the answer, without those of its connection and without cookies named like ours.
///
/// # Errors
/// When its `Connection` header names more than any server does.
pub(super) fn copy_response(
    from: &up::HeaderMap,
    own: &OwnCookies,
    to: &mut down::HeaderMap,
) -> Result<(), TooManyOptions> {
    let named = ConnectionOptions::parse(from.get_all(up::CONNECTION).iter().map(up::HeaderValue::as_bytes))?;
    for (name, value) in from {
        let text = name.as_str();
        if is_hop_by_hop(text) || named.contains(text) {
            continue;
        }
        if *name == up::SET_COOKIE && own.owns(value.as_bytes()) {
            continue;
        }
        let name = down::HeaderName::from_bytes(text.as_bytes());
        let value = down::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            to.append(name, value);
        }
    }
    Ok(())
}

/// Keeps answers to signed-in people out of shared caches (RFC 9111 5.2.2, RFC 9213 2).
pub(super) fn forbid_shared_caching(headers: &mut down::HeaderMap) {
    headers.remove("surrogate-control");
    // Targeted ones, such as `CDN-Cache-Control`.
    let is_targeted = |name: &&down::HeaderName| name.as_str().ends_with("-cache-control");
    let targeted: Vec<down::HeaderName> = headers.keys().filter(is_targeted).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
    let kept = strict_directives(headers);
    headers.remove(down::CACHE_CONTROL);
    let value = kept.and_then(|kept| down::HeaderValue::from_str(&kept).ok());
    let value = value.unwrap_or(down::HeaderValue::from_static("private, no-store"));
    headers.insert(down::CACHE_CONTROL, value);

    let varies = headers.get_all(down::VARY).any(|value| {
        let names = value.as_bytes().split(|byte| *byte == b',');
        names.map(<[u8]>::trim_ascii).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
    });
    if !varies {
        headers.append(down::VARY, down::HeaderValue::from_static("Cookie"));
    }
}

/// The Upstream's own directives without the shared ones, when they already forbid shared caching.
fn strict_directives(headers: &down::HeaderMap) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(down::CACHE_CONTROL).map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let all = values.join(", ");
    let directives = || all.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    // A list in quotes (`private="set-cookie"`) binds one header only, and its commas would mislead us.
    let is_strict =
        |directive: &str| directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store");
    if all.contains('"') || !directives().any(is_strict) {
        return None;
    }
    let is_shared = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("public") || name.eq_ignore_ascii_case("s-maxage")
    };
    Some(directives().filter(|directive| !is_shared(directive)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_response_whose_connection_header_names_too_many_is_refused() {
        let mut from = up::HeaderMap::new();
        from.insert(up::CONNECTION, up::HeaderValue::try_from("a,".repeat(MAX_CONNECTION_OPTIONS + 1)).unwrap());

        let copied = copy_response(&from, &OwnCookies::new(Vec::new()), &mut down::HeaderMap::new());

        assert_eq!(copied, Err(TooManyOptions));
    }

    #[test]
    fn answers_to_signed_in_people_stay_out_of_shared_caches() {
        for (sent, expected) in [
            (None, "private, no-store"),
            (Some("public, max-age=60"), "private, no-store"),
            (Some("max-age=60"), "private, no-store"),
            (Some("Private, max-age=60"), "Private, max-age=60"),
            (Some("no-store"), "no-store"),
            (Some("private, public, s-maxage=9"), "private"),
            (Some("private=\"set-cookie\""), "private, no-store"),
        ] {
            let mut headers = down::HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(down::CACHE_CONTROL, down::HeaderValue::from_static(sent));
            }
            for targeted in ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"] {
                let name = down::HeaderName::from_static(targeted);
                headers.insert(name, down::HeaderValue::from_static("public"));
            }
            forbid_shared_caching(&mut headers);
            assert_eq!(headers.get(down::CACHE_CONTROL).unwrap(), expected, "{sent:?}");
            assert_eq!(headers.get(down::VARY).unwrap(), "Cookie");
            assert_eq!(headers.len(), 2, "nothing else speaks to caches");
        }
    }
}
