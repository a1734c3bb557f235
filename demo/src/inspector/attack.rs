//! The levers: the session ends, the Provider stops, the cookie is stolen.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use awc::Client;
use oauth_proxy::web::escape;

use super::session::cookie_header;
use super::{Inspector, pages};
use crate::part::Part;

/// `POST /end-session`: the Provider ends the person's session, without any browser.
pub(super) async fn end_session(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(session) = inspector.session(&req) else { return pages::no_session() };
    let Some(username) = inspector.subject(&session) else { return pages::has_ended(&inspector) };
    match inspector.provider.end_sessions_of(&username).await {
        Ok(()) => pages::result(
            &inspector,
            "Your session has ended",
            &format!(
                "<p>The Provider sent the handler a logout token about <code>{}</code>. The handler found your session \
                 in its index and took the sealed parts out of the record. Your browser still has its cookie.</p>\
                 <p>Press <em>GET /identity</em> below: 401. Open the page anew: you are sent to sign in. Refresh tokens \
                 of the old session are of no use to anyone.</p>",
                escape(&username)
            ),
        ),
        Err(error) => {
            pages::result(&inspector, "The session could not be ended", &format!("<p>{}</p>", escape(&error)))
        }
    }
}

/// `POST /stop-provider`: the Provider responds 503 for a while.
pub(super) async fn stop_provider(inspector: Data<Inspector>) -> HttpResponse {
    inspector.provider.stop_for_a_while();
    pages::result(
        &inspector,
        "The Provider is stopped for 20 s",
        "<p>Go on working: the handler uses the access token that is still valid. <em>Refresh it now</em> fails, and the \
         session lives on: only a refusal by the Provider ends one, never its silence.</p>\
         <p>When it is back, the next refresh succeeds.</p>",
    )
}

/// `POST /steal`: keeps a copy of the cookie and uses it.
pub(super) async fn steal(req: HttpRequest, inspector: Data<Inspector>) -> HttpResponse {
    let Some(session) = inspector.session(&req) else { return pages::no_session() };
    *inspector.stolen() = Some(session.cookie);
    try_stolen(&inspector).await
}

/// `POST /use-stolen`: uses the copy again.
pub(super) async fn use_stolen(inspector: Data<Inspector>) -> HttpResponse {
    try_stolen(&inspector).await
}

async fn try_stolen(inspector: &Inspector) -> HttpResponse {
    let Some(cookie) = inspector.stolen().clone() else {
        return pages::result(inspector, "Nothing is stolen yet", "<p>Press <em>Steal the cookie</em> first.</p>");
    };
    let url = format!("{}/oauth/me?slide=false", inspector.addresses.handler);
    let request = Client::default()
        .get(url)
        .insert_header(("cookie", cookie_header(&cookie)))
        .insert_header(("sec-fetch-mode", "cors"));
    let status = request.send().await.map(|response| response.status().as_u16());
    let is_let_in = matches!(status, Ok(200));
    let again = r#"<form method="post" action="{{inspector}}/use-stolen" data-into="attack-result"><button class="plain">Use the stolen cookie again</button></form>"#;
    let again = again.replace("{{inspector}}", inspector.addresses.inspector.as_deref().unwrap_or_default());
    let text = if is_let_in {
        inspector.story.note(Part::Browser, "stolen cookie", "another browser uses your cookie, and is you: 200");
        "<p>Another browser sent a copy of your cookie and got <strong>200</strong>: whoever has the cookie is you. That is \
         why no script can read it, and why in production it has the prefix <code>__Host-</code> and travels over TLS \
         only.</p><p>Sign out, or let your session end, and use the copy again.</p>"
            .to_owned()
    } else {
        inspector.story.note(Part::Browser, "stolen cookie", "another browser uses the stolen cookie: 401");
        let status = status.map_or_else(|error| escape(&error.to_string()), |status| status.to_string());
        format!(
            "<p>The thief got <strong>{status}</strong>. The session has ended, so the cookie opens nothing: not for the \
             handler, and not for someone who also has the database and both keys, for the sealed parts are gone.</p>"
        )
    };
    let title = if is_let_in { "The thief is let in" } else { "The thief stays outside" };
    pages::result(inspector, title, &format!("{text}{again}"))
}
