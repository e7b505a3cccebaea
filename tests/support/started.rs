//! A gateway as a process, described in the same sentence as one in this process:
//! `started(gateway().route("/chat", &backend))`.
//!
//! Knows how to look at a process from outside; knows nothing of what it serves.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use super::eventually;
use super::gateway::Builder;
use super::process::{Process, throughway};

/// A running gateway and the folder of its configuration.
#[derive(Debug)]
pub struct Started {
    process: Process,
    _files: Builder,
}

/// What is described, as a process.
pub fn started(builder: Builder) -> Started {
    started_with(builder, &[])
}

/// The same with these environment variables.
pub fn started_with(builder: Builder, environment: &[(&str, &str)]) -> Started {
    let process = Process::start(&written(&builder), environment);
    Started {
        process,
        _files: builder,
    }
}

/// The same with at most so many descriptors. The hard limit, too: the program raises the soft
/// one to it.
pub fn started_with_descriptors(builder: Builder, descriptors_max: usize) -> Started {
    let program = throughway();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -n {descriptors_max}; exec \"$0\" \"$@\""))
        .arg(program.get_program())
        .args(["run", "-c"])
        .arg(written(&builder));
    Started {
        process: Process::listening(command),
        _files: builder,
    }
}

/// The configuration as a file.
pub fn written(builder: &Builder) -> PathBuf {
    let path = builder.dir().join("throughway.toml");
    std::fs::write(&path, builder.toml()).unwrap();
    path
}

impl Deref for Started {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Process {
    /// The lines of the log that hold `text`.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let mut lines = self.log();
        lines.retain(|line| line.contains(text));
        lines
    }

    /// The lines that hold `text`, once there are `n`.
    pub async fn logs(&self, n: usize, text: &str) -> Vec<String> {
        let what = format!("{n} lines with {text}");
        eventually(&what, || self.lines_with(text).len() >= n).await;
        self.lines_with(text)
    }

    /// Ends it and returns all that it ever logged: what is not there now never comes.
    pub async fn whole_log(&mut self) -> Vec<String> {
        self.signal("TERM");
        self.logs(1, "\"message\":\"ended\"").await;
        self.log()
    }

    /// Its end, while this side goes on.
    pub async fn exits(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.try_ended();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let listed = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        listed.unwrap().count()
    }

    /// Its resident memory.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap();
        kib * 1024
    }

    /// The processor time it has used, in ticks of 10 ms (proc_pid_stat(5), fields 14 and 15).
    pub fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name of the program stands in parentheses and may hold anything.
        let fields = stat.rsplit_once(')').unwrap().1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.map(|n| n.parse::<u64>().unwrap()).sum()
    }
}
