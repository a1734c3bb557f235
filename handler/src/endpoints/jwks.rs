//! `GET jwks`: the public keys by which an application verifies identity assertions (RFC 7517 5).

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::state::AppState;
use crate::web::Error;

/// Responds with the JWK Set, or 404 where no route sends assertions.
pub(super) fn jwks(state: &AppState) -> Result<HttpResponse, Error> {
    let assertions = state.assertions.as_ref().ok_or(Error::RouteNotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/jwk-set+json"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(assertions.key_set().to_owned()))
}
