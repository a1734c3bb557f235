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

    /// The mistakes, in the order of the documentation.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration is not usable, {} {mistakes}:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
