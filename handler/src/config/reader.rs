//! Reads settings one by one and remembers every mistake instead of stopping at the first.

use super::{Environment, Mistake, Mistakes};

/// What is known of a setting besides its value.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) expected: &'static str,
    pub(super) example: &'static str,
}

/// Collects values and mistakes.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    mistakes: Mistakes,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, mistakes: Mistakes::default() }
    }

    /// The value, if it is set.
    pub(super) fn optional(&self, setting: Setting) -> Option<&'a str> {
        self.environment.value(setting.name)
    }

    /// The value with the blanks around it, if it is set.
    pub(super) fn verbatim(&self, setting: Setting) -> Option<&'a str> {
        self.environment.verbatim(setting.name)
    }

    /// The value; a mistake when it isn't set.
    pub(super) fn required(&mut self, setting: Setting) -> Option<&'a str> {
        let value = self.optional(setting);
        if value.is_none() {
            self.mistake(setting, "it is not set".to_owned());
        }
        value
    }

    /// The value as `parse` reads it, or the default when it isn't set; `None` after a mistake.
    pub(super) fn parse_or<T>(
        &mut self,
        setting: Setting,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(text) = self.optional(setting) else { return Some(default) };
        let value = parse(text);
        if value.is_none() {
            self.mistake(setting, "its value cannot be used".to_owned());
        }
        value
    }

    pub(super) fn mistake(&mut self, setting: Setting, problem: String) {
        let Setting { name, expected, example } = setting;
        self.mistakes.push(Mistake { variable: name, expected, example, problem });
    }

    pub(super) fn finish(self) -> Mistakes {
        self.mistakes
    }
}
