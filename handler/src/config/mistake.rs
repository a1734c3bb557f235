//! Mistakes in the configuration, all reported at once and worded for an operator.

use std::fmt;

/// A setting with an invalid value. Repeats the value only where it cannot be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The environment variable.
    pub variable: &'static str,
    /// The expected value, in words.
    pub expected: &'static str,
    /// An example of a valid value.
    pub example: &'static str,
    /// The problem with the current value.
    pub problem: String,
    /// The value, shortened, unless it may be a secret.
    pub value: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, expected, example, problem, value } = self;
        write!(f, "{variable}: {problem}")?;
        if let Some(value) = value {
            write!(f, " ({value:?})")?;
        }
        write!(f, "; expected {expected}, for example {variable}={example}")
    }
}

/// All mistakes of one start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    /// True if there are no mistakes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each mistake, with its setting. Several mistakes of one setting are followed by a line that says what is
    /// expected.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let is_repeated =
            |mistake: &Mistake| self.0.iter().filter(|other| other.variable == mistake.variable).count() > 1;
        let mut lines = Vec::with_capacity(self.0.len());
        for (at, mistake) in self.0.iter().enumerate() {
            let Mistake { variable, expected, example, problem, .. } = mistake;
            if !is_repeated(mistake) {
                lines.push((*variable, mistake.to_string()));
                continue;
            }
            lines.push((*variable, format!("{variable}: {problem}")));
            let is_last = !self.0[at + 1..].iter().any(|later| later.variable == *variable);
            if is_last {
                lines.push((*variable, format!("{variable}: expected {expected}, for example {variable}={example}")));
            }
        }
        lines
    }

    /// The mistakes, in the order of the documentation.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration is not usable, {} {mistakes}:", self.0.len())?;
        self.lines().iter().try_for_each(|(_, line)| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(variable: &'static str, problem: &str) -> Mistake {
        Mistake {
            variable,
            expected: "a list",
            example: "[1]",
            problem: problem.to_owned(),
            value: Some("[x".to_owned()),
        }
    }

    #[test]
    fn what_a_setting_expects_is_said_once() {
        let mut mistakes = Mistakes::default();
        for (variable, problem) in [("ROUTES", "no a"), ("ROUTES", "no b"), ("LOG", "no level"), ("ROUTES", "no c")] {
            mistakes.push(mistake(variable, problem));
        }

        assert_eq!(
            mistakes.to_string(),
            "the configuration is not usable, 4 mistakes:\n  ROUTES: no a\n  ROUTES: no b\n  \
             LOG: no level (\"[x\"); expected a list, for example LOG=[1]\n  ROUTES: no c\n  \
             ROUTES: expected a list, for example ROUTES=[1]"
        );
    }
}
