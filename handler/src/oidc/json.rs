//! A Provider's JSON document (RFC 8259). Knows no member.

use serde::de::DeserializeOwned;

/// Reads a document. RFC 8259 8.1 lets a reader skip the byte order mark that some servers write before it.
pub(super) fn parse<T: DeserializeOwned>(document: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document))
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
