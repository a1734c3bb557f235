//! The import table of the handler: which module may name which other. A module that is not in the table fails.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and the modules of the crate that its files may name.
const TABLE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    ("percent", &[]),
    ("return_url", &["percent"]),
    ("transport_security", &[]),
    ("public_origin", &["transport_security"]),
    ("telemetry", &[]),
    ("tls", &[]),
    ("crypto", &["random"]),
    ("egress", &[]),
    ("oidc", &["random", "clock", "transport_security", "egress", "tls"]),
    ("proxy", &["clock", "tls", "public_origin", "percent"]),
    ("sessions", &["crypto", "oidc", "clock", "random", "telemetry"]),
    ("azure", &["crypto", "sessions", "oidc", "clock", "telemetry", "transport_security"]),
    (
        "config",
        &[
            "crypto",
            "oidc",
            "proxy",
            "sessions",
            "azure",
            "web",
            "clock",
            "egress",
            "random",
            "telemetry",
            "public_origin",
            "transport_security",
        ],
    ),
    (
        "web",
        &[
            "clock",
            "crypto",
            "egress",
            "oidc",
            "proxy",
            "public_origin",
            "random",
            "return_url",
            "sessions",
            "telemetry",
        ],
    ),
    ("endpoints", &["clock", "oidc", "percent", "proxy", "return_url", "sessions", "state", "telemetry", "web"]),
    (
        "app",
        &["clock", "config", "endpoints", "oidc", "proxy", "public_origin", "sessions", "state", "telemetry", "web"],
    ),
    (
        "state",
        &["azure", "clock", "config", "crypto", "egress", "oidc", "proxy", "public_origin", "sessions", "tls", "web"],
    ),
    (
        "cli",
        &[
            "app",
            "azure",
            "clock",
            "config",
            "endpoints",
            "oidc",
            "proxy",
            "random",
            "sessions",
            "state",
            "telemetry",
            "tls",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Crates that only some modules may name: the crate's prefix, and the modules that may.
const CRATES: &[(&str, &[&str])] = &[
    ("azure_", &["azure"]),
    ("opentelemetry", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("actix_web", &["proxy", "web", "endpoints", "app", "state", "cli", "main", "lib"]),
];

const VENDORS: &[&str] =
    &["entra", "external-id", "b2c", "auth0", "okta", "google", "keycloak", "cognito", "adfs", "login.microsoftonline"];

struct SourceFile {
    module: String,
    path: PathBuf,
    lines: Vec<String>,
}

#[test]
fn every_module_names_only_what_the_table_allows() {
    let mut offences = Vec::new();
    for file in sources() {
        let Some((_, allowed)) = TABLE.iter().find(|(module, _)| *module == file.module) else { continue };
        for line in &file.lines {
            for named in crate_modules(line) {
                // `testing` is compiled for tests alone, so the compiler keeps it out of the product.
                if named != file.module && named != "testing" && !allowed.contains(&named) {
                    offences.push(format!("{}: {} may not name {named}", file.path.display(), file.module));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn the_table_names_no_module_that_is_gone() {
    let modules: Vec<String> = sources().into_iter().map(|file| file.module).collect();
    for name in TABLE.iter().flat_map(|(module, allowed)| allowed.iter().chain([module])) {
        assert!(modules.iter().any(|module| module == name), "{name} is no module of the handler");
    }
}

#[test]
fn every_module_is_in_the_table() {
    for file in sources() {
        // `testing` is compiled for tests alone.
        let is_known = TABLE.iter().any(|(module, _)| *module == file.module) || file.module == "testing";
        assert!(is_known, "{} is in no row of the table", file.path.display());
    }
}

#[test]
fn a_crate_is_named_only_where_it_belongs() {
    for file in sources() {
        for (prefix, modules) in CRATES.iter().filter(|(_, modules)| !modules.contains(&&*file.module)) {
            let offending = file.lines.iter().find(|line| names_crate(line, prefix));
            assert_eq!(offending, None, "{}: {prefix} belongs to {modules:?}", file.path.display());
        }
    }
}

/// Providers differ as data (`config/provider_profile.rs`), so their names stay in the settings.
#[test]
fn a_providers_name_stays_where_providers_are_told_apart() {
    let allowed = |file: &SourceFile| file.module == "config";
    for file in sources().iter().filter(|file| !allowed(file)) {
        let code = file.lines.iter().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let found = VENDORS.iter().find(|vendor| line.to_lowercase().contains(*vendor));
            assert_eq!(found, None, "{}: {line}", file.path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources() {
        assert!(file.lines.first().is_some_and(|line| line.starts_with("//!")), "{}", file.path.display());
    }
}

/// Every source file of the handler, without comments below its heading and without its unit tests.
fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../handler/src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 20, "the handler's sources were not found");
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let module = relative.iter().next().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = product.lines().filter(|line| !line.trim_start().starts_with("///")).map(str::to_owned);
            files.push(SourceFile { module, lines: lines.collect(), path });
        }
    }
}

fn crate_modules(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
}

fn names_crate(line: &str, prefix: &str) -> bool {
    !line.starts_with("//!")
        && line.match_indices(prefix).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
