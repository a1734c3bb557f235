//! A small legacy application: it knows cookies and headers, and nothing of sign-ins, tokens or providers.
//!
//! It believes the headers it is given, so nothing but the handler may reach it. Here everything on this machine
//! can; that too is something to try.

mod flash;
mod home;
mod identity;
mod ledger;
mod public;
mod received;
mod stream;
mod upload;

use actix_web::web::{self, FormConfig, ServiceConfig};

/// Addresses of the demo's parts, as its pages draw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) handler: String,
    pub(crate) provider: String,
    pub(crate) application: String,
    /// The inspector, where there is one: it needs the handler's keys and database.
    pub(crate) inspector: Option<String>,
}

/// Puts the application's pages into a server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    service
        .app_data(FormConfig::default().error_handler(|error, _| public::unreadable(&error.to_string())))
        .route("/", web::get().to(home::home))
        .route("/notes", web::post().to(flash::leave_note))
        .route("/upload", web::post().to(upload::upload))
        .route("/stream", web::get().to(stream::stream))
        .route("/ledger.csv", web::get().to(ledger::ledger))
        .route("/identity", web::get().to(identity::identity))
        .route("/public", web::get().to(public::public))
        .default_service(web::to(public::not_found));
}
