//! Every setting that the code reads is documented and in the sample, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Settings that the host makes itself, or that count without it only: the sample is for `func start`.
const NOT_IN_THE_SAMPLE: [&str; 4] = [
    "FUNCTIONS_CUSTOMHANDLER_PORT", // the host sets it
    "LISTEN_ADDR",                  // the host's port takes its place
    "WORKERS",                      // a thread for each core is right beside the host, too
    ROUTE_PREFIX,                   // Bicep sets it; locally there is no front end that would need it
];

/// A setting of the host, which the handler reads too: on Azure alone.
const ROUTE_PREFIX: &str = "AzureFunctionsJobHost__extensions__http__routePrefix";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of every `Setting` in `handler/src/config`.
fn in_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("handler/src/config")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let declared = text.match_indices("name: \"").map(|(at, found)| &text[at + found.len()..]);
        names.extend(declared.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(names.len() > 20, "the settings were not found: {names:?}");
    names
}

#[test]
fn the_documentation_has_a_row_for_every_setting() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_ours = |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let is_setting = |name: &&str| is_ours(name) || *name == ROUTE_PREFIX;

    let documented: BTreeSet<String> = rows.filter(is_setting).map(str::to_owned).collect();

    assert_eq!(documented, in_the_code());
}

#[test]
fn the_sample_has_every_setting_that_makes_sense_under_the_host() {
    let text = fs::read_to_string(root().join("local.settings.sample.json")).unwrap();
    let sample: serde_json::Value = serde_json::from_str(&text).unwrap();

    let expected = in_the_code().into_iter().filter(|name| !NOT_IN_THE_SAMPLE.contains(&name.as_str()));
    let missing: Vec<String> = expected.filter(|name| sample["Values"].get(name).is_none()).collect();

    assert_eq!(missing, Vec::<String>::new());
}

/// The list with which a misspelt variable is compared.
#[test]
fn the_list_for_misspelt_variables_has_every_setting() {
    let text = fs::read_to_string(root().join("handler/src/config/spelling.rs")).unwrap();
    let list = text.split_once("const SETTINGS: &[&str] = &[").unwrap().1.split_once("];").unwrap().0;

    let listed: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();

    assert_eq!(listed, in_the_code());
}
