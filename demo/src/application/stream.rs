//! `GET /stream`: server-sent events, so that it shows when something between buffers.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::stream;

const EVENTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(400);

/// A few events with a pause before each, then the end.
pub(super) async fn stream() -> HttpResponse {
    let events = stream::unfold(1, |number| async move {
        if number > EVENTS {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
        let event = format!("id: {number}\ndata: {{\"number\":{number},\"of\":{EVENTS}}}\n\n");
        Some((Ok::<_, Infallible>(Bytes::from(event)), number + 1))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .streaming(Box::pin(events))
}
