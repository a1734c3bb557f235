//! Punctuation beyond ASCII that some readers fold to the ASCII punctuation of a path: by compatibility (UAX 15), by
//! the "best fit" of a code page, or by a decoder of UTF-8 that takes overlong forms. `/a／..／b` is `/a/../b` to them.
//!
//! Knows characters only. Letters are in `spelling`.

use std::borrow::Cow;

use crate::percent::decode_fully;

/// Foldings of one reader after another. The cost of a path grows with them, so they are few.
const MAX_ROUNDS: usize = 4;

/// `decoded` as such a reader takes it, decoded to the end; `None` if there is nothing to fold.
pub(super) fn folded(decoded: &[u8]) -> Option<Vec<u8>> {
    if decoded.is_ascii() {
        return None;
    }
    let mut folded = fold_once(decoded)?;
    for _ in 1..MAX_ROUNDS {
        match fold_once(&folded) {
            Some(further) => folded = further,
            None => break,
        }
    }
    Some(folded)
}

fn fold_once(text: &[u8]) -> Option<Vec<u8>> {
    let shortest = without_overlong_forms(text);
    let is_shorter = matches!(shortest, Cow::Owned(_));
    let text = String::from_utf8_lossy(&shortest);
    if !is_shorter && !text.chars().any(|character| ascii(character).is_some()) {
        return None;
    }
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match ascii(character) {
            Some(ascii) => folded.push_str(ascii),
            None => folded.push(character),
        }
    }
    Some(decode_fully(folded.as_bytes()).into_owned())
}

/// `text` with ASCII in one octet where it stands in more (RFC 3629 3: no decoder may accept that, and old ones do).
fn without_overlong_forms(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, 0xc0 | 0xc1 | 0xe0 | 0xf0)) {
        return Cow::Borrowed(text);
    }
    let mut shortest = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, ..] = rest {
        let (byte, length) = overlong_ascii(rest).unwrap_or((*first, 1));
        shortest.push(byte);
        rest = &rest[length..];
    }
    if shortest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(shortest) }
}

/// The ASCII character whose overlong form `text` begins with, and the length of that form.
fn overlong_ascii(text: &[u8]) -> Option<(u8, usize)> {
    let (high, low, length) = match *text {
        [high @ (0xc0 | 0xc1), low, ..] => (high, low, 2),
        [0xe0, high @ (0x80 | 0x81), low, ..] => (high, low, 3),
        [0xf0, 0x80, high @ (0x80 | 0x81), low, ..] => (high, low, 4),
        _ => return None,
    };
    matches!(low, 0x80..=0xbf).then_some(((high & 1) << 6 | low & 0x3f, length))
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
        for overlong in [&b"/\xc0\xae.\xc0\xafb"[..], b"/.\xe0\x80\xae/b", b"/.\xf0\x80\x80\xae/\xc1\xa2"] {
            assert_eq!(folded(overlong).as_deref(), Some(&b"/../b"[..]), "{overlong:x?}");
        }
        assert_eq!(folded(b"/\xc0\xe0.\xf0"), None, "letters of Latin-1");
        assert_eq!(folded(b"/\xff\xef\xbc\x8f"), Some("/\u{fffd}/".into()), "octets that are not UTF-8");
    }
}
