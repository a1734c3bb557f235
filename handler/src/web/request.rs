//! Accessors for requests: a header's text, and the identifier shared by log line and page.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::HttpRequest;
use actix_web::http::header::{AsHeaderName, HeaderMap};

use super::header_names::FUNCTIONS_INVOCATION_ID;
use crate::random;

/// Request identifier in logs, pages and problem documents: the host's invocation id, or one of our own.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// The invocation id of the Functions host, if it is well-formed, else a new one.
    #[must_use]
    pub fn of(req: &HttpRequest) -> Self {
        let is_plain = |text: &&str| {
            (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let given = single_header(req, FUNCTIONS_INVOCATION_ID).filter(is_plain);
        Self(given.map_or_else(next_id, str::to_owned))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A unique number among processes, not secret: random once, then counted.
fn next_id() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{}-", &random::guid_pair()[..16]));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    let mut id = String::with_capacity(PROCESS.len() + 16);
    id.push_str(&PROCESS);
    let digit = |at: u32| char::from(b"0123456789abcdef"[usize::from((number >> (4 * at)).to_le_bytes()[0] & 0xF)]);
    id.extend((0..digits).rev().map(digit));
    id
}

/// Text of a header's first value.
#[must_use]
pub fn header_text(req: &HttpRequest, name: impl AsHeaderName) -> Option<&str> {
    text_value(req.headers(), name)
}

/// First value of a header, if it is text.
pub(super) fn text_value(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Text of a header that is present exactly once.
#[must_use]
pub fn single_header(req: &HttpRequest, name: impl AsHeaderName) -> Option<&str> {
    single_value(req.headers(), name)
}

/// Text of a header that is present exactly once.
pub(super) fn single_value(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_of_our_own_is_the_process_and_a_number_in_hexadecimal() {
        let ids: Vec<String> = (0..300).map(|_| next_id()).collect();

        let parts: Vec<_> = ids.iter().map(|id| id.rsplit_once('-').unwrap()).collect();
        let numbers: Vec<_> = parts.iter().map(|(_, number)| u64::from_str_radix(number, 16).unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{ids:?}");
        for ((process, number), value) in parts.iter().zip(&numbers) {
            assert_eq!((*process, *number), (parts[0].0, format!("{value:x}").as_str()));
        }
    }
}
