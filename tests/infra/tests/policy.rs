//! The gateway's policy is well-formed, proves what the handler wants proved, and leaves everything else alone.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

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

/// The text between quotes after `marker` in a file of the handler.
fn literal(path: &str, marker: &str) -> String {
    let text = text(path);
    let rest = text.split(marker).nth(1).unwrap_or_else(|| panic!("{path} has no {marker}"));
    rest.split('"').nth(1).unwrap().to_lowercase()
}

#[test]
fn whatever_the_handler_believes_the_policy_overrides() {
    let believed = [
        literal("handler/src/web/gateway_proof.rs", "const CLIENT_ADDRESS: &str = "),
        literal("handler/src/config/gateway.rs", "parse_or(GATEWAY_PROOF_HEADER, "),
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
        literal("handler/src/web/request.rs", "single_header(req, "),
        literal("handler/src/web/gateway_proof.rs", "const CLIENT_CERTIFICATE: &str = "),
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

    let function: serde_json::Value = serde_json::from_str(&infra::text("proxy/function.json")).unwrap();
    let methods = function["bindings"][0]["methods"].as_array().unwrap();
    let methods: BTreeSet<String> = methods.iter().map(|method| method.as_str().unwrap().to_owned()).collect();
    assert_eq!(operations, methods);
}
