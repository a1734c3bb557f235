//! The real handler, in a child process of this same binary.
//!
//! Its standard input is a pipe that only we hold: when we end, however we end, it ends too.

use std::io::Read;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Ports;
use crate::provider::Client;

/// What the child does: serve until its parent is gone.
pub(crate) fn run() -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]); // returns when the other end is closed
        std::process::exit(0);
    });
    oauth_proxy::cli::run(&[])
}

/// The running handler, and the pipe that it lives by.
pub(crate) struct HandlerProcess {
    child: Child,
    _lifeline: Option<ChildStdin>,
}

/// Starts the handler for this Provider and this application. Its environment is these settings and nothing else.
pub(crate) fn start(ports: &Ports, client: &Client) -> Result<HandlerProcess, String> {
    let upstream = ports.application();
    let routes = format!(
        r#"[{{"path":"/","upstream":"{upstream}"}},{{"path":"/public","upstream":"{upstream}","access":"anonymous"}}]"#
    );
    let program = std::env::current_exe().map_err(|cause| format!("the demo cannot find itself: {cause}"))?;
    let settings = [
        ("LISTEN_ADDR", ports.handler().trim_start_matches("http://").to_owned()),
        ("PUBLIC_BASE_URL", ports.handler()),
        ("ROUTES", routes),
        ("OIDC_ISSUER_URL", ports.provider()),
        ("CLIENT_ID", client.id.clone()),
        ("CLIENT_SECRET", client.secret.clone()),
        ("HEADER_PRESET", "oauth2-proxy".to_owned()),
        ("LOG", "error,audit=info".to_owned()),
    ];
    let child = Command::new(program).arg("handler").env_clear().envs(settings).stdin(Stdio::piped()).spawn();
    let mut child = child.map_err(|cause| format!("the handler does not start: {cause}"))?;
    let _lifeline = child.stdin.take(); // waiting for a child would close it
    Ok(HandlerProcess { child, _lifeline })
}

impl HandlerProcess {
    /// Waits until the handler listens; false when it ended instead.
    pub(crate) async fn answers(&mut self, ports: &Ports) -> bool {
        let address = ports.handler().trim_start_matches("http://").to_owned();
        loop {
            if TcpStream::connect(&address).await.is_ok() {
                return true;
            }
            tokio::select! {
                _ = self.child.wait() => return false,
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }

    /// Waits until the handler ends by itself, which is a failure.
    pub(crate) async fn ended(&mut self) -> ExitCode {
        let _ = self.child.wait().await;
        eprintln!("the handler ended");
        ExitCode::FAILURE
    }

    /// Ends the handler and waits for it.
    pub(crate) async fn stop(&mut self) {
        let _ = self.child.kill().await;
    }
}

/// Ctrl-C, or a request to end.
pub(crate) async fn interrupted() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
