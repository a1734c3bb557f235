//! Response body on its way to the client.
//!
//! Never buffered whole: the next frame is read once the client has taken the last one.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

use super::pool::{Connection, Pool};
use super::request_body::Upload;
use super::watch::Watch;

/// Body of an Upstream's response. Holds its connection until the end, and drops it if either side aborts or it is cut.
pub(super) struct ResponseBody {
    pub(super) incoming: Incoming,
    pub(super) size: BodySize,
    pub(super) connection: Option<Connection>,
    pub(super) upload: Option<Rc<Upload>>,
    pub(super) pool: Rc<Pool>,
    pub(super) watch: Option<Watch>,
}

/// A body that ended early; its client must see an incomplete message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResponseBodyError {
    #[error("the upstream's response body is incomplete")]
    Upstream(#[source] hyper::Error),
    #[error("the response was cut")]
    Cut,
}

impl ResponseBody {
    /// Returns the connection to the pool, unless the client is still sending.
    pub(super) fn release(&mut self) {
        self.watch = None; // before the connection is another's
        let is_uploaded = self.upload.as_ref().is_none_or(|upload| upload.is_complete.get());
        if let Some(connection) = self.connection.take().filter(|_| is_uploaded) {
            self.pool.put(connection);
        }
    }
}

impl MessageBody for ResponseBody {
    type Error = ResponseBodyError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ResponseBodyError>>> {
        let this = self.get_mut();
        if this.watch.as_ref().is_some_and(Watch::is_cut) {
            this.connection = None;
            return Poll::Ready(Some(Err(ResponseBodyError::Cut)));
        }
        loop {
            match Pin::new(&mut this.incoming).poll_frame(cx) {
                // A cut wakes this too: it drops the other end of `incoming`.
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are dropped: we never announced any (RFC 9110 6.5.1).
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    if let Some(connection) = this.connection.take() {
                        let name = connection.name();
                        tracing::warn!(upstream.name = name, "response body incomplete: upstream failed");
                    }
                    return Poll::Ready(Some(Err(ResponseBodyError::Upstream(error))));
                }
                Poll::Ready(None) => {
                    this.release();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Absent body without a length, as 204 and 304 need it (RFC 9110 6.4.1).
pub(super) struct NoBody;

impl MessageBody for NoBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::None
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
