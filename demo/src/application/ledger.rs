//! `GET /ledger.csv`: a download with a name.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::header;

const ROWS: u32 = 20_000;
const SHIPS: [&str; 6] = ["Fram", "Beagle", "Endeavour", "Pourquoi-Pas?", "Gjøa", "Nautilus"];
const CARGO: [&str; 5] = ["timber", "salt", "tea", "paper", "copper"];

/// Some twenty thousand arrivals that never were; the same ones every time.
pub(super) async fn ledger() -> HttpResponse {
    let mut csv = String::from("entry,ship,cargo,tons\n");
    for row in 1..=ROWS {
        let number = row.wrapping_mul(2_654_435_761) >> 8; // Knuth's multiplicative hash: varied, never random
        let (ship, cargo) = (SHIPS[number as usize % SHIPS.len()], CARGO[number as usize / 7 % CARGO.len()]);
        let _ = writeln!(csv, "{row},{ship},{cargo},{}", number % 900 + 10);
    }
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, r#"attachment; filename="ledger.csv""#))
        .body(csv)
}
