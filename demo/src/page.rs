//! The frame around every page of the demo: one style sheet inside the page, light and dark, and templates.
//!
//! Knows nothing of what a page says.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use oauth_proxy::web::escape;

use crate::part::Part;

/// Nothing from elsewhere: what a page needs is inside it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self' http://localhost:*; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// A whole page in the hue of its part: `body` is HTML, `title` is text.
pub(crate) fn page(status: StatusCode, part: Part, title: &str, body: &str) -> HttpResponse {
    let html = fill(
        include_str!("page.html"),
        &[("title", &escape(title)), ("style", include_str!("page.css")), ("part", part.name()), ("body", body)],
    );
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(html)
}

/// A template with every `{{name}}` replaced by its HTML. A name without a value stays, where it is seen.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut html = String::with_capacity(template.len() * 2);
    let mut pieces = template.split("{{");
    html.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let found = piece.split_once("}}").and_then(|(name, rest)| {
            let (_, value) = values.iter().find(|(given, _)| *given == name)?;
            Some((value, rest))
        });
        match found {
            Some((value, rest)) => html.extend([value, rest]),
            None => html.extend(["{{", piece]),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_value_is_not_read_as_a_template() {
        let html = fill("<p>{{a}}</p>{{b}}{{c}}", &[("a", "{{b}}"), ("b", "!")]);

        assert_eq!(html, "<p>{{b}}</p>!{{c}}");
    }
}
