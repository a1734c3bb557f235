//! Rewriting of the application's origin: in responses the upstream's becomes the public one, in a `Destination` the
//! public one becomes the upstream's.
//!
//! Reads the authority of a reference and the base path, never a query or a body. `None` means unchanged, byte for
//! byte. `Origin`, `Referer`, `Link` and `Access-Control-Allow-Origin` always stay (decision 18).

use std::ops::Range;

use hyper::header::{CONTENT_LOCATION, HeaderName, HeaderValue, LOCATION, REFRESH, SET_COOKIE};

use super::authority::{Authority, NetworkReference};
use super::public_side::PublicSide;
use super::routes::{Route, RouteTable};
use super::upstream::Upstream;
use super::upstream_host::UpstreamHost;
use crate::public_origin::is_plain_start;

/// Names of a route's upstream, and the public ones.
#[derive(Clone, Copy)]
pub(super) struct OriginMapping<'a> {
    pub(super) public: &'a PublicSide,
    pub(super) route: &'a Route,
    pub(super) routes: &'a RouteTable,
}

impl OriginMapping<'_> {
    /// Value of `Host` for the upstream.
    pub(super) fn host_header(&self, host: UpstreamHost) -> HeaderValue {
        match host {
            UpstreamHost::Public => self.public.host_header(),
            UpstreamHost::Own => self.upstream().host_header(),
        }
    }

    /// Response header value in public names.
    pub(super) fn public_value(&self, name: &HeaderName, value: &[u8]) -> Option<Vec<u8>> {
        if *name == LOCATION || *name == CONTENT_LOCATION {
            self.public_reference(value)
        } else if *name == SET_COOKIE {
            self.public_cookie(value)
        } else if *name == REFRESH {
            let url = refresh_url(value)?;
            let public = self.public_reference(&value[url.clone()])?;
            Some(splice(value, vec![(url, public)]))
        } else {
            None
        }
    }

    /// Value of a WebDAV `Destination` (RFC 4918 10.3) in the names that the upstream knows by its `Host`.
    pub(super) fn upstream_destination(&self, destination: &[u8]) -> Option<Vec<u8>> {
        let base = self.upstream().base_path();
        let Some(NetworkReference { authority, rest }) = NetworkReference::parse(destination) else {
            let is_moved = destination.starts_with(b"/") && !base.is_empty();
            return is_moved.then(|| [base.as_bytes(), destination].concat());
        };
        let origin = match self.route.host() {
            _ if !self.public.is(&authority) => return None,
            UpstreamHost::Public if base.is_empty() => return None,
            UpstreamHost::Public => self.public.origin().as_str().to_owned(),
            UpstreamHost::Own => self.upstream().origin(),
        };
        Some([origin.as_bytes(), base.as_bytes(), rest].concat())
    }

    fn upstream(&self) -> &Upstream {
        self.route.upstream()
    }

    fn public_reference(&self, reference: &[u8]) -> Option<Vec<u8>> {
        let origin = self.public.origin().as_str().as_bytes();
        let Some(NetworkReference { authority, rest }) = NetworkReference::parse(reference) else {
            let path = without_base(reference, self.upstream().base_path())?;
            // RFC 3986 4.2: a path that starts with two slashes, or with anything a browser reads as two, would name a
            // server.
            return Some(if is_plain_start(&path) { path } else { [origin, &path].concat() });
        };
        let path = if self.upstream().is_named_by(&authority) || self.public.is_named_by(&authority) {
            without_base(rest, self.upstream().base_path())
        } else {
            Some(self.path_of_another_route(&authority, rest)?)
        };
        match path {
            None if self.public.is(&authority) => None,
            path => Some([origin, path.as_deref().unwrap_or(rest)].concat()),
        }
    }

    /// Public path of a reference to another route's upstream, if the table routes that path there.
    fn path_of_another_route(&self, named: &Authority, rest: &[u8]) -> Option<Vec<u8>> {
        self.routes.upstreams().filter(|upstream| upstream.is_named_by(named)).find_map(|upstream| {
            let path = match upstream.base_path() {
                "" => rest.to_vec(),
                base => without_base(rest, base)?,
            };
            let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
            let route = self.routes.find(std::str::from_utf8(&path[..end]).ok()?).ok()??;
            route.upstream().is(upstream).then_some(path)
        })
    }

    /// A `Set-Cookie` whose `Domain` and, below a base path, `Path` are public (RFC 6265 5.2).
    fn public_cookie(&self, cookie: &[u8]) -> Option<Vec<u8>> {
        let mut replaced = Vec::new();
        let mut start = cookie.iter().position(|byte| *byte == b';')? + 1;
        for attribute in cookie[start..].split(|byte| *byte == b';') {
            if let Some(at) = attribute.iter().position(|byte| *byte == b'=') {
                let value = trimmed(attribute, at + 1);
                let public = match attribute[..at].trim_ascii() {
                    name if name.eq_ignore_ascii_case(b"domain") => self.public_domain(&attribute[value.clone()]),
                    name if name.eq_ignore_ascii_case(b"path") => {
                        without_base(&attribute[value.clone()], self.upstream().base_path())
                    }
                    _ => None,
                };
                replaced.extend(public.map(|public| (start + value.start..start + value.end, public)));
            }
            start += attribute.len() + 1;
        }
        (!replaced.is_empty()).then(|| splice(cookie, replaced))
    }

    /// Public host in place of a `Domain` that names the upstream's, or the public one with a port, which browsers
    /// refuse.
    fn public_domain(&self, domain: &[u8]) -> Option<Vec<u8>> {
        let domain = std::str::from_utf8(domain).ok()?;
        let named = Authority::parse(domain.strip_prefix('.').unwrap_or(domain), None)?;
        let is_public = self.public.is_host(&named.host);
        let is_replaced = if is_public { named.port.is_some() } else { self.upstream().is_host(&named.host) };
        is_replaced.then(|| self.public.host().as_bytes().to_vec())
    }
}

/// Path below `base`, with a leading slash; `None` if the path is not below it.
fn without_base(path: &[u8], base: &str) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(base.as_bytes()).filter(|_| !base.is_empty())?;
    match rest.first() {
        Some(b'/') => Some(rest.to_vec()),
        None | Some(b'?' | b'#' | b'\\') => Some([b"/", rest].concat()),
        Some(_) => None,
    }
}

/// Range of the URL in a `Refresh` (HTML, *shared declarative refresh steps*): `5`, then `;`, `,` or a blank, optional
/// `url=`, optional quote.
fn refresh_url(value: &[u8]) -> Option<Range<usize>> {
    let is_time = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let skip = |from: usize, skipped: &dyn Fn(u8) -> bool| {
        from + value[from..].iter().take_while(|byte| skipped(**byte)).count()
    };
    let is_blank = |byte: u8| byte.is_ascii_whitespace();
    let time = skip(0, &is_blank);
    let after_time = skip(time, &is_time);
    let blank = skip(after_time, &is_blank);
    let is_separated = matches!(value.get(blank), Some(b';' | b','));
    if after_time == time || (!is_separated && blank == after_time) {
        return None;
    }
    let mut start = skip(blank + usize::from(is_separated), &is_blank);
    if value[start..].get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"url")) {
        let equals = skip(start + 3, &is_blank);
        if value.get(equals) == Some(&b'=') {
            start = skip(equals + 1, &is_blank);
        }
    }
    let quote = value.get(start).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    start += usize::from(quote.is_some());
    let end = quote.and_then(|quote| value[start..].iter().position(|byte| *byte == quote));
    Some(start..end.map_or(value.len(), |end| start + end))
}

/// Range of `value` from `start` on, trimmed.
fn trimmed(value: &[u8], start: usize) -> Range<usize> {
    let rest = &value[start..];
    let start = start + rest.len() - rest.trim_ascii_start().len();
    start..start + value[start..].trim_ascii_end().len()
}

/// `value` with some ranges, which are in order, replaced.
fn splice(value: &[u8], replaced: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    let mut spliced = Vec::with_capacity(value.len());
    let mut kept = 0;
    for (range, bytes) in replaced {
        spliced.extend_from_slice(&value[kept..range.start]);
        spliced.extend_from_slice(&bytes);
        kept = range.end;
    }
    spliced.extend_from_slice(&value[kept..]);
    spliced
}

#[cfg(test)]
mod tests;
