//! Suggestions for unknown variables: misspelt settings, and the names that other proxies use.

use std::fmt;

use super::Environment;
use crate::nearest_word::nearest_word;

/// Every setting; `tests/architecture` holds the list to the code.
pub(super) const SETTINGS: &[&str] = &[
    "ALL_PROXY",
    "API_ISSUERS",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "ASSERTION_KEYS",
    "AUTHORIZE_PARAMETERS",
    "AUTH_PREFIX",
    "AZURE_CLIENT_ID",
    "AZURE_CREDENTIAL",
    "AzureFunctionsJobHost__extensions__http__routePrefix",
    "BROWSER_CACHE",
    "CLEAR_SITE_DATA",
    "CLIENT_AUTH_METHOD",
    "CLIENT_BODY_TIMEOUT",
    "CLIENT_HEADER_TIMEOUT",
    "CLIENT_ID",
    "CLIENT_IDLE_TIMEOUT",
    "CLIENT_KEY_ID",
    "CLIENT_KEY_NAME",
    "CLIENT_PRIVATE_KEY",
    "CLIENT_SECRET",
    "COOKIE_KEYS",
    "COOKIE_KEY_NAME",
    "COOKIE_PREFIX",
    "COSMOS_CONTAINER",
    "COSMOS_DATABASE",
    "COSMOS_ENDPOINT",
    "COSMOS_KEY",
    "COSMOS_REGION",
    "EASYAUTH_PROVIDER",
    "FORM_TIMEOUT",
    "FUNCTIONS_CUSTOMHANDLER_PORT",
    "GATEWAY_CERTIFICATE_FINGERPRINTS",
    "GATEWAY_CHECK_OBJECT_IDS",
    "GATEWAY_CHECK_SECRETS",
    "GATEWAY_PROOF",
    "GATEWAY_PROOF_AUDIENCE",
    "GATEWAY_PROOF_HEADER",
    "GATEWAY_PROOF_ISSUER",
    "GATEWAY_PROOF_OBJECT_IDS",
    "GATEWAY_PROOF_SECRETS",
    "GRAPH_ORIGIN",
    "GROUP_OVERAGE",
    "HEADERS",
    "HEADER_PRESET",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ID_TOKEN_SIGNING_ALG",
    "INSECURE_GATEWAY_PROOF_NONE",
    "KEEP_FRAGMENT",
    "KEEP_HEADERS",
    "KEY_ACTIVATION_DELAY",
    "KEY_RELOAD_INTERVAL",
    "KEY_VAULT_URL",
    "LISTEN_ADDR",
    "LOG",
    "MAX_CONNECTIONS",
    "MAX_HEADER_BYTES",
    "MAX_IDLE_UPSTREAM_CONNECTIONS",
    "METADATA_URL",
    "NO_PROXY",
    "OIDC_ISSUER_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SERVICE_NAME",
    "PAGE_ACCENT",
    "PAGE_CONTACT",
    "PAGE_LOGO",
    "PAGE_TITLE",
    "PROVIDER",
    "PUBLIC_BASE_URL",
    "PUSHED_AUTHORIZATION_REQUESTS",
    "REDIRECT_ALIASES",
    "REFRESH_BEFORE_EXPIRY",
    "RESPONSE_MODE",
    "ROUTES",
    "SCOPES",
    "SESSION_CACHE_TTL",
    "SESSION_IDLE_TIMEOUT",
    "SESSION_MAX_LIFETIME",
    "SESSION_STORE",
    "STRIP_HEADERS",
    "TOKEN_KEYS",
    "TOKEN_KEY_NAME",
    "TOKEN_PARAMETERS",
    "TRUSTED_AUDIENCES",
    "UPSTREAM_HOST",
    "UPSTREAM_URL",
    "USERINFO",
    "WORKERS",
];

/// Settings of oauth2-proxy, mod_auth_openidc and others that match one of ours.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("BASE_URL", "PUBLIC_BASE_URL"),
    ("COOKIE_NAME", "COOKIE_PREFIX"),
    ("COOKIE_SECRET", "COOKIE_KEYS"),
    ("COSMOS_CONNECTION_STRING", "COSMOS_ENDPOINT"),
    ("ISSUER_URL", "OIDC_ISSUER_URL"),
    ("KEYVAULT_URL", "KEY_VAULT_URL"),
    ("KEY_VAULT_NAME", "KEY_VAULT_URL"),
    ("KEY_VAULT_URI", "KEY_VAULT_URL"),
    ("LOGLEVEL", "LOG"),
    ("LOG_LEVEL", "LOG"),
    ("OAUTH2_PROXY_CLIENT_ID", "CLIENT_ID"),
    ("OAUTH2_PROXY_CLIENT_SECRET", "CLIENT_SECRET"),
    ("OAUTH2_PROXY_COOKIE_SECRET", "COOKIE_KEYS"),
    ("OAUTH2_PROXY_HTTP_ADDRESS", "LISTEN_ADDR"),
    ("OAUTH2_PROXY_OIDC_ISSUER_URL", "OIDC_ISSUER_URL"),
    ("OAUTH2_PROXY_REDIRECT_URL", "PUBLIC_BASE_URL"),
    ("OAUTH2_PROXY_SCOPE", "SCOPES"),
    ("OAUTH2_PROXY_UPSTREAMS", "UPSTREAM_URL"),
    ("OIDC_CLIENT_ID", "CLIENT_ID"),
    ("OIDC_CLIENT_SECRET", "CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_ISSUER_URL"),
    ("OIDC_METADATA_URL", "METADATA_URL"),
    ("OIDC_SCOPES", "SCOPES"),
    ("PAGE_ACCENT_COLOR", "PAGE_ACCENT"),
    ("PAGE_COLOR", "PAGE_ACCENT"),
    ("PUBLIC_URL", "PUBLIC_BASE_URL"),
    ("REDIRECT_URI", "PUBLIC_BASE_URL"),
    ("SESSION_SECRET", "TOKEN_KEYS"),
    ("SESSION_TIMEOUT", "SESSION_IDLE_TIMEOUT"),
    ("UPSTREAM", "UPSTREAM_URL"),
    ("UPSTREAMS", "UPSTREAM_URL"),
];

/// Name prefixes that only our settings have.
const OWN_BEGINNINGS: &[&str] =
    &["GATEWAY_CERTIFICATE_", "GATEWAY_PROOF_", "INSECURE_", "OAUTH2_PROXY_", "OIDC_", "REFRESH_BEFORE_", "SESSION_"];

/// Foreign variables that resemble ours.
const OF_OTHERS: &[&str] = &["SESSION_MANAGER"];

/// Unknown variable that was probably meant as a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSetting {
    name: String,
    meant: Option<&'static str>,
}

impl fmt::Display for UnknownSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meant {
            Some(meant) => write!(f, "{} is no setting; did you mean {meant}?", self.name),
            None => write!(f, "{} is no setting, and is ignored", self.name),
        }
    }
}

/// Unknown variables that resemble settings, sorted by name. Never their values.
#[must_use]
pub fn unknown_settings(environment: &Environment) -> Vec<UnknownSetting> {
    environment.names().filter_map(unknown).collect()
}

fn unknown(name: &str) -> Option<UnknownSetting> {
    let upper = name.to_ascii_uppercase();
    // Ours are read in both cases, as in curl; FTP_PROXY and the like are foreign.
    let is_proxy = upper.ends_with("_PROXY");
    if SETTINGS.contains(&name) || OF_OTHERS.contains(&name) || is_proxy || is_service_link(&upper) {
        return None;
    }
    let found = OTHER_NAMES.iter().find(|(other, _)| *other == upper).map(|(_, ours)| *ours);
    let meant = found.or_else(|| nearest_word(&upper, SETTINGS));
    let is_ours = OWN_BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning));
    (meant.is_some() || is_ours).then(|| UnknownSetting { name: name.to_owned(), meant })
}

/// True for the service addresses that Kubernetes and container links set: `UPSTREAM_SERVICE_HOST`,
/// `SESSION_PORT_80_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_") && name.contains("_TCP")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> Option<String> {
        unknown(name).map(|unknown| unknown.to_string())
    }

    #[test]
    fn a_misspelt_setting_is_told_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("SESSION_IDEL_TIMEOUT", "SESSION_IDLE_TIMEOUT"),
            ("SESSION_IDLETIMEOUT", "SESSION_IDLE_TIMEOUT"),
            ("PUBLIC_BASEURL", "PUBLIC_BASE_URL"),
            ("OIDC_ISUER_URL", "OIDC_ISSUER_URL"),
            ("CLIENT_SECRETS", "CLIENT_SECRET"),
            ("COOKIE_KEY", "COOKIE_KEYS"),
            ("SCOPE", "SCOPES"),
            ("ROUTE", "ROUTES"),
            ("GATEWAY_PROFF", "GATEWAY_PROOF"),
            ("LISTEN_ADDRESS", "LISTEN_ADDR"),
            ("upstream_url", "UPSTREAM_URL"),
            ("AZURE_CREDENTAIL", "AZURE_CREDENTIAL"),
        ] {
            assert_eq!(message(name), Some(format!("{name} is no setting; did you mean {meant}?")));
        }
    }

    #[test]
    fn a_setting_of_a_peer_is_told_by_our_name() {
        for (name, meant) in OTHER_NAMES {
            assert!(SETTINGS.contains(meant), "{meant}");
            assert_eq!(message(name), Some(format!("{name} is no setting; did you mean {meant}?")));
        }
    }

    #[test]
    fn a_variable_that_begins_like_ours_is_told_even_if_nothing_is_near() {
        for name in ["SESSION_SAMESITE", "OIDC_GROUPS_CLAIM", "OAUTH2_PROXY_EMAIL_DOMAINS", "INSECURE_EVERYTHING"] {
            assert_eq!(message(name), Some(format!("{name} is no setting, and is ignored")));
        }
    }

    #[test]
    fn settings_and_the_variables_of_shells_and_platforms_are_not_told() {
        let others = "PATH HOME SHELL LANG LC_ALL TERM USER LOGNAME PWD OLDPWD HOSTNAME TMPDIR EDITOR PAGER SHLVL \
            SESSION_MANAGER XDG_SESSION_ID XDG_SESSION_TYPE DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION SSH_CLIENT \
            SSH_CONNECTION SSL_CERT_FILE SSL_CERT_DIR RUST_LOG RUST_BACKTRACE PORT REGION_NAME \
            WEBSITE_INSTANCE_ID WEBSITE_SITE_NAME WEBSITE_POD_NAME FUNCTIONS_WORKER_RUNTIME \
            FUNCTIONS_EXTENSION_VERSION FUNCTIONS_HTTPWORKER_PORT FUNCTIONS_CUSTOMHANDLER_WORKER_ID \
            FUNCTIONS_APP_ROOT_PATH AzureWebJobsStorage AzureWebJobsDisableHomepage IDENTITY_ENDPOINT IDENTITY_HEADER \
            MSI_ENDPOINT MSI_SECRET AZURE_TENANT_ID AZURE_CLIENT_SECRET AZURE_AUTHORITY_HOST \
            AZURE_FEDERATED_TOKEN_FILE CONTAINER_APP_NAME CONTAINER_APP_REVISION KUBERNETES_SERVICE_HOST \
            KUBERNETES_PORT_443_TCP_ADDR UPSTREAM_SERVICE_HOST UPSTREAM_SERVICE_PORT SESSION_STORE_SERVICE_HOST \
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL OTEL_RESOURCE_ATTRIBUTES \
            APPLICATIONINSIGHTS_SAMPLING_PERCENTAGE https_proxy no_proxy FTP_PROXY";
        for name in others.split_whitespace().chain(SETTINGS.iter().copied()) {
            assert_eq!(message(name), None);
        }
    }

    #[test]
    fn all_unknown_settings_are_told_and_no_value() {
        let environment = Environment::from([("SCOPE", "secret"), ("UPSTREAMS", "secret"), ("HOME", "/")]);

        let all: Vec<String> = unknown_settings(&environment).iter().map(ToString::to_string).collect();

        assert_eq!(
            all,
            ["SCOPE is no setting; did you mean SCOPES?", "UPSTREAMS is no setting; did you mean UPSTREAM_URL?"]
        );
    }
}
