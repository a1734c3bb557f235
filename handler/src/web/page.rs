//! The few pages that a person may see from us: plain, accessible, light and dark, nothing from elsewhere.
//!
//! Knows nothing of why a page is shown.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::RequestId;

const STYLE: &str = include_str!("page.css");

/// The style sheet is named by its hash, so that no other style or script runs (CSP 3 section 8.3).
///
/// There is no `form-action`: browsers hold it against the Provider, where signing out leads after our form.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
});

/// One page: a heading, a sentence, and what to do next.
pub struct Page<'a> {
    /// The answer's status.
    pub status: StatusCode,
    /// The heading, and the window's title.
    pub title: &'a str,
    /// One or two sentences.
    pub text: &'a str,
    /// What to do next.
    pub links: &'a [Link<'a>],
    /// A stable code, when something failed.
    pub code: Option<&'a str>,
}

/// Something to do next.
pub enum Link<'a> {
    /// Go to `href`.
    To {
        /// A path of ours.
        href: &'a str,
        /// What it says.
        label: &'a str,
    },
    /// Go to `href` in the whole window, out of a frame.
    Top {
        /// A path of ours.
        href: &'a str,
        /// Its text.
        label: &'a str,
    },
    /// Send a form without fields to `action`.
    Post {
        /// A path of ours.
        action: &'a str,
        /// What its button says.
        label: &'a str,
    },
}

impl Page<'_> {
    /// The page as an answer.
    #[must_use]
    pub fn respond(&self, request_id: &RequestId) -> HttpResponse {
        self.build(request_id, "", &POLICY)
    }

    /// The page, which loads the empty image at `path` of this site once it is shown.
    #[must_use]
    pub fn respond_with_image(&self, path: &str, request_id: &RequestId) -> HttpResponse {
        let image = format!("<img src=\"{}\" alt=\"\" hidden>\n", escape(path));
        self.build(request_id, &image, &POLICY.replace("img-src data:", "img-src 'self' data:"))
    }

    fn build(&self, request_id: &RequestId, image: &str, policy: &str) -> HttpResponse {
        let links: String = self.links.iter().map(link).collect();
        let actions = if links.is_empty() { links } else { format!("<div class=\"actions\">{links}</div>\n") };
        let reason = self.code.map(|code| format!("Reason <code>{}</code> · ", escape(code))).unwrap_or_default();
        let (title, text, id) = (escape(self.title), escape(self.text), escape(request_id.as_str()));
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             <p>{text}</p>\n{actions}<p class=\"reference\">{reason}Request <code>{id}</code></p>\n</main>\n\
             {image}</body>\n</html>\n",
        );
        HttpResponse::build(self.status)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::X_FRAME_OPTIONS, "DENY"))
            .body(html)
    }
}

fn link(link: &Link<'_>) -> String {
    match link {
        Link::To { href, label } => format!("<a href=\"{}\">{}</a>", escape(href), escape(label)),
        Link::Top { href, label } => {
            format!("<a href=\"{}\" target=\"_top\">{}</a>", escape(href), escape(label))
        }
        Link::Post { action, label } => {
            format!("<form method=\"post\" action=\"{}\"><button>{}</button></form>", escape(action), escape(label))
        }
    }
}

/// Text as HTML, safe between tags and inside a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn nothing_on_a_page_is_markup_unless_we_wrote_it() {
        let links = [Link::To { href: "/a?b=\"><script>", label: "<b>go</b>" }];
        let page = Page { status: StatusCode::OK, title: "<i>", text: "a & b", links: &links, code: Some("'x'") };

        let answer = page.respond(&RequestId::of(&TestRequest::default().to_http_request()));

        let html = answer.into_body().try_into_bytes().unwrap();
        let html = std::str::from_utf8(&html).unwrap();
        for expected in ["<h1>&lt;i&gt;</h1>", "a &amp; b", "href=\"/a?b=&quot;&gt;&lt;script&gt;\"", "&#39;x&#39;"] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
    }

    #[test]
    fn no_script_and_no_foreign_resource_is_allowed() {
        assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(!POLICY.contains("unsafe-inline") && !STYLE.contains("url(") && !STYLE.contains('<'));
    }
}
