//! `GET health/live`, `health/ready`: probes. They need no session and reveal no secret.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::json;

use super::request::Request;
use crate::state::AppState;

/// Responds 200 while the process runs.
pub(super) fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "status": "live" }))
}

/// 200 if the keys are loaded, the store responds and the Provider's metadata is cached; otherwise 503 names the part.
/// A draining process is not ready: another instance serves new requests.
pub(super) async fn ready(request: &Request<'_>, state: &AppState) -> HttpResponse {
    let provider = state.relying_party.is_ready(request.now).await;
    let store = state.is_store_ready(request.now).await;
    let keys = state.ensure_keys_loaded().await;
    let gateway = state.gateway.is_ready(request.now).await;
    let is_draining = state.sessions.is_draining();
    let is_up = provider.is_ok() && store && keys.is_ok() && gateway.is_ok();
    let word = |is_up: bool| if is_up { "up" } else { "down" };
    let is_ready = is_up && !is_draining;
    let status = match (is_draining, is_up) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not_ready",
    };
    let mut response = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "status": status,
        "provider": word(provider.is_ok()),
        "store": word(store),
        "keys": word(keys.is_ok()),
        "gateway_issuer": word(gateway.is_ok()),
    }))
}
