//! A small legacy application. It knows cookies and headers, and nothing of sign-ins.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

/// Puts the application's pages into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    service.default_service(web::to(home));
}

async fn home(req: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().body(format!("{:#?}", req.headers()))
}
