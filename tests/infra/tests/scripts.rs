//! The scripts that operators run, with a stand-in for `az` that keeps secrets in a folder. Those of azd: hooks.rs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use infra::root;
use tempfile::TempDir;

const KEYS: [&str; 2] = ["cookie-key", "token-key"];

struct Fixture {
    state: TempDir,
    path: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (state, path) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        symlink(root().join("tests/infra/tests/az"), path.path().join("az")).unwrap();
        Self { state, path }
    }

    /// Runs a script; whether it succeeded, and what it said on both streams.
    fn run(&self, script: &str, arguments: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
        let path = format!("{}:{}", self.path.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(root().join("scripts").join(script));
        command.args(arguments).env("PATH", path).env("AZ_STATE", self.state.path()).stdin(Stdio::null());
        command.envs([
            ("CREATE_KEYS_PAUSE", "0"),
            ("CREATE_KEYS_ATTEMPTS", "3"),
            ("KEY_ACTIVATION_DELAY_SECONDS", "0"),
        ]);
        for name in ["KEY_VAULT_NAME", "PUBLIC_BASE_URL", "UPSTREAM_URL", "PUBLISHER_EMAIL", "OIDC_ISSUER_URL"] {
            command.env_remove(name);
        }
        let output = command.envs(settings.iter().copied()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    /// The values of a secret's versions.
    fn values(&self, name: &str) -> Vec<String> {
        let Ok(versions) = fs::read_dir(self.file("secrets").join(name)) else { return Vec::new() };
        versions.map(|version| fs::read_to_string(version.unwrap().path()).unwrap()).collect()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.file("calls")).unwrap_or_default()
    }
}

/// Standard base64 of 32 bytes, in one line: what the handler takes.
fn is_key(value: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    value.len() == 44 && value.ends_with('=') && value.bytes().all(is_base64)
}

/// The scripts that people and azd run. Those without the bit are sourced by others.
fn executables() -> Vec<PathBuf> {
    let scripts = fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    let is_executable = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o111 != 0;
    scripts.chain([root().join("tests/e2e/run")]).filter(is_executable).collect()
}

#[test]
fn every_script_explains_itself_and_starts_nothing() {
    let tools = TempDir::new().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for tool in ["bash", "sed", "dirname", "basename"] {
        let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
        symlink(found.unwrap(), tools.path().join(tool)).unwrap();
    }
    let scripts = executables();
    assert!(scripts.len() > 8, "{scripts:?}");
    for script in scripts {
        for flag in ["--help", "-h"] {
            let output = Command::new(&script).arg(flag).env("PATH", tools.path()).output().unwrap();

            assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", script.display());
            assert!(output.stdout.len() > 50, "{}: {output:?}", script.display());
        }
    }
}

#[test]
fn an_argument_that_means_nothing_starts_no_build() {
    for (script, answer) in [("package", "there is no option --fast"), ("test", "takes no argument, and got --fast")] {
        let output = Command::new(root().join("scripts").join(script)).arg("--fast").output().unwrap();

        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(answer), "{said}");
    }
}

#[test]
fn keys_are_created_once_and_told_to_nobody() {
    let fixture = Fixture::new();
    let (is_done, said) = fixture.run("create-keys", &["vault"], &[]);
    assert!(is_done, "{said}");
    let values: Vec<String> = KEYS.iter().flat_map(|name| fixture.values(name)).collect();

    assert_eq!(values.len(), 2);
    assert!(values.iter().all(|value| is_key(value)), "{values:?}");
    assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), 2);
    for value in &values {
        assert!(!said.contains(value) && !fixture.calls().contains(value));
    }
    let (is_done, said) = fixture.run("create-keys", &[], &[("KEY_VAULT_NAME", "vault")]);
    assert!(is_done && said.contains("cookie-key is there"), "{said}");
    assert_eq!(KEYS.map(|name| fixture.values(name).len()), [1, 1]);
}

#[test]
fn a_role_that_is_not_known_everywhere_yet_is_waited_for() {
    let fixture = Fixture::new();
    fs::write(fixture.file("forbidden"), "2").unwrap();

    let (is_done, said) = fixture.run("create-keys", &["vault"], &[]);

    assert!(is_done && said.contains("waiting for vault"), "{said}");
}

#[test]
fn what_keeps_a_key_from_being_created_is_told() {
    let cases = [
        ("forbidden", "99", "Key Vault Secrets Officer"),
        ("read-only", "x", "Key Vault Secrets Officer"),
        ("deleted", "x", "az keyvault secret recover --vault-name vault --name cookie-key"),
    ];
    for (fault, content, sentence) in cases {
        let fixture = Fixture::new();
        fs::write(fixture.file(fault), content).unwrap();

        let (is_done, said) = fixture.run("create-keys", &["vault"], &[]);

        assert!(!is_done && said.contains(sentence), "{fault}: {said}");
        assert!(KEYS.iter().all(|name| fixture.values(name).is_empty()));
    }
}

#[test]
fn without_a_vault_the_scripts_about_keys_say_how_they_are_used() {
    let fixture = Fixture::new();
    for script in ["create-keys", "rotate-keys"] {
        let (is_done, said) = fixture.run(script, &[], &[]);
        assert!(!is_done && said.contains(&format!("usage: scripts/{script} VAULT")), "{said}");
    }
}

#[test]
fn a_rotation_adds_a_version_of_each_key() {
    let fixture = Fixture::new();
    let (is_done, said) = fixture.run("rotate-keys", &["vault"], &[]);
    assert!(!is_done && said.contains("run scripts/create-keys"), "{said}");

    assert!(fixture.run("create-keys", &["vault"], &[]).0);
    let (is_done, said) = fixture.run("rotate-keys", &["vault"], &[]);

    assert!(is_done && said.contains("https://vault/secrets/token-key/1"), "{said}");
    for name in KEYS {
        let values = fixture.values(name);
        assert_eq!(values.iter().filter(|value| is_key(value)).collect::<BTreeSet<_>>().len(), 2, "{name}");
        assert!(values.iter().all(|value| !said.contains(value) && !fixture.calls().contains(value)));
    }
}

#[test]
fn a_rotation_that_is_not_allowed_says_so() {
    for (fault, content) in [("forbidden", "99"), ("read-only", "x")] {
        let fixture = Fixture::new();
        assert!(fixture.run("create-keys", &["vault"], &[]).0);
        fs::write(fixture.file(fault), content).unwrap();

        let (is_done, said) = fixture.run("rotate-keys", &["vault"], &[]);

        assert!(!is_done && said.contains("(Forbidden)") && !said.contains("no version yet"), "{said}");
    }
}

#[test]
fn a_rotation_after_which_the_handler_is_not_ready_fails() {
    let fixture = Fixture::new();
    assert!(fixture.run("create-keys", &["vault"], &[]).0);

    let (is_done, said) = fixture.run("rotate-keys", &["vault", "http://127.0.0.1:9"], &[]);

    assert!(!is_done && said.contains("is not ready"), "{said}");
}
