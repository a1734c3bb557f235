//! Fields of a form, parsed so that a page can make the browser send the same bytes once more.
//!
//! Accepts only what browsers write (WHATWG HTML 4.10.21, RFC 7578): a body that a page would not reproduce is
//! refused. The only possible difference is a lone CR or LF, which browsers send as CRLF.

use percent_encoding::percent_decode;

use super::form_reader::{FormError, MULTIPART, URLENCODED};
use super::html::escape;

/// Form whose fields a page can reproduce.
#[derive(Debug, PartialEq, Eq)]
pub struct FormFields {
    enctype: &'static str,
    charset: Charset,
    fields: Vec<Field>,
}

/// Field of a form; names and values are bytes of a charset that the body does not name.
#[derive(Debug, PartialEq, Eq)]
enum Field {
    Text {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// File input without a file.
    NoFile {
        name: Vec<u8>,
    },
}

/// Charset of the page, in which the browser also sends the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    /// WHATWG Encoding, 9.1: it maps each byte to a distinct character, so every byte comes back.
    Windows1252,
}

/// Maximum fields; more make a page of megabytes. The frameworks' own limits are 1,000 (Django, PHP).
const MAX_FIELDS: usize = 2_000;

impl FormFields {
    /// Parses a body with this `Content-Type`.
    ///
    /// # Errors
    /// [`FormError::File`] and [`FormError::Unsupported`] for a body that no page can send, [`FormError::TooLarge`] for
    /// too many fields.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, FormError> {
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let (enctype, fields) = match essence.trim().to_ascii_lowercase().as_str() {
            URLENCODED => (URLENCODED, urlencoded(body)?),
            MULTIPART => (MULTIPART, multipart(boundary(parameters)?, body)?),
            _ => return Err(FormError::Unsupported),
        };
        if fields.iter().any(|field| field.name().is_empty() || field.texts().any(|text| text.contains(&0))) {
            return Err(FormError::Unsupported); // no page can hold NUL, and no browser sends a field without a name
        }
        let is_utf8 = fields.iter().flat_map(Field::texts).all(|text| std::str::from_utf8(text).is_ok());
        let charset = if is_utf8 { Charset::Utf8 } else { Charset::Windows1252 };
        Ok(Self { enctype, charset, fields })
    }

    /// Attributes of a `<form>` that sends these fields unchanged.
    pub(super) fn attributes(&self) -> String {
        let charset = match self.charset {
            Charset::Utf8 => "utf-8",
            Charset::Windows1252 => "windows-1252",
        };
        format!("enctype=\"{}\" accept-charset=\"{charset}\"", self.enctype)
    }

    /// The fields as hidden inputs.
    pub(super) fn inputs(&self) -> String {
        self.fields.iter().map(|field| field.input(self.charset)).collect()
    }
}

impl Field {
    fn name(&self) -> &[u8] {
        let (Self::Text { name, .. } | Self::NoFile { name }) = self;
        name
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let value = match self {
            Self::Text { value, .. } => value,
            Self::NoFile { name } => name,
        };
        [self.name(), value].into_iter()
    }

    fn input(&self, charset: Charset) -> String {
        let name = charset.attribute(self.name());
        match self {
            Self::NoFile { .. } => format!("<input type=\"file\" name=\"{name}\" hidden>"),
            // WHATWG HTML 4.10.21.4: the browser replaces a hidden input with this name by its own charset.
            Self::Text { value, .. } if name.eq_ignore_ascii_case("_charset_") => {
                format!("<input type=\"text\" name=\"{name}\" value=\"{}\" hidden>", charset.attribute(value))
            }
            Self::Text { value, .. } => {
                format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", charset.attribute(value))
            }
        }
    }
}

impl Charset {
    /// Bytes as attribute text. CR is written as a reference: an HTML parser turns a raw one into LF.
    fn attribute(self, bytes: &[u8]) -> String {
        let text = match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Windows1252 => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
        };
        escape(&text).replace('\r', "&#13;").replace('\n', "&#10;")
    }
}

/// Character of a byte in index windows-1252, which leaves 0x81, 0x8D, 0x8F, 0x90 and 0x9D unchanged.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
        '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

/// Parses URL-encoded fields (WHATWG URL 5.1). A field without `=` gets an empty value, as for every reader.
fn urlencoded(body: &[u8]) -> Result<Vec<Field>, FormError> {
    let mut fields = Vec::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=').map(decode);
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        push(&mut fields, Field::Text { name, value })?;
    }
    Ok(fields)
}

fn decode(half: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = half.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

fn push(fields: &mut Vec<Field>, field: Field) -> Result<(), FormError> {
    if fields.len() == MAX_FIELDS {
        return Err(FormError::TooLarge);
    }
    fields.push(field);
    Ok(())
}

/// Parameter `boundary`, quoted or not (RFC 2046 5.1.1).
fn boundary(parameters: &str) -> Result<&str, FormError> {
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    });
    let value = value.map(|value| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
    value.filter(|value| (1..=70).contains(&value.len())).ok_or(FormError::Unsupported)
}

/// Parses multipart fields (RFC 7578) as browsers write them: no preamble, and only the headers of [`part`].
fn multipart(boundary: &str, body: &[u8]) -> Result<Vec<Field>, FormError> {
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..]).ok_or(FormError::Unsupported)?;
    let mut fields = Vec::new();
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        let (head, after) = split(after, b"\r\n\r\n").ok_or(FormError::Unsupported)?;
        let (content, after) = split(after, delimiter.as_bytes()).ok_or(FormError::Unsupported)?;
        push(&mut fields, part(head, content)?)?;
        rest = after;
    }
    if matches!(rest, b"--" | b"--\r\n") { Ok(fields) } else { Err(FormError::Unsupported) }
}

/// Parses one part. `"`, CR and LF of a name are percent-encoded by the browser, and stay so: it does not encode twice.
fn part(head: &[u8], content: &[u8]) -> Result<Field, FormError> {
    let (disposition, content_type) = match split(head, b"\r\n") {
        Some((disposition, content_type)) => (disposition, Some(content_type)),
        None => (head, None),
    };
    let named = strip_prefix_ignoring_case(disposition, b"content-disposition: form-data; name=\"");
    let (name, rest) = named.and_then(|named| split(named, b"\"")).ok_or(FormError::Unsupported)?;
    let name = name.to_vec();
    match (rest, content_type) {
        (b"", None) => Ok(Field::Text { name, value: content.to_vec() }),
        (b"; filename=\"\"", Some(content_type)) if content.is_empty() && is_no_file(content_type) => {
            Ok(Field::NoFile { name })
        }
        (rest, Some(_)) if rest.starts_with(b"; filename") => Err(FormError::File),
        _ => Err(FormError::Unsupported),
    }
}

/// True for the empty file that browsers send for an input without a file (WHATWG HTML 4.10.21.4).
fn is_no_file(content_type: &[u8]) -> bool {
    content_type.eq_ignore_ascii_case(b"content-type: application/octet-stream")
}

fn strip_prefix_ignoring_case<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests;
