//! azd's hooks, with a stand-in for `azd` that notes its calls; and what azure.yaml and the documents say of azd.
//!
//! The rules about azd are those of its source (August 2026), whose behaviour was tried with a build of it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use infra::{root, text};
use tempfile::TempDir;

const GOOD: [(&str, &str); 2] = [("UPSTREAM_URL", "https://app.internal"), ("PUBLISHER_EMAIL", "team@contoso.com")];

struct Run {
    is_done: bool,
    output: String,
    calls: String,
}

/// Runs a hook in an environment of these values alone, without a terminal.
fn run(hook: &str, values: &[(&str, &str)]) -> Run {
    let script = root().join("scripts").join(hook);
    run_command(Command::new(script), values, "")
}

/// The same at a terminal where a person types these lines.
#[cfg(target_os = "linux")]
fn run_at_a_terminal(hook: &str, values: &[(&str, &str)], typed: &str) -> Run {
    let script = root().join("scripts").join(hook);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command"]).arg(script).arg("/dev/null");
    run_command(command, values, typed)
}

fn run_command(mut command: Command, values: &[(&str, &str)], typed: &str) -> Run {
    let state = TempDir::new().unwrap();
    let tools = TempDir::new().unwrap();
    symlink(root().join("tests/infra/tests/azd"), tools.path().join("azd")).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    command.env_clear().env("PATH", path).env("AZD_STATE", state.path()).envs(values.iter().copied());
    fs::write(state.path().join("PUBLIC_BASE_URL"), "https://kept.contoso.com").unwrap();

    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();

    let both = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let calls = fs::read_to_string(state.path().join("calls")).unwrap_or_default();
    Run { is_done: output.status.success(), output: both, calls }
}

#[test]
fn without_a_terminal_everything_missing_is_reported_at_once() {
    let refused = run("preprovision", &[]);

    assert!(!refused.is_done && refused.calls.is_empty(), "{}", refused.output);
    for sentence in ["azd env set NAME VALUE", "UPSTREAM_URL is missing", "PUBLISHER_EMAIL is missing"] {
        assert!(refused.output.contains(sentence), "{sentence}: {}", refused.output);
    }
    assert!(run("preprovision", &GOOD).is_done);
}

#[test]
fn a_value_that_cannot_be_meant_is_reported() {
    let cases = [
        ("UPSTREAM_URL", "app.contoso.com", "no scheme"),
        ("UPSTREAM_URL", "ftp://app.contoso.com", "another scheme"),
        ("UPSTREAM_URL", "https://", "no host"),
        ("UPSTREAM_URL", "https://app.contoso.com/?a=b", "a query"),
        ("UPSTREAM_URL", "https://app.contoso.com/#a", "a fragment"),
        ("UPSTREAM_URL", "https://app contoso.com", "a blank"),
        ("UPSTREAM_URL", "https://-app.contoso.com:8080", "a name that begins with a hyphen"),
        ("UPSTREAM_URL", "https://app.contoso.com:port", "a port of letters"),
        ("UPSTREAM_URL", "", "nothing"),
        ("PUBLIC_HOST_NAME", "https://www.contoso.com", "a URL"),
        ("PUBLIC_HOST_NAME", "www.contoso.com:443", "a port"),
        ("PUBLIC_HOST_NAME", "www.contoso.com/app", "a path"),
        ("PUBLIC_HOST_NAME", "contoso", "one label"),
        ("PUBLIC_HOST_NAME", "10.1.2.3", "an address"),
        ("PUBLIC_HOST_NAME", "my_app.contoso.com", "an underscore"),
        ("PUBLISHER_EMAIL", "team", "no domain"),
        ("PUBLISHER_EMAIL", "team@localhost", "one label"),
        ("PUBLISHER_EMAIL", "Team <team@contoso.com>", "a display name"),
        ("PUBLISHER_EMAIL", "a@contoso.com,b@contoso.com", "two"),
        ("ALERT_EMAIL", "on-call", "no domain"),
        ("OIDC_ISSUER_URL", "http://login.contoso.com", "no TLS"),
        ("OIDC_ISSUER_URL", "login.contoso.com", "no scheme"),
        ("OIDC_ISSUER_URL", "https://login.contoso.com/.well-known/openid-configuration", "the metadata's URL"),
        ("CLIENT_ID", "my client", "a blank"),
    ];
    for (name, value, reason) in cases {
        let own_client = [("CREATE_ENTRA_APP", "false"), ("CLIENT_ID", "client")];
        let values = [&GOOD[..], &own_client, &[(name, value)]].concat();

        let refused = run("preprovision", &values);

        let sentence = format!("{name} ({value}) is no ");
        assert!(!refused.is_done && refused.output.contains(&sentence), "{reason}: {}", refused.output);
        assert_eq!(refused.calls, "", "{reason}");
    }
}

#[test]
fn values_that_can_be_meant_are_taken() {
    let cases = [
        ("UPSTREAM_URL", "http://10.0.0.4:8080/base/", "an address, a port, a path"),
        ("UPSTREAM_URL", "http://[fd00::1]:3000", "IPv6"),
        ("UPSTREAM_URL", "http://app", "one label, on a private network"),
        ("UPSTREAM_URL", "http://my_app:8080", "a name with an underscore"),
        ("PUBLIC_HOST_NAME", "www.contoso.co.uk", "a host name"),
        ("PUBLIC_HOST_NAME", "", "none: that of API Management"),
        ("PUBLIC_HOST_NAME", "xn--mller-kva.example", "an internationalised name"),
        ("PUBLISHER_EMAIL", "first.last+apim@mail.contoso.com", "dots and a plus sign"),
        ("OIDC_ISSUER_URL", "", "none: Entra ID"),
        ("ALERT_EMAIL", "", "nobody"),
    ];
    for (name, value, reason) in cases {
        let taken = run("preprovision", &[&GOOD[..], &[(name, value)]].concat());
        assert!(taken.is_done, "{reason}: {}", taken.output);
    }
}

#[test]
fn a_password_in_a_url_is_not_printed() {
    let refused = run("preprovision", &[GOOD[1], ("UPSTREAM_URL", "https://ada:secret@app.contoso.com")]);

    assert!(!refused.is_done && refused.output.contains("a URL with a user"), "{}", refused.output);
    assert!(!refused.output.contains("secret"));
}

#[test]
fn a_provider_of_ones_own_needs_a_client_and_gets_no_application() {
    let issuer = ("OIDC_ISSUER_URL", "https://login.contoso.com");
    let refused = run("preprovision", &[&GOOD[..], &[issuer]].concat());
    assert!(!refused.is_done && refused.output.contains("CLIENT_ID is missing"), "{}", refused.output);

    let taken = run("preprovision", &[&GOOD[..], &[issuer, ("CLIENT_ID", "client")]].concat());

    let expected = "azd env set CLIENT_AUTH_METHOD client_secret_basic\nazd env set CREATE_ENTRA_APP false\n";
    assert_eq!((taken.is_done, taken.calls.as_str()), (true, expected));
}

#[test]
fn an_api_management_of_ones_own_needs_a_host_name_and_better_a_group_of_its_own() {
    let apim = [("APIM_NAME", "contoso"), ("AZURE_RESOURCE_GROUP", "mine")];
    let refused = run("preprovision", &[&GOOD[..], &apim].concat());
    assert!(!refused.is_done && refused.output.contains("PUBLIC_HOST_NAME is missing"), "{}", refused.output);

    let host = [("PUBLIC_HOST_NAME", "app.contoso.com")];
    let warned = run("preprovision", &[&GOOD[..], &apim, &host].concat());
    let apart = run("preprovision", &[&GOOD[..], &apim, &host, &[("APIM_RESOURCE_GROUP", "gateways")]].concat());

    assert!(warned.is_done && warned.output.contains("which azd down deletes as a whole"), "{}", warned.output);
    assert!(apart.is_done && !apart.output.contains("azd down"), "{}", apart.output);
}

#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_a_wrong_reply_is_asked_again() {
    let typed = "app.contoso.com\nhttps://app.contoso.com\n\nteam\nteam@contoso.com\n\n";
    let asked = run_at_a_terminal("preprovision", &[("ALERT_EMAIL", "")], typed);

    assert!(asked.is_done, "{}", asked.output);
    assert!(asked.output.contains("This is no URL such as") && asked.output.contains("This is no e-mail address"));
    let expected = [
        "azd env set UPSTREAM_URL https://app.contoso.com",
        "azd env set PUBLIC_HOST_NAME ",
        "azd env set PUBLISHER_EMAIL team@contoso.com",
        "azd env set OIDC_ISSUER_URL ",
    ];
    assert_eq!(asked.calls.lines().collect::<Vec<_>>(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_a_wrong_value_of_the_environment_is_asked_again() {
    let values = [("UPSTREAM_URL", "app"), GOOD[1], ("PUBLIC_HOST_NAME", ""), ("OIDC_ISSUER_URL", "")];
    let asked = run_at_a_terminal("preprovision", &values, "https://app.contoso.com\n");

    assert!(asked.is_done && asked.output.contains("UPSTREAM_URL (app) is no URL"), "{}", asked.output);
    assert_eq!(asked.calls, "azd env set UPSTREAM_URL https://app.contoso.com\n");
}

#[test]
fn after_a_deployment_the_address_to_open_is_printed() {
    let values = [("REDIRECT_URI", "https://app.contoso.com/oauth/callback")];
    let told = run("postdeploy", &values);

    assert!(told.is_done && told.output.contains("https://kept.contoso.com\n"), "{}", told.output);
    assert!(told.output.contains("/oauth/callback") && told.output.contains("403"));
}

#[test]
fn azd_down_is_refused_while_it_would_delete_an_api_management_that_was_there() {
    let group = ("AZURE_RESOURCE_GROUP", "mine");
    let apim = ("APIM_NAME", "contoso");
    for (values, is_done, reason) in [
        (vec![group, apim], false, "it is in the environment's group by default"),
        (vec![group, apim, ("APIM_RESOURCE_GROUP", "MINE")], false, "Azure's names of groups have no case"),
        (vec![group, apim, ("APIM_RESOURCE_GROUP", "gateways")], true, "it is elsewhere"),
        (vec![group], true, "it was made with the rest"),
        (vec![group, ("APIM_NAME", "")], true, "it may go"),
    ] {
        let run = run("predown", &values);
        assert_eq!(run.is_done, is_done, "{reason}: {}", run.output);
        assert!(run.output.contains("resource group mine"), "{reason}: {}", run.output);
        assert_eq!(run.output.contains("contoso"), !is_done, "{reason}");
    }
}

/// The lines below a key of azure.yaml, down to the next line that is indented no further.
fn below<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = yaml.lines().collect();
    let start = lines.iter().position(|line| line.trim() == format!("{key}:")).unwrap_or_else(|| panic!("no {key}"));
    let is_inside = |line: &&&str| indent(line) > indent(lines[start]);
    lines[start + 1..].iter().take_while(is_inside).map(|line| line.trim()).collect()
}

#[test]
fn every_hook_of_azure_yaml_is_a_script_that_can_be_run() {
    let yaml = text("azure.yaml");
    let scripts: Vec<&str> = yaml.lines().filter_map(|line| line.trim().strip_prefix("run: ")).collect();
    assert!(scripts.len() >= 5, "{scripts:?}");
    for script in scripts {
        // A layer's hook runs in the layer's folder.
        let path = if script.starts_with("..") { root().join("infra").join(script) } else { root().join(script) };
        let mode = fs::metadata(&path).unwrap_or_else(|_| panic!("{script} is absent")).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
}

#[test]
fn hooks_that_speak_are_interactive_and_keys_are_created_by_the_layer_with_the_vault() {
    let yaml = text("azure.yaml");
    for hook in ["preup", "preprovision", "postdeploy", "predown"] {
        assert!(below(&yaml, hook).contains(&"interactive: true"), "azd hides what {hook} prints");
    }
    let layers = below(&yaml, "layers");
    let main = layers.iter().position(|line| *line == "- name: main").unwrap();
    assert!(layers[main..].contains(&"run: ../scripts/create-keys"), "{layers:?}");
    assert!(layers[main..].contains(&"dependsOn: [entra]"), "azd provisions layers at once");
    assert_eq!(yaml.matches("create-keys").count(), 1);
}

/// `custom` needs a switch of azd's, and without it azd ends in a panic (`validateHooks`).
#[test]
fn the_service_has_a_language_without_a_switch_that_builds_nothing() {
    let yaml = text("azure.yaml");
    let service = below(&yaml, "handler");
    assert!(service.contains(&"language: python") && service.contains(&"remoteBuild: false"), "{service:?}");
    // azd puts this output's addresses beside the Function App's own.
    assert!(text("infra/main.bicep").contains("output SERVICE_HANDLER_ENDPOINTS array"));
}

#[test]
fn the_documents_commands_are_those_that_work() {
    let mut documents = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|end| end == "md"));
    documents.extend(pages.map(|path| format!("docs/{}", path.file_name().unwrap().to_str().unwrap())));
    for document in documents {
        let page = text(&document);
        for line in page.lines() {
            let names_service = !line.contains("--from-package") || line.contains("azd deploy handler --from-package");
            assert!(names_service, "{document}: azd refuses --from-package without a service: {line}");
            let names_layer = !line.contains("--preview") || line.contains("azd provision main --preview");
            assert!(names_layer, "{document}: azd refuses --preview for several layers: {line}");
            let is_needed = line.contains("alpha.language") && !line.contains("panic");
            assert!(!is_needed, "{document}: no switch is needed: {line}");
            for script in ["scripts/ask", "scripts/tell"] {
                assert!(!line.contains(script), "{document}: {script} is gone");
            }
        }
    }
}
