//! The Bicep compiler, and what a deployment would create.
//!
//! The compiler is `$BICEP`, else `bicep` on the PATH, else the one beside `$FUNCTIONS_HOST_DOUBLE`. Without one these tests write
//! the reason to `$SKIPPED_FILE`, which fails the run in CI.

#![allow(clippy::missing_panics_doc, reason = "a test kit panics where a test would")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;

/// An environment's name as long as azd takes them, of all that it may be made of.
pub const LONG_NAME: &str = "Platform-Engineering_Customer-Portal.Production-West-Europe-0001";

const SUBSCRIPTION: &str = "11111111-1111-1111-1111-111111111111";
const TENANT: &str = "22222222-2222-2222-2222-222222222222";

/// The project's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file of the project.
#[must_use]
pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The compiler, over a copy of `infra/` of its own.
pub struct Bicep {
    compiler: PathBuf,
    folder: TempDir,
}

/// A name of a parameter and its value in Bicep's own notation.
pub type Parameter<'a> = (&'a str, &'a str);

impl Bicep {
    /// The compiler, or nothing where there is none: that is reported.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(compiler) = compiler() else {
            skip("Bicep: there is no compiler in BICEP, on the PATH, or beside FUNCTIONS_HOST_DOUBLE");
            return None;
        };
        let folder = TempDir::new().unwrap();
        copy(&root().join("infra"), folder.path());
        Some(Self { compiler, folder })
    }

    /// The copy of `infra/`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets the files of `infra/entra` find the Graph extension without a registry. False where it isn't at hand.
    #[must_use]
    pub fn use_local_graph_extension(&self) -> bool {
        let extension = self.compiler.with_file_name("bicep-extensions").join("microsoftgraph-v1.0-1.0.0.tgz");
        let configuration = serde_json::json!({ "extensions": { "microsoftGraphV1": extension } });
        fs::write(self.folder().join("entra/bicepconfig.json"), configuration.to_string()).unwrap();
        let is_there = extension.exists();
        if !is_there {
            skip("Entra ID's deployment: the Microsoft Graph extension isn't beside the Bicep compiler");
        }
        is_there
    }

    /// Runs the compiler in the copy.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// Runs the compiler in the copy, with variables for `readEnvironmentVariable`.
    #[must_use]
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.compiler);
        command.envs(variables.iter().copied());
        command.args(arguments).current_dir(self.folder()).env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
        command.output().unwrap()
    }

    /// The resources that `main.bicep` would create with these parameters.
    #[must_use]
    pub fn resources(&self, parameters: &[Parameter<'_>]) -> Vec<Value> {
        let snapshot = self.snapshot(parameters);
        assert_eq!(snapshot["diagnostics"], serde_json::json!([]), "{parameters:?}");
        snapshot["predictedResources"].as_array().unwrap().clone()
    }

    /// Deployment snapshot with these parameters.
    #[must_use]
    pub fn snapshot(&self, parameters: &[Parameter<'_>]) -> Value {
        let (status, complaints) = self.try_snapshot(parameters);
        status.unwrap_or_else(|| panic!("{parameters:?}: {complaints}"))
    }

    /// The same, or the compiler's complaints.
    #[must_use]
    pub fn try_snapshot(&self, parameters: &[Parameter<'_>]) -> (Option<Value>, String) {
        let defaults: &[Parameter<'_>] = &[
            ("environmentName", "'test'"),
            ("upstreamUrl", "'https://app.contoso.com'"),
            ("clientId", "'client'"),
            ("publisherEmail", "'team@contoso.com'"),
        ];
        let mut text = "using 'main.bicep'\n".to_owned();
        let is_given = |name: &str| parameters.iter().any(|(given, _)| *given == name);
        for (name, value) in defaults.iter().filter(|(name, _)| !is_given(name)).chain(parameters) {
            text.push_str(&format!("param {name} = {value}\n"));
        }
        fs::write(self.folder().join("case.bicepparam"), text).unwrap();
        let mut arguments =
            vec!["snapshot", "case.bicepparam", "--mode", "overwrite", "--subscription-id", SUBSCRIPTION];
        arguments.extend(["--tenant-id", TENANT, "--resource-group", "rg", "--location", "westeurope"]);
        let output = self.run(&arguments);
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let snapshot = output.status.success().then(|| {
            serde_json::from_str(&fs::read_to_string(self.folder().join("case.snapshot.json")).unwrap()).unwrap()
        });
        (snapshot, complaints)
    }
}

/// The app settings of the Function App among these resources.
#[must_use]
pub fn app_settings(resources: &[Value]) -> Vec<String> {
    let settings = resources.iter().find(|resource| resource["type"] == "Microsoft.Web/sites/config").unwrap();
    settings["properties"].as_object().unwrap().keys().cloned().collect()
}

fn compiler() -> Option<PathBuf> {
    let named = std::env::var_os("BICEP").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_the_path = std::env::split_paths(&path).map(|folder| folder.join("bicep"));
    let beside_the_double =
        std::env::var_os("FUNCTIONS_HOST_DOUBLE").map(|double| PathBuf::from(double).with_file_name("bicep"));
    named.into_iter().chain(on_the_path).chain(beside_the_double).find(|path| path.is_file())
}

/// Says once a process what could not run here.
fn skip(reason: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("skipped: {reason}");
        if let Some(file) = std::env::var_os("SKIPPED_FILE") {
            let mut file = OpenOptions::new().append(true).open(file).unwrap();
            writeln!(file, "{reason}").unwrap();
        }
    });
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if source.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
