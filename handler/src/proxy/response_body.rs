//! An Upstream's body on its way to the client.
//!
//! Never buffered whole: the next frame is read when the client has taken the last one.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

use super::cutoff::Cutoff;
use super::pool::{Connection, Pool};
use super::request_body::Upload;

/// An Upstream's body. Holds its connection until the end, and drops it when either side gives up or `cutoff` completes.
pub(super) struct ResponseBody {
    pub(super) incoming: Incoming,
    pub(super) size: BodySize,
    pub(super) connection: Option<Connection>,
    pub(super) upload: Option<Rc<Upload>>,
    pub(super) pool: Rc<Pool>,
    pub(super) cutoff: Cutoff,
}

/// A body that ends before its time; its client must see an incomplete message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResponseBodyError {
    #[error("the upstream broke its response body")]
    Upstream(#[source] hyper::Error),
    #[error("the response was cut")]
    Cut,
}

impl ResponseBody {
    /// Gives the connection back, unless the client is still sending.
    pub(super) fn release(&mut self) {
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
        loop {
            match Pin::new(&mut this.incoming).poll_frame(cx) {
                // However fast the Upstream is: hyper reads on this thread, a frame at a time, so the next one is pending.
                Poll::Pending if this.cutoff.is_over(cx) => return this.cut(),
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
                        tracing::warn!(upstream.name = name, "an upstream broke its response body");
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

impl ResponseBody {
    /// Closes the Upstream's connection, and with it an upload that goes on.
    fn cut(&mut self) -> Poll<Option<Result<Bytes, ResponseBodyError>>> {
        self.connection = None;
        Poll::Ready(Some(Err(ResponseBodyError::Cut)))
    }
}

/// No body and no length: what 204 and 304 need (RFC 9110 6.4.1).
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
