//! Word that was probably meant by a misspelt one.

/// Nearest of `words` to `text`, if it is close enough. The comparison is case-sensitive.
#[must_use]
pub fn nearest_word<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let reach = (text.len() / 4).min(3);
    let near = words.iter().map(|word| (distance(text, word), *word)).filter(|(distance, _)| *distance <= reach);
    near.min().map(|(_, word)| word)
}

/// Edit distance: a letter more, less or other, or two neighbours swapped (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_up_to_a_quarter_of_its_letters() {
        let members = ["access", "require", "step_up_challenges"];
        for (text, expected) in [
            ("acces", Some("access")),
            ("requires", Some("require")),
            ("stepup_challenges", Some("step_up_challenges")),
            ("acc", None),
            ("Access", Some("access")),
            ("colour", None),
        ] {
            assert_eq!(nearest_word(text, &members), expected, "{text}");
        }
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("chek", "check", 1), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
