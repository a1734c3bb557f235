//! The function folders are the URLs of `endpoints::ROUTES`, and each is what the Functions host can proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use oauth_proxy::endpoints::ROUTES;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every folder with a `function.json`, and its bindings.
fn functions() -> BTreeMap<String, Value> {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let functions = entries.filter(|entry| entry.path().join("function.json").is_file());
    functions
        .map(|entry| (entry.file_name().into_string().unwrap(), json(&entry.path().join("function.json"))))
        .collect()
}

fn trigger(function: &Value) -> &Value {
    function["bindings"].as_array().unwrap().iter().find(|binding| binding["type"] == "httpTrigger").unwrap()
}

#[test]
fn every_endpoint_has_its_folder_and_every_folder_its_endpoint() {
    let expected: BTreeSet<&str> = ROUTES.iter().map(|route| route.folder).chain(["proxy"]).collect();

    let functions = functions();

    assert_eq!(functions.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_folders_route_and_methods_are_its_endpoints() {
    let functions = functions();
    for route in ROUTES {
        let trigger = trigger(&functions[route.folder]);

        let name = route.names[0];
        let template = name.split_once('/').map_or(name.to_owned(), |(first, _)| format!("{first}/{{*check}}"));
        assert_eq!(trigger["route"], format!("oauth/{template}"));
        let methods: Vec<String> = route.methods.iter().map(|method| method.as_str().to_lowercase()).collect();
        assert_eq!(trigger["methods"], Value::from(methods), "{name}");
    }
}

#[test]
fn every_function_is_one_the_host_proxies() {
    for (folder, function) in functions() {
        let bindings = function["bindings"].as_array().unwrap();

        // One HTTP trigger in and one HTTP out, or the host falls back to its buffering mode.
        let kinds: Vec<_> = bindings.iter().map(|binding| (&binding["type"], &binding["direction"])).collect();
        assert_eq!(kinds, [(&"httpTrigger".into(), &"in".into()), (&"http".into(), &"out".into())], "{folder}");
        // With a key, the host would take an authorization response's `code` for one.
        assert_eq!(trigger(&function)["authLevel"], "anonymous", "{folder}");
    }
}

#[test]
fn the_application_has_every_method() {
    // Without a list the host's route takes every method.
    assert_eq!(trigger(&functions()["proxy"]).get("methods"), None);
}

#[test]
fn the_host_streams_and_adds_no_prefix() {
    let host = json(&root().join("host.json"));

    assert_eq!(host["customHandler"]["enableProxyingHttpRequest"], true);
    assert_eq!(host["extensions"]["http"]["routePrefix"], "");
    assert_eq!(host.get("extensionBundle"), None);
}
