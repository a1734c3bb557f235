//! Resources of a deployment, for both values of each switch: their names and their rights.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use infra::{Bicep, LONG_NAME, Parameter, root, text};
use serde_json::Value;

/// Name of the recorded list, and the parameters that lead to it.
const CASES: &[(&str, &[Parameter<'_>])] = &[
    ("default", &[]),
    ("private", &[("privateNetworking", "true")]),
    ("autoscale", &[("cosmosThroughput", "'autoscale'")]),
    ("existing-apim", &[("existingApimName", "'contoso-apim'"), ("publicHostName", "'app.contoso.com'")]),
    (
        "private-existing-apim",
        &[
            ("existingApimName", "'contoso-apim'"),
            ("existingApimResourceGroup", "'gateways'"),
            ("publicHostName", "'app.contoso.com'"),
            ("privateNetworking", "true"),
        ],
    ),
    ("direct", &[("webSocketPaths", "['comms']"), ("directPaths", "['files']")]),
    ("client-secret", &[("clientAuthMethod", "'client_secret_basic'")]),
    ("private-key-jwt", &[("clientAuthMethod", "'private_key_jwt'")]),
    ("zone-redundant", &[("zoneRedundant", "true"), ("alwaysReadyInstances", "2")]),
    ("scale-to-zero", &[("alwaysReadyInstances", "0"), ("purgeProtection", "false")]),
    (
        "people-and-certificates",
        &[
            ("alertEmail", "'team@contoso.com'"),
            ("deployerPrincipalId", "'33333333-3333-3333-3333-333333333333'"),
            ("publicHostName", "'app.contoso.com'"),
            ("publicCertificateId", "'https://contoso.vault.azure.net/secrets/app'"),
            (
                "gatewayCertificateId",
                "'/subscriptions/1/resourceGroups/rg/providers/Microsoft.ApiManagement/service/a/certificates/c'",
            ),
            ("gatewayCertificateFingerprint", "'aa'"),
        ],
    ),
];

/// Resources of each case. Empty without a compiler.
static CREATED: LazyLock<Vec<(&str, Vec<Value>)>> = LazyLock::new(|| {
    let Some(bicep) = Bicep::find() else { return Vec::new() };
    CASES.iter().map(|(name, parameters)| (*name, bicep.resources(parameters))).collect()
});

fn created(case: &str) -> Option<&'static [Value]> {
    if CREATED.is_empty() {
        return None;
    }
    let found = CREATED.iter().find(|(name, _)| *name == case);
    Some(&found.unwrap_or_else(|| panic!("there is no case {case}")).1)
}

/// A type, and what Azure takes for its name: the longest, and what it is made of besides letters and digits.
const NAMES: &[(&str, usize, &str)] = &[
    ("Microsoft.Storage/storageAccounts", 24, ""),
    ("Microsoft.KeyVault/vaults", 24, "-"),
    ("Microsoft.DocumentDB/databaseAccounts", 44, "-"),
    ("Microsoft.ApiManagement/service", 50, "-"),
    ("Microsoft.Web/sites", 60, "-"),
    ("Microsoft.Web/serverfarms", 60, "-"),
    ("Microsoft.ManagedIdentity/userAssignedIdentities", 128, "-_"),
    ("Microsoft.OperationalInsights/workspaces", 63, "-"),
    ("Microsoft.Insights/components", 260, "-_."),
    ("Microsoft.Network/virtualNetworks", 64, "-_."),
    ("Microsoft.Network/networkSecurityGroups", 80, "-_."),
    ("Microsoft.Network/privateEndpoints", 64, "-_."),
];

fn value<'a>(resource: &'a Value, pointer: &str) -> &'a Value {
    resource.pointer(pointer).unwrap_or(&Value::Null)
}

fn of_type<'a>(resources: &'a [Value], kind: &str) -> &'a Value {
    resources.iter().find(|resource| resource["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// A line for each resource: its type, and its name where that is known before Azure is asked.
fn list(resources: &[Value]) -> String {
    let mut lines: Vec<String> = resources
        .iter()
        .map(|resource| {
            let name = resource["name"].as_str().unwrap();
            let role = resource["properties"]["roleDefinitionId"].as_str().and_then(|id| id.rsplit('/').next());
            let scope = resource["scope"].as_str().and_then(|scope| scope.rsplit('/').next());
            let shown = role.unwrap_or(if name.starts_with('[') { "?" } else { name });
            match scope {
                Some(scope) => format!("{} {shown} on {scope}", resource["type"].as_str().unwrap()),
                None => format!("{} {shown}", resource["type"].as_str().unwrap()),
            }
        })
        .collect();
    lines.sort();
    lines.join("\n") + "\n"
}

/// `UPDATE_SNAPSHOTS=1 cargo test -p infra` writes the lists anew, to be reviewed.
#[test]
fn each_switch_creates_the_recorded_resources() {
    for (name, resources) in &*CREATED {
        let path = root().join(format!("tests/infra/resources/{name}.txt"));
        let found = list(resources);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{name}");
    }
}

#[test]
fn names_keep_azures_rules_however_long_the_environments_name_is() {
    let Some(bicep) = Bicep::find() else { return };
    for environment in [LONG_NAME, "x"] {
        let environment = format!("'{environment}'");
        let parameters = [("environmentName", &*environment), ("privateNetworking", "true")];
        let resources = bicep.resources(&parameters);
        for (kind, longest, besides) in NAMES {
            for resource in resources.iter().filter(|resource| resource["type"] == *kind) {
                let name = resource["name"].as_str().unwrap();
                let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let is_plain = name.bytes().all(|byte| is_allowed(byte) || besides.as_bytes().contains(&byte));
                assert!(is_plain && (3..=*longest).contains(&name.len()), "{kind}: {name}");
                assert!(name.as_bytes()[0].is_ascii_lowercase() && !name.contains("--"), "{kind}: {name}");
            }
        }
    }
}

#[test]
fn two_environments_share_no_name() {
    let Some(bicep) = Bicep::find() else { return };
    let names = |environment: &str| -> BTreeSet<String> {
        let resources = bicep.resources(&[("environmentName", environment)]);
        let global = ["Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Web/sites"];
        resources
            .iter()
            .filter(|resource| global.contains(&resource["type"].as_str().unwrap()))
            .map(|resource| resource["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(names("'test'").is_disjoint(&names("'production'")));
}

/// Role assignments, each with the place in this project that needs it.
const RIGHTS: &[(&str, &str, &str)] = &[
    ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "infra/modules/function-app.bicep", "AzureWebJobsStorage__credential"),
    ("4633458b-17de-408a-b874-0445c86b69e6", "handler/src/azure/key_vault.rs", "list_secret_properties_versions"),
    ("12338af0-0e69-4776-bea7-57ae8d297424", "handler/src/azure/key_vault_assertion.rs", ".sign("),
    (
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "infra/modules/function-app.bicep",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    ),
    ("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "scripts/keys.sh", "az keyvault secret set"),
    ("00000000-0000-0000-0000-000000000002", "handler/src/azure/cosmos_store.rs", "replace_item"),
    // A role of our own; its name follows from the account's, and that from the subscription of these tests.
    ("2e066192-cf3f-5f2e-8266-5ac753d0d49e", "handler/src/azure/cosmos_store.rs", "container_client"),
];

#[test]
fn every_right_is_needed_by_something_here() {
    if CREATED.is_empty() {
        return;
    }
    let mut given = BTreeSet::new();
    for (_, resources) in &*CREATED {
        for resource in resources {
            if resource["type"].as_str().unwrap().ends_with("oleAssignments") {
                let role = resource["properties"]["roleDefinitionId"].as_str().unwrap();
                given.insert(role.rsplit('/').next().unwrap().trim_end_matches([']', '\'', ')']).to_owned());
            }
        }
    }

    let known: BTreeSet<String> = RIGHTS.iter().map(|(role, ..)| (*role).to_owned()).collect();
    assert_eq!(given, known);
    for (role, path, call) in RIGHTS {
        assert!(text(path).contains(call), "{role}: {path} has no {call}");
    }
}

#[test]
fn the_right_to_sign_is_given_only_where_the_handler_signs() {
    for (case, resources) in &*CREATED {
        let signs = list(resources).contains("12338af0-0e69-4776-bea7-57ae8d297424");
        assert_eq!(signs, *case == "private-key-jwt", "{case}");
    }
}

#[test]
fn nothing_is_reached_by_a_key_and_nothing_private_from_outside() {
    for (case, access) in [("default", "Enabled"), ("private", "Disabled")] {
        let Some(resources) = created(case) else { return };
        let (storage, cosmos) = (
            of_type(resources, "Microsoft.Storage/storageAccounts"),
            of_type(resources, "Microsoft.DocumentDB/databaseAccounts"),
        );
        let (vault, site) =
            (of_type(resources, "Microsoft.KeyVault/vaults"), of_type(resources, "Microsoft.Web/sites"));
        for resource in [storage, cosmos, vault, site] {
            assert_eq!(value(resource, "/properties/publicNetworkAccess"), access, "{}", resource["type"]);
        }
        assert_eq!(value(storage, "/properties/allowSharedKeyAccess"), false);
        assert_eq!(value(storage, "/properties/minimumTlsVersion"), "TLS1_2");
        assert_eq!(value(cosmos, "/properties/disableLocalAuth"), true);
        assert_eq!(value(cosmos, "/properties/minimalTlsVersion"), "Tls12");
        assert_eq!(value(cosmos, "/properties/consistencyPolicy/defaultConsistencyLevel"), "Strong");
        assert_eq!(value(vault, "/properties/enablePurgeProtection"), true);
        assert_eq!(value(vault, "/properties/enableRbacAuthorization"), true);
        assert_eq!(value(site, "/properties/httpsOnly"), true);
        assert_eq!(value(site, "/properties/functionAppConfig/runtime/name"), "custom");
        assert_eq!(value(of_type(resources, "Microsoft.Insights/components"), "/properties/DisableLocalAuth"), true);
        for policy in resources.iter().filter(|r| r["type"] == "Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        {
            assert_eq!(value(policy, "/properties/allow"), false);
        }
    }
}

#[test]
fn sessions_are_kept_as_the_handler_reads_them() {
    let Some(resources) = created("default") else { return };
    let container = of_type(resources, "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers");

    assert_eq!(value(container, "/properties/resource/partitionKey/paths/0"), "/id");
    assert_eq!(value(container, "/properties/resource/defaultTtl"), -1);
    assert_eq!(value(container, "/properties/resource/indexingPolicy/indexingMode"), "consistent");
    assert_eq!(value(container, "/properties/resource/indexingPolicy/excludedPaths/0/path"), "/*");
}

#[test]
fn what_could_not_work_is_refused_before_anything_is_made() {
    let Some(bicep) = Bicep::find() else { return };
    let cases: [(&[Parameter<'_>], &str); 7] = [
        (&[("privateNetworking", "true"), ("apimSku", "'BasicV2'")], "private networking needs apimSku StandardV2"),
        (&[("existingApimName", "'contoso-apim'")], "say in publicHostName which one people type"),
        (&[("publicCertificateId", "'https://v.vault.azure.net/secrets/c'")], "publicHostName, which is empty"),
        (&[("gatewayCertificateId", "'c'")], "belong together"),
        (&[("gatewayCertificateFingerprint", "'aa'")], "belong together"),
        (&[("apimSku", "'Developer'"), ("apimUnits", "2")], "has one unit"),
        (&[("cosmosThroughput", "'autoscale'"), ("cosmosMaximumThroughput", "1500")], "in thousands"),
    ];
    for (parameters, sentence) in cases {
        let (snapshot, complaints) = bicep.try_snapshot(parameters);
        let told = snapshot.map_or(complaints, |snapshot| snapshot.to_string());
        assert!(told.contains(sentence), "{parameters:?}: {told}");
    }
}
