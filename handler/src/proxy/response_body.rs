//! An Upstream's body on its way to the client.
//!
//! Never buffered whole: the next frame is read when the client has taken the last one.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

use super::pool::{Connection, Pool};
use super::request_body::Upload;

/// An Upstream's body. Holds its connection until the end, and drops it when either side gives up.
pub(super) struct ResponseBody {
    pub(super) incoming: Incoming,
    pub(super) size: BodySize,
    pub(super) connection: Option<Connection>,
    pub(super) upload: Option<Rc<Upload>>,
    pub(super) pool: Rc<Pool>,
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
    type Error = hyper::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let this = self.get_mut();
        loop {
            match std::task::ready!(Pin::new(&mut this.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are dropped: we never announced any (RFC 9110 6.5.1).
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Some(Err(error)) => {
                    if let Some(connection) = this.connection.take() {
                        let name = connection.name();
                        tracing::warn!(upstream.name = name, "an upstream broke its response body");
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.release();
                    return Poll::Ready(None);
                }
            }
        }
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
