//! The Provider's `error` (RFC 6749 4.1.2.1 and 5.2), in a form that a log line and a page may hold.
//!
//! Whoever sends a browser to the callback chooses this text; a token endpoint may send anything.

/// No registered code is half as long.
const MAX_LENGTH: usize = 64;
const UNRECOGNIZED: &str = "unrecognized_error";

/// The code, if it looks like one, and otherwise [`UNRECOGNIZED`].
///
/// RFC 6749 allows any printable character but `"` and `\`; every registered code is made of the few kept
/// here, and with them no escaping is needed anywhere.
pub(super) fn error_code(text: &str) -> String {
    if is_error_code(text) { text.to_owned() } else { UNRECOGNIZED.to_owned() }
}

/// True if `text` looks like a code.
pub(super) fn is_error_code(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_code_is_kept() {
        for code in ["access_denied", "invalid_grant", "login_required", "AADSTS50076", "x-1.2"] {
            assert_eq!(error_code(code), code);
        }
    }

    #[test]
    fn what_could_do_harm_in_a_log_or_a_page_is_not() {
        let long = "a".repeat(65);
        for text in ["", "<script>", "a b", "a\nlevel=error", "a\u{1b}[2J", "\"", "é", "%0a", "a&b", &long] {
            assert_eq!(error_code(text), UNRECOGNIZED, "{text:?}");
        }
    }
}
