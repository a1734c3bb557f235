//! Headers of the operator's own: claims under names and in formats that an application reads.
//!
//! Knows claims as JSON only. No value can start another header, and no element of a list another element.

use std::borrow::Cow;
use std::io;

use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize as _};
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

use super::identity::{header_text, push_escaped_element};
use super::reserved_header::{Content, is_reserved};

/// The headers of one route, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimHeaders(Vec<ClaimHeader>);

/// One header and the claim that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ClaimHeader {
    name: HeaderName,
    claim: String,
    format: Format,
}

/// The form of a claim in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Text, a number or a boolean; or the one element of a list.
    Text,
    /// Elements joined by a separator, which is percent-encoded within them.
    List(char),
    /// JSON in ASCII.
    Json,
}

/// The mistakes in a list of headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ClaimHeadersError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    claim: String,
    format: Option<String>,
    separator: Option<String>,
}

impl ClaimHeaders {
    /// Reads a list of `{"name", "claim", "format", "separator"}`; the format is `text` by default.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(json: &Value) -> Result<Self, ClaimHeadersError> {
        let rows: Vec<Row> = serde_json::from_value(json.clone()).map_err(|error| {
            ClaimHeadersError(vec![format!("not a list of {{name, claim, format, separator}} ({error})")])
        })?;
        let mut mistakes = Vec::new();
        let mut headers: Vec<ClaimHeader> = Vec::with_capacity(rows.len());
        for row in rows {
            match header(&row) {
                Ok(header) if headers.iter().any(|other| other.name == header.name) => {
                    mistakes.push(format!("the header {:?} occurs twice", row.name));
                }
                Ok(header) => headers.push(header),
                Err(problem) => mistakes.push(format!("the header {:?}: {problem}", row.name)),
            }
        }
        if mistakes.is_empty() { Ok(Self(headers)) } else { Err(ClaimHeadersError(mistakes)) }
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one has this name.
    #[must_use]
    pub fn has(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|header| header.name == *name)
    }

    /// The headers' names: no client may send them.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|header| &header.name)
    }

    /// The claims that they are made of.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|header| header.claim.as_str())
    }

    /// The headers for a person; a claim that is absent, empty or without a form has none.
    pub fn of<'a>(&'a self, claims: &'a Map<String, Value>) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
        self.0.iter().filter_map(|header| {
            let value = header.format.write(claims.get(&header.claim)?).filter(|text| !text.is_empty())?;
            Some((header.name.clone(), header_text(&value)))
        })
    }
}

/// The operator's own headers in the place of the preset's; those of the route in the place of those for all.
#[must_use]
pub fn with_claim_headers(
    preset: Vec<(HeaderName, HeaderValue)>,
    claims: &Map<String, Value>,
    of_route: &ClaimHeaders,
    of_all: &ClaimHeaders,
) -> Vec<(HeaderName, HeaderValue)> {
    if of_route.is_empty() && of_all.is_empty() {
        return preset;
    }
    let further = of_all.of(claims).filter(|(name, _)| !of_route.has(name));
    let preset = preset.into_iter().filter(|(name, _)| !of_route.has(name) && !of_all.has(name));
    of_route.of(claims).chain(further).chain(preset).collect()
}

fn header(row: &Row) -> Result<ClaimHeader, &'static str> {
    let name = HeaderName::from_bytes(row.name.as_bytes()).map_err(|_| "its name is no token (RFC 9110 5.1)")?;
    if !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("its name has characters beside letters, digits and -, which servers fold");
    }
    if is_reserved(name.as_str(), Content::Claim) {
        return Err("the name has a meaning of its own on the way to the application");
    }
    if row.claim.is_empty() {
        return Err("it names no claim");
    }
    let format = match (row.format.as_deref(), row.separator.as_deref()) {
        (None | Some("text"), None) => Format::Text,
        (Some("json"), None) => Format::Json,
        (Some("list"), separator) => Format::List(separator.map_or(Ok(','), self::separator)?),
        (None | Some("text" | "json"), Some(_)) => return Err("a separator needs the format list"),
        (Some(_), _) => return Err("the format is none of text, list and json"),
    };
    Ok(ClaimHeader { name, claim: row.claim.clone(), format })
}

fn separator(text: &str) -> Result<char, &'static str> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one @ (',' | ';' | '|' | ' ')), None) => Ok(one),
        _ => Err("the separator is none of , ; | and a blank"),
    }
}

impl Format {
    fn write(self, value: &Value) -> Option<Cow<'_, str>> {
        match self {
            Self::Text => match value.as_array().map(Vec::as_slice) {
                Some([one]) => scalar(one),
                Some(_) => None,
                None => scalar(value),
            },
            Self::List(separator) => {
                let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                let elements = elements.iter().filter_map(scalar).filter(|element| !element.is_empty());
                let mut list = String::with_capacity(64);
                for element in elements {
                    if !list.is_empty() {
                        list.push(separator);
                    }
                    push_escaped_element(&element, separator, &mut list);
                }
                Some(list.into())
            }
            Self::Json if value.is_null() => None,
            Self::Json => Some(ascii_json(value).into()),
        }
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn ascii_json(value: &Value) -> String {
    let mut json = Vec::with_capacity(128);
    let written = value.serialize(&mut Serializer::with_formatter(&mut json, AsciiJson));
    written.expect("a JSON value is written to memory");
    String::from_utf8(json).expect("ASCII")
}

/// JSON whose characters beyond ASCII, and DEL, are written as `\uXXXX` (RFC 8259 7), in pairs of surrogates beyond the
/// basic plane.
struct AsciiJson;

impl Formatter for AsciiJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let is_plain = |byte: u8| byte < 0x7f;
        if fragment.bytes().all(is_plain) {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            match u8::try_from(character) {
                Ok(byte) if is_plain(byte) => writer.write_all(&[byte])?,
                _ => character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(row: Value, claims: Value) -> Option<String> {
        let headers = ClaimHeaders::parse(&json!([row])).unwrap();
        let header = headers.of(claims.as_object().unwrap()).next();
        header.map(|(_, value)| String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn claims_take_the_form_of_their_header() {
        let text = json!({"name": "X-User", "claim": "c"});
        let list = json!({"name": "X-Groups", "claim": "c", "format": "list", "separator": ";"});
        let blanks = json!({"name": "X-Groups", "claim": "c", "format": "list", "separator": " "});
        let commas = json!({"name": "X-Groups", "claim": "c", "format": "list"});
        let object = json!({"name": "X-Claim", "claim": "c", "format": "json"});
        let table = [
            (&text, json!("Ada"), Some("Ada"), "text"),
            (&text, json!(7), Some("7"), "a number"),
            (&text, json!(true), Some("true"), "a boolean"),
            (&text, json!(["Ada"]), Some("Ada"), "a list of one"),
            (&text, json!(["Ada", "Bob"]), None, "a list of several"),
            (&text, json!({"a": 1}), None, "an object"),
            (&text, json!(null), None, "null"),
            (&text, json!(""), None, "empty text"),
            (&text, json!("Ädä"), Some("Ädä"), "beyond ASCII"),
            (&text, json!("a\r\nX-Admin: 1"), Some("a%0D%0AX-Admin: 1"), "a line of its own"),
            (&text, json!(" admin "), Some("%20admin%20"), "blanks at the ends, which servers drop"),
            (&text, json!("  "), Some("%20%20"), "blanks alone"),
            (
                &text,
                json!("\u{a0}a\u{a0}b\u{2003}"),
                Some("%C2%A0a\u{a0}b%E2%80%83"),
                "other blanks, which readers of text trim",
            ),
            (&text, json!("\u{feff}a"), Some("%EF%BB%BFa"), "a byte order mark, which JavaScript trims"),
            (&list, json!(["a", "b"]), Some("a;b"), "a list"),
            (&list, json!("a"), Some("a"), "one value"),
            (&list, json!(["a;b", "c"]), Some("a%3Bb;c"), "the separator within"),
            (&list, json!(["a%3Bb", "c"]), Some("a%253Bb;c"), "an escape within"),
            (&list, json!([" a ", "c"]), Some("%20a%20;c"), "blanks at the ends"),
            (&list, json!(["a,b"]), Some("a,b"), "another separator"),
            (&list, json!([{"a": 1}, null, "", "c", 4]), Some("c;4"), "elements without a form"),
            (&list, json!([]), None, "an empty list"),
            (&blanks, json!(["a b", "c"]), Some("a%20b c"), "blanks as separators"),
            (&blanks, json!(["voilàadmins", "c\u{2003}d"]), Some("voil%C3%A0admins c%E2%80%83d"), "other blanks"),
            (&commas, json!(["voilà", "c\u{2003}d"]), Some("voilà,c\u{2003}d"), "blanks that separate nothing"),
            (&commas, json!(["a,admins", "b"]), Some("a%2Cadmins,b"), "commas by default"),
            (&object, json!({"a": "é", "b": ["\n"]}), Some(r#"{"a":"\u00e9","b":["\n"]}"#), "JSON in ASCII"),
            (&object, json!("😀"), Some("\"\\ud83d\\ude00\""), "a pair of surrogates"),
            (&object, json!([]), Some("[]"), "an empty list as JSON"),
            (&object, json!(null), None, "null as JSON"),
        ];
        for (row, claim, expected, reason) in table {
            assert_eq!(written(row.clone(), json!({"c": claim})).as_deref(), expected, "{reason}");
        }
        assert_eq!(written(text, json!({"d": "Ada"})), None, "no such claim");
    }

    #[test]
    fn mistakes_are_reported_all_at_once() {
        let rows = json!([
            {"name": "X User", "claim": "sub"},
            {"name": "X_User", "claim": "sub"},
            {"name": "Host", "claim": "sub"},
            {"name": "Content-Length", "claim": "sub"},
            {"name": "X-Real-IP", "claim": "sub"},
            {"name": "X-A", "claim": ""},
            {"name": "X-B", "claim": "sub", "format": "csv"},
            {"name": "X-C", "claim": "sub", "separator": ","},
            {"name": "X-D", "claim": "sub", "format": "list", "separator": "a"},
            {"name": "X-E", "claim": "sub", "format": "list", "separator": ", "},
            {"name": "X-F", "claim": "sub"},
            {"name": "x-f", "claim": "name"},
        ]);

        let ClaimHeadersError(mistakes) = ClaimHeaders::parse(&rows).unwrap_err();

        let expected = [
            "no token",
            "servers fold",
            "meaning of its own",
            "meaning of its own",
            "meaning of its own",
            "no claim",
            "none of text, list and json",
            "needs the format list",
            "none of , ; |",
            "none of , ; |",
            "occurs twice",
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
        for (mistake, expected) in mistakes.iter().zip(expected) {
            assert!(mistake.contains(expected), "{mistake}");
        }
    }

    #[test]
    fn another_form_than_a_list_of_rows_is_refused() {
        for json in [json!({}), json!([{"name": "X-A"}]), json!([{"name": "X-A", "claim": "sub", "fmt": "text"}])] {
            assert!(ClaimHeaders::parse(&json).is_err(), "{json}");
        }
    }
}
