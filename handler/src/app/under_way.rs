//! Requests under way in one worker, which forget their headers at their end, also if the client goes away.
//!
//! The server keeps ended requests for reuse, 256 a worker after a busy hour. Each would hold the 8 KiB that it was read
//! into, with the person's cookies, and a table of headers of 7 KB.

use std::cell::Cell;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;

/// Requests under way that leave their table of headers to the next request. One that ends beside more frees it: a
/// busy hour leaves as many tables as a usual one.
const MAX_KEPT_TABLES: usize = 32;

/// Number of requests under way in one worker.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Cell<usize>);

/// A request whose headers are forgotten when it ends or is dropped.
///
/// Nobody may keep a clone of the request: the server changes only a request with one owner.
pub(super) struct UnendedRequest<'a> {
    request: Option<HttpRequest>,
    under_way: &'a UnderWay,
}

impl UnderWay {
    /// Counts `request` until it ends.
    pub(super) fn begin(&self, request: HttpRequest) -> UnendedRequest<'_> {
        self.0.set(self.0.get() + 1);
        UnendedRequest { request: Some(request), under_way: self }
    }
}

impl UnendedRequest<'_> {
    pub(super) fn http(&self) -> &HttpRequest {
        self.request.as_ref().expect("it has not ended")
    }

    /// The request without its headers.
    pub(super) fn end(mut self) -> HttpRequest {
        self.take().expect("it has not ended")
    }

    fn take(&mut self) -> Option<HttpRequest> {
        let mut request = ServiceRequest::from_request(self.request.take()?);
        let count = self.under_way.0.get();
        self.under_way.0.set(count - 1);
        if count > MAX_KEPT_TABLES {
            *request.headers_mut() = HeaderMap::new();
        } else {
            request.headers_mut().clear();
        }
        Some(request.into_parts().0)
    }
}

impl Drop for UnendedRequest<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::http::header::{COOKIE, HeaderValue};
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_request_holds_no_cookie_once_its_client_has_gone_away() {
        let cookie: Arc<[u8]> = Arc::from(*b"session=secret");
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Arc::clone(&cookie))).unwrap();
        let request = TestRequest::get().insert_header((COOKIE, value)).to_http_request();

        drop(UnderWay::default().begin(request));

        assert_eq!(Arc::strong_count(&cookie), 1);
    }

    #[test]
    fn as_many_requests_as_are_usual_leave_their_tables_to_the_next() {
        let under_way = UnderWay::default();
        let begin = || under_way.begin(TestRequest::get().insert_header((COOKIE, "a=b")).to_http_request());
        let busy: Vec<_> = (0..=MAX_KEPT_TABLES).map(|_| begin()).collect();

        let ended: Vec<_> = busy.into_iter().map(UnendedRequest::end).collect();

        let has_table = |request: &HttpRequest| request.headers().capacity() > 0;
        assert!(ended.iter().all(|request| request.headers().is_empty()));
        assert!(!has_table(&ended[0]));
        assert!(ended[1..].iter().all(has_table));
    }
}
