//! Plain text of an operator for our pages.

/// True for 1 to `most` characters that are all visible or a blank: no control characters, no line or paragraph
/// separators, and none that are invisible or change the direction of the text around them.
pub(super) fn is_plain(text: &str, most: usize) -> bool {
    let is_hidden = |character: char| {
        matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
    };
    let count = text.chars().count();
    (1..=most).contains(&count) && !text.chars().any(|character| character.is_control() || is_hidden(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_if_everyone_sees_all_of_it() {
        for text in ["a", "Order desk <Süd> & \"more\"", "受注管理", "12345"] {
            assert!(is_plain(text, 30), "{text}");
        }
        for text in ["", "a\tb", "a\0", "a\u{85}b", "\u{202e}a", "a\u{2066}b", "a\u{2029}b", "\u{feff}a", "a\u{ad}b"] {
            assert!(!is_plain(text, 30), "{text:?}");
        }
        assert!(is_plain("ääääää", 6) && !is_plain("äääääää", 6), "characters, not bytes");
    }
}
