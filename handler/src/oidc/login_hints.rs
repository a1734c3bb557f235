//! Hints in a sign-in's URL, merged with the configured parameters.
//!
//! A link on another site can carry hints, so none may weaken the operator's parameters.

use super::RequestParameters;
use crate::claims_request::ClaimsRequest;

/// Parameters of a sign-in link that are passed through to the Provider.
#[derive(Clone, Debug, Default)]
pub struct LoginHints {
    hints: Vec<(String, String)>,
    /// Claims that an application asks for: no link can.
    claims: Option<ClaimsRequest>,
}

/// Values of `prompt` that no hint removes: a fresh authentication, and a consent, without which there is no refresh
/// token (OIDC Core 11).
const LASTING_PROMPTS: [&str; 2] = ["login", "consent"];

impl LoginHints {
    /// Allowed names.
    pub const NAMES: [&str; 6] = ["prompt", "login_hint", "domain_hint", "acr_values", "max_age", "ui_locales"];

    /// Keeps the first value of each allowed name, drops everything else.
    #[must_use]
    pub fn from_query(pairs: &[(String, String)]) -> Self {
        let first = |name: &&str| pairs.iter().find(|(given, _)| given == name).cloned();
        Self { hints: Self::NAMES.iter().filter_map(first).collect(), claims: None }
    }

    /// With claims that an application asks for.
    #[must_use]
    pub fn with_claims(self, claims: Option<ClaimsRequest>) -> Self {
        Self { claims, ..self }
    }

    /// True for `prompt=none`: the Provider shows no page, so it may be loaded in a frame (OIDC Core 3.1.2.1).
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.hints.iter().any(|(name, value)| name == "prompt" && value == "none")
    }

    /// Merges the hints into the configured parameters. A hint wins unless it would weaken them.
    pub(super) fn over(&self, configured: &RequestParameters) -> Vec<(String, String)> {
        let is_asked = self.claims.is_some();
        let is_hinted = |name: &str| {
            self.hints.iter().any(|(given, _)| given == name) || (is_asked && name == RequestParameters::CLAIMS)
        };
        let unhinted = configured.pairs().filter(|(name, _)| !is_hinted(name));
        let unhinted = unhinted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let hinted = self.hints.iter().map(|(name, hint)| {
            let value = configured.value(name).map_or_else(|| hint.clone(), |setting| stronger(name, setting, hint));
            (name.clone(), value)
        });
        let claims = self.claims.iter().map(|asked| {
            let claims = configured.with_claims(asked.clone());
            (RequestParameters::CLAIMS.to_owned(), claims.to_json())
        });
        unhinted.chain(hinted).chain(claims).collect()
    }
}

/// Value of a parameter that is both configured and hinted.
fn stronger(name: &str, setting: &str, hint: &str) -> String {
    match name {
        "prompt" => prompt(setting, hint),
        "max_age" => match (setting.parse::<u64>(), hint.parse::<u64>()) {
            (Ok(setting), Ok(hint)) => setting.min(hint).to_string(),
            _ => setting.to_owned(),
        },
        // The strength of a Provider's classes is unknown: a hint may only choose among the configured ones.
        "acr_values" => {
            let is_configured = |class: &str| setting.split(' ').any(|configured| configured == class);
            let is_choice = !hint.is_empty() && hint.split(' ').all(is_configured);
            if is_choice { hint.to_owned() } else { setting.to_owned() }
        }
        // `login_hint`, `domain_hint`, `ui_locales` grant nothing.
        _ => hint.to_owned(),
    }
}

/// Merges `prompt`: a hint adds to `login` and `consent`. `none` replaces `consent` (a silent sign-in), never `login`.
fn prompt(setting: &str, hint: &str) -> String {
    let is_set = |prompt: &str| setting.split(' ').any(|set| set == prompt);
    if hint.split(' ').any(|hinted| hinted == "none") {
        return if is_set("login") { setting.to_owned() } else { hint.to_owned() };
    }
    let lasting = LASTING_PROMPTS.into_iter().filter(|prompt| is_set(prompt));
    let added = hint.split(' ').filter(|hinted| !hinted.is_empty());
    let mut prompts: Vec<&str> = lasting.collect();
    for hinted in added {
        if !prompts.contains(&hinted) {
            prompts.push(hinted);
        }
    }
    if prompts.is_empty() { setting.to_owned() } else { prompts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(setting: &str, hint: &str) -> String {
        let configured = RequestParameters::parse(setting, &RequestParameters::default()).unwrap();
        let hints: Vec<_> = url::form_urlencoded::parse(hint.as_bytes()).into_owned().collect();
        let merged = LoginHints::from_query(&hints).over(&configured);
        merged.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn claims_of_an_application_join_those_of_the_operator() {
        let asked = r#"{"access_token":{"acrs":{"value":"c1"},"xms_cc":null}}"#;
        let configured = r#"claims={"access_token":{"xms_cc":{"values":["cp1"]}}}&audience=api"#;
        for (setting, expected) in [
            ("audience=api", r#"{"access_token":{"acrs":{"value":"c1"},"xms_cc":null}}"#),
            (configured, r#"{"access_token":{"acrs":{"value":"c1"},"xms_cc":{"values":["cp1"]}}}"#),
        ] {
            let setting = RequestParameters::parse(setting, &RequestParameters::default()).unwrap();
            let asked = ClaimsRequest::parse(asked.as_bytes()).unwrap();
            let link = [("claims".to_owned(), "{}".to_owned())];

            let merged = LoginHints::from_query(&link).with_claims(Some(asked)).over(&setting);

            let claims: Vec<&str> =
                merged.iter().filter(|(name, _)| name == "claims").map(|(_, value)| value.as_str()).collect();
            assert_eq!(claims, [expected]);
            assert!(merged.contains(&("audience".to_owned(), "api".to_owned())));
        }
    }

    #[test]
    fn a_hint_wins_unless_it_would_weaken_the_setting() {
        let table = [
            ("audience=api", "prompt=login", "audience=api&prompt=login", "nothing in common"),
            ("domain_hint=a", "domain_hint=b", "domain_hint=b", "a hint of the same kind"),
            ("prompt=select_account", "prompt=login", "prompt=login", "another prompt"),
            ("prompt=select_account", "prompt=none", "prompt=none", "a silent sign-in"),
            ("prompt=consent", "prompt=none", "prompt=none", "a silent sign-in without a new consent"),
            ("prompt=consent", "prompt=login", "prompt=consent login", "both, or there is no refresh token"),
            ("prompt=login", "prompt=none", "prompt=login", "a fresh authentication stays"),
            ("prompt=login", "prompt=select_account", "prompt=login select_account", "a fresh authentication stays"),
            ("prompt=login", "prompt=login", "prompt=login", "the same"),
            ("prompt=login", "prompt=", "prompt=login", "an empty hint"),
            ("max_age=60", "max_age=600", "max_age=60", "an older authentication"),
            ("max_age=600", "max_age=60", "max_age=60", "a younger one"),
            ("max_age=60", "max_age=never", "max_age=60", "no number"),
            ("acr_values=mfa+phr", "acr_values=phr", "acr_values=phr", "a choice among the configured classes"),
            ("acr_values=mfa", "acr_values=pwd", "acr_values=mfa", "another class"),
            ("acr_values=mfa", "acr_values=", "acr_values=mfa", "no class"),
            ("audience=api", "audience=evil&client_id=evil", "audience=api", "not among the hints"),
            ("audience=api", "claims=%7B%7D", "audience=api", "claims of a link"),
        ];
        for (setting, hint, expected, reason) in table {
            assert_eq!(merged(setting, hint), expected, "{reason}");
        }
    }
}
