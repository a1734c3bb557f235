//! The real compiler has nothing to say against any file, and nothing secret is in what it makes of them.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use infra::Bicep;
use serde_json::Value;

/// Every file, from `infra/`, and its template. Empty where there is no compiler.
static TEMPLATES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let Some(bicep) = Bicep::find() else { return BTreeMap::new() };
    files(&bicep).into_iter().map(|file| (file.clone(), bicep.template(&file))).collect()
});

fn files(bicep: &Bicep) -> Vec<String> {
    let mut files = vec!["main.bicep".to_owned()];
    for entry in fs::read_dir(bicep.folder().join("modules")).unwrap() {
        files.push(format!("modules/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    if bicep.use_local_graph_extension() {
        files.extend(["entra/main.bicep", "entra/entra-app.bicep"].map(str::to_owned));
    }
    assert!(files.len() > 12, "{files:?}");
    files
}

#[test]
fn every_file_compiles_and_lints_without_a_warning() {
    let Some(bicep) = Bicep::find() else { return };
    assert!(TEMPLATES.len() > 12);
    for file in files(&bicep) {
        let output = bicep.run(&["lint", &file]);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_file_is_formatted() {
    let Some(bicep) = Bicep::find() else { return };
    for file in files(&bicep) {
        let output = bicep.run(&["format", &file, "--stdout"]);
        let written = fs::read_to_string(bicep.folder().join(&file)).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), written, "{file}: run bicep format");
    }
}

#[test]
fn the_compiler_would_say_if_something_were_wrong() {
    let Some(bicep) = Bicep::find() else { return };
    let file = bicep.folder().join("modules/identity.bicep");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("tags: tags", "colour: tags")).unwrap();

    let output = bicep.run(&["build", "modules/identity.bicep", "--stdout"]);

    assert!(String::from_utf8_lossy(&output.stderr).contains("BCP037"));
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
            ["FUNCTION_APP_NAME", "IDENTITY_PRINCIPAL_ID", "KEY_VAULT_NAME", "PUBLIC_BASE_URL", "REDIRECT_URI"]
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
