//! Snapshot of the environment variables, and the platform that they reveal.

use std::collections::BTreeMap;

/// Snapshot of every variable at start-up; later changes are not seen.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. A variable that is not valid UTF-8 is left out.
    #[must_use]
    pub fn of_this_process() -> Self {
        let is_text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(is_text).collect())
    }

    /// The names of all variables, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Value of a variable, trimmed; `None` if it is unset or blank.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Value of a variable with its spaces, which may belong to an identifier or a secret. Trailing line ends are
    /// removed: a file or a pipe leaves them, and RFC 6749 A.1 and A.2 have none.
    #[must_use]
    pub fn verbatim(&self, name: &str) -> Option<&str> {
        self.value(name)?;
        self.0.get(name).map(|value| value.trim_end_matches(['\r', '\n']))
    }

    /// Port of the Functions host's custom handler, if the host started us.
    #[must_use]
    pub fn functions_host_port(&self) -> Option<u16> {
        self.value("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse().ok()
    }

    /// True on Azure, where App Service sets this for every instance and `func` does not.
    #[must_use]
    pub fn is_on_azure(&self) -> bool {
        self.value("WEBSITE_INSTANCE_ID").is_some() || self.value("WEBSITE_POD_NAME").is_some()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_keeps_its_blanks_and_loses_only_line_ends() {
        let table = [
            ("secret", Some("secret"), "as usual"),
            (" secret", Some(" secret"), "a leading blank"),
            ("secret ", Some("secret "), "a trailing blank"),
            ("  se cret\t", Some("  se cret\t"), "blanks everywhere"),
            ("se+c%20r:e=t&\"é", Some("se+c%20r:e=t&\"é"), "what an encoding could take for its own"),
            ("secret\n", Some("secret"), "a line end that a file left"),
            ("secret \r\n", Some("secret "), "the same behind a blank"),
            ("se\ncret", Some("se\ncret"), "a line end within is not ours to drop"),
            ("", None, "empty is not set"),
            (" \t\n", None, "nor is what is blank"),
        ];
        for (value, expected, reason) in table {
            assert_eq!(Environment::from([("A", value)]).verbatim("A"), expected, "{reason}");
        }
        assert_eq!(Environment::default().verbatim("A"), None);
    }
}
