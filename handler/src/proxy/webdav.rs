//! WebDAV `COPY` and `MOVE`: their second resource, the `Destination`.
//!
//! Checks its path as strictly as the request's own target, because the upstream acts on both.

use actix_web::http::Method;
use bytes::Bytes;
use hyper::header as up;

use super::authority::NetworkReference;
use super::error::ForwardError;
use super::origin_mapping::OriginMapping;
use super::target::RequestTarget;

const DESTINATION: &str = "destination";

/// True for `COPY` and `MOVE`, in the case that a lenient server accepts.
#[must_use]
pub fn has_destination(method: &Method) -> bool {
    ["COPY", "MOVE"].iter().any(|name| method.as_str().eq_ignore_ascii_case(name))
}

/// Rewrites the `Destination` to the upstream's names; refuses one outside this route, and a collection at either end
/// that holds what a stricter route rules (RFC 4918 9.8.3: its members come along).
pub(super) fn map_destination(
    method: &Method,
    target: RequestTarget<'_>,
    headers: &mut up::HeaderMap,
    mapping: OriginMapping<'_>,
) -> Result<(), ForwardError> {
    if !has_destination(method) {
        return Ok(());
    }
    if mapping.routes.may_hold_stricter(target.path(), mapping.route) {
        return Err(ForwardError::BadRequest("the collection holds the path of a stricter route"));
    }
    let mut values = headers.get_all(DESTINATION).iter();
    let Some(destination) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        return Err(ForwardError::BadRequest("there is more than one Destination"));
    }
    check_route(destination.as_bytes(), mapping)?;
    if let Some(mapped) = mapping.upstream_destination(destination.as_bytes()) {
        let value = up::HeaderValue::from_maybe_shared(Bytes::from(mapped));
        headers.insert(DESTINATION, value.expect("a path that was checked, behind an origin and a base path in ASCII"));
    }
    Ok(())
}

/// Refuses another server (RFC 4918 9.8.5), and a route whose access or rules the request did not
/// meet, whatever host is named: some servers read only the path.
///
/// RFC 4918 10.3: a URL or an absolute path, so never a network path. nginx takes `//admin/x` for a path.
fn check_route(destination: &[u8], mapping: OriginMapping<'_>) -> Result<(), ForwardError> {
    let OriginMapping { route, routes, .. } = mapping;
    let path: &[u8] = match NetworkReference::parse(destination) {
        _ if destination.starts_with(b"//") => b"",
        Some(NetworkReference { rest: b"", .. }) => b"/",
        Some(NetworkReference { rest, .. }) => rest,
        None => destination,
    };
    let target = std::str::from_utf8(path).ok().and_then(|path| RequestTarget::parse(path).ok());
    let found = target.as_ref().and_then(|target| routes.find(target.path()).ok()?);
    let is_covered = found.is_some_and(|found| {
        let is_open = route.access().admits_only(found.access());
        is_open && found.upstream().is(route.upstream())
    });
    let is_collection = target.is_some_and(|target| routes.may_hold_stricter(target.path(), route));
    // Only the rule of the request's own route was judged.
    let is_judged = target.is_some_and(|target| {
        let rules = routes.requirements(target.path());
        rules.is_ok_and(|mut rules| rules.all(|(ruled, _)| std::ptr::eq(ruled, route)))
    });
    let is_covered = is_covered && is_judged && !is_collection;
    if is_covered { Ok(()) } else { Err(ForwardError::BadRequest("the Destination leads to another route")) }
}
