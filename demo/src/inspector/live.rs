//! `GET /events`: the story as server-sent events, each one a list item. A browser that reconnects misses none.

use std::convert::Infallible;
use std::fmt::Write;

use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;

use super::{Fields, Inspector};

/// Streams the events after `Last-Event-ID`, or after `after` in the query.
pub(super) async fn events(req: HttpRequest, query: Query<Fields>, inspector: Data<Inspector>) -> HttpResponse {
    let last = req.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let after = last.or(query.get("after").map(String::as_str)).and_then(|text| text.parse::<u64>().ok());
    let story = inspector.story.clone();
    let newest = story.newest();
    let events = stream::unfold((story, newest, after.unwrap_or(0)), |(story, mut newest, mut sent)| async move {
        newest.wait_for(|number| *number > sent).await.ok()?;
        let mut text = String::new();
        for event in story.after(sent) {
            sent = event.number;
            let _ = write!(text, "id: {sent}\ndata: {}\n\n", event.html());
        }
        Some((Ok::<_, Infallible>(Bytes::from(text)), (story, newest, sent)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .streaming(Box::pin(events))
}
