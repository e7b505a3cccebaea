//! What the kernel says of a proxy's processes and of the machine: processor time and memory.
//!
//! Processor time is read in nanoseconds from schedstat; `times` counts in ticks of 4 ms and gives
//! a short burst to whoever runs when the tick comes. Does not know what was done meanwhile.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::Failure;

/// /proc/stat counts in hundredths of a second on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// The processes of one proxy.
pub(crate) struct Meter {
    processes: Vec<u32>,
    cores: u32,
}

/// All counters at one moment.
pub(crate) struct Reading {
    at: Instant,
    proxy: Duration,
    own: Duration,
    idle: Duration,
    steal: Duration,
}

impl Meter {
    /// Of the process `first`, its children, theirs, and so on. Without one, of nothing.
    pub(crate) fn of(first: Option<u32>) -> Result<Self, Failure> {
        let mut processes: Vec<u32> = first.into_iter().collect();
        let parents = parents()?;
        let mut next = 0;
        while let Some(&parent) = processes.get(next) {
            let children = parents.iter().filter(|(_, p)| *p == parent);
            processes.extend(children.map(|(child, _)| child));
            next += 1;
        }
        let cores = read(Path::new("/proc/stat"))?
            .lines()
            .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
            .count();
        Ok(Self {
            processes,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn reading(&self) -> Result<Reading, Failure> {
        let mut proxy = Duration::ZERO;
        for process in &self.processes {
            proxy += threads_time(*process)?;
        }
        let machine = read(Path::new("/proc/stat"))?;
        let ticks: Vec<u32> = machine
            .split_whitespace()
            .skip(1)
            .map_while(|word| word.parse().ok())
            .collect();
        // proc_stat(5): user nice system idle iowait irq softirq steal.
        let ticks = |index: usize| TICK * ticks.get(index).copied().unwrap_or_default();
        Ok(Reading {
            at: Instant::now(),
            proxy,
            own: first_number(Path::new("/proc/self/schedstat"))?,
            idle: ticks(3) + ticks(4),
            steal: ticks(7),
        })
    }

    /// Bytes that the proxy's processes have in memory, shared pages by their share.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let mut sum = 0;
        for process in &self.processes {
            let path = format!("/proc/{process}/smaps_rollup");
            let rollup = read(Path::new(&path))?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            let kilobytes: Option<u64> = kilobytes.and_then(|number| number.parse().ok());
            sum += 1024 * kilobytes.ok_or_else(|| Failure::Broken(format!("no Pss in {path}")))?;
        }
        Ok(sum)
    }
}

impl Reading {
    /// What passed from `self` to `later`, for the result.
    pub(crate) fn until(&self, later: &Reading, cores: &Meter) -> Value {
        let wall = later.at - self.at;
        let proxy = later.proxy.saturating_sub(self.proxy);
        let own = later.own - self.own;
        let idle = later.idle.saturating_sub(self.idle);
        let others = (wall * cores.cores).saturating_sub(idle + proxy + own);
        json!({
            "seconds": wall.as_secs_f64(),
            "proxy_cpu": proxy.as_secs_f64(),
            "generator_cpu": own.as_secs_f64(),
            "others_cpu": others.as_secs_f64(),
            "steal": later.steal.saturating_sub(self.steal).as_secs_f64(),
        })
    }
}

/// Each process and its parent.
fn parents() -> Result<Vec<(u32, u32)>, Failure> {
    let entries = fs::read_dir("/proc").map_err(Failure::io("listing processes"))?;
    let numbers = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.parse::<u32>().ok())
    });
    // One that has ended since has no parent to tell.
    Ok(numbers.filter_map(|n| Some((n, parent(n)?))).collect())
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc_pid_stat(5): the name may hold anything, brackets too; after it come state and parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn threads_time(process: u32) -> Result<Duration, Failure> {
    let threads = format!("/proc/{process}/task");
    let threads = fs::read_dir(threads).map_err(Failure::io("listing the proxy's threads"))?;
    let mut sum = Duration::ZERO;
    for thread in threads.flatten() {
        // A thread may end between the two; what it used is then lost to everybody.
        sum += first_number(&thread.path().join("schedstat")).unwrap_or_default();
    }
    Ok(sum)
}

/// schedstat's first number: nanoseconds on a processor.
fn first_number(path: &Path) -> Result<Duration, Failure> {
    let text = read(path)?;
    let number = text.split_whitespace().next().and_then(|n| n.parse().ok());
    let number = number.ok_or_else(|| Failure::Broken(format!("{}: no number", path.display())));
    number.map(Duration::from_nanos)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::io("reading the kernel's counters"))
}
