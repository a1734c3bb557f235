//! The inspector's pages. Each works alone; the application's page shows their `<section class="result">`.

use std::fmt::Write;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use oauth_proxy::clock::Timestamp;
use oauth_proxy::crypto::RecordPart;
use oauth_proxy::oidc::RefreshToken;
use oauth_proxy::random;
use oauth_proxy::sessions::{RefreshPart, RequestPart};
use oauth_proxy::web::escape;
use serde_json::Value;

use super::Inspector;
use super::session::{Session, token_claims};
use crate::page::{fill, page};
use crate::part::Part;

/// Longer values of an item are cut.
const SHOWN: usize = 44;

/// The cards with everything to press, for this page and the application's.
pub(crate) fn cards(inspector: &str) -> String {
    fill(include_str!("cards.html"), &[("inspector", &escape(inspector))])
}

/// `GET /`: the cards alone, for any application behind the handler.
pub(super) async fn home(inspector: Data<Inspector>) -> HttpResponse {
    let own = inspector.addresses.inspector.as_deref().unwrap_or_default();
    let body = fill(
        include_str!("home.html"),
        &[
            ("cards", &cards(own)),
            ("story", &inspector.story.html()),
            ("handler", &escape(&inspector.addresses.handler)),
            ("script", include_str!("live.js")),
        ],
    );
    page(StatusCode::OK, Part::Handler, "Behind the cookie", &body)
}

/// `GET /cookie`: the cookie that this browser sends, and what is in it.
pub(super) async fn cookie(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(Session { cookie, ticket }) = inspector.session(&req) else { return no_session() };
    let kid = cookie.split('.').nth(1).unwrap_or_default();
    let rows = rows(&[
        ("value", &format!("<code class=\"value\">{}</code>", escape(&cookie))),
        ("sealed with", &format!("cookie key <code>{}</code>, AES-256-GCM", escape(kid))),
        ("identifier", &format!("<code>{}</code>", hex(ticket.id.as_bytes()))),
        ("secret S", &format!("<code>{}…</code> 32 bytes", hex(&ticket.secret.as_bytes()[..4]))),
        ("signed in", &time(ticket.issued_at)),
        ("last seen", &time(ticket.last_seen)),
        ("ends at", &time(ticket.expires_at)),
    ]);
    let text = format!(
        "<p>Your browser sends this with every request, and no script can read it. The handler opens it with its cookie \
         key. No token is inside. <code>S</code> is in no other place: not in the database, and not in the handler once \
         a request is over.</p><table><tbody>{rows}</tbody></table>"
    );
    result(&inspector, "Your cookie", &text)
}

/// `GET /record`: the session's item in the database.
pub(super) async fn record(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(session) = inspector.session(&req) else { return no_session() };
    let Some(item) = inspector.item(&session) else { return no_record(&inspector) };
    let about = if item["parts"].is_null() {
        "The session has ended: both sealed parts are gone. What is left keeps a late refresh from bringing it back."
    } else {
        "Its name is a hash of the identifier. The tokens are in two sealed parts: one for every request, one for refresh \
         and sign-out. Readable are times and a counter."
    };
    let text = format!("<p>{about}</p><pre>{}</pre>", escape(&pretty(&item)));
    result(&inspector, "The stored record", &text)
}

/// `GET /open-with-keys`: the attempt of someone who has everything but the cookie.
pub(super) async fn open_with_keys(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(session) = inspector.session(&req) else { return no_session() };
    let Some(item) = inspector.item(&session) else { return no_record(&inspector) };
    let guess = random::bytes::<32>();
    let opened = inspector.open(&item, RecordPart::Request, session.ticket.id.as_bytes(), &guess);
    match opened {
        Ok(_) => result(&inspector, "It opened", "<p>This must never happen: please report it.</p>"),
        Err(error) => {
            let text = format!(
                "<p>Tried with the database, the cookie key, the token key, the session's identifier, and a guess for \
                 <code>S</code>: <code>{}…</code></p><p class=\"verdict\">AES-256-GCM: {}</p><p>The key of each part is \
                 derived from the token key <em>and</em> <code>S</code>. There are 2<sup>256</sup> guesses.</p>",
                hex(&guess[..8]),
                escape(&error.to_string())
            );
            result(&inspector, "Sealed", &text)
        }
    }
}

/// `GET /open-with-cookie`: the same with `S` from the cookie.
pub(super) async fn open_with_cookie(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(session) = inspector.session(&req) else { return no_session() };
    let Some(item) = inspector.item(&session) else { return no_record(&inspector) };
    let ticket = &session.ticket;
    let open = |part| inspector.open(&item, part, ticket.id.as_bytes(), ticket.secret.as_bytes()).ok();
    let (Some(request), Some(refresh)) = (open(RecordPart::Request), open(RecordPart::Refresh)) else {
        return has_ended(&inspector);
    };
    let (Some(request), Some(refresh)) = (RequestPart::from_bytes(&request), RefreshPart::from_bytes(&refresh)) else {
        return has_ended(&inspector);
    };
    let access_token = request.access_token.expose();
    let claims = token_claims(access_token).unwrap_or_default();
    let rows = rows(&[
        ("access token", &format!("<code>{}</code>", escape(&cut(access_token)))),
        ("its claims", &format!("<pre>{}</pre>", escape(&pretty(&claims)))),
        (
            "refresh token",
            &format!("<code>{}</code>", escape(&cut(refresh.refresh_token.as_ref().map_or("", RefreshToken::expose)))),
        ),
    ]);
    let text = format!(
        "<p>The same record, the same keys, and <code>S</code> from the cookie that your browser has just sent. The handler \
         does this for each request, and forgets <code>S</code> afterwards.</p><table><tbody>{rows}</tbody></table>"
    );
    result(&inspector, "Open", &text)
}

/// A path that the inspector doesn't have.
pub(super) async fn not_found() -> HttpResponse {
    narrow(
        StatusCode::NOT_FOUND,
        "No such page",
        "<p>The inspector has no page here. <a href=\"/\">To its pages</a></p>",
    )
}

/// To a browser without a session.
pub(super) fn no_session() -> HttpResponse {
    let text = "<p>Your browser sent no session cookie that opens. Sign in at the application first.</p>";
    narrow(StatusCode::CONFLICT, "Nobody is signed in", text)
}

/// To another site, or under another name.
pub(super) fn foreign() -> HttpResponse {
    narrow(StatusCode::FORBIDDEN, "Not from here", "<p>Only pages of the demo may ask the inspector.</p>")
}

/// For a session whose parts are gone.
pub(super) fn has_ended(inspector: &Inspector) -> HttpResponse {
    let text = "<p>The session has ended. Its sealed parts are gone from the database, so there is nothing to open, not even \
                with the cookie.</p>";
    result(inspector, "Nothing to open", text)
}

fn no_record(inspector: &Inspector) -> HttpResponse {
    result(inspector, "No record", "<p>The database has no record of this session.</p>")
}

/// The result of something that was pressed.
pub(super) fn result(inspector: &Inspector, title: &str, html: &str) -> HttpResponse {
    let back = format!(
        r#"<p class="foot"><a href="/">Everything to press</a>, or <a href="{}/">back to the application</a></p>"#,
        escape(&inspector.addresses.handler)
    );
    let body = format!(
        r#"<main class="narrow roomy"><p class="eyebrow">Behind the cookie</p><section class="result"><h1>{}</h1>{html}</section>{back}</main>"#,
        escape(title)
    );
    page(StatusCode::OK, Part::Handler, title, &body)
}

fn narrow(status: StatusCode, title: &str, html: &str) -> HttpResponse {
    let body = format!(
        r#"<main class="narrow"><p class="eyebrow">Behind the cookie</p><section class="result"><h1>{}</h1>{html}</section></main>"#,
        escape(title)
    );
    page(status, Part::Handler, title, &body)
}

fn rows(rows: &[(&str, &str)]) -> String {
    rows.iter().fold(String::new(), |mut html, (name, value)| {
        let _ = write!(html, r#"<tr><th scope="row">{name}</th><td>{value}</td></tr>"#);
        html
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(at: Timestamp) -> String {
    let second = at.as_unix().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}

fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN / 2).collect();
    format!("{start}… ({length} characters)")
}

/// JSON for people: indented, long texts cut.
fn pretty(value: &Value) -> String {
    fn shorten(value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(cut(text)),
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shorten(value))).collect(),
            other => other.clone(),
        }
    }
    serde_json::to_string_pretty(&shorten(value)).unwrap_or_default()
}
