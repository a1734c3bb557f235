//! Pages that we show to a person: plain, accessible, light and dark, nothing loaded from elsewhere.
//!
//! Knows nothing of why a page is shown.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{FormFields, Label, PageDesign, Viewer, escape};

/// Sends the page's form. A field may be called `submit`, and would be what `form.submit` finds.
const SEND: &str = "HTMLFormElement.prototype.submit.call(document.forms[0])";

/// A page: heading, text, and next steps.
pub struct Page<'a> {
    /// Status of the response.
    pub status: StatusCode,
    /// Heading and window title.
    pub title: &'a str,
    /// Text: one or two sentences.
    pub text: &'a str,
    /// Next steps.
    pub links: &'a [Link<'a>],
    /// Stable code of an error.
    pub code: Option<&'a str>,
}

/// Next step of a page.
pub enum Link<'a> {
    /// Link to `href`.
    To {
        /// A path of ours.
        href: &'a str,
        /// Text of the link.
        label: &'a str,
    },
    /// Link to `href` in the whole window, out of a frame.
    Top {
        /// A path of ours.
        href: &'a str,
        /// Its text.
        label: &'a str,
    },
    /// Button that posts an empty form to `action`.
    Post {
        /// A path of ours.
        action: &'a str,
        /// Text of the button.
        label: &'a str,
    },
    /// Link to `href` in a new tab, so that this page stays open.
    NewTab {
        /// A path of ours.
        href: &'a str,
        /// Its text.
        label: &'a str,
    },
    /// Button that posts a sealed form to `action`, which opens it.
    SendSealed {
        /// A path of ours.
        action: &'a str,
        /// The button's text.
        label: &'a str,
        /// The form, sealed.
        form: &'a str,
    },
    /// Button that sends the fields of a form to `action`.
    SendFields {
        /// A URL of the public origin.
        action: &'a str,
        /// The button's text.
        label: &'a str,
        /// The fields.
        fields: &'a FormFields,
        /// Their sender.
        sender: Sender,
    },
}

/// Sender of a page's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The person, by the button.
    Person,
    /// The page, at once; the button is for browsers without scripts.
    Page,
}

impl Link<'_> {
    fn is_form(&self) -> bool {
        match self {
            Self::To { .. } | Self::Top { .. } | Self::NewTab { .. } => false,
            Self::Post { .. } | Self::SendSealed { .. } | Self::SendFields { .. } => true,
        }
    }

    fn is_sent_by_page(&self) -> bool {
        matches!(self, Self::SendFields { sender: Sender::Page, .. })
    }
}

impl Page<'_> {
    /// The page as response.
    #[must_use]
    pub fn respond(&self, viewer: &Viewer<'_>) -> HttpResponse {
        let sends_itself = self.links.iter().any(Link::is_sent_by_page);
        let policy = &viewer.design.policy;
        if !sends_itself {
            return self.build(viewer, "", policy);
        }
        let hash = STANDARD.encode(Sha256::digest(SEND));
        self.build(viewer, &format!("<script>{SEND}</script>\n"), &format!("{policy}; script-src 'sha256-{hash}'"))
    }

    /// The page, which loads the empty image at `path` of this site once it is shown.
    #[must_use]
    pub fn respond_with_image(&self, path: &str, viewer: &Viewer<'_>) -> HttpResponse {
        let image = format!("<img src=\"{}\" alt=\"\" hidden>\n", escape(path));
        self.build(viewer, &image, &viewer.design.policy.replace("img-src data:", "img-src 'self' data:"))
    }

    fn build(&self, viewer: &Viewer<'_>, tail: &str, policy: &str) -> HttpResponse {
        // Fetch: without a referrer, a form's `Origin` would be `null`, which the application's CSRF check and ours refuse.
        let referrer = if self.links.iter().any(Link::is_form) { "same-origin" } else { "no-referrer" };
        let links: String = self.links.iter().map(link).collect();
        let actions = if links.is_empty() { links } else { format!("<div class=\"actions\">{links}</div>\n") };
        let reason = self.code.map(|code| format!("{} <code>{}</code> · ", viewer.label(Label::Reason), escape(code)));
        let reason = reason.unwrap_or_default();
        let request = viewer.label(Label::Request);
        let (title, text, id) = (escape(self.title), escape(self.text), escape(viewer.request_id.as_str()));
        let lang = viewer.language.tag();
        let PageDesign { style, window, brand, .. } = viewer.design;
        let contact = viewer.design.contact.as_ref().map(|contact| {
            let text = escape(viewer.label(Label::Contact)).replace("{contact}", contact);
            format!("<p class=\"contact\">{text}</p>\n")
        });
        let contact = contact.unwrap_or_default();
        let html = format!(
            "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}{window}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{brand}<h1>{title}</h1>\n\
             <p>{text}</p>\n{actions}{contact}<p class=\"reference\">{reason}{request} <code>{id}</code></p>\n</main>\n\
             {tail}</body>\n</html>\n",
        );
        HttpResponse::build(self.status)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            .insert_header((header::REFERRER_POLICY, referrer))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::X_FRAME_OPTIONS, "DENY"))
            .insert_header((header::CONTENT_LANGUAGE, lang))
            .insert_header((header::VARY, "Accept-Language"))
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
        Link::NewTab { href, label } => {
            format!("<a href=\"{}\" target=\"_blank\" rel=\"noopener\">{}</a>", escape(href), escape(label))
        }
        Link::SendSealed { action, label, form } => format!(
            "<form method=\"post\" action=\"{}\" autocomplete=\"off\"><input type=\"hidden\" name=\"form\" value=\"{}\">\
             <button>{}</button></form>",
            escape(action),
            escape(form),
            escape(label),
        ),
        Link::SendFields { action, label, fields, .. } => format!(
            "<form method=\"post\" action=\"{}\" {} autocomplete=\"off\">{}<button>{}</button></form>",
            escape(action),
            fields.attributes(),
            fields.inputs(),
            escape(label),
        ),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::web::{Language, PageSettings, PageTitle, RequestId};

    fn id() -> RequestId {
        RequestId::of(&TestRequest::default().to_http_request())
    }

    #[test]
    fn nothing_on_a_page_is_markup_unless_we_wrote_it() {
        let links = [Link::To { href: "/a?b=\"><script>", label: "<b>go</b>" }];
        let page = Page { status: StatusCode::OK, title: "<i>", text: "a & b", links: &links, code: Some("'x'") };

        let response =
            page.respond(&Viewer { language: Language::English, request_id: &id(), design: &PageDesign::default() });

        let html = response.into_body().try_into_bytes().unwrap();
        let html = std::str::from_utf8(&html).unwrap();
        for expected in ["<h1>&lt;i&gt;</h1>", "a &amp; b", "href=\"/a?b=&quot;&gt;&lt;script&gt;\"", "&#39;x&#39;"] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
    }

    #[test]
    fn an_operators_look_is_on_the_page_and_is_no_markup() {
        let logo = format!("data:image/svg+xml;base64,{}", STANDARD.encode("<svg/>"));
        let settings = PageSettings {
            title: PageTitle::parse("Orders & </title><script>"),
            contact: Some("Desk: \"4711\" <script>".parse().unwrap()),
            accent: Some("#ffd500".parse().unwrap()),
            logo: Some(logo.parse().unwrap()),
        };
        let design = PageDesign::new(&settings);
        let page = Page { status: StatusCode::OK, title: "t", text: "x", links: &[], code: None };

        let response = page.respond(&Viewer { language: Language::German, request_id: &id(), design: &design });

        let html = String::from_utf8(response.into_body().try_into_bytes().unwrap().to_vec()).unwrap();
        for expected in [
            "<title>t · Orders &amp; &lt;/title&gt;&lt;script&gt;</title>",
            &format!("<div class=\"brand\"><img src=\"{logo}\" alt=\"\"><span>Orders &amp; &lt;/title&gt;"),
            "<p class=\"contact\">Hilfe: Desk: &quot;4711&quot; &lt;script&gt;</p>",
            "--accent: #ffd500;",
        ] {
            assert!(html.contains(expected), "{expected} in {html}");
        }
        assert!(!html.contains("<script"), "{html}");
    }

    #[test]
    fn the_largest_look_adds_at_most_its_own_size() {
        let svg = format!("<svg>{}</svg>", "x".repeat(12_200));
        let logo = format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg));
        let settings = PageSettings {
            title: PageTitle::parse(&"&".repeat(60)),
            contact: Some("&".repeat(120).parse().unwrap()),
            accent: Some("#123456".parse().unwrap()),
            logo: Some(logo.parse().unwrap()),
        };
        let page = Page { status: StatusCode::OK, title: "t", text: "x", links: &[], code: None };
        let size = |design: &PageDesign| {
            let viewer = Viewer { language: Language::English, request_id: &id(), design };
            page.respond(&viewer).into_body().try_into_bytes().unwrap().len()
        };

        assert!(size(&PageDesign::new(&settings)) - size(&PageDesign::default()) <= 18 * 1024);
    }

    fn respond(links: &[Link<'_>]) -> (String, String, String) {
        let page = Page { status: StatusCode::OK, title: "t", text: "x", links, code: None };
        let response =
            page.respond(&Viewer { language: Language::English, request_id: &id(), design: &PageDesign::default() });
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let policy = header(header::CONTENT_SECURITY_POLICY);
        let referrer = header(header::REFERRER_POLICY);
        let html = response.into_body().try_into_bytes().unwrap();
        (String::from_utf8(html.to_vec()).unwrap(), policy, referrer)
    }

    #[test]
    fn a_script_runs_only_where_the_page_sends_its_form() {
        let fields = FormFields::parse("application/x-www-form-urlencoded", b"submit=1").unwrap();
        let send =
            |sender| Link::SendFields { action: "https://app.example/a?b&c", label: "Go", fields: &fields, sender };

        let (by_person, person_policy, _) = respond(&[send(Sender::Person)]);
        let (by_page, page_policy, _) = respond(&[send(Sender::Page)]);

        assert!(!by_person.contains("<script") && !person_policy.contains("script-src"));
        let hash = STANDARD.encode(Sha256::digest(SEND));
        assert!(by_page.contains(&format!("<script>{SEND}</script>")), "{by_page}");
        assert!(page_policy.ends_with(&format!("; script-src 'sha256-{hash}'")), "{page_policy}");
        let form = "<form method=\"post\" action=\"https://app.example/a?b&amp;c\" \
                    enctype=\"application/x-www-form-urlencoded\" accept-charset=\"utf-8\" autocomplete=\"off\">\
                    <input type=\"hidden\" name=\"submit\" value=\"1\"><button>Go</button></form>";
        assert!(by_page.contains(form), "{by_page}");
    }

    #[test]
    fn a_page_with_a_form_names_its_origin_to_its_own_site_alone() {
        let form = Link::SendSealed { action: "/oauth/resend", label: "Send again", form: "1.k.x" };
        let tab = || Link::NewTab { href: "/a?b&c", label: "Sign in" };

        assert_eq!(respond(&[tab()]).2, "no-referrer");
        assert_eq!(respond(&[Link::Post { action: "/oauth/signout", label: "Sign out" }]).2, "same-origin");
        let (html, _, referrer) = respond(&[tab(), form]);
        assert_eq!(referrer, "same-origin");
        assert!(html.contains("<a href=\"/a?b&amp;c\" target=\"_blank\" rel=\"noopener\">Sign in</a>"), "{html}");
        assert!(html.contains("<input type=\"hidden\" name=\"form\" value=\"1.k.x\">"), "{html}");
    }
}
