//! compose.yaml, the Containerfile and docs/containers.md, held to the handler's settings and to each other.
//!
//! The image itself is built and run by tests/e2e.

use infra::text;

/// A service of compose.yaml: its lines.
fn service(name: &str) -> Vec<String> {
    let compose = text("compose.yaml");
    let lines = compose.lines().skip_while(|line| *line != format!("  {name}:")).skip(1);
    let own = lines.take_while(|line| line.starts_with("    ") || line.is_empty());
    let own: Vec<String> = own.map(|line| line.trim().to_owned()).collect();
    assert!(!own.is_empty(), "compose.yaml has no service {name}");
    own
}

/// Names in capitals before a colon, or before an equals sign in a table's code.
fn settings(text: &str) -> Vec<&str> {
    let is_setting = |name: &&str| {
        let is_capital = |byte: u8| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit();
        name.len() > 4 && name.contains('_') && name.bytes().all(is_capital)
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(is_setting).collect()
}

#[test]
fn every_setting_of_compose_and_of_the_page_is_one_of_the_handlers() {
    let documented = text("docs/configuration.md");
    let not_the_handlers = ["GATEWAY_PROOF_SECRET"]; // a value in the manifest
    let handler = service("handler").join("\n");
    for (source, text) in [("compose.yaml", handler), ("docs/containers.md", text("docs/containers.md"))] {
        let found = settings(&text);
        assert!(found.len() > 5, "{source}: {found:?}");
        for setting in found.iter().filter(|name| !not_the_handlers.contains(name)) {
            let is_known = documented.contains(&format!("`{setting}`")) || *setting == "SSL_CERT_FILE";
            assert!(is_known, "{source}: {setting}");
        }
    }
}

#[test]
fn every_container_has_a_read_only_root_and_no_right_that_it_does_not_need() {
    for name in ["handler", "provider", "application"] {
        let lines = service(name);
        for line in ["read_only: true", "cap_drop: [ALL]", "security_opt: ['no-new-privileges:true']"] {
            assert!(lines.iter().any(|own| own == line), "{name}: {line}");
        }
    }
}

#[test]
fn only_loopback_of_this_machine_reaches_the_containers() {
    let compose = text("compose.yaml");
    let ports: Vec<&str> = compose.lines().filter(|line| line.trim().starts_with("ports:")).collect();
    assert_eq!(ports.len(), 1, "the application believes its headers, and the provider has the handler's network");
    for port in ports[0].split('\'').filter(|part| part.contains(':') && part.starts_with(|c: char| c.is_ascii_digit()))
    {
        assert!(port.starts_with("127.0.0.1:"), "{port}");
    }
    assert!(service("provider").contains(&"network_mode: service:handler".to_owned()));
}

#[test]
fn the_grace_period_outlasts_the_drain() {
    assert!(service("handler").contains(&"stop_grace_period: 60s".to_owned()));
    let page = text("docs/containers.md");
    assert_eq!(page.matches("terminationGracePeriodSeconds: 60").count(), 2, "AKS and Container Apps");
}

#[test]
fn the_images_of_compose_are_those_of_the_script_and_the_container_file() {
    let (script, file) = (text("scripts/image"), text("Containerfile"));
    for (name, image, target) in [
        ("handler", "oauth-proxy", "handler"),
        ("provider", "oauth-proxy-demo", "demo"),
        ("application", "oauth-proxy-demo", "demo"),
    ] {
        assert!(service(name).contains(&format!("image: {image}:local")), "{name}");
        assert!(script.contains(&format!("build_image {image} {target}")), "{image}");
        assert!(file.contains(&format!("FROM scratch AS {target}\n")), "{target}");
    }
}

#[test]
fn an_image_has_one_file_and_runs_as_nobody() {
    let file = text("Containerfile");
    let stages: Vec<&str> = file.split("FROM ").skip(1).collect();
    assert_eq!(stages.len(), 2);
    for stage in stages {
        assert!(stage.starts_with("scratch AS "), "{stage}");
        assert!(stage.contains("\nUSER 65532:65532\n"), "{stage}");
        assert_eq!(stage.matches("\nCOPY ").count(), 1, "{stage}");
        assert!(!stage.contains("\nRUN "), "{stage}");
    }
    assert!(file.trim_end().ends_with("ENTRYPOINT [\"/oauth-proxy\"]"), "the handler's stage is the default");
}
