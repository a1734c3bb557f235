//! The real handler, in a process of its own: how it is started and what it is told.
//!
//! Everything it knows it has from its environment, as in production. It lives no longer than its parent.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::arguments::Token;
use crate::database::{CONTAINER, DATABASE};
use crate::part::Part;
use crate::story::Story;
use crate::terminal::{self, DIM, paint};

/// The one argument that makes this program the handler.
pub(crate) const ARGUMENT: &str = "handler";

/// The audit trail, what goes wrong, and the line that says where it listens. The warnings of `cli` about keys in the
/// environment are no news here.
const LOG: &str = "warn,audit=info,oauth_proxy::app=info,oauth_proxy::cli=error";

/// Serves until the parent is gone: stdin is a pipe that ends with it, however it ends.
pub(crate) fn serve() -> ExitCode {
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    oauth_proxy::cli::run(&[])
}

/// Settings of the handler process.
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) public_base_url: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) application: Behind,
    pub(crate) database: String,
    /// One entry of `COOKIE_KEYS` and one of `TOKEN_KEYS`.
    pub(crate) keys: [String; 2],
}

/// The application that the handler protects.
pub(crate) enum Behind {
    /// The demo's own, whose `/public` is open to everyone.
    Demo(String),
    /// Another: all of it needs a session.
    Own { url: String, token: Token },
}

/// Reason why the handler does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandlerError {
    /// No process could be started.
    #[error("the handler could not be started: {0}")]
    Start(#[from] io::Error),
    /// It ended while it was still needed; its own words are above.
    #[error("the handler ended: {0}")]
    Ended(ExitStatus),
}

/// A running handler.
pub(crate) struct Handler {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    story: Arc<Story>,
}

impl Handler {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(settings: Settings, story: Arc<Story>) -> Result<Self, HandlerError> {
        let mut command = Command::new(std::env::current_exe()?);
        // Only what we say: a variable of the shell's is no setting here. Windows opens no socket without its root.
        command.env_clear().envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
        command.arg(ARGUMENT).envs(settings.variables()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the parent, which then ends this one; else the two would race.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.kill_on_drop(true).spawn()?;
        let Some(stdout) = child.stdout.take() else { return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()) };

        let mut handler = Self { child, lines: BufReader::new(stdout).lines(), story };
        while let Some(line) = handler.lines.next_line().await? {
            if line.contains("listening") {
                return Ok(handler);
            }
            record(&line, &handler.story);
        }
        Err(HandlerError::Ended(handler.child.wait().await?))
    }

    /// Repeats what it logs until it ends, which it should not do by itself.
    pub(crate) async fn watch(&mut self) -> HandlerError {
        while let Ok(Some(line)) = self.lines.next_line().await {
            record(&line, &self.story);
        }
        self.child.wait().await.map_or_else(HandlerError::Start, HandlerError::Ended)
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill().await;
    }
}

impl Settings {
    fn variables(self) -> [(&'static str, String); 17] {
        let routes = match &self.application {
            Behind::Demo(url) => json!([
                { "path": "/", "upstream": url, "access": "session" },
                { "path": "/public", "upstream": url, "access": "anonymous" },
            ]),
            Behind::Own { url, token } => {
                json!([{ "path": "/", "upstream": url, "access": "session", "token": token.as_str() }])
            }
        };
        let [cookie_key, token_key] = self.keys;
        [
            ("SESSION_STORE", "cosmos".to_owned()),
            ("COSMOS_ENDPOINT", self.database),
            ("COSMOS_DATABASE", DATABASE.to_owned()),
            ("COSMOS_CONTAINER", CONTAINER.to_owned()),
            ("COSMOS_KEY", "ZGVtbw==".to_owned()), // signs requests that nobody checks
            // Azure's library would write its items in a binary form of JSON.
            ("AZURE_COSMOS_BINARY_ENCODING_ENABLED", "false".to_owned()),
            ("COOKIE_KEYS", cookie_key),
            ("TOKEN_KEYS", token_key),
            ("LISTEN_ADDR", self.address.to_string()),
            ("PUBLIC_BASE_URL", self.public_base_url),
            ("ROUTES", routes.to_string()),
            ("OIDC_ISSUER_URL", self.issuer),
            ("CLIENT_ID", self.client_id),
            ("CLIENT_SECRET", self.client_secret),
            ("REFRESH_BEFORE_EXPIRY", "15s".to_owned()),
            ("HEADER_PRESET", "sample".to_owned()),
            ("LOG", LOG.to_owned()),
        ]
    }
}

/// A log line for a person who sits before it: without the time, and the long identifiers cut short.
fn record(line: &str, story: &Story) {
    terminal::print_event(Part::Handler, &readable(line));
    let event = line.split_once("event=\"").and_then(|(_, rest)| rest.split('"').next());
    if let Some((label, text)) = event.and_then(shown_event) {
        story.note(Part::Handler, label, text);
    }
}

/// Label and sentence of an event of the audit log.
fn shown_event(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        "signed_in" => ("sealed cookie", "seals the session's secret into a cookie that only your browser has"),
        "signed_out" => ("sign-out", "ends the session, and takes the cookie away"),
        "session_ended" => ("session ended", "finds your session by the Provider's word, without a cookie"),
        "sign_in_failed" => ("no sign-in", "shows a page, for the Provider gave no code"),
        "refresh_failed" => ("no refresh", "got no new tokens; the session lives on, and it tries again"),
        _ => return None,
    })
}

fn readable(line: &str) -> String {
    let text = line.split_once(' ').map_or(line, |(_time, text)| text.trim_start());
    let text = text.strip_prefix("INFO audit: ").unwrap_or(text);
    let words: Vec<_> = text
        .split(' ')
        .map(|word| match word.split_once('=') {
            Some((name, value)) if value.len() > 24 && value.starts_with('"') => {
                paint(DIM, &format!("{name}={}…\"", value.get(..9).unwrap_or(value)))
            }
            Some(_) => paint(DIM, word),
            None => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_log_line_loses_its_time_and_the_length_of_its_identifiers() {
        let line = r#"2026-01-01T00:00:00.000000Z  INFO audit: person signed in event="signed_in" session.key="v8evm1UPYkuiAvyvDAJv83Pw_60Ay0hHISTUvpBvm7Q""#;

        assert_eq!(readable(line), r#"person signed in event="signed_in" session.key="v8evm1UP…""#);
    }
}
