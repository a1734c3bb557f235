//! Identity headers: the access token, and the preset's headers about the signed-in person, in a dialect that
//! applications already read.
//!
//! Knows claims as JSON only, not their source. An unverified value becomes no header.

mod easyauth;

use std::ops::Range;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use percent_encoding::percent_encode;
use serde_json::{Map, Value};

use easyauth::ClientPrincipal;
pub use easyauth::EasyAuthProvider;

use super::token_placement::TokenPlacement;

/// Headers about the person, besides `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HeaderPreset {
    /// None.
    #[default]
    None,
    /// `x-proxy-id-token` and its name and preferred user name.
    Sample,
    /// The `X-Forwarded-*` family of oauth2-proxy.
    OAuth2Proxy,
    /// The `X-MS-*` family of App Service authentication.
    EasyAuth(EasyAuthProvider),
}

impl HeaderPreset {
    /// Claims that the preset's headers need; `None` means all.
    #[must_use]
    pub fn claims(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::None => Some(&[]),
            Self::Sample => Some(&["name", "preferred_username"]),
            Self::OAuth2Proxy => Some(&["sub", "email", "email_verified", "groups", "preferred_username"]),
            Self::EasyAuth(_) => None,
        }
    }

    /// True if one of the preset's headers is the ID token.
    #[must_use]
    pub fn has_id_token(&self) -> bool {
        matches!(self, Self::Sample | Self::EasyAuth(_))
    }
}

/// Header of the identity assertion. It is stripped from clients: its name means a person.
pub const ASSERTION_HEADER: HeaderName = HeaderName::from_static("x-identity-assertion");

/// Access token at its `token` placement, then the preset's headers; an absent or empty claim has no header.
#[must_use]
pub fn identity_headers(
    preset: &HeaderPreset,
    token: &TokenPlacement,
    claims: &Map<String, Value>,
    id_token: Option<&str>,
    access_token: &str,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(8);
    let (name, scheme) = match token {
        TokenPlacement::Bearer => (Some(&AUTHORIZATION), "Bearer "),
        TokenPlacement::Header(name) => (Some(name), ""),
        TokenPlacement::None => (None, ""),
    };
    if let Some(name) = name {
        let value = HeaderValue::from_maybe_shared(Bytes::from([scheme, access_token].concat()));
        headers.push((name.clone(), value.expect("an access token is visible ASCII: no other is accepted")));
    }
    let mut add = |name: HeaderName, text: Option<&str>| {
        if let Some(value) = text.filter(|text| !text.is_empty()).map(header_text) {
            headers.push((name, value));
        }
    };
    let named = HeaderName::from_static;
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);
    match preset {
        HeaderPreset::None => {}
        HeaderPreset::Sample => {
            add(named("x-proxy-id-token"), id_token);
            add(named("x-proxy-id-token-name"), claim("name"));
            add(named("x-proxy-id-token-preferred-username"), claim("preferred_username"));
        }
        HeaderPreset::OAuth2Proxy => {
            add(named("x-forwarded-user"), claim("sub"));
            add(named("x-forwarded-email"), usable_email(claims));
            add(named("x-forwarded-groups"), groups(claims).as_deref());
            add(named("x-forwarded-preferred-username"), claim("preferred_username"));
        }
        HeaderPreset::EasyAuth(provider) => {
            let principal = ClientPrincipal { provider, claims, email: usable_email(claims) };
            add(named("x-ms-client-principal"), Some(&principal.encode()));
            add(named("x-ms-client-principal-id"), principal.id());
            add(named("x-ms-client-principal-name"), principal.name());
            add(named("x-ms-client-principal-idp"), Some(provider.name()));
            add(provider.id_token_header(), id_token);
            add(provider.access_token_header(), Some(access_token));
        }
    }
    headers
}

/// `email`, unless `email_verified` (OIDC Core 5.1) is present and not true. Some providers write it as text.
fn usable_email(claims: &Map<String, Value>) -> Option<&str> {
    let is_usable = match claims.get("email_verified") {
        None => true,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        Some(verified) => *verified == Value::Bool(true),
    };
    claims.get("email")?.as_str().filter(|email| is_usable && !email.is_empty())
}

/// `groups` as a comma-separated list: text and numbers, one or many. Other elements are skipped.
fn groups(claims: &Map<String, Value>) -> Option<String> {
    let groups = claims.get("groups")?;
    let groups = groups.as_array().map_or(std::slice::from_ref(groups), Vec::as_slice);
    let names: Vec<String> = groups.iter().filter_map(group_name).collect();
    Some(names.join(","))
}

fn group_name(group: &Value) -> Option<String> {
    match group {
        Value::String(name) if !name.is_empty() => {
            let mut escaped = String::with_capacity(name.len());
            push_escaped_element(name, ',', &mut escaped);
            Some(escaped)
        }
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Appends an element to a list, in which it cannot forge a separator: the separator, percent sign, control characters,
/// leading and trailing blanks are percent-encoded (RFC 3986 2.1), so that splitting, trimming and decoding restore it.
pub(super) fn push_escaped_element(name: &str, separator: char, list: &mut String) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%' && char::from(byte) != separator;
    if name.bytes().all(is_plain) {
        list.push_str(name);
        return;
    }
    // A reader that splits at blanks may split at others: NBSP, or the last byte of `à` where it reads ISO 8859-1.
    let is_apart = |character: char| separator == ' ' && !character.is_ascii();
    let is_escaped = |character: char| {
        character == separator || character == '%' || character.is_ascii_control() || is_apart(character)
    };
    let inner = between_blanks(name);
    for (at, character) in name.char_indices() {
        let is_at_an_end = !inner.contains(&at);
        let mut utf8 = [0; 4];
        let text = character.encode_utf8(&mut utf8);
        if is_at_an_end || is_escaped(character) {
            list.extend(percent_encode(text.as_bytes(), percent_encoding::NON_ALPHANUMERIC));
        } else {
            list.push_str(text);
        }
    }
}

/// The text that a reader keeps who trims blanks: Unicode's, and the byte order mark, which JavaScript's `trim` drops.
fn between_blanks(text: &str) -> Range<usize> {
    let is_blank = |character: char| character.is_whitespace() || character == '\u{feff}';
    let start = text.len() - text.trim_start_matches(is_blank).len();
    start..text.trim_end_matches(is_blank).len().max(start)
}

/// Header value with UTF-8 unchanged. Percent-encoded are control characters, so that no value starts another header,
/// and blanks at the ends: a recipient drops spaces (RFC 9110 5.5), and many applications every Unicode blank. `admin `
/// is not `admin`.
pub(super) fn header_text(text: &str) -> HeaderValue {
    let inner = between_blanks(text);
    if inner == (0..text.len()) && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return HeaderValue::from_bytes(text.as_bytes()).expect("no character is a control character");
    }
    let is_kept = |at: usize, byte: u8| inner.contains(&at) && !byte.is_ascii_control();
    let octets = text.bytes().enumerate();
    let safe: Vec<u8> =
        octets.flat_map(|(at, byte)| if is_kept(at, byte) { vec![byte] } else { escaped(byte) }).collect();
    HeaderValue::from_bytes(&safe).expect("every control character is percent-encoded")
}

fn escaped(byte: u8) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    vec![b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests;
