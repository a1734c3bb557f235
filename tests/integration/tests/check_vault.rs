//! `oauth-proxy check` against a vault that gives no keys: one line, with the cause and what to do.

use azure_doubles::{AzureDoubles, Fault};
use support::{Provider, Upstream, run_to_end};

struct Setting {
    azure: AzureDoubles,
    provider: Provider,
    upstream: Upstream,
}

impl Setting {
    fn new() -> Self {
        let azure = AzureDoubles::start();
        for name in ["cookie-key", "token-key"] {
            azure.vault.add_key_secret(name, 86_400);
        }
        Self { azure, provider: Provider::start(), upstream: Upstream::start() }
    }

    /// Exit code and the line about the keys.
    fn check(&self, changes: &[(&str, &str)]) -> (i32, String) {
        let own = [("PUBLIC_BASE_URL", "http://localhost:1"), ("UPSTREAM_URL", self.upstream.url.as_str())];
        let settings = [&own[..], &self.azure.settings()[..], &self.provider.settings()[..], changes].concat();
        let (code, stdout, stderr) = run_to_end(&["check"], &settings);
        let mut lines = stdout.lines().chain(stderr.lines()).filter(|line| line.contains("keys"));
        let line = lines.next().unwrap_or_else(|| panic!("{stdout}{stderr}")).to_owned();
        assert_eq!(lines.next(), None);
        (code, line)
    }
}

#[test]
fn a_vault_that_cannot_be_reached_is_one_line_with_its_cause() {
    let setting = Setting::new();
    let table = [
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt", "its certificate is not trusted"),
        ("KEY_VAULT_URL", "https://nowhere.invalid", "its name does not resolve"),
        ("KEY_VAULT_URL", "https://127.0.0.1:1", "it refuses the connection"),
    ];
    for (name, value, cause) in table {
        let (code, line) = setting.check(&[(name, value)]);
        assert_eq!(code, 1);
        assert!(line.starts_with("failed  keys: ") && line.contains(cause), "{value}: {line}");
        assert!(line.contains("KEY_VAULT_URL") || line.contains("SSL_CERT_FILE"), "{value}: {line}");
    }
}

#[test]
fn a_vault_that_refuses_is_one_line_with_its_cause() {
    for (fault, cause) in [
        (Fault::NoRole, "the role Key Vault Secrets User is missing"),
        (Fault::Firewall, "its firewall refuses this network"),
        (Fault::Status(503), "it responds with status 503"),
        (Fault::Reset, "it ends the connection"),
    ] {
        let setting = Setting::new();
        setting.azure.vault.faults.break_down(fault);

        let (code, line) = setting.check(&[]);

        assert_eq!(code, 1);
        assert!(line.starts_with("failed  keys: ") && line.contains(cause), "{fault:?}: {line}");
    }
}

#[test]
fn an_identity_that_cannot_be_had_is_told_apart_from_the_vault() {
    let setting = Setting::new();
    setting.azure.identity.faults.break_down(Fault::Status(500));

    let (code, line) = setting.check(&[]);

    assert!(code == 1 && line.contains("the identity (AZURE_CREDENTIAL, AZURE_CLIENT_ID) gives none"), "{line}");
}
