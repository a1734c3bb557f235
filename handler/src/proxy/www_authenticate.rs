//! `WWW-Authenticate`: a list of challenges, each a scheme with its parameters (RFC 9110 11.6.1).
//!
//! Knows no scheme. A value with two readings is refused: the comma that ends a challenge also separates its parameters.

use super::field_value::{is_token, parts, unquoted};

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    scheme: Vec<u8>,
    /// Names in lower case, and values without their quotes.
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reason why a value is no list of challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MalformedChallenges;

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter<'a> {
    /// Not there.
    Absent,
    /// There once.
    Value(&'a [u8]),
    /// There more than once, which RFC 9110 11.2 forbids.
    Repeated,
}

/// The challenges of one field value.
///
/// # Errors
/// If any part of it breaks the grammar.
pub(super) fn challenges(value: &[u8]) -> Result<Vec<Challenge>, MalformedChallenges> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for element in parts(value, b',') {
        if let Some(parameter) = parameter(element) {
            challenges.last_mut().ok_or(MalformedChallenges)?.parameters.push(parameter);
        } else {
            challenges.push(challenge(element)?);
        }
    }
    Ok(challenges)
}

/// A scheme alone, with its first parameter, or with a `token68`.
fn challenge(element: &[u8]) -> Result<Challenge, MalformedChallenges> {
    let end = element.iter().position(|byte| *byte == b' ').unwrap_or(element.len());
    let (scheme, rest) = (&element[..end], element[end..].trim_ascii());
    let first = parameter(rest);
    if !is_token(scheme) || (first.is_none() && !rest.is_empty() && !is_token68(rest)) {
        return Err(MalformedChallenges);
    }
    Ok(Challenge { scheme: scheme.to_owned(), parameters: first.into_iter().collect() })
}

/// `token BWS "=" BWS ( token / quoted-string )`; `None` for anything else.
fn parameter(element: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = element.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (element[..equals].trim_ascii(), element[equals + 1..].trim_ascii());
    let value = if is_token(value) { value.to_owned() } else { unquoted(value)? };
    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

fn is_token68(text: &[u8]) -> bool {
    let unpadded = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    unpadded > 0 && text[..unpadded].iter().all(is_allowed)
}

impl Challenge {
    /// True for this scheme, in any case (RFC 9110 11.1).
    pub(super) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme.as_bytes())
    }

    /// The parameter of this name, which is in lower case.
    pub(super) fn parameter(&self, name: &str) -> Parameter<'_> {
        let mut values = self.parameters.iter().filter(|(given, _)| given == name.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Parameter::Absent,
            (Some((_, value)), None) => Parameter::Value(value),
            (Some(_), Some(_)) => Parameter::Repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The challenges as `scheme name=value name=value`, joined by `|`.
    fn read(value: &[u8]) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let written = challenges(value).ok()?.into_iter().map(|challenge| {
            let pairs = challenge.parameters.iter().map(|(name, value)| format!(" {}={}", text(name), text(value)));
            format!("{}{}", text(&challenge.scheme), pairs.collect::<String>())
        });
        Some(written.collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn challenges_are_a_list_whose_commas_mean_two_things() {
        let table: [(&[u8], Option<&str>, &str); 31] = [
            (b"", Some(""), "nothing"),
            (b" , ,", Some(""), "empty elements"),
            (b"Bearer", Some("Bearer"), "a scheme alone"),
            (b"Bearer realm=\"a\"", Some("Bearer realm=a"), "a quoted parameter"),
            (b"Bearer realm=a", Some("Bearer realm=a"), "a token"),
            (b"Bearer REALM=a", Some("Bearer realm=a"), "a name in capitals"),
            (b"Bearer realm = \"a\"", Some("Bearer realm=a"), "blanks around ="),
            (b"Bearer   realm=\"a\" ,\terror=b", Some("Bearer realm=a error=b"), "blanks everywhere"),
            (b"Bearer realm=\"\"", Some("Bearer realm="), "an empty text"),
            (b"Bearer realm=\"a, Basic realm=b\"", Some("Bearer realm=a, Basic realm=b"), "a challenge within quotes"),
            (b"Bearer realm=\"a\\\"b\\\\\"", Some("Bearer realm=a\"b\\"), "quoted pairs"),
            (b"Bearer realm=\"\\\", error=\\\"x\"", Some("Bearer realm=\", error=\"x"), "a parameter within quotes"),
            (b"Bearer realm=a, error=b, Basic realm=c", Some("Bearer realm=a error=b|Basic realm=c"), "two challenges"),
            (b"Negotiate, Bearer error=b", Some("Negotiate|Bearer error=b"), "a scheme without parameters first"),
            (b"Negotiate YWJj==, Bearer error=b", Some("Negotiate|Bearer error=b"), "a token68"),
            (b"Negotiate YWJj=, Bearer error=b", Some("Negotiate|Bearer error=b"), "a token68 that looks like a name"),
            (b"Bearer a=1, , b=2", Some("Bearer a=1 b=2"), "an empty element within"),
            (b"Bearer a=1, a=2", Some("Bearer a=1 a=2"), "a repeated parameter is read"),
            (b"Bearer r=\"\xe9\"", Some("Bearer r=\u{fffd}"), "bytes beyond ASCII within quotes"),
            (b"realm=a", None, "a parameter without a scheme"),
            (b"Bearer realm=", Some("Bearer"), "a token68 with padding, by the grammar"),
            (b"Bearer realm=\"a", None, "a quote without end"),
            (b"Bearer realm=\"a\\\"", None, "a quote that is escaped"),
            (b"Bearer realm=\"a\"b", None, "text behind a quoted string"),
            (b"Bearer realm=a b=c", None, "no comma between parameters"),
            (b"Bearer realm=\"a\" error=\"b\"", None, "no comma between quoted parameters"),
            (b"Bearer claims=YWJj==", None, "base64 without quotes"),
            (b"Bearer =a", None, "no name"),
            (b"Bear(er realm=a", None, "a scheme that is no token"),
            (b"Bearer\trealm=a", None, "a tab behind the scheme"),
            (b"Bearer r\xe9alm=a", None, "a name that is no token"),
        ];
        for (value, expected, reason) in table {
            assert_eq!(read(value).as_deref(), expected, "{reason}");
        }
    }
}
