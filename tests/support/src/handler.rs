//! The real handler as a process of its own, directly or behind the Functions host.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::{LIMIT, wait_until};

/// A running handler; it ends when this is dropped.
pub struct Handler {
    /// Origin of the handler, as browsers see it.
    pub origin: String,
    path: &'static str,
    process: Child,
    output: HandlerOutput,
    _folder: Option<tempfile::TempDir>,
}

/// Output of a process so far.
#[derive(Clone, Default)]
pub struct HandlerOutput(Arc<Mutex<String>>);

impl HandlerOutput {
    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn follow(&self, pipe: impl Read + Send + 'static) {
        let output = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                output.lock().unwrap().push_str(&(line + "\n"));
            }
        });
    }
}

impl Handler {
    /// Starts the handler by itself, on a free port, and waits until it responds.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(binary());
        command.env_clear().env("LISTEN_ADDR", format!("127.0.0.1:{port}")).env("PUBLIC_BASE_URL", &origin);
        Self::run(command.envs(settings.iter().copied()), origin, None)
    }

    /// Starts the Functions host with the handler behind it; `None` where there is no host.
    ///
    /// # Panics
    /// In CI, where there must be one.
    #[must_use]
    pub fn start_behind_the_host(settings: &[(&str, &str)]) -> Option<Self> {
        Self::start_staged(stage, settings)
    }

    /// Starts the Functions host as on Azure, below this path and behind the platform's front end, and the handler behind
    /// it. `None` where there is no stand-in for that.
    ///
    /// # Panics
    /// In CI, where there must be one.
    #[must_use]
    pub fn start_on_azure(path: &'static str, settings: &[(&str, &str)]) -> Option<Self> {
        let host = host_double()?;
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let folder = stage(&[], &origin);
        let mut command = Command::new(host);
        command.arg(folder.path()).args(["--azure", "--port", &port.to_string()]);
        command.env("AzureFunctionsJobHost__extensions__http__routePrefix", path.trim_start_matches('/'));
        // Without an instance the handler takes the store and keys of a test.
        command.env("WEBSITE_INSTANCE_ID", "").env("PUBLIC_BASE_URL", &origin).envs(settings.iter().copied());
        Some(Self::run_below(path, &mut command, origin, Some(folder)))
    }

    /// The same in a folder such as a developer's, with `local.settings.sample.json` filled in.
    ///
    /// # Panics
    /// In CI, where there must be a host.
    #[must_use]
    pub fn start_from_the_sample(settings: &[(&str, &str)]) -> Option<Self> {
        Self::start_staged(stage_sample, settings)
    }

    fn start_staged(stage: fn(&[(&str, &str)], &str) -> tempfile::TempDir, settings: &[(&str, &str)]) -> Option<Self> {
        let host = functions_host()?;
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let folder = stage(settings, &origin);
        let mut command = Command::new(host);
        command.current_dir(folder.path()).args(["start", "--port", &port.to_string()]);
        Some(Self::run(&mut command, origin, Some(folder)))
    }

    fn run(command: &mut Command, origin: String, folder: Option<tempfile::TempDir>) -> Self {
        Self::run_below("", command, origin, folder)
    }

    fn run_below(path: &'static str, command: &mut Command, origin: String, folder: Option<tempfile::TempDir>) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the process starts");
        let output = HandlerOutput::default();
        output.follow(process.stdout.take().unwrap());
        output.follow(process.stderr.take().unwrap());
        let handler = Self { origin, path, process, output, _folder: folder };
        wait_until("the handler responds", || handler.is_live());
        handler
    }

    /// Resets the connection of a client that waits for a response, and waits until the handler has let go of it.
    ///
    /// A client that only closes its side may still read: the server goes on for it.
    ///
    /// # Panics
    /// When the handler keeps the connection.
    pub fn reset(&self, client: TcpStream) {
        let port = client.local_addr().expect("an address").port();
        let server = client.peer_addr().expect("an address").port();
        let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux lists its connections");
        let is_ours = |fields: &&[&str]| {
            fields[1].ends_with(&format!(":{server:04X}")) && fields[2].ends_with(&format!(":{port:04X}"))
        };
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        let row = rows.iter().map(Vec::as_slice).find(is_ours).expect("the connection is accepted");
        let socket = format!("socket:[{}]", row[9]);

        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an open socket");
        drop(client);

        let held = format!("/proc/{}/fd", self.process.id());
        wait_until("the handler sees the reset", || {
            let held = std::fs::read_dir(&held).expect("it runs").filter_map(Result::ok);
            !held
                .filter_map(|held| std::fs::read_link(held.path()).ok())
                .any(|link| link.as_os_str() == socket.as_str())
        });
    }

    /// Ends it at once, as the platform ends an instance (SIGKILL).
    ///
    /// # Panics
    /// When it can't be ended.
    pub fn kill(&mut self) {
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process ends");
    }

    /// Asks it to end (SIGTERM), and doesn't wait.
    ///
    /// # Panics
    /// When the signal can't be sent.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
    }

    /// Waits until it has ended; the exit code, if it was no signal that ended it.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.process.try_wait().expect("the process is ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Output of the process so far.
    #[must_use]
    pub fn output(&self) -> HandlerOutput {
        self.output.clone()
    }

    /// The largest memory the handler ever had, in kilobytes. Only without a host in between.
    #[must_use]
    pub fn peak_memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn is_live(&self) -> bool {
        let browser = crate::Browser::behind_gateway(&self.origin, self.path);
        let address = self.origin.trim_start_matches("http://");
        TcpStream::connect(address).is_ok()
            && crate::read_response(&browser.begin("GET", "/oauth/health/live", &[], b""), "GET")
                .is_ok_and(|response| response.status == 200)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // The host double ends its handler when it is asked to end, not when it is killed.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Runs the handler with these arguments and nothing else in its environment; exit code, stdout and stderr.
///
/// # Panics
/// When it serves instead of ending.
#[must_use]
pub fn run_to_end(arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().env("LISTEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let (stdout, stderr) = (read_all(process.stdout.take()), read_all(process.stderr.take()));
    let deadline = Instant::now() + LIMIT;
    let code = loop {
        match process.try_wait().expect("it is ours") {
            Some(status) => break status.code().unwrap_or(-1),
            None if Instant::now() > deadline => {
                let _ = process.kill();
                panic!("it serves with {settings:?}");
            }
            None => std::thread::park_timeout(Duration::from_millis(2)),
        }
    };
    (code, stdout.join().unwrap(), stderr.join().unwrap())
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.expect("it is piped").read_to_string(&mut text);
        text
    })
}

/// The Functions host: `func` if it is on the `PATH`, else the double that `FUNCTIONS_HOST_DOUBLE` names.
///
/// # Panics
/// In CI, when there is neither.
#[must_use]
pub fn functions_host() -> Option<PathBuf> {
    let on_the_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("func")).find(|program| program.is_file())
    });
    let host = on_the_path.or_else(double);
    if host.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no Functions host, and nothing is skipped in CI");
        println!("skipped: there is no Functions host (func on the PATH, or FUNCTIONS_HOST_DOUBLE)");
    }
    host
}

fn double() -> Option<PathBuf> {
    std::env::var_os("FUNCTIONS_HOST_DOUBLE").map(PathBuf::from).filter(|path| path.is_file())
}

/// The stand-in for the host that `FUNCTIONS_HOST_DOUBLE` names: it plays Azure's front end, too, which `func` does not.
///
/// # Panics
/// In CI, when there is none.
#[must_use]
pub fn host_double() -> Option<PathBuf> {
    let double = double();
    if double.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no FUNCTIONS_HOST_DOUBLE, and nothing is skipped in CI");
        println!("skipped: FUNCTIONS_HOST_DOUBLE names no stand-in for the Functions host");
    }
    double
}

/// The project's own folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folder after `cargo build`, with a copy of the sample that contains these settings.
fn stage_sample(settings: &[(&str, &str)], origin: &str) -> tempfile::TempDir {
    let folder = stage_functions();
    let built = folder.path().join("target/debug");
    std::fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(binary(), built.join("oauth-proxy")).unwrap();
    let sample = std::fs::read_to_string(root().join("local.settings.sample.json")).unwrap();
    let mut local: serde_json::Value = serde_json::from_str(&sample).unwrap();
    for (name, value) in [("PUBLIC_BASE_URL", origin)].iter().chain(settings) {
        assert!(local["Values"].get(name).is_some(), "{name} is not in the sample");
        local["Values"][name] = (*value).into();
    }
    std::fs::write(folder.path().join("local.settings.json"), local.to_string()).unwrap();
    folder
}

/// The app folder as it is deployed, with these settings.
fn stage(settings: &[(&str, &str)], origin: &str) -> tempfile::TempDir {
    let folder = stage_functions();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(binary(), folder.path().join("bin/oauth-proxy")).unwrap();
    let mut values = serde_json::json!({ "FUNCTIONS_WORKER_RUNTIME": "custom", "PUBLIC_BASE_URL": origin });
    for (name, value) in settings {
        values[*name] = (*value).into();
    }
    let local = serde_json::json!({ "IsEncrypted": false, "Values": values });
    std::fs::write(folder.path().join("local.settings.json"), local.to_string()).unwrap();
    folder
}

/// `host.json` and the folder of every function.
fn stage_functions() -> tempfile::TempDir {
    let (folder, root) = (tempfile::tempdir().unwrap(), root());
    std::fs::copy(root.join("host.json"), folder.path().join("host.json")).unwrap();
    for entry in std::fs::read_dir(&root).unwrap().map(Result::unwrap) {
        let function = entry.path().join("function.json");
        if function.is_file() {
            let target = folder.path().join(entry.file_name());
            std::fs::create_dir(&target).unwrap();
            std::fs::copy(function, target.join("function.json")).unwrap();
        }
    }
    folder
}

/// The handler's binary: `OAUTH_PROXY`, or the one that was built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("OAUTH_PROXY") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let built = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps").join("oauth-proxy");
    assert!(built.is_file(), "build the handler first: cargo build -p oauth-proxy");
    built
}

/// A port below those that the system gives out by itself, so that nothing takes it before the handler does.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 15_000).expect("below 15,000");
    loop {
        let port = 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
