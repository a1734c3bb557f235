//! Release script and workflows, as far as they can be tested without a forge.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use infra::{root, text};
use serde_json::Value;
use tempfile::TempDir;

/// Runs the release script in a copy of the project that has these files alone.
fn release(version: &str, files: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    fs::copy(root().join("scripts/release"), folder.path().join("scripts/release")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    for arguments in [&["init", "-q"][..], &["add", "."]] {
        assert!(Command::new("git").args(arguments).current_dir(folder.path()).status().unwrap().success());
    }
    Command::new(folder.path().join("scripts/release")).arg(version).output().unwrap()
}

#[test]
fn a_release_that_cannot_be_meant_is_refused_before_anything_is_built() {
    let cargo = ("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\"\n[workspace.lints]\n");
    let changelog = ("CHANGELOG.md", "# Changelog\n\n## 1.2.3\n\n- A line.\n");
    let table = [
        ("", vec![cargo, changelog], "usage: scripts/release VERSION"),
        ("v1.2.3", vec![cargo, changelog], "usage: scripts/release VERSION"),
        ("1.2.4", vec![cargo, changelog], "Cargo.toml says 1.2.3, not 1.2.4"),
        ("1.2.3", vec![cargo, ("CHANGELOG.md", "## Unreleased\n\n- A line.\n")], "no section \"## 1.2.3\""),
        ("1.2.3", vec![cargo, ("CHANGELOG.md", "## 1.2.3\n\n## 1.2.2\n\n- A line.\n")], "or an empty one"),
        ("1.2.3", vec![cargo, changelog], "changes that are not committed"),
    ];
    for (version, files, sentence) in table {
        let refused = release(version, &files);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(sentence), "{version}: {said}");
    }
}

/// Without Node the script can't run; `scripts/test` reports that Node is missing.
#[test]
fn the_bill_of_materials_lists_each_linked_crate_with_its_checksum() {
    let script = root().join("scripts/sbom.mjs");
    let Ok(output) = Command::new("node").arg(script).arg("1.2.3").output() else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let components = document["components"].as_array().unwrap();
    let references: BTreeSet<&str> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();

    assert_eq!((&document["bomFormat"], &document["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(document["metadata"]["component"]["version"], "1.2.3");
    assert_eq!(references.len(), components.len(), "each is listed once");
    let has = |name: &str| components.iter().any(|one| one["name"] == name);
    for linked in ["actix-web", "aws-lc-rs", "rustls", "azure_data_cosmos", "webpki-roots"] {
        assert!(has(linked), "{linked}");
    }
    for other in ["tempfile", "serde_derive", "demo", "tests"] {
        assert!(!has(other), "{other} is not linked into the handler");
    }
    let lock = text("Cargo.lock");
    for component in components {
        let checksum = component["hashes"][0]["content"].as_str().unwrap_or_else(|| panic!("{component}"));
        assert!(lock.contains(checksum) && component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let own = document["metadata"]["component"]["bom-ref"].as_str().unwrap();
    for dependency in document["dependencies"].as_array().unwrap() {
        let uses = dependency["dependsOn"].as_array().unwrap();
        for reference in uses.iter().chain([&dependency["ref"]]) {
            let reference = reference.as_str().unwrap();
            assert!(reference == own || references.contains(reference), "{reference}");
        }
    }
}

/// Actions that run with a token of the repository are pinned to a commit, and no job has more rights than it needs.
#[test]
fn workflows_pin_what_they_run_and_ask_for_little() {
    for entry in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let workflow = fs::read_to_string(&path).unwrap();
        for line in workflow.lines().filter(|line| line.contains("uses:")) {
            let (_, version) = line.split_once('@').unwrap_or_else(|| panic!("{line}"));
            let commit = version.split(' ').next().unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && version.contains(" # v"), "{}: {line}", path.display());
        }
        assert!(workflow.contains("\npermissions:\n  contents: read\n"), "{}", path.display());
        assert!(!workflow.contains("pull_request_target"), "{}", path.display());
        // An expression in a script would be run as part of it.
        let scripts = workflow.lines().filter(|line| line.trim().starts_with("run:"));
        assert_eq!(scripts.filter(|line| line.contains("${{")).count(), 0, "{}", path.display());
    }
    let test = text(".github/workflows/test.yml");
    for command in ["run: ./scripts/test", "cargo run --locked -p demo"] {
        assert!(test.contains(command), "{command}");
    }
}
