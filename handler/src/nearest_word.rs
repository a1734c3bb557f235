//! Word that was probably meant by a misspelt one.

use strsim::osa_distance;

/// Nearest of `words` to `text`, if it is close enough. The comparison is case-sensitive.
#[must_use]
pub fn nearest_word<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let reach = (text.len() / 4).min(3);
    // A letter more, less or other, or two neighbours swapped.
    let near = words.iter().map(|word| (osa_distance(text, word), *word)).filter(|(distance, _)| *distance <= reach);
    near.min().map(|(_, word)| word)
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
}
