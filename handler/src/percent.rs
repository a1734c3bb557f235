//! Percent-decoding until no escape is left, however often a later reader would decode.
//!
//! One pass, whatever the nesting: a decoded byte that completes an escape with the bytes before it is decoded on the
//! spot. Escapes cannot overlap (`%` is no hexadecimal digit), so the order of the steps does not change the result,
//! and each step shortens the text: the cost is linear where decoding round by round is quadratic (`%25252525…`).

use std::borrow::Cow;

/// `text` without escapes; a `%` that no two hexadecimal digits follow stays.
#[must_use]
pub fn decode_fully(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = text.iter().position(|byte| *byte == b'%') else {
        return Cow::Borrowed(text);
    };
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(&text[..first]);
    for byte in &text[first..] {
        push(&mut decoded, *byte);
    }
    Cow::Owned(decoded)
}

/// True if some reader could take `path` for `prefix` or a path below it, in any case or encoding.
#[must_use]
pub fn is_under(path: &str, prefix: &str) -> bool {
    let decoded = decode_fully(path.as_bytes());
    decoded.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        && matches!(decoded.get(prefix.len()), None | Some(b'/' | b';' | b'?'))
}

/// Appends a byte, and decodes the escapes that end with it.
fn push(decoded: &mut Vec<u8>, byte: u8) {
    decoded.push(byte);
    while let [.., b'%', high, low] = decoded[..]
        && let (Some(high), Some(low)) = (hex(high), hex(low))
    {
        decoded.truncate(decoded.len() - 3);
        decoded.push(high << 4 | low);
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reference implementation: decodes in rounds until a round changes nothing.
    fn by_rounds(text: &[u8]) -> Vec<u8> {
        let mut decoded = text.to_vec();
        loop {
            let next: Vec<u8> = percent_encoding::percent_decode(&decoded).collect();
            if next.len() == decoded.len() {
                return next;
            }
            decoded = next;
        }
    }

    #[test]
    fn every_nesting_is_decoded() {
        for (text, expected) in [
            ("", ""),
            ("/plain", "/plain"),
            ("%41", "A"),
            ("%2541", "A"),
            ("%25252541", "A"),
            ("%25%34%31", "A"),
            ("%%34%31", "A"),
            ("%%341", "A"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%25zz", "%zz"),
        ] {
            assert_eq!(decode_fully(text.as_bytes()), expected.as_bytes(), "{text}");
        }
        let nested = format!("%{}41", "25".repeat(30_000));
        assert_eq!(decode_fully(nested.as_bytes()), b"A".as_slice());
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_rounds_find(text in "[%%%%25419aFz/]{0,60}") {
            let decoded = by_rounds(text.as_bytes());

            prop_assert_eq!(&*decode_fully(text.as_bytes()), &decoded[..]);
        }

        #[test]
        fn what_a_reader_of_fewer_rounds_takes_for_ours_is_ours(text in "/[aA%%2561]{1,9}[/;?%b]{0,2}") {
            let once: Vec<u8> = percent_encoding::percent_decode(text.as_bytes()).collect();
            let is_ours = |path: &[u8]| {
                path.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"/a"))
                    && matches!(path.get(2), None | Some(b'/' | b';' | b'?'))
            };

            prop_assert!(is_under(&text, "/a") || !is_ours(text.as_bytes()) && !is_ours(&once));
        }
    }
}
