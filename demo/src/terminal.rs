//! What the demo says in the terminal: what to try, and then what the Provider is asked. Never a token.

use std::io::IsTerminal;

use crate::arguments::Ports;
use crate::provider::people;

/// Writes to the terminal, in colour if it is one.
#[derive(Clone, Copy)]
pub(crate) struct Terminal {
    has_colour: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { has_colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// One thing that the Provider was asked.
    pub(crate) fn provider_was_asked(self, what: &str) {
        println!("  {} {what}", self.dim("provider"));
    }

    /// What to open and what to try.
    pub(crate) fn welcome(self, ports: &Ports) {
        let url = ports.handler();
        println!("\n  {}   {}\n", self.bold("apim-oauth-proxy, the demo"), self.link(&url));
        println!(
            "  {}",
            self.dim("handler, provider and a legacy application run on loopback; nothing leaves this machine")
        );
        println!("\n  Sign in as");
        for (username, password) in people() {
            println!("    {username:<6} with the password {password}");
        }
        println!("\n  Try");
        for (what, how) in [
            ("refresh", "watch the token's last seconds: it is renewed, and the page never notices".to_owned()),
            ("two tabs", "open two, sign in in both at once".to_owned()),
            ("sign out", "in one tab, then press \"Ask as a script\" in the other".to_owned()),
            ("a script", format!("curl -i {url}/api/time")),
            ("a route for everyone", format!("curl -i {url}/public")),
        ] {
            println!("    {:<21} {how}", self.bold_padded(what, 21));
        }
        println!("\n  {}\n", self.dim("Ctrl-C ends everything."));
    }

    fn bold_padded(self, text: &str, width: usize) -> String {
        let padding = " ".repeat(width.saturating_sub(text.len()));
        format!("{}{padding}", self.bold(text))
    }

    fn bold(self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.styled("2", text)
    }

    fn link(self, text: &str) -> String {
        self.styled("4;36", text)
    }

    fn styled(self, style: &str, text: &str) -> String {
        if self.has_colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
