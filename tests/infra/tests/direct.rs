//! The paths that the gateway takes to the application itself: off by default, asked about by an identity of their own, and
//! without a header that a client could make up.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use infra::{Bicep, Parameter, app_settings, text};
use roxmltree::Document;
use serde_json::Value;

const FILES: [&str; 3] =
    ["infra/apim-check-fragment.xml", "infra/apim-websocket-policy.xml", "infra/apim-direct-policy.xml"];

const ON: [Parameter<'_>; 3] =
    [("webSocketPaths", "['comms']"), ("directPaths", "['files']"), ("upstreamUrl", "'https://app.contoso.com/base/'")];

/// Resources with these parameters. Empty without a compiler.
static MADE: LazyLock<Vec<Value>> = LazyLock::new(|| Bicep::find().map_or(Vec::new(), |bicep| bicep.resources(&ON)));

const CHECK_IDENTITY: Parameter<'_> = (
    "gatewayCheckIdentityId",
    "'/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ask'",
);

/// The headers that the fragment treats so, in lower case.
fn headers(action: &str) -> BTreeSet<String> {
    let text = text(FILES[0]);
    let document = Document::parse(&text).unwrap();
    document
        .descendants()
        .filter(|node| node.has_tag_name("set-header") && node.attribute("exists-action") == Some(action))
        .map(|node| node.attribute("name").unwrap().to_lowercase())
        .collect()
}

fn of_type<'a>(resources: &'a [Value], kind: &str) -> Vec<&'a Value> {
    resources.iter().filter(|resource| resource["type"] == kind).collect()
}

#[test]
fn the_policies_are_well_formed_and_the_fragment_is_in_both() {
    for file in FILES {
        let text = text(file);
        let document = Document::parse(&text).unwrap();
        let included = document.descendants().find(|node| node.has_tag_name("include-fragment"));
        let included = included.map(|node| node.attribute("fragment-id").unwrap());
        assert_eq!(included, (file != FILES[0]).then_some("oauth-proxy-check"), "{file}");
    }
    assert!(text(FILES[1]).contains(r#"name="checkUpgrade" value="websocket""#), "or no Origin would be asked for");
    assert!(text(FILES[2]).contains(r#"name="checkUpgrade" value="""#));
}

/// Headers about the person or the proxy come only from the handler.
#[test]
fn every_header_that_the_handler_may_say_is_deleted_first_and_then_handed_on() {
    let identity = text("handler/src/proxy/identity.rs") + &text("handler/src/state.rs");
    let named = identity.split("named(\"").skip(1).chain(identity.split("(name(\"").skip(1));
    let mut said: BTreeSet<String> = named.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    said.extend(
        ["authorization", "cookie", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"].map(str::to_owned),
    );
    assert!(said.len() > 13, "{said:?}");
    let deleted = headers("delete");
    let handed_on = headers("override");
    for name in &said {
        assert!(deleted.contains(name) && handed_on.contains(name), "{name}");
    }
}

#[test]
fn what_the_other_policy_takes_away_is_taken_away_here() {
    let other = text("infra/apim-policy.xml");
    let other = Document::parse(&other).unwrap();
    let of_the_host = ["x-azure-functions-invocationid", "x-ms-invocation-id"];
    let deleted = headers("delete");
    for node in other.descendants().filter(|node| node.has_tag_name("set-header")) {
        let name = node.attribute("name").unwrap().to_lowercase();
        assert!(of_the_host.contains(&&*name) || deleted.contains(&name), "{name}");
    }
}

#[test]
fn bodies_stream_both_ways() {
    let text = text(FILES[2]);
    let document = Document::parse(&text).unwrap();
    let forward = document.descendants().find(|node| node.has_tag_name("forward-request")).unwrap();
    for name in ["buffer-request-body", "buffer-response", "follow-redirects", "fail-on-error-status-code"] {
        assert_eq!(forward.attribute(name), Some("false"), "{name}");
    }
}

#[test]
fn nothing_of_it_is_made_by_default() {
    let Some(bicep) = Bicep::find() else { return };
    let resources = bicep.resources(&[]);

    assert!(!app_settings(&resources).iter().any(|setting| setting.starts_with("GATEWAY_CHECK_")));
    assert_eq!(of_type(&resources, "Microsoft.ApiManagement/service/policyFragments").len(), 0);
    assert_eq!(of_type(&resources, "Microsoft.ApiManagement/service/apis").len(), 1);
    let apim = of_type(&resources, "Microsoft.ApiManagement/service")[0];
    assert_eq!(apim["identity"]["type"], "SystemAssigned");
}

#[test]
fn sockets_and_large_requests_have_an_api_each_that_leads_to_the_application() {
    if MADE.is_empty() {
        return;
    }
    let resources = &*MADE;
    let api = |path: &str| {
        let apis = of_type(resources, "Microsoft.ApiManagement/service/apis");
        apis.into_iter().find(|api| api["properties"]["path"] == path).unwrap()["properties"].clone()
    };

    let sockets = api("comms");
    assert_eq!(
        (&sockets["type"], &sockets["serviceUrl"]),
        (&"websocket".into(), &"wss://app.contoso.com/base/comms".into())
    );
    assert_eq!(sockets["protocols"], serde_json::json!(["wss"]));
    let direct = api("files");
    assert_eq!(
        (&direct["type"], &direct["serviceUrl"]),
        (&"http".into(), &"https://app.contoso.com/base/files".into())
    );
    let policies = of_type(resources, "Microsoft.ApiManagement/service/apis/operations/policies");
    assert!(policies[0]["name"].as_str().unwrap().ends_with("/oauth-proxy-ws-comms/onHandshake/policy"));
    let operations = of_type(resources, "Microsoft.ApiManagement/service/apis/operations");
    let of_files = operations.iter().filter(|operation| operation["name"].as_str().unwrap().contains("direct-files"));
    let of_everything =
        operations.iter().filter(|operation| operation["name"].as_str().unwrap().contains("/oauth-proxy/"));
    assert_eq!(of_files.count(), of_everything.count());
}

#[test]
fn the_gateway_asks_with_an_identity_that_forwards_nothing() {
    let Some(bicep) = Bicep::find() else { return };
    let existing = [("existingApimName", "'contoso-apim'"), ("publicHostName", "'app.contoso.com'"), CHECK_IDENTITY];
    for resources in [&*MADE, &bicep.resources(&[&ON[..], &existing].concat())] {
        let settings = &of_type(resources, "Microsoft.Web/sites/config")[0]["properties"];
        let (forwards, asks) = (&settings["GATEWAY_PROOF_OBJECT_IDS"], &settings["GATEWAY_CHECK_OBJECT_IDS"]);
        assert!(asks.is_string() && forwards.is_string() && asks != forwards, "{forwards} {asks}");
    }
    let apim = of_type(&MADE, "Microsoft.ApiManagement/service")[0];
    assert_eq!(apim["identity"]["type"], "SystemAssigned, UserAssigned");
    let (status, complaints) = bicep.try_snapshot(&[&ON[..], &existing[..2]].concat());
    let told = status.map_or(complaints, |snapshot| snapshot.to_string());
    assert!(told.contains("need gatewayCheckIdentityId"), "{told}");
}

#[test]
fn every_named_value_is_made_and_a_certificate_is_shown_where_one_is_asked_for() {
    let Some(bicep) = Bicep::find() else { return };
    let certificate = [
        (
            "gatewayCertificateId",
            "'/subscriptions/1/resourceGroups/rg/providers/Microsoft.ApiManagement/service/a/certificates/cert'",
        ),
        ("gatewayCertificateFingerprint", "'aa'"),
    ];
    let fragment = |resources: &[Value]| {
        of_type(resources, "Microsoft.ApiManagement/service/policyFragments")[0]["properties"]["value"].clone()
    };
    let made: BTreeSet<String> = of_type(&MADE, "Microsoft.ApiManagement/service/namedValues")
        .iter()
        .map(|value| value["properties"]["displayName"].as_str().unwrap().to_owned())
        .collect();

    for file in FILES {
        for used in text(file).split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().to_owned()) {
            assert!(made.contains(&used), "{file}: {used}");
        }
    }
    assert!(!fragment(&MADE).as_str().unwrap().contains("authentication-certificate"));
    let shown = fragment(&bicep.resources(&[&ON[..], &certificate].concat()));
    assert!(shown.as_str().unwrap().contains(r#"<authentication-certificate certificate-id="cert" />"#), "{shown}");
}
