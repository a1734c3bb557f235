//! The application's page: who you are, how long your token lasts, and every header that came with the request.

use std::fmt::Write;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

use super::cookie;
use super::form::FLASH;
use super::identity::{access_token, is_from_the_proxy, text};
use crate::page::{escape, page};

const VISITS: &str = "legacy-visits";

/// The page, with the application's own cookies renewed.
pub(super) async fn home(req: HttpRequest) -> HttpResponse {
    let visits = cookie(&req, VISITS).and_then(|visits| visits.parse().ok()).unwrap_or(0_u32).saturating_add(1);
    let flash = cookie(&req, FLASH).map(|flash| percent_encoding::percent_decode_str(flash).decode_utf8_lossy());
    let mut answer = page(StatusCode::OK, "Legacy application", &body(&req, visits, flash.as_deref()));
    for cookie in [format!("{VISITS}={visits}; Path=/; SameSite=Lax"), format!("{FLASH}=; Path=/; Max-Age=0")] {
        if let Ok(cookie) = cookie.parse() {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    answer
}

fn body(req: &HttpRequest, visits: u32, flash: Option<&str>) -> String {
    let user = text(req, "x-forwarded-user").unwrap_or("nobody");
    let email = text(req, "x-forwarded-email").unwrap_or("no address");
    let claims = access_token(req).unwrap_or_default();
    let (issued_at, expires_at) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
    let renewed = claims["generation"].as_u64().unwrap_or(1).saturating_sub(1);
    let flash = flash
        .filter(|flash| !flash.is_empty())
        .map_or(String::new(), |flash| format!(r#"<p class="good" role="status">Saved: “{}”</p>"#, escape(flash)));
    format!(
        r##"<main>
<header class="top">
<div><p class="eyebrow">Legacy application</p><h1>Hello, {user}</h1>
<p class="soft">You are {email}. I know it from a header: there is no sign-in code in me.</p></div>
<form method="post" action="/oauth/signout"><button class="plain">Sign out</button></form>
</header>
<div class="grid">
<section class="card wide" id="token" data-iat="{issued_at}" data-exp="{expires_at}">
<h2>Your access token</h2>
<p class="number"><span id="left">–</span> <small>seconds left</small></p>
<progress id="bar" max="100" value="0" aria-label="Life of the access token"></progress>
<p class="small soft">Renewed <strong id="renewed">{renewed}</strong> times since you signed in. The proxy does it before the
token lapses; your cookie stays the same, and I notice nothing.</p>
</section>
<section class="card" id="form">
<h2>A form</h2>
<p class="small soft">POST, redirect, GET. The message comes back in a cookie of mine.</p>
<form method="post" action="/form"><label for="note">Note</label><input id="note" name="note" required maxlength="200">
<button>Save</button></form>{flash}
</section>
<section class="card">
<h2>An upload</h2>
<p class="small soft">Streamed to me piece by piece, whatever its size.</p>
<label for="file">File</label><input id="file" type="file"><button id="upload" type="button">Upload</button>
<output id="uploaded"></output>
</section>
<section class="card">
<h2>A stream</h2>
<p class="small soft">Server-sent events, each shown as it arrives.</p>
<button id="listen" type="button">Listen</button><output id="events"></output>
</section>
<section class="card">
<h2>A script</h2>
<p class="small soft">Sign out in another tab and ask again: a script gets 401 and a problem document, never a sign-in page.</p>
<button id="ask" type="button">Ask as a script</button><output id="asked"></output>
</section>
<section class="card">
<h2>My own cookie</h2>
<p class="number">{visits} <small>visits</small></p>
<p class="small soft">It passes through as it is. The proxy's cookies never reach me.</p>
</section>
</div>
<h2 class="section">What this request brought</h2>
<p class="small soft">Marked: what the proxy added. A client that sends one of these itself achieves nothing.</p>
<table><tbody>{headers}</tbody></table>
<nav aria-label="More"><a href="/oauth/me">What the proxy tells a script of you</a><a href="/public">A page for everyone</a>
<a href="/download">64 MB</a><a href="/nowhere">A page that isn't there</a></nav>
<script src="/app.js" defer></script>
</main>"##,
        user = escape(user),
        email = escape(email),
        headers = headers(req),
    )
}

/// A row for each header, those of the proxy first. The token is shortened: it is shown decoded already.
fn headers(req: &HttpRequest) -> String {
    let mut rows: Vec<(bool, &str, String)> = req
        .headers()
        .iter()
        .map(|(name, value)| (is_from_the_proxy(name.as_str()), name.as_str(), shown(name.as_str(), value.as_bytes())))
        .collect();
    rows.sort_by(|one, other| (!one.0, one.1).cmp(&(!other.0, other.1)));
    let mut html = String::new();
    for (is_ours, name, value) in rows {
        let class = if is_ours { r#" class="ours""# } else { "" };
        let _ = write!(html, r#"<tr{class}><th scope="row">{}</th><td>{}</td></tr>"#, escape(name), escape(&value));
    }
    html
}

fn shown(name: &str, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if name == "authorization" {
        return format!("{}… ({} characters)", text.chars().take(24).collect::<String>(), text.len());
    }
    text.into_owned()
}
