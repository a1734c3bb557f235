//! The Provider's `error` (RFC 6749 4.1.2.1 and 5.2), made safe for log lines and pages.
//!
//! Untrusted: anyone can send a browser to the callback with any text, and a token endpoint may send anything.

/// Maximum length; no registered code is half as long.
const MAX_LENGTH: usize = 64;
const UNRECOGNIZED: &str = "unrecognized_error";

/// The code if it is well-formed, otherwise [`UNRECOGNIZED`].
///
/// RFC 6749 allows any printable character but `"` and `\`; every registered code consists of the few accepted
/// here, which need no escaping anywhere.
pub(super) fn error_code(text: &str) -> String {
    if is_error_code(text) { text.to_owned() } else { UNRECOGNIZED.to_owned() }
}

/// True for a well-formed code.
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
