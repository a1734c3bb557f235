//! Settings of the look of our pages.

use super::reader::{Reader, Setting};
use crate::web::{LogoError, PageSettings, PageTitle};

const PAGE_TITLE: Setting = Setting {
    name: "PAGE_TITLE",
    expected: "the name of the application: 1 to 60 visible characters",
    example: "Order desk",
};
const PAGE_CONTACT: Setting = Setting {
    name: "PAGE_CONTACT",
    expected: "people who help: a mailto:, https: or tel: URL or a text, of at most 120 characters",
    example: "mailto:help@contoso.com",
};
const PAGE_ACCENT: Setting =
    Setting { name: "PAGE_ACCENT", expected: "a colour of three or six hexadecimal digits", example: "#0b5cad" };
const PAGE_LOGO: Setting = Setting {
    name: "PAGE_LOGO",
    expected: "a data: URL of image/png, image/svg+xml, image/jpeg or image/webp in base64, of at most 16384 characters",
    example: "data:image/svg+xml;base64,PHN2Zy8+",
};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<PageSettings> {
    let title = reader.parse_or(PAGE_TITLE, None, |text| PageTitle::parse(text).map(Some));
    let contact = reader.parse_or(PAGE_CONTACT, None, |text| text.parse().ok().map(Some));
    let accent = reader.parse_or(PAGE_ACCENT, None, |text| text.parse().ok().map(Some));
    let logo = match reader.optional(PAGE_LOGO).map(str::parse) {
        None => Some(None),
        Some(Ok(logo)) => Some(Some(logo)),
        Some(Err(error @ (LogoError::Length | LogoError::Form | LogoError::Base64 | LogoError::Content))) => {
            reader.mistake(PAGE_LOGO, format!("it is {error}"));
            None
        }
    };
    Some(PageSettings { title: title?, contact: contact?, accent: accent?, logo: logo? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// The parsed settings, and the mistakes.
    fn read_from(environment: Environment) -> (Option<PageSettings>, Vec<String>) {
        let mut reader = Reader::new(&environment);
        let settings = read(&mut reader);
        (settings, reader.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_set_by_default() {
        let (settings, mistakes) = read_from(Environment::default());

        let PageSettings { title, contact, accent, logo } = settings.unwrap();
        assert!(title.is_none() && contact.is_none() && accent.is_none() && logo.is_none() && mistakes.is_empty());
    }

    #[test]
    fn the_examples_are_good() {
        let examples =
            [PAGE_TITLE, PAGE_CONTACT, PAGE_ACCENT, PAGE_LOGO].map(|setting| (setting.name, setting.example));

        let (settings, mistakes) = read_from(Environment::from(examples));

        let PageSettings { title, contact, accent, logo } = settings.unwrap();
        assert!(title.is_some() && contact.is_some() && accent.is_some() && logo.is_some() && mistakes.is_empty());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let (settings, mistakes) = read_from(Environment::from([
            ("PAGE_TITLE", "a\u{202e}b"),
            ("PAGE_CONTACT", "javascript:alert(1)"),
            ("PAGE_ACCENT", "blue"),
            ("PAGE_LOGO", "data:image/png;base64,PHN2Zy8+"),
        ]));

        assert!(settings.is_none());
        let names: Vec<&str> = mistakes.iter().map(|mistake| mistake.split(':').next().unwrap()).collect();
        assert_eq!(names, ["PAGE_TITLE", "PAGE_CONTACT", "PAGE_ACCENT", "PAGE_LOGO"]);
        assert!(mistakes[3].contains("it is no image of the type that it names"), "{}", mistakes[3]);
    }
}
