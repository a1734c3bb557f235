//! A misspelt variable or command gets the name that was meant, wherever an operator looks.

use support::{Handler, Provider, Upstream, run_to_end};

const MISSPELT: (&str, &str) = ("SESSION_IDEL_TIMEOUT", "THE-SECRET");
const TOLD: &str = "SESSION_IDEL_TIMEOUT is no setting; did you mean SESSION_IDLE_TIMEOUT?";

#[test]
fn check_notes_a_misspelt_setting() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let own = [("PUBLIC_BASE_URL", "http://localhost:1"), ("UPSTREAM_URL", upstream.url.as_str()), MISSPELT];

    let (code, stdout, stderr) = run_to_end(&["check"], &[&own[..], &provider.settings()[..]].concat());

    assert!(code == 0 && stdout.contains(&format!("note    {TOLD}\n")), "{stdout}{stderr}");
    assert!(!stdout.contains("THE-SECRET"));
}

#[test]
fn the_list_of_mistakes_ends_with_the_misspelt_settings() {
    for arguments in [&["check"][..], &[], &["revoke", "--sub", "ada"]] {
        let (code, _, stderr) = run_to_end(arguments, &[MISSPELT, ("WORKERS", "two")]);

        assert_eq!(code, 2);
        assert!(stderr.ends_with(&format!("note: {TOLD}\n")), "{stderr}");
        assert!(stderr.contains("WORKERS: its value cannot be used (\"two\"); expected"), "{stderr}");
    }
}

#[test]
fn a_start_logs_a_misspelt_setting() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let own = [("UPSTREAM_URL", upstream.url.as_str()), MISSPELT];

    let handler = Handler::start(&[&own[..], &provider.settings()[..]].concat());

    let output = handler.output().text();
    assert!(output.contains(TOLD) && output.contains("setting_unknown"), "{output}");
    assert!(!output.contains("THE-SECRET"));
}

#[test]
fn a_misspelt_command_gets_the_one_that_was_meant() {
    for (command, sentence) in [
        ("chek", "there is no command \"chek\"; did you mean check?"),
        ("generate-keys", "did you mean generate-key?"),
        ("serve", "there is no command \"serve\"; without a command it serves"),
    ] {
        let (code, _, stderr) = run_to_end(&[command], &[]);
        assert!(code == 2 && stderr.contains(sentence), "{stderr}");
    }
}
