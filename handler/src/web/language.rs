//! Languages of our pages, and their choice by `Accept-Language` (RFC 9110 12.5.4).
//!
//! Knows no text.

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header as _, Quality};

/// Language of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, where no other language is asked for.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Dutch.
    Dutch,
    /// Japanese.
    Japanese,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 6] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Dutch, Self::Japanese];

    /// Its tag (RFC 5646), for `lang` and `Content-Language`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Dutch => "nl",
            Self::Japanese => "ja",
        }
    }

    /// The language that a request prefers: that of the highest weight, the first of several. Ranges that are malformed
    /// or of a language that no page has are ignored. RFC 9110 12.5.4: a header that nothing satisfies may be disregarded.
    #[must_use]
    pub fn of(req: &HttpRequest) -> Self {
        let Ok(AcceptLanguage(ranges)) = AcceptLanguage::parse(req) else { return Self::default() };
        let weighted = ranges.iter().filter_map(|range| {
            let language = range.item.item().map(|tag| tag.primary_language());
            Some((range.quality, Self::of_range(language)?))
        });
        // RFC 9110 12.4.2: a weight of zero means "not acceptable".
        let acceptable = weighted.filter(|(weight, _)| *weight > Quality::ZERO);
        let preferred = acceptable.reduce(|best, next| if next.0 > best.0 { next } else { best });
        preferred.map_or(Self::default(), |(_, language)| language)
    }

    /// The language of a range's first subtag (RFC 4647 3.4); `*` is the default.
    fn of_range(language: Option<&str>) -> Option<Self> {
        let Some(primary) = language else { return Some(Self::default()) };
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT_LANGUAGE;
    use actix_web::test::TestRequest;

    use super::Language::{Dutch, English, French, German, Japanese, Spanish};
    use super::*;

    fn chosen(values: &[&str]) -> Language {
        let request = TestRequest::default();
        let request = values.iter().fold(request, |request, value| request.append_header((ACCEPT_LANGUAGE, *value)));
        Language::of(&request.to_http_request())
    }

    #[test]
    fn a_page_has_the_language_that_its_person_prefers() {
        let table: [(&[&str], Language, &str); 27] = [
            (&[], English, "none is asked for"),
            (&[""], English, "an empty list"),
            (&["de"], German, "one"),
            (&["de-CH,de;q=0.9,en;q=0.8"], German, "as a browser sends it"),
            (&["fr-CA;q=0.4, es-419;q=0.8"], Spanish, "the higher weight, with a region"),
            (&["nl, ja"], Dutch, "equal weights: the first"),
            (&["en;q=0.5, ja;q=0.501"], Japanese, "three decimals"),
            (&["JA-jp"], Japanese, "case does not matter"),
            (&["pt-BR, fr;q=0.3"], French, "a language that no page has is passed over"),
            (&["zh-Hant-TW"], English, "nothing that a page has"),
            (&["de;q=0"], English, "not acceptable"),
            (&["de;q=0.000, fr;q=0.001"], French, "the least weight"),
            (&["*"], English, "anything"),
            (&["*;q=0.5, de;q=0.4"], English, "anything rather than German"),
            (&["de, *;q=0.5"], German, "German rather than anything"),
            (&["de ; q=1"], German, "blanks around the weight"),
            (&["fr;q=0.5\t,\tde;Q=1.000"], German, "tabs, and Q"),
            (&[", ,de,,"], German, "empty elements"),
            (&["fr;q=0.2", "de;q=0.3"], German, "two header lines are one list"),
            (&["de;q=1.001, fr;q=0.1"], French, "a weight above 1"),
            (&["de;q=0.1234, fr;q=0.1"], French, "four decimals"),
            (&["de;q=, fr;q=0.1"], French, "no number"),
            (&["de;q=-1, fr;q=0.1"], French, "a sign"),
            (&["de;level=1, fr;q=0.1"], French, "another parameter"),
            (&["de_DE, fr;q=0.1"], French, "an underscore is in no tag"),
            (&["de-, fr;q=0.1"], French, "an empty subtag"),
            (&["deutsch, d, e;n, fr;q=0.1"], French, "no tags"),
        ];
        for (values, expected, reason) in table {
            assert_eq!(chosen(values), expected, "{reason}");
        }
    }
}
