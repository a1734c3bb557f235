//! Page on the way to a sign-in that repeats `signin` with the URL's `#fragment`, which no server ever sees.
//!
//! Browsers preserve a fragment over redirects, but not over the form of a Provider. Without scripts the page continues
//! without it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Label, Title, Viewer, escape};

/// Parameter of `signin` with the fragment, without its `#`.
pub const FRAGMENT: &str = "fragment";

const SCRIPT: &str = "location.replace(location.pathname+location.search+(location.search?'&':'?')+\
                      'fragment='+encodeURIComponent(location.hash.slice(1)))";

/// Policy of the page: the script is allowed by its hash, nothing else is loaded or runs (CSP 3 section 8.3).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; script-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
});

/// The page that repeats the request `signin`.
#[must_use]
pub fn fragment_page(signin: &str, viewer: &Viewer<'_>) -> HttpResponse {
    let separator = if signin.contains('?') { '&' } else { '?' };
    let next = escape(&format!("{signin}{separator}{FRAGMENT}="));
    let lang = viewer.language.tag();
    let title = escape(viewer.language.title(Title::SigningIn));
    let label = escape(viewer.label(Label::ContinueToSignIn));
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<script>{SCRIPT}</script>\n\
         <noscript><meta http-equiv=\"refresh\" content=\"0;url={next}\"></noscript>\n</head>\n\
         <body>\n<main><p><a href=\"{next}\">{label}</a></p></main>\n</body>\n</html>\n"
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::CONTENT_LANGUAGE, lang))
        .insert_header((header::VARY, "Accept-Language"))
        .body(html)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::web::{PageDesign, RequestId};

    #[test]
    fn a_target_is_no_markup_and_only_our_script_runs() {
        let request = TestRequest::default().to_http_request();
        let id = RequestId::of(&request);

        let response = fragment_page(
            "/oauth/signin?redirect=\"><script>x</script>",
            &Viewer::of(&request, &id, &PageDesign::default()),
        );

        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().to_owned();
        let html = response.into_body().try_into_bytes().unwrap();
        let html = std::str::from_utf8(&html).unwrap();
        assert_eq!(html.matches("<script>").count(), 1, "{html}");
        assert!(html.contains("&quot;&gt;&lt;script&gt;x&lt;/script&gt;&amp;fragment=\""), "{html}");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
}
