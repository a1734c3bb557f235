//! An upload, read piece by piece as it arrives: its size and its hash show that nothing was changed on the way.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Reads the body to its end and tells what it was.
pub(super) async fn upload(mut payload: Payload) -> HttpResponse {
    let (mut hash, mut bytes) = (Sha256::new(), 0_usize);
    while let Some(piece) = payload.next().await {
        let Ok(piece) = piece else {
            return HttpResponse::BadRequest().json(json!({ "problem": "the upload ended early" }));
        };
        bytes += piece.len();
        hash.update(&piece);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    HttpResponse::Ok().json(json!({ "bytes": bytes, "sha256": hash }))
}
