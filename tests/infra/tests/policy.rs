//! The gateway's policy is well-formed, proves what the handler wants proved, and leaves everything else alone.

use std::collections::BTreeSet;

use infra::{Bicep, text};
use roxmltree::{Document, Node};

fn policy() -> String {
    text("infra/apim-policy.xml")
}

fn element<'a>(document: &'a Document<'a>, name: &str) -> Node<'a, 'a> {
    document.descendants().find(|node| node.has_tag_name(name)).unwrap_or_else(|| panic!("no {name}"))
}

/// The headers that the policy treats so, in lower case.
fn headers(action: &str) -> BTreeSet<String> {
    let text = policy();
    let document = Document::parse(&text).unwrap();
    document
        .descendants()
        .filter(|node| node.has_tag_name("set-header") && node.attribute("exists-action") == Some(action))
        .map(|node| node.attribute("name").unwrap().to_lowercase())
        .collect()
}

/// The header that a constant of the handler names.
fn header_name(path: &str, constant: &str) -> String {
    let text = text(path);
    let marker = format!("const {constant}: HeaderName = HeaderName::from_static(\"");
    let rest = text.split(&marker).nth(1).unwrap_or_else(|| panic!("{path} has no {marker}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn whatever_the_handler_believes_the_policy_overrides() {
    let believed = [
        header_name("handler/src/web/gateway_proof.rs", "CLIENT_ADDRESS"),
        header_name("handler/src/web/header_names.rs", "GATEWAY_HOST"),
        header_name("handler/src/web/gateway_proof.rs", "DEFAULT_PROOF"),
    ];
    let overridden = headers("override");
    for header in believed {
        assert!(overridden.contains(&header), "{header} passes as the client sent it");
    }
}

#[test]
fn whatever_only_the_platform_may_say_is_deleted() {
    let deleted = headers("delete");
    let platform = [
        header_name("handler/src/web/header_names.rs", "FUNCTIONS_INVOCATION_ID"),
        header_name("handler/src/web/arrived_target.rs", "UNENCODED_URL"),
        header_name("handler/src/web/gateway_proof.rs", "CLIENT_CERTIFICATE"),
        "x-functions-key".to_owned(),
        "x-ms-client-principal".to_owned(),
    ];
    for header in platform {
        assert!(deleted.contains(&header), "{header} passes as the client sent it");
    }
}

#[test]
fn what_the_application_may_need_is_left_alone() {
    let text = policy();
    let document = Document::parse(&text).unwrap();
    let touched: BTreeSet<String> = headers("delete").union(&headers("override")).cloned().collect();
    for header in ["authorization", "cookie", "host", "origin", "referer", "accept-encoding", "traceparent"] {
        assert!(!touched.contains(header), "{header}");
    }
    let names =
        ["set-body", "rewrite-uri", "cors", "cache-store", "cache-lookup", "validate-content", "set-query-parameter"];
    for name in names {
        assert!(!document.descendants().any(|node| node.has_tag_name(name)), "{name}");
    }
}

#[test]
fn bodies_stream_redirects_pass_and_nothing_outlasts_the_platform() {
    let text = policy();
    let document = Document::parse(&text).unwrap();
    let forward = element(&document, "forward-request");
    let is = |name: &str, value: &str| assert_eq!(forward.attribute(name), Some(value), "{name}");
    is("buffer-request-body", "false");
    is("buffer-response", "false");
    is("follow-redirects", "false");
    is("fail-on-error-status-code", "false");
    is("timeout", "230");
}

#[test]
fn the_gateways_token_goes_into_its_own_header() {
    let text = policy();
    let document = Document::parse(&text).unwrap();
    let token = element(&document, "authentication-managed-identity");
    let variable = token.attribute("output-token-variable-name").expect("or Authorization would be overwritten");
    let header = document
        .descendants()
        .find(|node| node.has_tag_name("set-header") && node.attribute("name") == Some("X-Gateway-Token"))
        .unwrap();
    assert!(header.descendants().filter_map(|node| node.text()).any(|text| text.contains(variable)));
}

#[test]
fn every_named_value_of_the_policy_is_made() {
    let Some(bicep) = Bicep::find() else { return };
    let resources = bicep.resources(&[]);
    let made: BTreeSet<String> = resources
        .iter()
        .filter(|resource| resource["type"] == "Microsoft.ApiManagement/service/namedValues")
        .map(|resource| resource["properties"]["displayName"].as_str().unwrap().to_owned())
        .collect();

    let text = policy();
    let used: BTreeSet<String> =
        text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().to_owned()).collect();
    assert_eq!(used, made);
}

#[test]
fn every_method_has_an_operation() {
    let Some(bicep) = Bicep::find() else { return };
    let resources = bicep.resources(&[]);
    let operations: BTreeSet<String> = resources
        .iter()
        .filter(|resource| resource["type"] == "Microsoft.ApiManagement/service/apis/operations")
        .map(|operation| {
            assert_eq!(operation["properties"]["urlTemplate"], "/*");
            operation["properties"]["method"].as_str().unwrap().to_lowercase()
        })
        .collect();

    let common = ["get", "head", "post", "put", "patch", "delete", "options"];
    assert_eq!(operations, common.map(str::to_owned).into());
}

#[test]
fn an_applications_own_methods_have_operations() {
    let Some(bicep) = Bicep::find() else { return };
    let resources = bicep.resources(&[("additionalMethods", "['PROPFIND', 'GET', 'MKCOL']")]);
    let methods: Vec<&str> = resources
        .iter()
        .filter(|resource| resource["type"] == "Microsoft.ApiManagement/service/apis/operations")
        .map(|operation| operation["properties"]["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods.len(), 9, "{methods:?}");
    assert!(methods.contains(&"PROPFIND") && methods.contains(&"MKCOL"), "{methods:?}");
}

/// The gateway's backend and the route prefix of the Functions host, with these parameters.
fn backend_and_prefix(bicep: &Bicep, parameters: &[infra::Parameter<'_>]) -> (String, String) {
    let resources = bicep.resources(parameters);
    let backend =
        resources.iter().find(|resource| resource["type"] == "Microsoft.ApiManagement/service/backends").unwrap();
    let settings = resources.iter().find(|resource| resource["type"] == "Microsoft.Web/sites/config").unwrap();
    let prefix = &settings["properties"]["AzureFunctionsJobHost__extensions__http__routePrefix"];
    (backend["properties"]["url"].as_str().unwrap().to_owned(), prefix.as_str().unwrap().to_owned())
}

#[test]
fn the_gateway_calls_below_the_route_prefix_of_the_host_alone() {
    let Some(bicep) = Bicep::find() else { return };
    for (given, expected) in [(None, "app"), (Some("own/prefix"), "own/prefix"), (Some(""), "")] {
        let setting =
            given.map(|prefix| format!("{{ AzureFunctionsJobHost__extensions__http__routePrefix: '{prefix}' }}"));
        let parameters: Vec<infra::Parameter<'_>> =
            setting.iter().map(|setting| ("additionalSettings", setting.as_str())).collect();

        let (backend, prefix) = backend_and_prefix(&bicep, &parameters);

        assert_eq!(prefix, expected);
        let path = if expected.is_empty() { String::new() } else { format!("/{expected}") };
        assert!(backend.ends_with(&format!(".defaultHostName, '{path}')]")), "{backend}");
    }
}

#[test]
fn a_path_that_leads_out_of_the_route_prefix_is_not_there() {
    let text = policy();
    let document = Document::parse(&text).unwrap();
    let when = document
        .descendants()
        .find(|node| node.attribute("condition").is_some_and(|condition| condition.contains("OriginalUrl.Path")))
        .unwrap();
    let status = when.descendants().find(|node| node.has_tag_name("set-status")).unwrap();
    let condition = when.attribute("condition").unwrap();
    let pattern = condition.split("@\"").nth(1).unwrap().split('"').next().unwrap();
    let pattern = regex_lite::Regex::new(pattern).unwrap();
    let decoded = |path: &str| percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let leads_out = |path: &str| pattern.is_match(&decoded(&decoded(path)));

    assert_eq!(status.attribute("code"), Some("404"));
    assert_eq!(condition.matches("Uri.UnescapeDataString(").count(), 2);
    for path in [
        "/..",
        "/../admin/host/status",
        "/a/../../runtime",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/..%2fadmin",
        "/%252e%252e/x",
        "/a/./b",
        "/..;x/admin",
        "/..\\admin",
        "/a%5c..",
        "../admin",
    ] {
        assert!(leads_out(path), "{path}");
    }
    for path in
        ["/", "/admin", "/runtime/x", "/.auth/me", "/a..b", "/...", "/.well-known/x", "/a.", "/a/b.../c", "/a%2Fb"]
    {
        assert!(!leads_out(path), "{path}");
    }
}
