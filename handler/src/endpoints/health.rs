//! `GET health/live`, `health/ready`: for probes. Neither needs a session, and neither tells a secret.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::json;

use super::request::Request;
use crate::state::AppState;

/// The process answers.
pub(super) fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "status": "live" }))
}

/// The keys are in hand, the store answers and the Provider's metadata is there; 503 names what is missing.
pub(super) async fn ready(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let provider = state.relying_party.is_ready(request.now).await;
    let store = state.sessions.is_ready(request.now).await;
    let keys = state.keys_in_hand().await;
    let gateway = state.gateway.is_ready(request.now).await;
    let is_ready = provider.is_ok() && store.is_ok() && keys.is_ok() && gateway.is_ok();
    let word = |is_up: bool| if is_up { "up" } else { "down" };
    let mut answer = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "provider": word(provider.is_ok()),
        "store": word(store.is_ok()),
        "keys": word(keys.is_ok()),
        "gateway_issuer": word(gateway.is_ok()),
    }))
}
