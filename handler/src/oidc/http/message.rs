//! A request to the Provider and its response, and the limits that both wires keep.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use crate::clock::Timestamp;

/// No document of a Provider is larger: a JWK Set of a hundred keys with certificates stays below.
pub(in crate::oidc) const MAX_BODY_LENGTH: usize = 256 * 1024;

/// From the first byte of the lookup to the last of the response. Below the ten seconds after which people reload.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(8);

/// A longer `Retry-After` is cut.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A response of any status.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// `Date`.
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: Bytes,
}

pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    pub(super) authorization: Option<&'a str>,
    /// Of a POST.
    pub(super) content_type: &'static str,
    /// Empty for a GET.
    pub(super) body: String,
}
