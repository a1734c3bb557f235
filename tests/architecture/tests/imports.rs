//! The import table of the handler: which module may name which other. A module that is not in the table fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use architecture::ImportGraph;

/// Module, and the modules of the crate that its files may name.
const TABLE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("claims_request", &[]),
    ("random", &[]),
    ("percent", &[]),
    ("unique_json", &[]),
    ("duration", &[]),
    ("nearest_word", &[]),
    ("return_url", &["percent"]),
    ("transport_security", &[]),
    ("public_origin", &["transport_security"]),
    ("telemetry", &[]),
    ("tls", &[]),
    ("token_target", &[]),
    ("crypto", &["random"]),
    ("egress", &[]),
    (
        "oidc",
        &["random", "claims_request", "clock", "transport_security", "egress", "tls", "token_target", "unique_json"],
    ),
    (
        "proxy",
        &[
            "claims_request",
            "clock",
            "duration",
            "nearest_word",
            "tls",
            "public_origin",
            "percent",
            "token_target",
            "unique_json",
        ],
    ),
    ("sessions", &["crypto", "oidc", "clock", "random", "telemetry", "token_target"]),
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
            "claims_request",
            "duration",
            "egress",
            "nearest_word",
            "random",
            "telemetry",
            "public_origin",
            "transport_security",
            "unique_json",
        ],
    ),
    (
        "web",
        &[
            "claims_request",
            "clock",
            "crypto",
            "egress",
            "oidc",
            "proxy",
            "public_origin",
            "random",
            "return_url",
            "sessions",
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
            "nearest_word",
            "oidc",
            "proxy",
            "random",
            "sessions",
            "state",
            "telemetry",
            "tls",
            "token_target",
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

/// The imports that the table forbids, one a line.
fn offences(graph: &ImportGraph) -> Vec<String> {
    let mut offences = Vec::new();
    for (file, named) in graph.named_modules() {
        let module = top_module(file);
        let Some((_, allowed)) = TABLE.iter().find(|(row, _)| *row == module) else { continue };
        let forbidden = named.into_iter().filter(|name| *name != module && !allowed.contains(name));
        offences.extend(forbidden.map(|name| format!("{file}: {module} may not name {name}")));
    }
    offences
}

fn top_module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The handler's imports; `main` names the library by the crate's name.
fn handler() -> ImportGraph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../handler/src");
    let files: Vec<_> = sources_of(&root)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap().replace("oauth_proxy::", "crate::");
            (path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/"), text)
        })
        .collect();
    ImportGraph::read(&files)
}

#[test]
fn every_module_names_only_what_the_table_allows() {
    let offences = offences(&handler());

    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn the_table_allows_nothing_that_no_file_needs() {
    let graph = handler();
    let named: BTreeSet<(&str, &str)> = graph
        .named_modules()
        .flat_map(|(file, named)| named.into_iter().map(move |name| (top_module(file), name)))
        .collect();

    let rows = TABLE.iter().flat_map(|(module, allowed)| allowed.iter().map(|name| (*module, *name)));
    let unused: Vec<_> = rows.filter(|row| !named.contains(row)).collect();

    assert!(unused.is_empty(), "take these out of the table: {unused:#?}");
}

#[test]
fn an_import_that_is_planted_in_any_row_is_found() {
    let ways = [
        ("use crate::planted::X;", "import"),
        ("use crate::{clock::Clock, planted::{X, Y}};", "nested import"),
        ("pub(crate) use crate::planted::X;", "re-export"),
        ("use super::planted::X;", "import by super"),
        ("fn f() -> crate::planted::X { loop {} }", "path in code"),
    ];
    for (module, _) in TABLE.iter().filter(|(module, _)| *module != "lib") {
        for (code, way) in ways {
            let file = |name: &str, text: &str| (format!("{name}.rs"), text.to_owned());
            let files = [file("lib", ""), file("clock", ""), file("planted", "pub struct X;"), file(module, code)];

            let offences = offences(&ImportGraph::read(&files));

            let expected = format!("{module}.rs: {module} may not name planted");
            assert!(offences.contains(&expected), "{way} in {module}: {offences:?}");
        }
    }
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
    let files: Vec<_> = sources_of(&root).into_iter().map(|path| source(&root, path)).collect();
    assert!(files.len() > 20, "the handler's sources were not found");
    files
}

fn source(root: &Path, path: PathBuf) -> SourceFile {
    let relative = path.strip_prefix(root).unwrap().with_extension("");
    let module = relative.iter().next().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(&path).unwrap();
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("///")).map(str::to_owned);
    SourceFile { module, lines: lines.collect(), path }
}

/// Every file of the product below `folder`.
fn sources_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources_of(&path)),
            false if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") => found.push(path),
            false => {}
        }
    }
    found
}

fn names_crate(line: &str, prefix: &str) -> bool {
    !line.starts_with("//!")
        && line.match_indices(prefix).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
