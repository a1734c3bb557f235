//! Punctuation beyond ASCII that some readers fold to the ASCII punctuation of a path: by compatibility (UAX 15), or by
//! the "best fit" of a code page. `/a／..／b` is `/a/../b` to them.
//!
//! Knows characters only. Letters are in `spelling`.

use std::borrow::Cow;

use crate::percent::decode_fully;

/// `decoded` as such a reader takes it, decoded to the end; `None` if there is nothing to fold.
///
/// Each further escape of `％` takes nine characters for one, so the rounds are few.
pub(super) fn folded(decoded: &[u8]) -> Option<Vec<u8>> {
    if decoded.is_ascii() {
        return None;
    }
    let mut folded = fold_once(decoded)?;
    while let Some(further) = fold_once(&folded) {
        folded = further;
    }
    Some(folded)
}

fn fold_once(text: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let is_folded = |character| ascii(character).is_some();
    text.chars().any(is_folded).then(|| {
        let folded: String = text
            .chars()
            .map(|character| match ascii(character) {
                Some(ascii) => Cow::Borrowed(ascii),
                None => Cow::Owned(character.to_string()),
            })
            .collect();
        decode_fully(folded.as_bytes()).into_owned()
    })
}

/// The ASCII that a character beyond it becomes; only what means something in a path.
fn ascii(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{ff0f}' | '\u{2044}' | '\u{2215}' => "/",
        // The yen and the won sign stand at the backslash in code pages of Windows.
        '\u{ff3c}' | '\u{fe68}' | '\u{2216}' | '\u{a5}' | '\u{20a9}' => "\\",
        '\u{ff0e}' | '\u{fe52}' | '\u{2024}' => ".",
        '\u{2025}' | '\u{fe30}' => "..",
        '\u{ff1b}' | '\u{fe54}' | '\u{37e}' => ";",
        '\u{ff1f}' | '\u{fe56}' => "?",
        '\u{ff03}' | '\u{fe5f}' => "#",
        '\u{ff05}' | '\u{fe6a}' => "%",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_folded_to_the_end_and_letters_are_left() {
        for (text, expected) in [
            ("/plain", None),
            ("/caf\u{e9}", None),
            ("/a\u{ff0f}\u{ff0e}.\u{2044}b", Some("/a/../b")),
            ("/a\u{a5}\u{2025}\u{20a9}b", Some("/a\\..\\b")),
            ("/.\u{200b}.\u{a0}/b", Some("/.. /b")),
            ("/a\u{ff1b}x\u{ff1f}y\u{ff03}", Some("/a;x?y#")),
            ("/\u{ff05}2e\u{fe6a}2e/", Some("/../")),
            ("/\u{ff05}EF\u{ff05}BC\u{ff05}8E/", Some("/./")),
            ("/\u{e9}\u{ff0f}", Some("/\u{e9}/")),
        ] {
            assert_eq!(folded(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        }
        assert_eq!(folded(b"/\xff\xef\xbc\x8f"), Some("/\u{fffd}/".into()), "octets that are not UTF-8");
    }
}
