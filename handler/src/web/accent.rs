//! Accent colour of our pages, and the colours that go with it (WCAG 2.2 1.4.3, 1.4.11).
//!
//! Text on the accent is black or white, whichever contrasts more: one of them always reaches 4.5:1. Where the accent
//! itself is text or a line, it is mixed with black or white until it does.

use std::fmt;
use std::str::FromStr;

/// Accent colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent(Colour);

/// Text that is no colour of the form `#rgb` or `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a colour such as #0b5cad")]
pub struct AccentError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour([u8; 3]);

const BLACK: Colour = Colour([0; 3]);
const WHITE: Colour = Colour([255; 3]);

/// `--card` of `page.css`, light and dark: the ground of the accent.
const LIGHT_CARD: Colour = WHITE;
const DARK_CARD: Colour = Colour([0x1b, 0x21, 0x29]);

/// Least contrast of text of ordinary size (WCAG 2.2 1.4.3, level AA).
const MIN_CONTRAST: f64 = 4.5;

impl Accent {
    /// Custom properties of `page.css` for this colour.
    #[must_use]
    pub fn css(self) -> String {
        let Self(accent) = self;
        let on_accent = if accent.contrast(WHITE) >= accent.contrast(BLACK) { WHITE } else { BLACK };
        let light = accent.readable_on(LIGHT_CARD, BLACK);
        let dark = accent.readable_on(DARK_CARD, WHITE);
        format!(
            ":root {{ --accent: {accent}; --on-accent: {on_accent}; --link: {light}; }}\n\
             @media (prefers-color-scheme: dark) {{ :root {{ --link: {dark}; }} }}\n"
        )
    }
}

impl FromStr for Accent {
    type Err = AccentError;

    fn from_str(text: &str) -> Result<Self, AccentError> {
        let digits = text.strip_prefix('#').ok_or(AccentError)?;
        let digits: Option<Vec<u8>> = digits.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        match digits.ok_or(AccentError)?[..] {
            [r, g, b] => Ok(Self(Colour([r * 17, g * 17, b * 17]))),
            [r1, r2, g1, g2, b1, b2] => Ok(Self(Colour([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2]))),
            _ => Err(AccentError),
        }
    }
}

impl Colour {
    /// This colour, mixed with as little of `other` as makes it readable on `ground`.
    fn readable_on(self, ground: Self, other: Self) -> Self {
        let mixtures = (0..=20).map(|twentieths| self.mixed(other, twentieths));
        let mut readable = mixtures.filter(|colour| colour.contrast(ground) >= MIN_CONTRAST);
        readable.next().unwrap_or(other)
    }

    fn mixed(self, other: Self, twentieths: u16) -> Self {
        let mix = |one: u8, other: u8| {
            let sum = u16::from(one) * (20 - twentieths) + u16::from(other) * twentieths;
            u8::try_from(sum / 20).unwrap_or(u8::MAX)
        };
        let (Self([r, g, b]), Self([or, og, ob])) = (self, other);
        Self([mix(r, or), mix(g, og), mix(b, ob)])
    }

    /// Contrast ratio (WCAG 2.2).
    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let Self([red, green, blue]) = self;
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_or_six_hexadecimal_digits_are_a_colour() {
        let same: Accent = "#0B5cad".parse().unwrap();
        assert_eq!(same, Accent(Colour([0x0b, 0x5c, 0xad])));
        assert_eq!("#fa0".parse(), Ok(Accent(Colour([0xff, 0xaa, 0x00]))));
        for text in [
            "",
            "#",
            "0b5cad",
            "#0b5ca",
            "#0b5cad0",
            "#0b5cadff",
            "#0b5cag",
            "##fffff",
            "blue",
            "rgb(1,2,3)",
            "#fff;}",
            "#ff f",
            "#ﬀﬀﬀ",
            "#１２３",
            "var(--ink)",
            "#-1-1-1",
            "#+1+1+1",
        ] {
            assert_eq!(text.parse::<Accent>(), Err(AccentError), "{text}");
        }
    }

    #[test]
    fn text_is_readable_on_every_accent_and_every_accent_on_its_ground() {
        let steps = [0, 51, 102, 119, 153, 204, 255];
        for colour in steps.iter().flat_map(|r| steps.iter().flat_map(move |g| steps.map(|b| Colour([*r, *g, b])))) {
            let on_accent = colour.contrast(WHITE).max(colour.contrast(BLACK));
            let light = colour.readable_on(LIGHT_CARD, BLACK).contrast(LIGHT_CARD);
            let dark = colour.readable_on(DARK_CARD, WHITE).contrast(DARK_CARD);
            assert!([on_accent, light, dark].iter().all(|contrast| *contrast >= MIN_CONTRAST), "{colour}");
        }
    }

    #[test]
    fn an_accent_that_is_readable_stays_as_it_is() {
        let css = "#0b5cad".parse::<Accent>().unwrap().css();
        assert!(css.starts_with(":root { --accent: #0b5cad; --on-accent: #ffffff; --link: #0b5cad; }"), "{css}");
        let css = "#ffd500".parse::<Accent>().unwrap().css();
        assert!(css.contains("--accent: #ffd500; --on-accent: #000000;"), "{css}");
        assert!(css.contains("{ :root { --link: #ffd500; } }"), "{css}");
    }

    #[test]
    fn the_grounds_are_those_of_the_style_sheet() {
        let style = include_str!("page.css");
        assert!(style.contains("--card: #fff;") && style.contains(&format!("--card: {DARK_CARD};")));
    }
}
