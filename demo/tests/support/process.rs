//! The demo's binary, and proof that nothing of it is left.
//!
//! Every process of the tree holds the pipe that is its stderr: the pipe ends when the last of them is gone.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Limit of every wait: far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A running demo; it ends with the test.
pub(crate) struct Demo {
    pub(crate) url: String,
    child: Child,
    lines: Receiver<String>,
    all_gone: Receiver<()>,
}

impl Demo {
    /// Starts it at free ports and waits for the line with the address to open.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut child = command(&[&["--port", "0"], arguments].concat()).spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let (end, all_gone) = channel();
        thread::spawn(move || stderr.read_to_end(&mut Vec::new()).map(|_| end.send(())));

        let mut demo = Self { url: String::new(), child, lines, all_gone };
        let line = demo.output_until("Open ");
        demo.url = line[line.find("http://").unwrap()..].trim().to_owned();
        demo
    }

    /// Output up to a line with `end`.
    pub(crate) fn output_until(&self, end: &str) -> String {
        let mut output = String::new();
        loop {
            let line =
                self.lines.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{end:?} was not printed, but {output}"));
            output.extend([line.as_str(), "\n"]);
            if line.contains(end) {
                return output;
            }
        }
    }

    /// Sends SIGTERM and waits for every process of it.
    #[cfg(unix)]
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.wait()
    }

    /// Ends it without warning and waits for every process of it.
    pub(crate) fn kill(mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.all_gone.recv_timeout(LIMIT).expect("a process of the demo is left");
        status
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end: the status, and all that it printed.
pub(crate) fn run(arguments: &[&str]) -> (ExitStatus, String) {
    let output = command(arguments).output().unwrap();
    (output.status, String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
