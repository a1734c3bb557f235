//! A small application of the kind that this proxy is for: pages, forms, and a cookie of its own.
//!
//! It knows cookies and headers only. Nothing in it has heard of OpenID Connect; it reads what the proxy tells it.

mod form;
mod home;
mod identity;
mod stream;
mod upload;

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::page::page;

/// Puts the application's pages into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    service
        .route("/", web::get().to(home::home))
        .route("/app.js", web::get().to(script))
        .route("/form", web::post().to(form::form))
        .route("/upload", web::post().to(upload::upload))
        .route("/events", web::get().to(stream::events))
        .route("/download", web::get().to(stream::download))
        .route("/api/token", web::get().to(identity::token))
        .route("/api/time", web::get().to(time))
        .route("/public", web::get().to(public))
        .default_service(web::to(not_found));
}

async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("app.js"))
}

/// What a script of the page asks for.
async fn time() -> HttpResponse {
    let seconds = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
    HttpResponse::Ok().json(json!({ "seconds_since_1970": seconds }))
}

/// The one page that needs no session: the proxy's route table says so.
async fn public() -> HttpResponse {
    let body = r#"<main class="narrow"><p class="eyebrow">Legacy application</p><h1>A page for everyone</h1>
<p>The route <code>/public</code> is anonymous: nobody had to sign in, and the application was told nothing about you.</p>
<p><a href="/">Go to the page that needs a session</a></p></main>"#;
    page(actix_web::http::StatusCode::OK, "A page for everyone", body)
}

async fn not_found() -> HttpResponse {
    let body = r#"<main class="narrow"><p class="eyebrow">Legacy application</p><h1>There is no such page</h1>
<p>This answer is the application's own, passed on as it is.</p><p><a href="/">To the start</a></p></main>"#;
    page(actix_web::http::StatusCode::NOT_FOUND, "There is no such page", body)
}

/// The application's own cookies. It shares the host with others, so it looks for its own names only.
fn cookie<'a>(req: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = req.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = headers.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(given, value)| (given == name).then_some(value))
}
