//! Socket wrapper that keeps reading after the other end has stopped reading.
//!
//! An Upstream may refuse a body without reading it, by 413 say, and close (RFC 9112 9.6). Further writes fail, while
//! its response waits in our receive buffer. A failed write (`EPIPE`, `ECONNRESET`) is swallowed; the next read returns
//! the response or the end of the stream.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket, with a flag for a failed write.
pub(super) struct EarlyResponseIo<T> {
    io: T,
    is_refused: bool,
}

impl<T> EarlyResponseIo<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, is_refused: false }
    }

    /// Turns a failed write (`EPIPE`, `ECONNRESET`) into success, and later writes too.
    fn swallow(&mut self, written: io::Result<usize>, length: usize) -> io::Result<usize> {
        match written {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.is_refused = true;
                Ok(length)
            }
            written => written,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for EarlyResponseIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for EarlyResponseIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_refused {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes).map(|written| self.swallow(written, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [one] = pieces {
            return self.poll_write(cx, one); // most requests are a head alone, and the kernel reads a list more slowly
        }
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.is_refused {
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces).map(|written| self.swallow(written, length))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Writes fail; a response is ready to read.
    struct Closed(ErrorKind, &'static [u8]);

    impl AsyncRead for Closed {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.1).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.0.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[actix_web::test]
    async fn a_response_is_read_after_the_other_end_stopped_reading() {
        for kind in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
            let mut socket = EarlyResponseIo::new(Closed(kind, b"413"));
            let mut response = String::new();

            socket.write_all(b"a body").await.unwrap();
            socket.write_all(b"and more").await.unwrap();
            for pieces in [&[b"one".as_slice()][..], &[b"one", b"two"]] {
                let pieces: Vec<_> = pieces.iter().map(|piece| io::IoSlice::new(piece)).collect();
                assert_eq!(socket.write_vectored(&pieces).await.unwrap(), 3 * pieces.len());
            }
            socket.read_to_string(&mut response).await.unwrap();

            assert_eq!(response, "413", "{kind}");
        }
    }

    #[actix_web::test]
    async fn any_other_failure_to_write_is_told() {
        let mut socket = EarlyResponseIo::new(Closed(ErrorKind::TimedOut, b""));

        assert_eq!(socket.write_all(b"a body").await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
