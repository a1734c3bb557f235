//! Answers that take their time: events one by one, and a download too large to be held by anyone on the way.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::stream;

const EVENTS: u32 = 10;
const MEGABYTE: usize = 1024 * 1024;
const MEGABYTES: u32 = 64;

/// Ten server-sent events, one each half second.
pub(super) async fn events() -> HttpResponse {
    let events = stream::unfold(1, |number| async move {
        if number > EVENTS {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        Some((Ok::<_, Infallible>(Bytes::from(format!("data: event {number} of {EVENTS}\n\n"))), number + 1))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

/// 64 MB that exist nowhere at once.
pub(super) async fn download() -> HttpResponse {
    let piece = Bytes::from(vec![b'.'; MEGABYTE]);
    let pieces = stream::iter((0..MEGABYTES).map(move |_| Ok::<_, Infallible>(piece.clone())));
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"64-megabytes.bin\""))
        .streaming(pieces)
}
