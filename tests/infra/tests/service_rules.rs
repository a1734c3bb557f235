//! Rules that no compiler knows: Azure's services check them when a deployment arrives, after minutes, and a whole layer fails.
//!
//! Each is written down here with its source, and held against what the switches create. A second test breaks each rule.

use std::sync::LazyLock;

use infra::{Bicep, Parameter};
use serde_json::{Value, json};

const SWITCHES: &[&[Parameter<'_>]] = &[
    &[("alertEmail", "'team@contoso.com'")],
    &[
        ("privateNetworking", "true"),
        ("zoneRedundant", "true"),
        ("cosmosThroughput", "'autoscale'"),
        ("cosmosMaximumThroughput", "4000"),
    ],
    &[("apimSku", "'Developer'"), ("purgeProtection", "false"), ("alwaysReadyInstances", "0")],
];

/// Resources for each switch. Empty without a compiler.
static CREATED: LazyLock<Vec<Vec<Value>>> = LazyLock::new(|| {
    let Some(bicep) = Bicep::find() else { return Vec::new() };
    SWITCHES.iter().map(|parameters| bicep.resources(parameters)).collect()
});

const LOG_ALERT: &str = "Microsoft.Insights/scheduledQueryRules";
const METRIC_ALERT: &str = "Microsoft.Insights/metricAlerts";
const ACTION_GROUP: &str = "Microsoft.Insights/actionGroups";
const DIAGNOSTICS: &str = "Microsoft.Insights/diagnosticSettings";
const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
const VAULT: &str = "Microsoft.KeyVault/vaults";
const COSMOS: &str = "Microsoft.DocumentDB/databaseAccounts";
const CONTAINER: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";
const COSMOS_ROLE: &str = "Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const PLAN: &str = "Microsoft.Web/serverfarms";
const APP: &str = "Microsoft.Web/sites";
const APIM: &str = "Microsoft.ApiManagement/service";
const API: &str = "Microsoft.ApiManagement/service/apis";
const OPERATION: &str = "Microsoft.ApiManagement/service/apis/operations";
const NAMED_VALUE: &str = "Microsoft.ApiManagement/service/namedValues";
const NETWORK: &str = "Microsoft.Network/virtualNetworks";

struct Rule {
    kind: &'static str,
    /// The rule, and where it is written.
    says: &'static str,
    holds: fn(&Value) -> bool,
    /// Values at places of a resource, each of which breaks the rule.
    breaches: fn() -> Vec<(&'static str, Value)>,
}

const RULES: &[Rule] = &[
    Rule {
        kind: LOG_ALERT,
        says: "stateful rules with a frequency of more than 12 hours are not supported (log alert rules, limitations)",
        holds: |rule| minutes(&rule["properties"]["evaluationFrequency"]) <= 720 || !is_stateful(rule),
        breaches: || vec![("/properties/evaluationFrequency", json!("P1D"))],
    },
    Rule {
        kind: LOG_ALERT,
        says: "the frequency and the window are of a list; the window is as long as the frequency or longer",
        holds: |rule| {
            let frequency = minutes(&rule["properties"]["evaluationFrequency"]);
            let window = minutes(&rule["properties"]["windowSize"]);
            let is_listed = |minutes| [1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440].contains(&minutes);
            is_listed(frequency) && (is_listed(window) || window == 2880) && window >= frequency
        },
        breaches: || {
            vec![
                ("/properties/evaluationFrequency", json!("PT7M")),
                ("/properties/windowSize", json!("PT3M")),
                ("/properties/windowSize", json!("P3D")),
            ]
        },
    },
    Rule {
        kind: LOG_ALERT,
        says: "a query every minute must be one that can be optimised: none is (azure-rest-api-specs 20341)",
        holds: |rule| minutes(&rule["properties"]["evaluationFrequency"]) >= 5,
        breaches: || vec![("/properties/evaluationFrequency", json!("PT1M"))],
    },
    Rule {
        kind: LOG_ALERT,
        says: "muteActionsDuration needs a rule that is not stateful (azure-powershell 22583)",
        holds: |rule| rule["properties"]["muteActionsDuration"].is_null() || !is_stateful(rule),
        breaches: || vec![("/properties/muteActionsDuration", json!("P1D"))],
    },
    Rule {
        kind: LOG_ALERT,
        says: "1 to 6 evaluation periods, and no more failing ones than there are",
        holds: |rule| {
            let periods = &rule["properties"]["criteria"]["allOf"][0]["failingPeriods"];
            let all = periods["numberOfEvaluationPeriods"].as_i64().unwrap_or(0);
            (1..=6).contains(&all) && (1..=all).contains(&periods["minFailingPeriodsToAlert"].as_i64().unwrap_or(0))
        },
        breaches: || {
            vec![
                ("/properties/criteria/allOf/0/failingPeriods/numberOfEvaluationPeriods", json!(0)),
                ("/properties/criteria/allOf/0/failingPeriods/minFailingPeriodsToAlert", json!(2)),
            ]
        },
    },
    Rule {
        kind: LOG_ALERT,
        says: "the severity is 0 to 4, and at most five action groups are called",
        holds: |rule| is_severity(rule) && length(&rule["properties"]["actions"]["actionGroups"]) <= 5,
        breaches: || {
            vec![
                ("/properties/severity", json!(5)),
                ("/properties/actions/actionGroups", json!(["1", "2", "3", "4", "5", "6"])),
            ]
        },
    },
    Rule {
        kind: METRIC_ALERT,
        says: "metric alerts are global; frequency and window are of a list",
        holds: |rule| {
            let frequency = minutes(&rule["properties"]["evaluationFrequency"]);
            let window = minutes(&rule["properties"]["windowSize"]);
            rule["location"] == "global"
                && is_severity(rule)
                && [1, 5, 15, 30, 60].contains(&frequency)
                && [1, 5, 15, 30, 60, 360, 720, 1440].contains(&window)
                && window >= frequency
        },
        breaches: || {
            vec![
                ("/location", json!("westeurope")),
                ("/properties/evaluationFrequency", json!("PT10M")),
                ("/properties/windowSize", json!("PT1M")),
                ("/properties/severity", json!(9)),
            ]
        },
    },
    Rule {
        kind: METRIC_ALERT,
        says: "TotalRequests of Cosmos DB is counted, by nothing else than Count (supported metrics)",
        holds: |rule| {
            let criterion = &rule["properties"]["criteria"]["allOf"][0];
            criterion["metricName"] == "TotalRequests" && criterion["timeAggregation"] == "Count"
        },
        breaches: || vec![("/properties/criteria/allOf/0/timeAggregation", json!("Total"))],
    },
    Rule {
        kind: ACTION_GROUP,
        says: "the short name has 1 to 12 characters, and the group is global",
        holds: |group| {
            let name = group["properties"]["groupShortName"].as_str().unwrap_or_default();
            (1..=12).contains(&name.len()) && group["location"] == "global"
        },
        breaches: || {
            vec![("/properties/groupShortName", json!("oauth-proxy-operators")), ("/location", json!("westeurope"))]
        },
    },
    Rule {
        kind: DIAGNOSTICS,
        says: "a log has a category or a categoryGroup, not both; its retention is the workspace's",
        holds: |setting| {
            let logs = setting["properties"]["logs"].as_array().unwrap();
            !logs.is_empty()
                && logs.iter().all(|log| log["category"].is_null() != log["categoryGroup"].is_null())
                && logs.iter().all(|log| log["retentionPolicy"].is_null())
        },
        breaches: || {
            vec![
                ("/properties/logs", json!([])),
                ("/properties/logs/0", json!({"category": "a", "categoryGroup": "audit"})),
                ("/properties/logs/0/retentionPolicy", json!({"enabled": true, "days": 30})),
            ]
        },
    },
    Rule {
        kind: WORKSPACE,
        says: "retention of 30 to 730 days",
        holds: |workspace| {
            let days = workspace["properties"]["retentionInDays"].as_i64();
            days.is_some_and(|days| (30..=730).contains(&days))
        },
        breaches: || vec![("/properties/retentionInDays", json!(7))],
    },
    Rule {
        kind: VAULT,
        says: "softDeleteRetentionInDays can't be changed later, so no switch may change it",
        holds: |vault| vault["properties"]["softDeleteRetentionInDays"] == 90,
        breaches: || vec![("/properties/softDeleteRetentionInDays", json!(7))],
    },
    Rule {
        kind: VAULT,
        says: "enablePurgeProtection may be true or absent, never false",
        holds: |vault| vault["properties"].get("enablePurgeProtection").is_none_or(|value| value != false),
        breaches: || vec![("/properties/enablePurgeProtection", json!(false))],
    },
    Rule {
        kind: COSMOS,
        says: "the continuous backup has a tier; strong consistency needs a single region",
        holds: |account| {
            let backup = &account["properties"]["backupPolicy"];
            length(&account["properties"]["locations"]) == 1
                && backup["type"] == "Continuous"
                && backup["continuousModeProperties"]["tier"].is_string()
        },
        breaches: || {
            vec![
                ("/properties/locations", json!([{}, {}])),
                ("/properties/backupPolicy/continuousModeProperties", json!({})),
            ]
        },
    },
    Rule {
        kind: COSMOS,
        says: "isZoneRedundant is said: where it isn't, a serverless account takes zones, which many regions lack",
        holds: |account| account["properties"]["locations"][0]["isZoneRedundant"].is_boolean(),
        breaches: || vec![("/properties/locations/0", json!({"locationName": "westeurope"}))],
    },
    Rule {
        kind: CONTAINER,
        says: "time to live needs an index: indexingMode is not none",
        holds: |container| container["properties"]["resource"]["indexingPolicy"]["indexingMode"] != "none",
        breaches: || vec![("/properties/resource/indexingPolicy/indexingMode", json!("none"))],
    },
    Rule {
        kind: CONTAINER,
        says: "autoscale's limit is a multiple of 1000 request units",
        holds: |container| {
            let limit = container["properties"]["options"]["autoscaleSettings"]["maxThroughput"].as_i64();
            limit.is_none_or(|limit| limit >= 1000 && limit % 1000 == 0)
        },
        breaches: || vec![("/properties/options", json!({"autoscaleSettings": {"maxThroughput": 1500}}))],
    },
    Rule {
        kind: COSMOS_ROLE,
        says: "a role of one's own is a CustomRole, with data actions of Cosmos DB alone",
        holds: |role| {
            let actions = role["properties"]["permissions"][0]["dataActions"].as_array().cloned().unwrap_or_default();
            let is_ours = |action: &Value| action.as_str().unwrap_or_default().starts_with("Microsoft.DocumentDB/");
            role["properties"]["type"] == "CustomRole" && !actions.is_empty() && actions.iter().all(is_ours)
        },
        breaches: || {
            vec![
                ("/properties/type", json!("BuiltInRole")),
                ("/properties/permissions/0/dataActions", json!(["Microsoft.Storage/x"])),
            ]
        },
    },
    Rule {
        kind: STORAGE,
        says: "a private account refuses by default; the host needs no shared key",
        holds: |account| {
            let properties = &account["properties"];
            (properties["publicNetworkAccess"] == "Disabled") == (properties["networkAcls"]["defaultAction"] == "Deny")
                && properties["allowSharedKeyAccess"] == false
        },
        breaches: || {
            vec![
                ("/properties/networkAcls/defaultAction", json!("Deny")),
                ("/properties/publicNetworkAccess", json!("Disabled")),
                ("/properties/allowSharedKeyAccess", json!(true)),
            ]
        },
    },
    Rule {
        kind: PLAN,
        says: "Flex Consumption is FC1 on Linux (reserved)",
        holds: |plan| plan["sku"]["name"] == "FC1" && plan["properties"]["reserved"] == true,
        breaches: || vec![("/properties/reserved", json!(false)), ("/sku/name", json!("Y1"))],
    },
    Rule {
        kind: APP,
        says: "Flex Consumption refuses alwaysOn, linuxFxVersion and 32-bit; the runtime is in functionAppConfig",
        holds: |app| {
            let site = &app["properties"]["siteConfig"];
            ["alwaysOn", "linuxFxVersion", "use32BitWorkerProcess", "appSettings"]
                .iter()
                .all(|name| site[name].is_null())
                && app["properties"]["functionAppConfig"]["runtime"]["name"] == "custom"
        },
        breaches: || {
            vec![
                ("/properties/siteConfig/alwaysOn", json!(true)),
                ("/properties/siteConfig/linuxFxVersion", json!("CUSTOM|1.0")),
                ("/properties/functionAppConfig/runtime/name", json!("rust")),
            ]
        },
    },
    Rule {
        kind: APP,
        says: "40 to 1000 instances, 1 to 1000 requests on each, of 512, 2048 or 4096 MB",
        holds: |app| {
            let scale = &app["properties"]["functionAppConfig"]["scaleAndConcurrency"];
            let is_within =
                |value: &Value, low, high| value.as_i64().is_some_and(|value| (low..=high).contains(&value));
            is_within(&scale["maximumInstanceCount"], 40, 1000)
                && is_within(&scale["triggers"]["http"]["perInstanceConcurrency"], 1, 1000)
                && [512, 2048, 4096].contains(&scale["instanceMemoryMB"].as_i64().unwrap_or(0))
        },
        breaches: || {
            vec![
                ("/properties/functionAppConfig/scaleAndConcurrency/maximumInstanceCount", json!(10)),
                ("/properties/functionAppConfig/scaleAndConcurrency/instanceMemoryMB", json!(1024)),
                ("/properties/functionAppConfig/scaleAndConcurrency/triggers/http/perInstanceConcurrency", json!(0)),
            ]
        },
    },
    Rule {
        kind: APIM,
        says: "the Developer tier has one unit, the v2 tiers ten at most; only classic tiers take protocol switches",
        holds: |service| {
            let (tier, units) = (&service["sku"]["name"], service["sku"]["capacity"].as_i64().unwrap_or(0));
            let is_developer = tier == "Developer";
            let most = if is_developer { 1 } else { 10 };
            (1..=most).contains(&units) && (is_developer || service["properties"]["customProperties"].is_null())
        },
        breaches: || vec![("/sku/capacity", json!(11)), ("/properties/customProperties", json!({"Tls10": "false"}))],
    },
    Rule {
        kind: APIM,
        says: "of the v2 tiers only StandardV2 and PremiumV2 join a network",
        holds: |service| {
            let is_joined = service["properties"]["virtualNetworkType"] != "None";
            !is_joined || service["sku"]["name"] == "StandardV2"
        },
        breaches: || vec![("/properties/virtualNetworkType", json!("Internal"))],
    },
    Rule {
        kind: API,
        says: "an API's path has no slash at either end",
        holds: |api| {
            let path = api["properties"]["path"].as_str().unwrap_or("/");
            !path.starts_with('/') && !path.ends_with('/')
        },
        breaches: || vec![("/properties/path", json!("/"))],
    },
    Rule {
        kind: OPERATION,
        says: "the v2 tiers have no operation for every method: each is named",
        holds: |operation| {
            let method = operation["properties"]["method"].as_str().unwrap_or("*");
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
        },
        breaches: || vec![("/properties/method", json!("*"))],
    },
    Rule {
        kind: NAMED_VALUE,
        says: "a named value has letters, digits, dots, dashes and underscores in its name, and 1 to 4096 characters",
        holds: |value| {
            let properties = &value["properties"];
            let name = properties["displayName"].as_str().unwrap_or_default();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let text = properties["value"].as_str().unwrap_or_default();
            !name.is_empty() && name.bytes().all(is_plain) && (1..=4096).contains(&text.len())
        },
        breaches: || vec![("/properties/displayName", json!("a b")), ("/properties/value", json!(""))],
    },
    Rule {
        kind: NETWORK,
        says: "each service's subnet has the delegation it asks for; Flex Consumption takes no underscore in a name",
        holds: |network| {
            let subnet = |name: &str| -> &Value {
                let subnets = network["properties"]["subnets"].as_array().unwrap();
                subnets.iter().find(|subnet| subnet["name"] == name).unwrap_or(&Value::Null)
            };
            let delegation =
                |name: &str| subnet(name)["properties"]["delegations"][0]["properties"]["serviceName"].clone();
            delegation("functions") == "Microsoft.App/environments"
                && delegation("gateway") == "Microsoft.Web/serverFarms"
                && !subnet("gateway")["properties"]["networkSecurityGroup"].is_null()
        },
        breaches: || {
            vec![
                ("/properties/subnets/1/name", json!("flex_subnet")),
                (
                    "/properties/subnets/1/properties/delegations/0/properties/serviceName",
                    json!("Microsoft.Web/serverFarms"),
                ),
                ("/properties/subnets/2/properties/networkSecurityGroup", Value::Null),
            ]
        },
    },
];

fn is_stateful(rule: &Value) -> bool {
    rule["properties"]["autoMitigate"] != false
}

fn is_severity(rule: &Value) -> bool {
    rule["properties"]["severity"].as_i64().is_some_and(|severity| (0..=4).contains(&severity))
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// An ISO 8601 duration of one unit, in minutes; 0 for anything else.
fn minutes(duration: &Value) -> i64 {
    let text = duration.as_str().unwrap_or_default();
    let number = |text: &str, unit: &str| text.strip_suffix(unit).and_then(|number| number.parse::<i64>().ok());
    match (text.strip_prefix("PT"), text.strip_prefix('P')) {
        (Some(time), _) => number(time, "M").or_else(|| Some(number(time, "H")? * 60)),
        (None, Some(date)) => number(date, "D").map(|days| days * 1440),
        (None, None) => None,
    }
    .unwrap_or(0)
}

/// Sets a value at a place of a resource, which is made where it isn't there.
fn set(resource: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = resource.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}: its parent is absent"));
    match member.parse::<usize>() {
        Ok(index) => parent[index] = value,
        Err(_) => parent[member] = value,
    }
}

#[test]
fn what_is_created_keeps_the_services_rules() {
    for (switches, resources) in SWITCHES.iter().zip(&*CREATED) {
        for rule in RULES {
            for resource in resources.iter().filter(|resource| resource["type"] == rule.kind) {
                assert!((rule.holds)(resource), "{} ({switches:?}): {resource:#}", rule.says);
            }
        }
    }
}

#[test]
fn a_breach_of_each_rule_is_seen() {
    if CREATED.is_empty() {
        return;
    }
    for rule in RULES {
        let mut all = CREATED.iter().flatten();
        let resource = all.find(|resource| resource["type"] == rule.kind);
        let resource = resource.unwrap_or_else(|| panic!("nothing creates a {}", rule.kind));
        for (pointer, value) in (rule.breaches)() {
            let mut broken = resource.clone();
            set(&mut broken, pointer, value);
            assert!(!(rule.holds)(&broken), "{}: {pointer}", rule.says);
        }
    }
}
