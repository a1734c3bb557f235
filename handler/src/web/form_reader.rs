//! Reader of forms that are not forwarded: limited in size, time and number.
//!
//! Strangers send them too, so a slow body must cost little. Knows nothing of a form's content.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage as _, HttpRequest};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Reason why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Too many bytes or fields.
    #[error("the form is too large")]
    TooLarge,
    /// Not received before the timeout.
    #[error("the form did not arrive in time")]
    Timeout,
    /// The connection ended early, or the framing is broken.
    #[error("the form did not arrive whole")]
    Incomplete,
    /// Too many other forms are being read.
    #[error("too many forms are being read")]
    Busy,
    /// It contains a file: no page can fill in a file input for a person.
    #[error("the form holds a file")]
    File,
    /// No page can make a browser send the same fields again, or the body is no form.
    #[error("the form cannot be sent again from a page")]
    Unsupported,
}

/// Reads forms, possibly of strangers, a limited number at once.
pub struct FormReader {
    permits: Semaphore,
    permits_aside: Semaphore,
    time_limit: Duration,
}

/// Maximum forms read at once in a process: with [`MAX_POSTED_FORM`] at most 32 MiB.
const MAX_READS: usize = 128;

/// Maximum size of a form that a page keeps while its person signs in.
pub const MAX_KEPT_FORM: usize = 64 * 1024;

/// Maximum size of a form of another site: a SAML response with its groups takes 20 to 100 KiB.
pub const MAX_POSTED_FORM: usize = 256 * 1024;

impl FormReader {
    /// A reader with this timeout for a whole form.
    #[must_use]
    pub fn new(time_limit: Duration) -> Self {
        Self { permits: Semaphore::new(MAX_READS), permits_aside: Semaphore::new(MAX_READS), time_limit }
    }

    /// One of the forms at once that are read to be kept aside; `None` while there are too many. They have more time than
    /// others, so they have a number of their own.
    #[must_use]
    pub fn permit_aside(&self) -> Option<SemaphorePermit<'_>> {
        self.permits_aside.try_acquire().ok()
    }

    /// Reads the body of `req`, at most `limit` bytes.
    ///
    /// # Errors
    /// Every [`FormError`] except those about the content.
    pub async fn read(&self, req: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, FormError> {
        let declared = req.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > limit as u64) {
            return Err(FormError::TooLarge);
        }
        let _permit = self.permits.try_acquire().map_err(|_| FormError::Busy)?;
        let read = timeout(self.time_limit, payload.to_bytes_limited(limit)).await.map_err(|_| FormError::Timeout)?;
        read.map_err(|_| FormError::TooLarge)?.map_err(|_| FormError::Incomplete)
    }
}

/// `Content-Type` of a form that a page can send again. `None` for a body with a content coding, too.
#[must_use]
pub fn form_type(req: &HttpRequest) -> Option<&str> {
    let is_form = matches!(req.content_type().to_ascii_lowercase().as_str(), URLENCODED | MULTIPART);
    let is_plain = !req.headers().contains_key(header::CONTENT_ENCODING);
    let mut values = req.headers().get_all(header::CONTENT_TYPE);
    let value = values.next()?.to_str().ok()?;
    (is_form && is_plain && values.next().is_none()).then_some(value)
}

/// Content type of a form without files (WHATWG URL, 5).
pub(super) const URLENCODED: &str = "application/x-www-form-urlencoded";

/// Content type of a form with files (RFC 7578).
pub(super) const MULTIPART: &str = "multipart/form-data";

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest as _, dev};
    use futures_util::stream::{self, Stream};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    type Chunk = Result<Bytes, PayloadError>;

    async fn payload(chunks: impl Stream<Item = Chunk> + 'static) -> (HttpRequest, Payload) {
        let req = TestRequest::post().to_http_request();
        let chunks: Pin<Box<dyn Stream<Item = Chunk>>> = Box::pin(chunks);
        let payload = Payload::from_request(&req, &mut dev::Payload::Stream { payload: chunks }).await.unwrap();
        (req, payload)
    }

    fn chunk(length: usize) -> Chunk {
        Ok(Bytes::from(vec![b'x'; length]))
    }

    #[actix_web::test]
    async fn a_form_is_read_up_to_its_limit() {
        let table = [
            (vec![], Ok(0), "empty"),
            (vec![chunk(6), chunk(4)], Ok(10), "as large as it may be"),
            (vec![chunk(6), chunk(5)], Err(FormError::TooLarge), "a byte more"),
            (vec![chunk(6), Err(PayloadError::Incomplete(None))], Err(FormError::Incomplete), "it breaks off"),
        ];
        for (chunks, expected, reason) in table {
            let (req, payload) = payload(stream::iter(chunks)).await;
            let read = FormReader::new(LIMIT).read(&req, payload, 10).await;
            assert_eq!(read.map(|bytes| bytes.len()), expected, "{reason}");
        }
    }

    #[actix_web::test]
    async fn a_form_that_declares_too_many_bytes_is_not_read() {
        let (_, payload) = payload(stream::iter([chunk(1)])).await;
        let req = TestRequest::post().insert_header((header::CONTENT_LENGTH, "11")).to_http_request();

        assert_eq!(FormReader::new(LIMIT).read(&req, payload, 10).await, Err(FormError::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_that_does_not_arrive_ends_by_time_and_frees_its_place() {
        let reader = FormReader { permits: Semaphore::new(1), ..FormReader::new(LIMIT) };
        let (req, slow) = payload(stream::pending()).await;
        let (_, second) = payload(stream::iter([chunk(1)])).await;
        let (_, third) = payload(stream::iter([chunk(1)])).await;

        let (first, second) =
            futures_util::future::join(reader.read(&req, slow, 10), reader.read(&req, second, 10)).await;

        assert_eq!((first, second), (Err(FormError::Timeout), Err(FormError::Busy)));
        assert!(reader.permit_aside().is_some(), "these are counted apart");
        assert_eq!(reader.read(&req, third, 10).await.map(|bytes| bytes.len()), Ok(1));
    }

    #[test]
    fn only_forms_that_a_page_can_send_are_forms() {
        let table: [(&[(&str, &str)], bool); 9] = [
            (&[("content-type", "application/x-www-form-urlencoded")], true),
            (&[("content-type", "Application/X-WWW-Form-Urlencoded;charset=UTF-8")], true),
            (&[("content-type", "multipart/form-data; boundary=b")], true),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "application/json")], false),
            (&[("content-type", "multipart/mixed; boundary=b")], false),
            (&[("content-type", URLENCODED), ("content-encoding", "gzip")], false),
            (&[("content-type", URLENCODED), ("content-type", "application/json")], false),
            (&[], false),
        ];
        for (headers, expected) in table {
            let req = headers.iter().fold(TestRequest::post(), |req, header| req.append_header(*header));
            assert_eq!(form_type(&req.to_http_request()).is_some(), expected, "{headers:?}");
        }
    }
}
