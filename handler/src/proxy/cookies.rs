//! Our own cookies: removed from requests to the Upstream, refused in its responses.
//!
//! Knows only their names. Everything else in a `Cookie` header passes byte for byte.

use std::borrow::Cow;
use std::iter;

use crate::percent::decode_fully;

/// Names of our cookies: exact ones, and families that share a prefix ending in `-`.
#[derive(Debug, Clone)]
pub struct OwnCookies {
    names: Vec<String>,
    shortest: usize,
}

impl OwnCookies {
    /// Cookie names; one that ends in `-` stands for every cookie with this prefix.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        Self { shortest: names.iter().map(String::len).min().unwrap_or(0), names }
    }

    /// The header value without our cookies; `None` if nothing is left.
    ///
    /// Cookies are split at `;` only, as browsers write them (RFC 6265 4.2.1); a quote hides nothing.
    #[must_use]
    pub fn strip<'v>(&self, value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        let Some(first) = cookie_pairs(value).position(|pair| self.owns(pair)) else {
            return Some(Cow::Borrowed(value));
        };
        let mut kept: Vec<u8> = Vec::new(); // most often it stays empty
        let is_kept = |(at, pair): &(usize, &[u8])| *at < first || *at > first && !self.owns(pair);
        for (_, pair) in cookie_pairs(value).enumerate().filter(is_kept) {
            if kept.is_empty() {
                kept.extend_from_slice(pair.trim_ascii_start());
            } else {
                kept.push(b';');
                kept.extend_from_slice(pair);
            }
        }
        (!kept.trim_ascii().is_empty()).then_some(Cow::Owned(kept))
    }

    /// True if this `name=value…` (one cookie pair, or a `Set-Cookie` value) is about one of our cookies.
    #[must_use]
    pub fn owns(&self, pair: &[u8]) -> bool {
        // `=name=value`: some browsers send a nameless cookie like this, and readers take the second part for the name.
        let first = pair.iter().position(|byte| !is_padding(*byte)).unwrap_or(pair.len());
        let name = pair[first..].split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
        let name = name.trim_ascii_end();
        if name.len() < self.shortest {
            return false;
        }
        // Some readers decode names: `__Host%2Dsession` would pass for `__Host-session`.
        let is_ours = |name: &[u8]| self.names.iter().any(|own| matches_name(own.as_bytes(), name));
        is_ours(name) || name.contains(&b'%') && is_ours(&decode_fully(name))
    }
}

/// Pairs of a `Cookie` header, split at `;` only (RFC 6265 4.2.1), with their blanks. The header is longer than all others
/// together, so it is searched by words, not byte by byte.
pub fn cookie_pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut ends = memchr::memchr_iter(b';', value).chain([value.len()]);
    let mut start = 0;
    iter::from_fn(move || {
        let end = ends.next()?;
        let pair = &value[start..end];
        start = end + 1;
        Some(pair)
    })
}

fn is_padding(byte: u8) -> bool {
    byte <= b' ' || byte == b'='
}

fn matches_name(own: &[u8], name: &[u8]) -> bool {
    let is_family = own.ends_with(b"-");
    match name.split_at_checked(own.len()) {
        Some((start, rest)) => (is_family || rest.is_empty()) && start.eq_ignore_ascii_case(own),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnCookies {
        OwnCookies::new(vec!["__Host-session".to_owned(), "session-login-".to_owned(), String::new()])
    }

    #[test]
    fn our_cookies_are_taken_out_and_the_rest_stays_byte_for_byte() {
        for (value, expected, why) in [
            ("a=1", "a=1", "not ours"),
            ("__Host-session=x", "", "only ours"),
            ("a=1; __Host-session=x", "a=1", "last"),
            ("__Host-session=x; a=1", "a=1", "first"),
            ("a=1; __Host-session=x; b=2", "a=1; b=2", "in the middle"),
            ("a=1;__Host-session=x;b=2", "a=1;b=2", "no spaces"),
            ("a=1;  b=2 ;c", "a=1;  b=2 ;c", "odd spaces stay"),
            ("__HOST-SESSION=x; a=1", "a=1", "upper case"),
            ("__Host%2Dsession=x; a=1", "a=1", "encoded"),
            ("__Host%252dsession=x; a=1", "a=1", "encoded twice"),
            ("%5f%5fHost-session=x", "", "encoded start"),
            ("__Host%2525252525252dsession=x; a=1", "a=1", "encoded seven times"),
            ("%73ession-login-%25=x; a=1", "a=1", "a family, encoded"),
            ("__Host-session%41=x", "__Host-session%41=x", "longer once it is decoded"),
            ("session-login-0=x; session-login-3=y; a=1", "a=1", "a family"),
            ("session-logi=x", "session-logi=x", "shorter than the family"),
            ("__Host-session2=x", "__Host-session2=x", "longer than the name"),
            ("x__Host-session=x", "x__Host-session=x", "another start"),
            ("__Host-session =x; a=1", "a=1", "a space after the name"),
            ("=__Host-session=x; a=1", "a=1", "no name"),
            ("__Host-session; a=1", "a=1", "no value"),
            ("a=\"x; __Host-session=y\"; b=2", "a=\"x; b=2", "a quote hides nothing"),
            ("a=\"q,u o\\te\"; b==; c=%zz", "a=\"q,u o\\te\"; b==; c=%zz", "odd values stay"),
            ("a=__Host-session=x", "a=__Host-session=x", "our name as a value"),
            ("__Host-session=1; __Host-session=2", "", "twice"),
            ("a%zz=1; __Host-session=x", "a%zz=1", "a bad escape"),
            ("; ;", "; ;", "empty pairs stay"),
            ("", "", "empty"),
        ] {
            let kept = own().strip(value.as_bytes()).unwrap_or_default().into_owned();
            assert_eq!(String::from_utf8(kept).unwrap(), expected, "{why}");
        }
    }

    #[test]
    fn a_header_with_nothing_left_is_dropped() {
        assert!(own().strip(b"__Host-session=x").is_none());
        assert!(own().strip(b"__Host-session=x; ").is_none());
    }

    #[test]
    fn an_upstream_cannot_set_our_cookies() {
        for (value, expected) in [
            ("__Host-session=x; Path=/; Secure", true),
            ("__host%2dsession=x; Path=/", true),
            (" session-login-1=x", true),
            ("other=__Host-session; Path=/", false),
            ("sid=1; Path=/; Domain=__Host-session", false),
        ] {
            assert_eq!(own().owns(value.as_bytes()), expected, "{value}");
        }
    }
}
