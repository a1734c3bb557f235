//! Base64url without padding, and an injective encoding of lists of fields.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Base64url without padding (RFC 4648 section 5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`base64url`] writes; padding, other alphabets and non-zero trailing bits are refused.
#[must_use]
pub fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Concatenates fields, each behind its length (four bytes, big endian): injective, whatever the fields contain.
pub(super) fn length_prefixed(fields: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(fields.iter().map(|field| field.len() + 4).sum());
    for field in fields {
        let length = u32::try_from(field.len()).expect("a field is far below 4 GiB");
        joined.extend_from_slice(&length.to_be_bytes());
        joined.extend_from_slice(field);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_moved_between_fields_changes_the_bytes() {
        assert_ne!(length_prefixed(&[b"ab", b"c"]), length_prefixed(&[b"a", b"bc"]));
    }

    #[test]
    fn a_non_canonical_base64url_is_refused() {
        assert_eq!(base64url_decode("AA"), Some(vec![0]));
        for text in ["AB", "AA==", "A+", "A/", "A", "A A", "AA\n"] {
            assert_eq!(base64url_decode(text), None, "{text:?}");
        }
    }
}
