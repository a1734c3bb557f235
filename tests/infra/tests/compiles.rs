//! The real compiler has nothing to say against any file, and nothing secret is in what it makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::LazyLock;

use infra::Bicep;
use serde_json::Value;

/// Every file of `infra/` at once; only the Entra part needs the Graph extension.
const EVERYTHING: &str = "**/*.bicep";

/// Every file, from `infra/`, and its template. Empty where there is no compiler.
static TEMPLATES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let Some(bicep) = ready() else { return BTreeMap::new() };
    assert_silent(&bicep.run(&["build", "--pattern", EVERYTHING]));
    let template = |file: String| {
        let path = bicep.folder().join(&file).with_extension("json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        (file, serde_json::from_str(&text).unwrap())
    };
    files(&bicep).into_iter().map(template).collect()
});

/// The compiler over files that it can all read; without the Graph extension, over all but the Entra part.
fn ready() -> Option<Bicep> {
    let bicep = Bicep::find()?;
    if !bicep.use_local_graph_extension() {
        fs::remove_dir_all(bicep.folder().join("entra")).unwrap();
    }
    Some(bicep)
}

fn files(bicep: &Bicep) -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["", "modules", "entra"] {
        let Ok(entries) = fs::read_dir(bicep.folder().join(folder)) else { continue };
        let paths = entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
        let bicep_files = paths.filter(|path| path.extension().is_some_and(|end| end == "bicep"));
        files.extend(bicep_files.map(|path| path.to_string_lossy().into_owned()));
    }
    assert!(files.len() > 14, "{files:?}");
    files
}

fn assert_silent(output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_file_compiles_without_a_warning() {
    assert_eq!(TEMPLATES.is_empty(), Bicep::find().is_none());
}

#[test]
fn every_file_lints_without_a_warning() {
    let Some(bicep) = ready() else { return };
    assert_silent(&bicep.run(&["lint", "--pattern", EVERYTHING]));
}

#[test]
fn every_file_is_formatted() {
    let Some(bicep) = ready() else { return };
    let read = || -> Vec<String> {
        files(&bicep).iter().map(|file| fs::read_to_string(bicep.folder().join(file)).unwrap()).collect()
    };
    let written = read();

    assert_silent(&bicep.run(&["format", "--pattern", EVERYTHING]));

    for ((file, written), formatted) in files(&bicep).iter().zip(written).zip(read()) {
        assert_eq!(written, formatted, "{file}: run bicep format");
    }
}

#[test]
fn the_compiler_would_say_if_something_were_wrong() {
    let Some(bicep) = ready() else { return };
    let file = bicep.folder().join("modules/identity.bicep");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("tags: tags", "colour: tags")).unwrap();

    for command in ["build", "lint"] {
        let output = bicep.run(&[command, "--pattern", EVERYTHING]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("BCP037"), "{command}");
    }
}

#[test]
fn no_template_asks_a_service_for_its_keys_or_makes_up_a_secret() {
    for (file, template) in &*TEMPLATES {
        let template = template.to_string();
        for call in ["listKeys", "listSecrets", "listConnectionStrings", "listAccountSas", "newGuid", "securestring"] {
            assert!(!template.contains(call), "{file}: {call}");
        }
    }
}

#[test]
fn no_output_carries_a_secret() {
    let outputs = |template: &Value| -> Vec<String> {
        template["outputs"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    for (file, template) in &*TEMPLATES {
        for output in outputs(template) {
            let name = output.to_lowercase();
            let suspicious = ["secret", "password", "connectionstring", "instrumentation", "accesskey", "sas"];
            assert!(!suspicious.iter().any(|word| name.contains(word)), "{file}: {output}");
        }
    }
    if let Some(main) = TEMPLATES.get("main.bicep") {
        assert_eq!(
            outputs(main),
            [
                "FUNCTION_APP_NAME",
                "IDENTITY_PRINCIPAL_ID",
                "KEY_VAULT_NAME",
                "PUBLIC_BASE_URL",
                "REDIRECT_URI",
                "SERVICE_HANDLER_ENDPOINTS"
            ]
        );
    }
}

#[test]
fn the_application_in_entra_has_a_federated_credential_and_no_secret() {
    let Some(template) = TEMPLATES.get("entra/entra-app.bicep") else { return };
    let resources = template["resources"].as_object().unwrap();
    let by_type = |name: &str| -> &Value {
        resources.values().find(|resource| resource["type"].as_str().unwrap().starts_with(name)).unwrap()
    };

    let application = by_type("Microsoft.Graph/applications@");
    assert_eq!(application["properties"]["passwordCredentials"], Value::Null);
    assert_eq!(application["properties"]["keyCredentials"], Value::Null);
    let credential = by_type("Microsoft.Graph/applications/federatedIdentityCredentials@");
    assert_eq!(credential["properties"]["audiences"][0], "api://AzureADTokenExchange");
}
