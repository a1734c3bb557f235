//! Who the proxy says is there: the headers it added, and the access token they carry.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The headers that the proxy sets last, so that no client can.
pub(super) fn is_from_the_proxy(name: &str) -> bool {
    name == "authorization" || name.starts_with("x-forwarded-")
}

/// A header's text.
pub(super) fn text<'a>(req: &'a HttpRequest, name: &str) -> Option<&'a str> {
    std::str::from_utf8(req.headers().get(name)?.as_bytes()).ok()
}

/// The claims of the access token. A real application would verify the token; this one only shows it.
pub(super) fn access_token(req: &HttpRequest) -> Option<Value> {
    let token = text(req, header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ")?;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// When the access token of this very request lapses, and how often it was renewed.
pub(super) async fn token(req: HttpRequest) -> HttpResponse {
    let claims = access_token(&req).unwrap_or_default();
    HttpResponse::Ok().json(json!({ "iat": claims["iat"], "exp": claims["exp"], "generation": claims["generation"] }))
}
