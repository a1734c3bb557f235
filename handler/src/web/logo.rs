//! Logo on our pages: an image inside the page, so that nothing is loaded from elsewhere.
//!
//! It is shown by `img`, where no browser runs a script of an SVG image or loads what it refers to.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Image as a `data:` URL (RFC 2397).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo(String);

/// Reason why a text is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    /// Longer than [`Logo::MAX_LENGTH`].
    #[error("longer than 16384 characters")]
    Length,
    /// No `data:` URL with one of the four types and base64.
    #[error("no data: URL of image/png, image/svg+xml, image/jpeg or image/webp with ;base64")]
    Form,
    /// The base64 is malformed.
    #[error("no valid base64")]
    Base64,
    /// The image does not begin as its type does.
    #[error("no image of the type that it names")]
    Content,
}

impl Logo {
    /// Maximum length of the URL: every page carries it.
    pub const MAX_LENGTH: usize = 16 * 1024;

    /// The `data:` URL: a type of ours and base64, so nothing that HTML or a policy would read otherwise.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl FromStr for Logo {
    type Err = LogoError;

    fn from_str(text: &str) -> Result<Self, LogoError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(LogoError::Length);
        }
        let (media_type, base64) =
            text.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")).ok_or(LogoError::Form)?;
        let is_of_type: fn(&[u8]) -> bool = match media_type {
            "png" => |image| image.starts_with(b"\x89PNG\r\n\x1a\n"),
            "jpeg" => |image| image.starts_with(b"\xff\xd8\xff"),
            "webp" => |image| image.starts_with(b"RIFF") && image.get(8..12) == Some(b"WEBP"),
            "svg+xml" => |image| std::str::from_utf8(image).is_ok_and(|text| text.contains("<svg")),
            _ => return Err(LogoError::Form),
        };
        let image = STANDARD.decode(base64).map_err(|_| LogoError::Base64)?;
        if is_of_type(&image) { Ok(Self(text.to_owned())) } else { Err(LogoError::Content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(media_type: &str, image: &[u8]) -> String {
        format!("data:{media_type};base64,{}", STANDARD.encode(image))
    }

    #[test]
    fn an_image_of_four_types_is_a_logo() {
        for (media_type, image) in [
            ("image/png", &b"\x89PNG\r\n\x1a\nrest"[..]),
            ("image/jpeg", b"\xff\xd8\xff\xe0rest"),
            ("image/webp", b"RIFF\x04\0\0\0WEBPrest"),
            ("image/svg+xml", b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ] {
            let text = data(media_type, image);
            assert_eq!(text.parse::<Logo>().unwrap().url(), text);
        }
    }

    #[test]
    fn anything_else_is_no_logo() {
        let svg = b"<svg/>";
        let png = b"\x89PNG\r\n\x1a\n";
        for (text, expected, reason) in [
            (String::new(), LogoError::Form, "nothing"),
            ("https://contoso.com/logo.png".to_owned(), LogoError::Form, "an image from elsewhere"),
            (data("image/gif", b"GIF89a"), LogoError::Form, "another type"),
            (data("text/html", b"<svg"), LogoError::Form, "a document"),
            (data("image/svg+xml;charset=utf-8", svg), LogoError::Form, "a parameter"),
            (data("IMAGE/PNG", png), LogoError::Form, "capitals"),
            ("data:image/svg+xml,%3Csvg/%3E".to_owned(), LogoError::Form, "percent-encoding"),
            ("data:image/png;base64,iVBOR w0KGgo=".to_owned(), LogoError::Base64, "a blank"),
            ("data:image/png;base64,\"><script>".to_owned(), LogoError::Base64, "markup"),
            ("data:image/png;base64,iVBORw0KGgo".to_owned(), LogoError::Base64, "no padding"),
            ("data:image/png;base64,iVBORw0KGgo=\n".to_owned(), LogoError::Base64, "a line end"),
            (data("image/png", svg), LogoError::Content, "another image than its type"),
            (data("image/jpeg", png), LogoError::Content, "the same the other way"),
            (data("image/svg+xml", b"<html>"), LogoError::Content, "no image"),
            (data("image/svg+xml", b"<svg>\xff"), LogoError::Content, "no UTF-8"),
            (data("image/png", b""), LogoError::Content, "an empty image"),
            (data("image/png", &[png, &[0; 16 * 1024][..]].concat()), LogoError::Length, "too large"),
        ] {
            assert_eq!(text.parse::<Logo>(), Err(expected), "{reason}");
        }
    }
}
