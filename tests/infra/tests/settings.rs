//! The settings, metrics and headers that `infra/` names are those of the handler.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use infra::{Bicep, app_settings, root, text};

/// Settings of the platform, which the handler doesn't read.
const PLATFORM: &[&str] = &[
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsDisableHomepage",
];

fn documented() -> BTreeSet<String> {
    let text = text("docs/configuration.md");
    text.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
}

/// Everything that is written in the handler's settings.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if !path.ends_with("tests.rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn handler() -> String {
    let mut text = String::new();
    sources(&root().join("handler/src/config"), &mut text);
    text
}

#[test]
fn every_app_setting_is_one_of_the_handlers_and_documented() {
    let Some(bicep) = Bicep::find() else { return };
    let (documented, handler) = (documented(), handler());
    let cases: [&[infra::Parameter<'_>]; 7] = [
        &[],
        &[("webSocketPaths", "['comms']")],
        &[("accessScope", "'api://app/access'")],
        &[("additionalSettings", "{ ROUTES: '[]', AUTH_PREFIX: '/login', GROUP_OVERAGE: 'graph' }")],
        &[("clientAuthMethod", "'client_secret_post'")],
        &[("clientAuthMethod", "'private_key_jwt'")],
        &[("gatewayCertificateId", "'c'"), ("gatewayCertificateFingerprint", "'aa'")],
    ];
    for parameters in cases {
        let settings = app_settings(&bicep.resources(parameters));
        for setting in settings.iter().filter(|setting| !PLATFORM.contains(&setting.as_str())) {
            assert!(documented.contains(setting), "{setting} has no row in docs/configuration.md");
            assert!(handler.contains(&format!("name: \"{setting}\"")), "{setting} is nothing to the handler");
        }
        // Settings of other plans, which Flex Consumption refuses.
        for foreign in ["FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE"] {
            assert!(!settings.iter().any(|setting| setting == foreign), "{foreign}");
        }
    }
}

#[test]
fn routes_take_the_place_of_the_one_upstream() {
    let Some(bicep) = Bicep::find() else { return };
    let settings = app_settings(&bicep.resources(&[("additionalSettings", "{ ROUTES: '[]' }")]));
    let has = |name: &str| settings.iter().any(|setting| setting == name);
    assert_eq!((has("ROUTES"), has("UPSTREAM_URL")), (true, false));
}

#[test]
fn only_the_method_that_needs_it_gets_the_secret_and_only_as_a_reference() {
    let Some(bicep) = Bicep::find() else { return };
    let secret = |method: &str| {
        let resources = bicep.resources(&[("clientAuthMethod", method)]);
        let settings = resources.iter().find(|resource| resource["type"] == "Microsoft.Web/sites/config").unwrap();
        settings["properties"]["CLIENT_SECRET"].as_str().map(str::to_owned)
    };
    assert_eq!(secret("'managed_identity'"), None);
    assert!(secret("'client_secret_basic'").unwrap().starts_with("@Microsoft.KeyVault(VaultName=kv-"));
}

/// The words of a text that look like one of our metrics.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    let prefixes = ["oauth_proxy.", "http.server.", "db.client.", "azure.cosmosdb."];
    text.split(|c: char| !is_part(c))
        .map(|word| word.trim_matches('.'))
        .filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn workbook_and_alerts_ask_for_metrics_that_the_handler_sends() {
    let workbook = text("infra/workbook.json");
    serde_json::from_str::<serde_json::Value>(&workbook).unwrap();
    let asked = metrics(&(workbook + &text("infra/modules/alerts.bicep")));
    assert!(asked.len() > 8, "{asked:?}");

    let sent = metrics(&text("handler/src/telemetry/metrics.rs"));
    let unknown: Vec<&String> = asked.difference(&sent).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_metric_is_documented() {
    let documented = metrics(&text("docs/operations.md"));
    let sent = metrics(&text("handler/src/telemetry/metrics.rs"));
    assert_eq!(sent.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_alert_has_a_runbook() {
    let (alerts, operations) = (text("infra/modules/alerts.bicep"), text("docs/operations.md"));
    let named = alerts.lines().filter_map(|line| line.trim().strip_prefix("name: '")?.strip_suffix('\''));
    // The action group is named after the project, and a loop's rule after the row it comes from.
    let rules: Vec<&str> =
        named.filter(|name| *name != "oauth-proxy" && name.contains('-') && !name.contains('$')).collect();
    assert!(rules.len() >= 5, "{rules:?}");
    for rule in rules {
        let name = rule.trim_start_matches("oauth-proxy-");
        assert!(operations.contains(&format!("`{name}`")), "docs/operations.md has no runbook for {name}");
    }
}

#[test]
fn the_registration_in_entra_follows_the_handlers_prefix() {
    let Some(bicep) = Bicep::find() else { return };
    if !bicep.use_local_graph_extension() {
        return;
    }
    for (settings, prefix) in [("{}", "/oauth"), (r#"{"AUTH_PREFIX": "/login"}"#, "/login")] {
        let arguments = ["build-params", "entra/main.bicepparam", "--stdout"];
        let output = bicep.run_with(&arguments, &[("ADDITIONAL_SETTINGS", settings)]);
        let built: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let parameters: serde_json::Value = serde_json::from_str(built["parametersJson"].as_str().unwrap()).unwrap();
        assert_eq!(parameters["parameters"]["authPrefix"]["value"], prefix, "{settings}");
    }
}
