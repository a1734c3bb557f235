//! Durations as people write them in settings.

use std::time::Duration;

/// Units that humantime knows and a setting does not: `10M` is ten months, and was meant as minutes.
const REFUSED: [&str; 8] = ["M", "month", "months", "y", "yr", "yrs", "year", "years"];

/// Parses a duration such as `90s`, `30m`, `1h 30m` or `7d`. `None` for anything else, months and years among it.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut units = text.split(|character: char| !character.is_ascii_alphabetic());
    if units.any(|unit| REFUSED.contains(&unit)) {
        return None;
    }
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_and_years_are_no_durations() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("10min", Some(600)),
            ("1h 30m", Some(5_400)),
            ("1h30m", Some(5_400)),
            ("7d", Some(604_800)),
            ("7days", Some(604_800)),
            ("2weeks", Some(1_209_600)),
            ("1M", None),
            ("1h 1M", None),
            ("1h1M", None),
            ("2months", None),
            ("1y", None),
            ("1year", None),
            ("30", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), seconds, "{text:?}");
        }
    }
}
