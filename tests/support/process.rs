//! The program itself, as a process: for what only a process has — signals, exit codes, a log.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// A running `throughway run`.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where its first listener is.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// The program with no arguments yet.
pub fn throughway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughway"));
    command
        .env_remove("THROUGHWAY_LOG")
        .env_remove("THROUGHWAY_CONFIG")
        .stdin(Stdio::null());
    command
}

/// A field's value in a JSON line of the log, without its quotes. Escapes stay as they are.
pub fn field(line: &str, name: &str) -> String {
    let begin = format!("\"{name}\":");
    let value = line.split_once(&begin).map(|(_, rest)| rest);
    let value = value.unwrap_or_else(|| panic!("no {name} in {line}"));
    match value.strip_prefix('"') {
        Some(text) => text.split('"').next().unwrap().to_owned(),
        None => value.split([',', '}']).next().unwrap().to_owned(),
    }
}

fn run(config: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = throughway();
    command.arg("run").arg("-c").arg(config);
    command.envs(environment.iter().copied());
    command
}

impl Process {
    /// Starts it with the file at `config` and waits until it listens.
    pub fn start(config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::listening(run(config, environment))
    }

    /// Starts `command` and waits until it listens.
    pub fn listening(command: Command) -> Self {
        let mut process = Self::spawn(command);
        let line = process.line_with("listening");
        // As JSON `"address":"…"`, as text `address=…`.
        let (_, address) = line.split_once("address").unwrap();
        let address = address.trim_start_matches(['"', ':', '=']);
        let address = address.split(['"', ' ']).next().unwrap();
        process.address = address.parse().unwrap();
        process
    }

    /// Starts `command` and waits for nothing.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let into = log.clone();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| into.lock().unwrap().push(line));
        });
        Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            log,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line of its log that holds `text`, once it is there.
    pub fn line_with(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let found = self.log().into_iter().find(|line| line.contains(text));
            if let Some(line) = found {
                return line;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no line with {text:?} in {:#?}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, as in `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not end: {:#?}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// How it ended, if it did.
    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and a test that fails has no use for a second failure.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
