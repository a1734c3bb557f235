//! The Provider as if it were down: for some seconds every request gets 503.

use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use super::{Provider, pages};

/// Time for which it is stopped.
pub(crate) const OUTAGE: Duration = Duration::from_secs(20);

impl Provider {
    /// Stops it from now on for [`OUTAGE`].
    pub(crate) fn stop_for_a_while(&self) {
        *self.outage() = Some(self.now().plus(OUTAGE));
        self.story.record(self.part(), "stopped", "is stopped for 20 s: every request gets 503");
    }

    /// Seconds until it is back, if it is stopped.
    fn seconds_until_back(&self) -> Option<u64> {
        let (now, mut outage) = (self.now(), self.outage());
        let left = (*outage)?.since(now).as_secs();
        if left > 0 {
            return Some(left);
        }
        *outage = None;
        drop(outage);
        self.story.record(self.part(), "back", "is back");
        None
    }
}

/// Responds 503 in place of every endpoint while the Provider is stopped.
pub(super) async fn outage<B: MessageBody>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let stopped = req.app_data::<Data<Provider>>().and_then(|provider| provider.seconds_until_back());
    match stopped {
        Some(seconds) => {
            let response = pages::stopped(seconds);
            Ok(req.into_response(with_retry_after(response, seconds)).map_into_right_body())
        }
        None => next.call(req).await.map(ServiceResponse::map_into_left_body),
    }
}

fn with_retry_after(mut response: HttpResponse, seconds: u64) -> HttpResponse {
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    response
}
