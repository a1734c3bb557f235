//! Response headers for the Functions host, which can write only visible ASCII, blanks and tabs.
//!
//! For any other byte it responds 500 without a reason. A header is encoded if it keeps its meaning, otherwise
//! dropped. Without the host the bytes pass unchanged.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::header as up;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::field_value::{parts, unquoted};
use super::once_a_minute::OnceAMinute;

/// Encodes or drops headers that the host can't write, and logs a warning.
pub(super) fn restrict(headers: &mut HeaderMap, upstream_name: &str) {
    if headers.iter().all(|(_, value)| is_writable(value.as_bytes())) {
        return;
    }
    let names: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in names {
        let values: Vec<HeaderValue> = headers.get_all(&name).cloned().collect();
        if values.iter().all(|value| is_writable(value.as_bytes())) {
            continue;
        }
        warn(&name, upstream_name);
        headers.remove(&name);
        for value in values {
            if let Some(value) = writable(&name, value) {
                headers.append(name.clone(), value);
            }
        }
    }
}

/// Name of the first header with a value that the host can't write.
pub fn first_unwritable(headers: &[(up::HeaderName, up::HeaderValue)]) -> Option<&up::HeaderName> {
    headers.iter().find(|(_, value)| !is_writable(value.as_bytes())).map(|(name, _)| name)
}

/// True for bytes that the host can write. With Kestrel and YARP 2.3 any other byte ends in a 500.
fn is_writable(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

fn writable(name: &HeaderName, value: HeaderValue) -> Option<HeaderValue> {
    if is_writable(value.as_bytes()) {
        return Some(value);
    }
    let encoded = match name.as_str() {
        // RFC 3986 2.5, and as browsers encode such bytes in a URL.
        "location" | "content-location" | "link" | "refresh" | "sourcemap" | "x-sourcemap" => {
            percent_encode(value.as_bytes(), CONTROLS).to_string()
        }
        "content-disposition" => content_disposition(value.as_bytes()),
        "content-type" => ascii(value.as_bytes()), // without one, browsers would guess
        _ => return None,
    };
    HeaderValue::from_str(&encoded).ok()
}

/// Encodes a file name beyond ASCII as `filename*`, with a fallback for older readers (RFC 6266 4.3, appendix D).
fn content_disposition(value: &[u8]) -> String {
    let mut written: Vec<String> = Vec::new();
    let mut file_name = None;
    let mut has_extended = false;
    for part in parts(value, b';') {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        let argument = part.get(name.len() + 1..).unwrap_or_default().trim_ascii();
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"filename*") {
            has_extended = true;
            written.push(percent_encode(part, CONTROLS).to_string());
            continue;
        }
        if name.eq_ignore_ascii_case(b"filename") && !is_writable(argument) {
            file_name = Some(text(&unquoted(argument).unwrap_or_else(|| argument.to_vec())));
        }
        written.push(ascii(part));
    }
    if let Some(file_name) = file_name.filter(|_| !has_extended) {
        written.push(format!("filename*=UTF-8''{}", percent_encode(file_name.as_bytes(), NOT_ATTR_CHAR)));
    }
    written.join("; ")
}

/// Bytes to encode: everything but `attr-char` (RFC 8187 3.2.1).
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Decodes UTF-8, or else Latin-1: the two encodings that applications send.
fn text(bytes: &[u8]) -> String {
    let latin_1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin_1(), str::to_owned)
}

fn ascii(bytes: &[u8]) -> String {
    let is_visible = |c: &char| matches!(c, '\t' | ' '..='~');
    text(bytes).chars().map(|c| if is_visible(&c) { c } else { '_' }).collect()
}

/// Logs at most once a minute: an application that sends such a header sends it with every response.
fn warn(name: &HeaderName, upstream_name: &str) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due() {
        tracing::warn!(
            code = "response_header_not_ascii",
            header.name = name.as_str(),
            upstream.name = upstream_name,
            "response header encoded or dropped: the Functions host cannot write it"
        );
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::*;

    fn restricted(name: &'static str, value: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        headers.append(header::VARY, HeaderValue::from_static("accept"));
        restrict(&mut headers, "app.internal");
        assert_eq!(headers.get(header::VARY).unwrap(), "accept");
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_the_host_can_write_passes_byte_for_byte() {
        for value in ["", "a", "a\tb", "~ !\"", "attachment; filename=\"a b.txt\"", "max-age=60, private=\""] {
            assert_eq!(restricted("x-a", value.as_bytes()).as_deref(), Some(value));
        }
    }

    #[test]
    fn a_file_name_beyond_ascii_is_encoded() {
        let euro = "attachment; filename=\"\u{20ac} rates.txt\"".as_bytes();
        let table: [(&[u8], &str); 10] = [
            (
                "attachment; filename=\"café.txt\"".as_bytes(),
                "attachment; filename=\"caf_.txt\"; filename*=UTF-8''caf%C3%A9.txt",
            ),
            (
                b"attachment; filename=\"caf\xe9.txt\"",
                "attachment; filename=\"caf_.txt\"; filename*=UTF-8''caf%C3%A9.txt",
            ),
            (
                "attachment; filename=café.txt".as_bytes(),
                "attachment; filename=caf_.txt; filename*=UTF-8''caf%C3%A9.txt",
            ),
            (
                "inline;FileName=\"ü;\\\"ß\\\".pdf\"".as_bytes(),
                "inline; FileName=\"_;\\\"_\\\".pdf\"; filename*=UTF-8''%C3%BC%3B%22%C3%9F%22.pdf",
            ),
            (euro, "attachment; filename=\"_ rates.txt\"; filename*=UTF-8''%E2%82%AC%20rates.txt"),
            (
                "attachment; filename=\"é\"; filename*=UTF-8''%C3%A9".as_bytes(),
                "attachment; filename=\"_\"; filename*=UTF-8''%C3%A9",
            ),
            ("attachment; filename*=UTF-8''é".as_bytes(), "attachment; filename*=UTF-8''%C3%A9"),
            ("form-data; name=\"é\"; filename=\"a\"".as_bytes(), "form-data; name=\"_\"; filename=\"a\""),
            ("attachment; filename=\"é".as_bytes(), "attachment; filename=\"_; filename*=UTF-8''%22%C3%A9"),
            ("é".as_bytes(), "_"),
        ];
        for (sent, expected) in table {
            assert_eq!(restricted("content-disposition", sent).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_url_is_percent_encoded_and_a_media_type_stays_one() {
        for (name, sent, expected) in [
            ("location", "/café?q=ü#é".as_bytes(), "/caf%C3%A9?q=%C3%BC#%C3%A9"),
            ("location", b"/caf\xe9%20x", "/caf%E9%20x"),
            ("content-location", "/é".as_bytes(), "/%C3%A9"),
            ("link", "</é.css>; rel=preload".as_bytes(), "</%C3%A9.css>; rel=preload"),
            ("refresh", "0; url=/é".as_bytes(), "0; url=/%C3%A9"),
            ("sourcemap", "/é.map".as_bytes(), "/%C3%A9.map"),
            ("content-type", "text/plain; name=\"é\"".as_bytes(), "text/plain; name=\"_\""),
        ] {
            assert_eq!(restricted(name, sent).as_deref(), Some(expected));
        }
    }

    #[test]
    fn anything_else_is_dropped_alone() {
        for name in ["x-a", "etag", "www-authenticate", "server", "x-user-name"] {
            assert_eq!(restricted(name, "é".as_bytes()), None, "{name}");
        }
        let mut headers = HeaderMap::new();
        for value in ["a=1", "b=é", "c=3"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        restrict(&mut headers, "app.internal");
        let kept: Vec<&str> = headers.get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap()).collect();
        assert_eq!(kept, ["a=1", "c=3"]);
    }
}
