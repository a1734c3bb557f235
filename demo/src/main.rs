//! `cargo run -p demo`: the demo Provider on loopback.

use actix_web::web::Data;
use actix_web::{App, HttpServer};

use provider::{Client, Provider};

mod page;
mod provider;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client {
        id: "demo".to_owned(),
        secret: oauth_proxy::random::guid_pair(),
        redirect_uri: "http://127.0.0.1:8080/oauth/callback".to_owned(),
        post_logout_redirect_uri: "http://127.0.0.1:8080/oauth/signedout".to_owned(),
    };
    let provider = Data::new(Provider::new("http://127.0.0.1:8081".to_owned(), client)?);
    HttpServer::new(move || App::new().app_data(provider.clone()).configure(provider::configure))
        .workers(1)
        .bind(("127.0.0.1", 8081))?
        .run()
        .await?;
    Ok(())
}
