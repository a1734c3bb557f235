//! An identity endpoint that hangs stops nothing while the token at hand is good: the real libraries over real TLS.

use azure_doubles::{AzureDoubles, Fault};
use support::{Browser, Handler, Provider, Upstream, wait_until};

const VAULT: &str = "https://vault.azure.net";

/// A handler whose tokens are always in their last five minutes, and that reads the vault every second.
struct Fixture {
    azure: AzureDoubles,
    handler: Handler,
    _others: (Provider, Upstream),
}

impl Fixture {
    fn new() -> Self {
        let (azure, provider, upstream) = (AzureDoubles::start(), Provider::start(), Upstream::start());
        azure.identity.set_lifetime(240);
        for name in ["cookie-key", "token-key"] {
            azure.vault.add_key_secret(name, 86_400);
        }
        let own =
            [("UPSTREAM_URL", upstream.url.as_str()), ("KEY_RELOAD_INTERVAL", "1s"), ("KEY_ACTIVATION_DELAY", "2s")];
        let handler = Handler::start(&[&own[..], &azure.settings()[..], &provider.settings()[..]].concat());
        let mut browser = Browser::new(&handler.origin);
        wait_until("the keys are here", || browser.fetch("/oauth/health/ready").status == 200);
        Self { azure, handler, _others: (provider, upstream) }
    }

    fn wait_for_reads_of_the_vault(&self, more: usize) {
        let before = self.azure.vault.faults.calls("versions");
        wait_until("the vault is read", || self.azure.vault.faults.calls("versions") >= before + more);
    }
}

#[test]
fn a_hanging_identity_endpoint_stops_no_call_while_the_token_is_good() {
    let fixture = Fixture::new();
    fixture.azure.identity.faults.break_down(Fault::Hang);

    // Two secrets of two pages at most: five reloads.
    fixture.wait_for_reads_of_the_vault(10);

    assert!(!fixture.handler.output().text().contains("key load failed: vault not readable"));
    fixture.azure.identity.faults.mend();
}

#[test]
fn a_failing_identity_endpoint_is_logged_and_its_recovery_renews_the_token() {
    let fixture = Fixture::new();
    fixture.azure.identity.faults.break_down(Fault::Status(500));
    wait_until("the failure is logged", || fixture.handler.output().text().contains("identity_token_unrenewed"));

    fixture.wait_for_reads_of_the_vault(4);
    let before = fixture.azure.identity.faults.calls(VAULT);
    fixture.azure.identity.faults.mend();

    wait_until("the token is renewed", || fixture.azure.identity.faults.calls(VAULT) > before);
    assert!(!fixture.handler.output().text().contains("key load failed: vault not readable"));
}
