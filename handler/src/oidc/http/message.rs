//! Request to the Provider and its response, and the limits shared by the real and the scripted wire.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use crate::clock::Timestamp;

/// Maximum body size: a JWK Set of a hundred keys with certificates stays below.
pub(in crate::oidc) const MAX_BODY_LENGTH: usize = 256 * 1024;

/// Timeout of a request, from the DNS lookup to the last byte. People reload after ten seconds.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(8);

/// Maximum `Retry-After`; a longer one is shortened.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Response with any status.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Value of `Date`.
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: Bytes,
}

pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    pub(super) authorization: Option<&'a str>,
    /// Content type of a POST body.
    pub(super) content_type: &'static str,
    /// Request body; empty for a GET.
    pub(super) body: String,
}
