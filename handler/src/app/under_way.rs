//! Counter of the requests under way in one worker. A request's headers are cleared at its end, also if the client
//! disconnects.
//!
//! The server keeps up to 256 ended requests a worker for reuse. Each would hold the 8 KiB that it was read into, with the
//! person's cookies, and a table of headers of 7 KB.

use std::cell::Cell;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;

/// Maximum requests under way in a worker at which an ended request keeps its table of headers for reuse. Above it the
/// table is freed: a burst leaves about as many tables, 0.4 MB a worker, and the next request builds its own.
const MAX_KEPT_TABLES: usize = 64;

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

        let under_way = UnderWay::default();
        drop(under_way.begin(request));

        assert_eq!(Arc::strong_count(&cookie), 1);
        assert_eq!(under_way.0.get(), 0);
    }

    #[test]
    fn a_request_that_ends_beside_too_many_others_frees_its_table() {
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
