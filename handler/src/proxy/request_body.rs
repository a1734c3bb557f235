//! Request body on its way to the Upstream, and the progress of the upload.
//!
//! Never buffered whole: the next chunk is read once the connection has room for it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::web::Payload;
use bytes::Bytes;
use futures_core::Stream as _;
use hyper::body::{Body, Frame, SizeHint};

/// Progress of an upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) last_progress: Cell<Instant>,
    pub(super) is_complete: Cell<bool>,
    pub(super) is_broken: Cell<bool>,
    /// Time since which the Upstream has room but the client sends nothing.
    pub(super) waiting_since: Cell<Option<Instant>>,
}

impl Upload {
    pub(super) fn new() -> Self {
        Self {
            last_progress: Cell::new(Instant::now()),
            is_complete: Cell::new(false),
            is_broken: Cell::new(false),
            waiting_since: Cell::new(None),
        }
    }
}

/// Body of a request to the Upstream.
pub(super) enum RequestBody {
    /// No body.
    Empty,
    /// The client's body; `remaining` bytes of it if its length is known.
    Streamed { payload: Payload, remaining: Option<u64>, upload: Rc<Upload> },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self::Streamed { payload, remaining, upload } = self.get_mut() else {
            return Poll::Ready(None);
        };
        let Poll::Ready(chunk) = Pin::new(payload).poll_next(cx) else {
            if upload.waiting_since.get().is_none() {
                upload.waiting_since.set(Some(Instant::now()));
            }
            return Poll::Pending;
        };
        upload.waiting_since.set(None);
        upload.last_progress.set(Instant::now());
        // An incomplete body must never look complete: the error makes hyper drop the connection.
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
