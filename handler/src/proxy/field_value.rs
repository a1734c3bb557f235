//! Parsers for field values: lists, tokens and quoted strings (RFC 9110 5.6). They read bytes: a value may be no text.

/// Trimmed, non-empty parts between separators. A separator within a quoted string is ignored.
pub(super) fn parts(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let parts = value.split(move |byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte => return *byte == separator && !is_quoted,
        }
        false
    });
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

/// True for a token (RFC 9110 5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_allowed)
}

/// The content of a quoted string, its quoted pairs resolved; `None` for anything else (RFC 9110 5.6.4).
pub(super) fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => content.push(*bytes.next()?),
            byte => content.push(*byte),
        }
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_within_quotes_separates_nothing() {
        let texts = |value: &'static str| -> Vec<&str> {
            parts(value.as_bytes(), b',').map(|part| std::str::from_utf8(part).unwrap()).collect()
        };
        for (value, expected) in [
            ("a, b,c", vec!["a", "b", "c"]),
            (", ,a,,", vec!["a"]),
            ("a=\"b,c\",d", vec!["a=\"b,c\"", "d"]),
            ("a=\"b\\\",c\",d", vec!["a=\"b\\\",c\"", "d"]),
            ("a=\"b\\\\\",d", vec!["a=\"b\\\\\"", "d"]),
            ("a\\,b", vec!["a\\", "b"]),
            ("a=\"b,c", vec!["a=\"b,c"]),
            ("", vec![]),
        ] {
            assert_eq!(texts(value), expected, "{value}");
        }
    }

    #[test]
    fn a_quoted_string_ends_at_its_quote() {
        for (text, expected) in [
            ("\"\"", Some("")),
            ("\"a b\"", Some("a b")),
            ("\"a\\\"b\\\\\"", Some("a\"b\\")),
            ("\"", None),
            ("a", None),
            ("\"a", None),
            ("\"a\"b\"", None),
            ("\"a\\\"", None),
        ] {
            assert_eq!(unquoted(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn a_token_has_no_separators() {
        for (text, expected) in
            [("max-age", true), ("a!#$%&'*+-.^_`|~1", true), ("", false), ("a b", false), ("a=b", false), ("é", false)]
        {
            assert_eq!(is_token(text.as_bytes()), expected, "{text}");
        }
    }
}
