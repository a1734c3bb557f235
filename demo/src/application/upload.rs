//! `POST /upload`: reads whatever is sent, piece by piece, and tells its size and hash.

use actix_web::web::Payload;
use actix_web::{Error, HttpResponse};
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Never holds more than a piece, so any size will do.
pub(super) async fn upload(mut body: Payload) -> Result<HttpResponse, Error> {
    let (mut hash, mut bytes, mut pieces) = (Sha256::new(), 0_usize, 0_usize);
    while let Some(piece) = body.next().await {
        let piece = piece?;
        hash.update(&piece);
        bytes += piece.len();
        pieces += 1;
    }
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(HttpResponse::Ok().json(json!({ "bytes": bytes, "pieces": pieces, "sha256": sha256 })))
}
