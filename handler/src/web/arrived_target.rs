//! Original request target: restores the browser's bytes from the Functions host's rewritten target.
//!
//! The host decodes a path and encodes it again (`%2F` becomes `%252F`, `%7E` becomes `~`), and repairs a query
//! (`q=100%`). Azure's front end sends the original target in `X-WAWS-Unencoded-URL`. A client can send that header too
//! where no front end replaces it, so it is used only if the host would turn it into the same target. The result is
//! checked and forwarded; the other form is never used again.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

use super::single_header;
use crate::proxy::RequestTarget;

/// Header of the host's front end with the target that the browser sent.
const UNENCODED_URL: HeaderName = HeaderName::from_static("x-waws-unencoded-url");

/// Path below which the host calls us (`extensions.http.routePrefix`): `/app`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePrefix(String);

/// Error for a route prefix that would change the rest of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a route prefix of plain segments")]
pub struct RoutePrefixError;

impl std::str::FromStr for RoutePrefix {
    type Err = RoutePrefixError;

    /// Parses the form in `host.json`: plain segments, with or without a slash around them. Empty stands for none.
    fn from_str(text: &str) -> Result<Self, RoutePrefixError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::default());
        }
        let is_plain = |segment: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !segment.is_empty() && segment.bytes().all(is_allowed)
        };
        // The host itself responds below these, in any case.
        let first = inner.split('/').next().unwrap_or_default();
        let is_taken = ["admin", "runtime"].iter().any(|taken| first.eq_ignore_ascii_case(taken));
        if is_taken || !inner.split('/').all(is_plain) {
            return Err(RoutePrefixError);
        }
        Ok(Self(format!("/{inner}")))
    }
}

impl RoutePrefix {
    /// Rest of a target below this prefix, which ends at a segment boundary; `None` for a target that is not below it.
    #[must_use]
    pub fn strip<'t>(&self, target: &'t str) -> Option<Cow<'t, str>> {
        let rest = target.strip_prefix(self.0.as_str())?;
        match rest.as_bytes().first() {
            _ if self.0.is_empty() => Some(Cow::Borrowed(target)),
            Some(b'/') => Some(Cow::Borrowed(rest)),
            None => Some(Cow::Borrowed("/")),
            Some(b'?') => Some(Cow::Owned(format!("/{rest}"))),
            Some(_) => None,
        }
    }
}

/// The browser's original target, if the host's front end sent it; otherwise `given`.
#[must_use]
pub fn arrived_target<'r>(req: &'r HttpRequest, given: &'r str) -> &'r str {
    match single_header(req, UNENCODED_URL) {
        Some(named) if named != given && becomes(named, given) && is_forwardable(named) => named,
        _ => given,
    }
}

/// True if the host rewrites `named` to `given`.
fn becomes(named: &str, given: &str) -> bool {
    let (named_path, named_query) = split(named);
    let (given_path, given_query) = split(given);
    let is_same_query = match (named_query, given_query) {
        (None, None) => true,
        // The host drops an empty query.
        (Some(""), None) => true,
        (Some(named), Some(given)) => is_same_query(named.as_bytes(), given.as_bytes()),
        (None | Some(_), _) => false,
    };
    is_same_query && is_same_path(named_path.as_bytes(), given_path.as_bytes())
}

/// True for a target that passes the checks and can be forwarded. Any other one is not restored: as the host
/// repaired it, it has one reading.
fn is_forwardable(target: &str) -> bool {
    RequestTarget::parse(target).is_ok() && hyper::http::uri::PathAndQuery::try_from(target).is_ok()
}

fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// One character of a target, decoded once.
#[derive(Clone, Copy)]
struct Decoded {
    byte: u8,
    is_escaped: bool,
}

/// Splits off the first character. A `%` that begins no escape stands for itself.
fn next(text: &[u8]) -> Option<(Decoded, &[u8])> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match text {
        [b'%', high, low, rest @ ..] if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
            Some((Decoded { byte: high << 4 | low, is_escaped: true }, rest))
        }
        [byte, rest @ ..] => Some((Decoded { byte: *byte, is_escaped: false }, rest)),
        [] => None,
    }
}

/// True if equal after one decoding, except for escapes that the host keeps by encoding their percent sign (`%2F`, and
/// invalid UTF-8). An encoded slash is no separator.
fn is_same_path(mut named: &[u8], mut given: &[u8]) -> bool {
    loop {
        let (Some((n, named_rest)), Some((g, given_rest))) = (next(named), next(given)) else {
            return named.is_empty() && given.is_empty();
        };
        let is_new_separator = n.byte == b'/' && !n.is_escaped && g.is_escaped;
        if n.byte == g.byte && !is_new_separator {
            (named, given) = (named_rest, given_rest);
        } else if let Some(given_rest) = after_kept_escape(n, named, given) {
            (named, given) = (named_rest, given_rest);
        } else {
            return false;
        }
    }
}

/// Rest of `given` behind the escape that `named` begins with, if the host has encoded its percent sign.
fn after_kept_escape<'g>(n: Decoded, named: &[u8], given: &'g [u8]) -> Option<&'g [u8]> {
    let may_be_kept = n.is_escaped && (n.byte == b'/' || !n.byte.is_ascii());
    let rest = given.strip_prefix(b"%25").filter(|_| may_be_kept)?;
    let (digits, rest) = rest.split_first_chunk::<2>()?;
    named.get(1..3)?.eq_ignore_ascii_case(digits).then_some(rest)
}

/// True if equal after one decoding, where separators of parameters and values (RFC 3986 2.2: reserved) are encoded in
/// both or in neither.
fn is_same_query(mut named: &[u8], mut given: &[u8]) -> bool {
    loop {
        let (Some((n, named_rest)), Some((g, given_rest))) = (next(named), next(given)) else {
            return named.is_empty() && given.is_empty();
        };
        let is_reserved = b":/?#[]@!$&'()*+,;=".contains(&n.byte);
        if n.byte != g.byte || (is_reserved && n.is_escaped != g.is_escaped) {
            return false;
        }
        (named, given) = (named_rest, given_rest);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn restored(given: &str, named: &[&str]) -> String {
        let req =
            named.iter().fold(TestRequest::get(), |req, named| req.append_header(("x-waws-unencoded-url", *named)));
        arrived_target(&req.to_http_request(), given).to_owned()
    }

    #[test]
    fn a_target_is_restored_to_the_bytes_that_arrived() {
        // Left: as it arrived at the front end. Right: as the host's own parts rewrite it (Kestrel and YARP 2.3).
        for (arrived, given) in [
            ("/a%2Fb", "/a%252Fb"),
            ("/a%2fb", "/a%252fb"),
            ("/a%2Fb", "/a/b"), // an older front end decodes it
            ("/a%252Fb", "/a%252Fb"),
            ("/%7Ea", "/~a"),
            ("/a%3Bb;c", "/a;b;c"),
            ("/%41%42", "/AB"),
            ("/a%3Ab", "/a:b"),
            ("/%C3%28", "/%25C3("),
            ("/%E2%82%AC%2F", "/%E2%82%AC%252F"),
            ("/a|b", "/a%7Cb"),
            ("/a[b]", "/a%5Bb%5D"),
            ("/a//b", "/a//b"),
            ("/a%20b+c", "/a%20b+c"),
            ("/%25", "/%25"),
            ("/%2525", "/%2525"),
            ("/_app/a%2Fb?x=1", "/_app/a%252Fb?x=1"),
            ("/a?q=100%", "/a?q=100%25"),
            ("/a?x=%zz", "/a?x=%25zz"),
            ("/a?x=%7E%2f&y=%26", "/a?x=~%2f&y=%26"),
            ("/a?x=[1]|^`{}", "/a?x=[1]%7C%5E%60%7B%7D"),
            ("/a?", "/a?"),
            ("/a?", "/a"),
            ("/a?b?c=/d", "/a?b?c=/d"),
        ] {
            assert_eq!(restored(given, &[arrived]), arrived, "{given}");
        }
    }

    #[test]
    fn a_header_of_another_target_is_ignored() {
        for (given, named, why) in [
            ("/a", "/b", "another path"),
            ("/a", "/a/", "longer"),
            ("/a/", "/a", "shorter"),
            ("/a", "", "empty"),
            ("/a", "a", "no slash"),
            ("/a", "http://app.example/a", "absolute"),
            ("/a", "//a", "an authority, some would say"),
            ("/a", "/A", "another case"),
            ("/public/x", "/public/%2e%2e/secret", "dot segments"),
            ("/b", "/a/../b", "what the host has resolved"),
            ("/a/..;/b", "/a/../b", "the same to some"),
            ("/x%2Fadmin", "/x/admin", "a separator that was none"),
            ("/x%252Fadmin", "/x/admin", "twice encoded"),
            ("/a%252e", "/a.", "twice encoded"),
            ("/a%252e", "/a%2e", "the host keeps no encoded dot"),
            ("/a%25", "/a%2525", "once more encoded"),
            ("/a", "/%2561", "twice encoded"),
            ("/a%3Fb", "/a?b", "a query that was none"),
            ("/a?b", "/a%3Fb", "no query any more"),
            ("/a?x=1", "/a", "without the query"),
            ("/a", "/a?x=1", "with a query"),
            ("/a?x=1", "/a?x=2", "another query"),
            ("/a?x=1%26y=2", "/a?x=1&y=2", "a parameter that was none"),
            ("/a?x=1&y=2", "/a?x=1%26y=2", "a parameter less"),
            ("/a?x%3D1", "/a?x=1", "a value that was none"),
            ("/a?x=1%2B2", "/a?x=1+2", "a blank, to a form"),
            ("/a?x=%2526", "/a?x=%26", "once less encoded"),
            ("/a?x%23y", "/a?x#y", "a fragment"),
            ("/a, /a", "/a, /a", "two headers joined"),
        ] {
            assert_eq!(restored(given, &[named]), given, "{why}");
        }
    }

    #[test]
    fn a_target_that_would_be_refused_stays_as_the_host_mended_it() {
        for (given, named) in [
            ("/a%25", "/a%"),
            ("/a%25zz", "/a%zz"),
            ("/a%5Cb", "/a\\b"),
            ("/a%22%3C%3Eb", "/a\"<>b"),
            ("/a?x=%22%3C%3E", "/a?x=\"<>"),
            ("/a%23b", "/a#b"),
            ("/a%09b", "/a\tb"),
        ] {
            assert_eq!(restored(given, &[named]), given);
        }
    }

    #[test]
    fn only_one_header_counts() {
        let long = format!("/a{}", "%2F".repeat(20_000));

        assert_eq!(restored("/~a", &[]), "/~a");
        assert_eq!(restored("/~a", &["/%7Ea", "/%7Ea"]), "/~a", "twice");
        assert_eq!(restored("/~a", &["/%7Ea, /%7Ea"]), "/~a", "joined by the host");
        assert_eq!(restored("/a", &[&long]), "/a", "over-long");
        let beyond_ascii = TestRequest::get().append_header(("x-waws-unencoded-url", "/é")).to_http_request();
        assert_eq!(arrived_target(&beyond_ascii, "/%C3%A9"), "/%C3%A9");
    }

    #[test]
    fn the_route_prefix_ends_at_a_segment() {
        let prefix: RoutePrefix = "app".parse().unwrap();
        for (target, expected) in [
            ("/app", Some("/")),
            ("/app/", Some("/")),
            ("/app?x=1", Some("/?x=1")),
            ("/app/?x=1", Some("/?x=1")),
            ("/app/admin/x", Some("/admin/x")),
            ("/app//a", Some("//a")),
            ("/app/app/a", Some("/app/a")),
            ("/app/a%2Fb?c", Some("/a%2Fb?c")),
            ("/", None),
            ("/apple", None),
            ("/app;x/a", None),
            ("/app%2Fa", None),
            ("/App/a", None),
            ("/%61pp/a", None),
            ("//app/a", None),
            ("/x/app/a", None),
            ("", None),
        ] {
            assert_eq!(prefix.strip(target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn without_a_prefix_every_target_passes() {
        for target in ["/", "/a?b", "//a", "*", ""] {
            assert_eq!(RoutePrefix::default().strip(target).as_deref(), Some(target));
        }
    }

    #[test]
    fn route_prefixes_are_plain() {
        for (text, expected) in [("", ""), ("/", ""), ("app", "/app"), ("/app/", "/app"), ("a-1/b_2", "/a-1/b_2")] {
            assert_eq!(text.parse::<RoutePrefix>().unwrap(), RoutePrefix(expected.to_owned()));
        }
        for text in ["a//b", "a b", "a%2Fb", "..", "a/../b", ".auth", "é", "a?b", "{x}", "admin", "Runtime/x", "a;b"] {
            assert_eq!(text.parse::<RoutePrefix>().unwrap_err(), RoutePrefixError, "{text}");
        }
    }
}
