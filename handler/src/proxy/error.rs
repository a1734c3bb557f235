//! Why a request got no answer from its Upstream.

use std::error::Error as StdError;
use std::io;

/// Why a request could not be forwarded; no byte of an answer has reached the client yet.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The Upstream could not be connected to, in time or at all.
    #[error("the upstream could not be reached")]
    Connect(#[source] io::Error),
    /// The Upstream sent no response head in time.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// The Upstream hung up, or answered something that is not HTTP, before a whole response head.
    #[error("the upstream broke the connection before its answer")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// The request can't be forwarded as it is, or its client stopped sending it.
    #[error("the request cannot be forwarded: {0}")]
    BadRequest(&'static str),
}

impl ForwardError {
    /// A stable code for logs and problem documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) => "upstream_unreachable",
            Self::Timeout => "upstream_timeout",
            Self::Broken(_) => "upstream_broken",
            Self::BadRequest(_) => "bad_request",
        }
    }
}
