//! Error of a request that got no response from its Upstream.

use std::error::Error as StdError;
use std::io;

/// A request that could not be forwarded; no byte of a response has reached the client yet.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The connection to the Upstream failed or timed out.
    #[error("the upstream could not be reached")]
    Connect(#[source] io::Error),
    /// No response head from the Upstream before the timeout.
    #[error("the upstream did not respond in time")]
    Timeout,
    /// The Upstream closed the connection, or sent no valid HTTP, before a whole response head.
    #[error("the upstream closed the connection before its response")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// The client stopped sending a body that the Upstream waits for.
    #[error("the client stopped sending the request body")]
    ClientStalled,
    /// The request is malformed, or its client aborted it.
    #[error("the request cannot be forwarded: {0}")]
    BadRequest(&'static str),
    /// `ForwardRequest::cutoff` completed; the Upstream may have received the request, whole or in part.
    #[error("the request was cut before its response")]
    Cut,
}

impl ForwardError {
    /// A stable code for logs and problem documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) => "upstream_unreachable",
            Self::Timeout => "upstream_timeout",
            Self::Broken(_) => "upstream_broken",
            Self::ClientStalled => "request_body_timeout",
            Self::BadRequest(_) => "bad_request",
            Self::Cut => "exchange_cut",
        }
    }
}
