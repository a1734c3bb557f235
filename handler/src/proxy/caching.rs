//! Cache directives of responses to signed-in people: the browser caches what the application allows, shared caches
//! nothing.
//!
//! Parses `Cache-Control` by RFC 9111 5.2. Knows no session; responses of anonymous routes never come here.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::field_value::{is_token, parts, unquoted};

/// Browser caching of responses to signed-in people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrowserCache {
    /// The browser caches what the application allows.
    #[default]
    Allow,
    /// The browser caches nothing.
    NoStore,
}

impl BrowserCache {
    /// Forbids shared caches to store a response to a signed-in person. A response without directives is
    /// stored by the browser and revalidated before each reuse.
    pub(super) fn restrict(self, status: StatusCode, headers: &mut HeaderMap) {
        remove_shared_fields(headers);
        match self {
            Self::Allow => make_private(status, headers),
            Self::NoStore => {
                headers.remove(header::EXPIRES);
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
            }
        }
    }
}

/// Header fields for one kind of shared cache, which override `Cache-Control` there. Others end in `-cache-control`
/// (RFC 9213: `CDN-Cache-Control` and product names).
const SHARED_FIELDS: [&str; 6] =
    ["surrogate-control", "x-surrogate-control", "edge-control", "x-accel-expires", "x-cache-ttl", "x-vc-ttl"];

fn remove_shared_fields(headers: &mut HeaderMap) {
    let is_shared = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || SHARED_FIELDS.contains(&name)
    };
    let shared: Vec<HeaderName> = headers.keys().filter(is_shared).cloned().collect(); // usually none, no allocation
    for name in shared {
        headers.remove(name);
    }
}

fn make_private(status: StatusCode, headers: &mut HeaderMap) {
    let value = match directives(headers) {
        Directives::Private => return,
        // RFC 9111 3.2: fields of a 304 replace those of the stored response, which had directives of its own.
        Directives::Absent if status == StatusCode::NOT_MODIFIED => return,
        Directives::Absent => HeaderValue::from_static(default_directives(headers)),
        Directives::Malformed { forbids_storing: true } => HeaderValue::from_static("private, no-store"),
        Directives::Malformed { forbids_storing: false } => HeaderValue::from_static("private, no-cache"),
        Directives::Shared(value) => value,
    };
    headers.insert(header::CACHE_CONTROL, value);
}

/// Default directives. `Expires` and `Last-Modified` let a browser reuse a response (RFC 9111 4.2.1, 4.2.2), unless
/// `Pragma` forbids it: browsers ignore `Pragma` as soon as there is a `Cache-Control`.
fn default_directives(headers: &HeaderMap) -> &'static str {
    let has_freshness = headers.contains_key(header::EXPIRES) || headers.contains_key(header::LAST_MODIFIED);
    if has_freshness && !headers.contains_key(header::PRAGMA) { "private" } else { "private, no-cache" }
}

/// Directives of a response, from all its `Cache-Control` lines.
enum Directives {
    /// There are none.
    Absent,
    /// No shared cache may store the response, and no directive is for one: they pass unchanged.
    Private,
    /// The same directives with `private`, and without those for shared caches.
    Shared(HeaderValue),
    /// Some are malformed, so caches may disagree on the meaning.
    Malformed { forbids_storing: bool },
}

fn directives(headers: &HeaderMap) -> Directives {
    let lines = || headers.get_all(header::CACHE_CONTROL).map(HeaderValue::as_bytes);
    let parsed = || lines().flat_map(|line| parts(line, b',')).map(Directive::parse);
    let mut found = Found::default();
    for directive in parsed() {
        match directive {
            Some(directive) => found.note(&directive),
            None => return Directives::Malformed { forbids_storing: lines().any(contains_no_store) },
        }
    }
    if !found.any {
        return Directives::Absent;
    }
    if found.is_private() {
        return Directives::Private;
    }
    let mut kept = b"private".to_vec();
    for directive in parsed().flatten().filter(|directive| !directive.is_for_shared_caches()) {
        kept.extend_from_slice(b", ");
        kept.extend_from_slice(directive.text);
    }
    Directives::Shared(HeaderValue::from_bytes(&kept).expect("parts of header values make a header value"))
}

/// Directives that decide if a shared cache may store a response.
#[derive(Default)]
struct Found {
    any: bool,
    shared: bool,
    private: bool,
    no_store: bool,
    must_understand: bool,
}

impl Found {
    fn note(&mut self, directive: &Directive<'_>) {
        self.any = true;
        match directive.is("private") && !directive.has_argument {
            true => self.private = true,
            false => self.shared |= directive.is_for_shared_caches(),
        }
        self.no_store |= directive.is("no-store");
        self.must_understand |= directive.is("must-understand");
    }

    fn is_private(&self) -> bool {
        // RFC 9111 5.2.2.3: a cache that understands the status ignores `no-store` beside `must-understand`.
        let is_not_stored = self.no_store && !self.must_understand;
        !self.shared && (self.private || is_not_stored)
    }
}

/// One directive: `token [ "=" ( token / quoted-string ) ]` (RFC 9111 5.2).
struct Directive<'a> {
    text: &'a [u8],
    name: &'a [u8],
    has_argument: bool,
}

impl<'a> Directive<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.splitn(2, |byte| *byte == b'=');
        let name = parts.next().filter(|name| is_token(name))?;
        let argument = parts.next();
        let is_well_formed = argument.is_none_or(|argument| is_token(argument) || unquoted(argument).is_some());
        is_well_formed.then_some(Self { text, name, has_argument: argument.is_some() })
    }

    /// True for directives that `private` replaces, and for `private` itself. With an argument it covers only those
    /// fields, and a shared cache stores the rest (RFC 9111 5.2.2.7).
    fn is_for_shared_caches(&self) -> bool {
        ["private", "public", "s-maxage", "proxy-revalidate"].iter().any(|name| self.is(name))
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn contains_no_store(line: &[u8]) -> bool {
    line.windows(8).any(|word| word.eq_ignore_ascii_case(b"no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resulting `Cache-Control` of a response with these header lines.
    fn restricted(status: StatusCode, lines: &[(&'static str, &'static str)]) -> (Option<String>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        BrowserCache::Allow.restrict(status, &mut headers);
        let lines: Vec<&str> =
            headers.get_all(header::CACHE_CONTROL).map(|value| value.to_str().unwrap_or("?")).collect();
        let value = (!lines.is_empty()).then(|| lines.join(" | "));
        (value, headers)
    }

    #[test]
    fn a_response_stays_in_the_browsers_cache_and_out_of_shared_ones() {
        for (sent, expected, why) in [
            ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable", "a hashed asset"),
            ("max-age=60", "private, max-age=60", "open to all by default"),
            ("max-age=60, public", "private, max-age=60", "in any order"),
            ("PUBLIC,Max-Age=60", "private, Max-Age=60", "in any case"),
            ("public", "private", "no freshness"),
            ("no-cache", "private, no-cache", "stored, also by shared caches"),
            ("no-cache=\"set-cookie, x\", max-age=60", "private, no-cache=\"set-cookie, x\", max-age=60", "qualified"),
            ("s-maxage=9", "private", "for shared caches alone"),
            ("s-maxage=\"9\", max-age=1", "private, max-age=1", "with a quoted argument"),
            ("private, s-maxage=9, max-age=1", "private, max-age=1", "contradictory"),
            ("private, public", "private", "contradictory"),
            ("no-store, public", "private, no-store", "contradictory"),
            ("max-age=60, proxy-revalidate", "private, max-age=60", "speaks to shared caches alone"),
            ("must-revalidate, max-age=60", "private, must-revalidate, max-age=60", "opens shared caches, 3.5"),
            ("private=\"set-cookie\", max-age=60", "private, max-age=60", "the rest would be stored"),
            ("private=set-cookie", "private", "the same as a token"),
            ("private, private=\"x\"", "private", "both forms"),
            ("no-store, must-understand", "private, no-store, must-understand", "no-store may be ignored then"),
            ("max-age=60, stale-while-revalidate=30", "private, max-age=60, stale-while-revalidate=30", "RFC 5861"),
            (
                "max-age=60, no-transform, x-y=\"a\\\"b,c\"",
                "private, max-age=60, no-transform, x-y=\"a\\\"b,c\"",
                "an extension",
            ),
            ("max-age=60, max-age=0", "private, max-age=60, max-age=0", "a duplicate is the browser's to judge"),
            (", ,max-age=60,,", "private, max-age=60", "empty members"),
        ] {
            let (value, headers) = restricted(StatusCode::OK, &[("cache-control", sent)]);
            assert_eq!(value.as_deref(), Some(expected), "{sent}: {why}");
            assert_eq!(headers.len(), 1, "{sent}: nothing else is added");
        }
    }

    #[test]
    fn a_response_that_is_private_already_passes_byte_for_byte() {
        for sent in [
            "Private, max-age=60",
            "max-age=60 ,PRIVATE",
            "no-store",
            "no-cache, no-store, must-revalidate",
            "private, no-cache",
            "private, max-age=\"60\"",
            "private, must-understand, no-store",
        ] {
            let (value, _) = restricted(StatusCode::OK, &[("cache-control", sent)]);
            assert_eq!(value.as_deref(), Some(sent));
        }
        let lines = [("cache-control", "private"), ("cache-control", "max-age=60")];
        assert_eq!(restricted(StatusCode::OK, &lines).0.as_deref(), Some("private | max-age=60"));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("cache-control", "public"), ("cache-control", "max-age=60"), ("cache-control", "immutable")];

        let (value, _) = restricted(StatusCode::OK, &lines);

        assert_eq!(value.as_deref(), Some("private, max-age=60, immutable"));
    }

    #[test]
    fn what_cannot_be_read_is_not_reused_without_asking() {
        for (sent, expected, why) in [
            ("max-age=60; public", "private, no-cache", "a semicolon"),
            ("max-age = 60", "private, no-cache", "blanks around the sign"),
            ("max-age=", "private, no-cache", "no argument"),
            ("=60", "private, no-cache", "no name"),
            ("private=\"set-cookie, max-age=60", "private, no-cache", "a quote that doesn't end"),
            ("private, x=\"a\\\"", "private, no-cache", "an escaped end"),
            ("private, x=\"a\"b", "private, no-cache", "text behind a quoted string"),
            ("private \"x\"", "private, no-cache", "a quoted string for itself"),
            ("private max-age=60", "private, no-cache", "no comma"),
            ("max-age=60; No-Store", "private, no-store", "storing is forbidden all the same"),
            ("x=\"no-store", "private, no-store", "or seems to be"),
        ] {
            let (value, _) = restricted(StatusCode::OK, &[("cache-control", sent)]);
            assert_eq!(value.as_deref(), Some(expected), "{sent}: {why}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_bytes(b"max-age=60, \xfc").unwrap());
        BrowserCache::Allow.restrict(StatusCode::OK, &mut headers);
        assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "private, no-cache", "beyond ASCII");
    }

    #[test]
    fn without_directives_the_other_fields_decide() {
        type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);
        let table: [Row; 8] = [
            (&[], "private, no-cache", "nothing is said"),
            (&[("cache-control", "")], "private, no-cache", "an empty field says nothing"),
            (&[("etag", "\"x\"")], "private, no-cache", "a validator is no freshness"),
            (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], "private", "fresh until then"),
            (&[("expires", "0")], "private", "stale at once"),
            (&[("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT")], "private", "heuristic freshness"),
            (&[("pragma", "no-cache")], "private, no-cache", "HTTP/1.0"),
            (&[("pragma", "no-cache"), ("expires", "0")], "private, no-cache", "HTTP/1.0"),
        ];
        for (lines, expected, why) in table {
            let (value, _) = restricted(StatusCode::OK, lines);
            assert_eq!(value.as_deref(), Some(expected), "{why}");
        }
    }

    #[test]
    fn a_304_changes_what_is_stored_only_where_it_says_so() {
        let (silent, _) = restricted(StatusCode::NOT_MODIFIED, &[("etag", "\"x\"")]);
        let (outspoken, _) = restricted(StatusCode::NOT_MODIFIED, &[("cache-control", "public, max-age=9")]);

        assert_eq!((silent, outspoken.as_deref()), (None, Some("private, max-age=9")));
    }

    #[test]
    fn fields_for_shared_caches_alone_go() {
        for name in [
            "surrogate-control",
            "x-surrogate-control",
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "vercel-cdn-cache-control",
            "netlify-cdn-cache-control",
            "akamai-cache-control",
            "x-litespeed-cache-control",
            "edge-control",
            "x-accel-expires",
            "x-cache-ttl",
            "x-vc-ttl",
        ] {
            for browser in [BrowserCache::Allow, BrowserCache::NoStore] {
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("max-age=60"));
                browser.restrict(StatusCode::NOT_MODIFIED, &mut headers);
                assert!(!headers.contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn fields_for_browsers_stay() {
        let lines = [
            ("vary", "Accept-Encoding"),
            ("etag", "\"x\""),
            ("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT"),
            ("expires", "0"),
            ("age", "1"),
            ("x-accel-buffering", "no"),
            ("clear-site-data", "\"cache\""),
        ];

        let (_, headers) = restricted(StatusCode::OK, &lines);

        for (name, value) in lines {
            assert_eq!(headers.get(name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn nothing_is_stored_where_the_operator_forbids_it() {
        for sent in [None, Some("public, max-age=60, immutable"), Some("private"), Some("no-store")] {
            let mut headers = HeaderMap::new();
            headers.insert(header::EXPIRES, HeaderValue::from_static("Thu, 01 Jan 2099 00:00:00 GMT"));
            if let Some(sent) = sent {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(sent));
            }
            BrowserCache::NoStore.restrict(StatusCode::OK, &mut headers);
            assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "private, no-store");
            assert_eq!(headers.len(), 1, "no other freshness");
        }
    }
}
