//! The two streams: a client's body on its way to the Upstream, an Upstream's body on its way to the client.
//!
//! Neither is ever collected: a piece is asked for when there is room for it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Payload;
use bytes::Bytes;
use futures_core::Stream as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::pool::{Connection, Pool};

/// How far the upload of one request is.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) last_progress: Cell<Instant>,
    pub(super) is_complete: Cell<bool>,
    pub(super) is_broken: Cell<bool>,
}

/// What is sent to the Upstream after the head.
pub(super) enum RequestBody {
    /// Nothing.
    Empty,
    /// The client's body, `remaining` bytes of it when its length is known.
    Streamed { payload: Payload, remaining: Option<u64>, upload: Rc<Upload> },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self::Streamed { payload, remaining, upload } = self.get_mut() else {
            return Poll::Ready(None);
        };
        let chunk = std::task::ready!(Pin::new(payload).poll_next(cx));
        upload.last_progress.set(Instant::now());
        // A body cut short must never look complete: an error makes hyper drop the connection.
        let broken = |cause: &str| {
            upload.is_broken.set(true);
            Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause.to_owned()))))
        };
        match chunk {
            Some(Ok(bytes)) => {
                if let Some(left) = remaining {
                    *left = left.saturating_sub(bytes.len() as u64);
                    upload.is_complete.set(*left == 0);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Err(error)) => broken(&error.to_string()),
            None if remaining.is_some_and(|left| left > 0) => broken("the request body is too short"),
            None => {
                upload.is_complete.set(true);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed { remaining, .. } => *remaining == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed { remaining: Some(left), .. } => SizeHint::with_exact(*left),
            Self::Streamed { remaining: None, .. } => SizeHint::default(),
        }
    }
}

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
