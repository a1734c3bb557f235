//! Reader of settings that collects every mistake instead of stopping at the first.

use super::{Environment, Mistake, Mistakes};

/// Description of a setting: name, expectation, example.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) expected: &'static str,
    pub(super) example: &'static str,
}

/// Reads values and collects mistakes.
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

    /// The value; records a mistake if it isn't set.
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
            let problem = match lacks_unit(setting, text) {
                true => format!("it has no unit: write {text}s for seconds, {text}m for minutes"),
                false => "its value cannot be used".to_owned(),
            };
            self.mistake(setting, problem);
        }
        value
    }

    pub(super) fn mistake(&mut self, setting: Setting, problem: String) {
        let Setting { name, expected, example } = setting;
        let value = self.optional(setting).filter(|value| is_shown(name, value)).map(shortened);
        self.mistakes.push(Mistake { variable: name, expected, example, problem, value });
    }

    pub(super) fn finish(self) -> Mistakes {
        self.mistakes
    }
}

/// False for a value that may contain a secret: keys, secrets, headers, parameters, a URL with a user.
fn is_shown(name: &str, value: &str) -> bool {
    let is_secret = ["SECRET", "KEY", "STRING", "HEADERS", "PARAMETERS"].iter().any(|part| name.contains(part));
    let is_plain = matches!(name, "KEY_VAULT_URL" | "KEY_RELOAD_INTERVAL" | "KEY_ACTIVATION_DELAY");
    (is_plain || !is_secret) && !value.contains('@')
}

/// True for a bare number where a duration is expected.
fn lacks_unit(setting: Setting, text: &str) -> bool {
    setting.expected.contains("duration") && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn shortened(value: &str) -> String {
    let mut letters = value.chars();
    let mut text: String = letters.by_ref().take(60).collect();
    if letters.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &'static str, value: &str) -> String {
        let environment = Environment::from([(name, value)]);
        let mut reader = Reader::new(&environment);
        let setting = Setting { name, expected: "a thing", example: "thing" };
        assert_eq!(reader.parse_or(setting, (), |_| None), None);
        reader.finish().iter().next().unwrap().to_string()
    }

    #[test]
    fn a_value_that_is_no_secret_is_shown() {
        let expected = "WORKERS: its value cannot be used (\"two\"); expected a thing, for example WORKERS=thing";
        assert_eq!(message("WORKERS", "two"), expected);
        assert!(message("KEY_RELOAD_INTERVAL", "5").contains("(\"5\")"));
        assert!(message("LOG", &"x".repeat(100)).contains(&format!("(\"{}…\")", "x".repeat(60))));
        assert!(message("LOG", "a\nb").contains(r#"("a\nb")"#), "one line");
    }

    #[test]
    fn a_bare_number_for_a_duration_gets_a_hint_at_its_unit() {
        let problem = |expected, value| {
            let environment = Environment::from([("SESSION_IDLE_TIMEOUT", value)]);
            let mut reader = Reader::new(&environment);
            let setting = Setting { name: "SESSION_IDLE_TIMEOUT", expected, example: "30m" };
            assert_eq!(reader.parse_or(setting, (), |_| None), None);
            reader.finish().iter().next().unwrap().problem.clone()
        };
        let hint = "it has no unit: write 30s for seconds, 30m for minutes";

        assert_eq!(problem("a duration from 1s to 31d", "30"), hint);
        assert_eq!(problem("a share of the lifetime, or a duration", "30"), hint);
        assert_eq!(problem("a duration from 1s to 31d", "40d"), "its value cannot be used");
        assert_eq!(problem("a number from 1 to 20", "30"), "its value cannot be used");
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_not_shown() {
        for name in [
            "CLIENT_SECRET",
            "GATEWAY_PROOF_SECRETS",
            "COOKIE_KEYS",
            "TOKEN_KEY_NAME",
            "CLIENT_PRIVATE_KEY",
            "COSMOS_KEY",
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "TOKEN_PARAMETERS",
        ] {
            assert!(!message(name, "hidden").contains("hidden"), "{name}");
        }
        assert!(!message("UPSTREAM_URL", "https://ada:hidden@app.internal").contains("hidden"));
    }
}
