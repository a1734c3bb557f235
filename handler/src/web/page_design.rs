//! Look of our pages: the style sheet, and the operator's title, contact, accent and logo.
//!
//! Built once. The policies allow the style sheet by its hash, so that no other style or script runs (CSP 3 section 8.3),
//! and images inside the page alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::plain_text::is_plain;
use super::{Accent, Contact, Logo, escape};

/// Settings of the look.
#[derive(Clone, Debug, Default)]
pub struct PageSettings {
    /// Name of the application.
    pub title: Option<PageTitle>,
    /// People who help.
    pub contact: Option<Contact>,
    /// Accent colour.
    pub accent: Option<Accent>,
    /// Logo.
    pub logo: Option<Logo>,
}

/// Name of the application: 1 to 60 visible characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageTitle(String);

impl PageTitle {
    /// Parses a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_plain(text, 60).then(|| Self(text.to_owned()))
    }
}

/// Look of our pages.
#[derive(Clone, Debug)]
pub struct PageDesign {
    /// Style sheet.
    pub(super) style: String,
    /// Policy of a page.
    pub(super) policy: String,
    /// End of the window's title, as HTML.
    pub(super) window: String,
    /// Logo and name above the heading, as HTML.
    pub(super) brand: String,
    /// Contact, as HTML.
    pub(super) contact: Option<String>,
}

const STYLE: &str = include_str!("page.css");

impl PageDesign {
    /// The look of these settings.
    #[must_use]
    pub fn new(settings: &PageSettings) -> Self {
        let accent = settings.accent.map(Accent::css).unwrap_or_default();
        let style = [STYLE, &accent].concat();
        let hash = STANDARD.encode(Sha256::digest(&style));
        // There is no `form-action`: browsers hold it against the Provider, where signing out leads after our form.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
        );
        let title = settings.title.as_ref().map(|PageTitle(title)| escape(title));
        Self {
            style,
            policy,
            window: title.as_ref().map(|title| format!(" · {title}")).unwrap_or_default(),
            brand: brand(settings.logo.as_ref(), title.as_deref()),
            contact: settings.contact.as_ref().map(Contact::html),
        }
    }
}

impl Default for PageDesign {
    fn default() -> Self {
        Self::new(&PageSettings::default())
    }
}

/// The logo is decoration beside the name, so it has no text of its own.
fn brand(logo: Option<&Logo>, title: Option<&str>) -> String {
    let logo = logo.map(|logo| format!("<img src=\"{}\" alt=\"\">", escape(logo.url())));
    let title = title.map(|title| format!("<span>{title}</span>"));
    match (logo, title) {
        (None, None) => String::new(),
        (logo, title) => {
            format!("<div class=\"brand\">{}{}</div>\n", logo.unwrap_or_default(), title.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_and_no_foreign_resource_is_allowed() {
        let PageDesign { style, policy, .. } = PageDesign::default();

        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(!policy.contains("unsafe") && !style.contains("url(") && !style.contains('<'));
    }

    #[test]
    fn the_policy_allows_the_style_sheet_with_its_accent() {
        let plain = PageDesign::default();
        let accent = Some("#ffd500".parse().unwrap());

        let design = PageDesign::new(&PageSettings { accent, ..PageSettings::default() });

        assert!(design.style.starts_with(STYLE) && design.style.contains("--accent: #ffd500"));
        let hash = STANDARD.encode(Sha256::digest(&design.style));
        assert!(design.policy.contains(&format!("style-src 'sha256-{hash}';")));
        assert_ne!(design.policy, plain.policy);
    }

    #[test]
    fn a_name_is_no_markup() {
        for (text, shown) in [
            ("Order desk", "Order desk"),
            ("</title><script>alert(1)</script>", "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("R&D <Süd>", "R&amp;D &lt;Süd&gt;"),
        ] {
            let title = PageTitle::parse(text);
            let design = PageDesign::new(&PageSettings { title, ..PageSettings::default() });
            assert_eq!(design.window, format!(" · {shown}"));
            assert_eq!(design.brand, format!("<div class=\"brand\"><span>{shown}</span></div>\n"));
        }
        for text in ["", "a\nb", "a\u{202e}b", &"x".repeat(61)] {
            assert_eq!(PageTitle::parse(text), None, "{text:?}");
        }
    }
}
