//! JSON documents of a Provider (RFC 8259). Knows no member.

use serde::de::DeserializeOwned;

/// Parses a document. Skips a byte order mark, as RFC 8259 8.1 allows: some servers write one.
pub(super) fn parse<T: DeserializeOwned>(document: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document))
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
