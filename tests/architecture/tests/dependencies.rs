//! The dependency tree keeps to `deny.toml`: its licences, its bans, and no source but the registry and this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every package that is built for the targets of `deny.toml`, as cargo describes it.
fn packages() -> Vec<Value> {
    let platforms = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version=1", "--locked", "--offline"]).args(platforms);
    let output = metadata.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The quoted words between `start` and the next `]` of `deny.toml`.
fn listed(start: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = text.split_once(start).unwrap().1.split_once(']').unwrap().0;
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// True if one alternative of an SPDX expression is allowed whole. Old manifests write `/` for `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    let is_listed = |license: &str| allowed.iter().any(|listed| listed == license.trim());
    if expression.contains('(') {
        return plain.split(" AND ").all(|part| part.split(" OR ").any(is_listed));
    }
    plain.split(" OR ").any(|part| part.split(" AND ").all(is_listed))
}

#[test]
fn every_dependency_has_a_licence_of_the_list() {
    let allowed = listed("allow = [");
    for package in packages() {
        let license = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(license, &allowed), "{}: {license}", package["name"]);
    }
}

#[test]
fn every_dependency_comes_from_the_registry_or_from_here() {
    for package in packages() {
        let is_known = package["source"].as_str().is_none_or(|source| source.starts_with("registry+"));
        assert!(is_known, "{} comes from {}", package["name"], package["source"]);
    }
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let banned = ["openssl-sys", "native-tls"];
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();

    assert!(banned.iter().all(|name| text.contains(name)));
    let names: Vec<String> = packages().iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect();
    assert!(!names.iter().any(|name| banned.contains(&name.as_str())));
}
