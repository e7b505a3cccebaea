//! What the kernel says of a proxy's processes and of the machine: processor time and memory.
//!
//! Processor time is read in nanoseconds from schedstat; `times` counts in ticks of 4 ms and gives
//! a short burst to whoever runs when the tick comes. Does not know what was done meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::Failure;

/// /proc/stat counts in hundredths of a second on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// One proxy, by its first process.
pub(crate) struct Meter {
    first: Option<u32>,
    cores: u32,
}

/// All counters at one moment.
pub(crate) struct Reading {
    at: Instant,
    /// Time on a processor of each thread of each process of the proxy.
    proxy: BTreeMap<Thread, Duration>,
    /// The same of everybody else's but this one's.
    others: BTreeMap<Thread, Duration>,
    own: Duration,
    idle: Duration,
    steal: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Thread {
    process: u32,
    thread: u32,
}

impl Meter {
    /// Of the process `first`, its children, theirs, and so on. Without one, of nothing.
    pub(crate) fn of(first: Option<u32>) -> Result<Self, Failure> {
        let cores = read(Path::new("/proc/stat"))?
            .lines()
            .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
            .count();
        Ok(Self {
            first,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn reading(&self) -> Result<Reading, Failure> {
        let mut proxy = BTreeMap::new();
        for process in self.processes()? {
            add_threads(process, &mut proxy)?;
        }
        let mut others = BTreeMap::new();
        let is_other = |process: &u32| {
            *process != std::process::id() && !proxy.keys().any(|thread| thread.process == *process)
        };
        for process in numbers()?.into_iter().filter(is_other) {
            // One that has ended since uses nothing any more.
            add_threads(process, &mut others).ok();
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
            others,
            own: first_number(Path::new("/proc/self/schedstat"))?,
            idle: ticks(3) + ticks(4),
            steal: ticks(7),
        })
    }

    /// Bytes that the proxy's processes have in memory, shared pages by their share.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let mut sum = 0;
        for process in self.processes()? {
            let path = format!("/proc/{process}/smaps_rollup");
            let rollup = read(Path::new(&path))?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            let kilobytes: Option<u64> = kilobytes.and_then(|number| number.parse().ok());
            sum += 1024 * kilobytes.ok_or_else(|| Failure::Broken(format!("no Pss in {path}")))?;
        }
        Ok(sum)
    }

    /// Listed anew for each reading: nginx listens before it has started its worker, and a list made
    /// then is of a master that does nothing.
    fn processes(&self) -> Result<Vec<u32>, Failure> {
        let mut processes: Vec<u32> = self.first.into_iter().collect();
        let parents = parents()?;
        let mut next = 0;
        while let Some(&parent) = processes.get(next) {
            let children = parents.iter().filter(|(_, p)| *p == parent);
            processes.extend(children.map(|(child, _)| child));
            next += 1;
        }
        Ok(processes)
    }
}

impl Reading {
    /// What passed from `self` to `later`, for the result.
    pub(crate) fn until(&self, later: &Reading, meter: &Meter) -> Result<Value, Failure> {
        let wall = later.at - self.at;
        let proxy = self.proxy_until(later)?;
        if meter.first.is_some() && proxy.is_zero() {
            let why = "the proxy used no processor time: the work was another process's";
            return Err(Failure::Broken(why.to_owned()));
        }
        let own = later.own - self.own;
        let idle = later.idle.saturating_sub(self.idle);
        let others = growth(&self.others, &later.others);
        let nobody = (wall * meter.cores).saturating_sub(idle + proxy + own + others);
        let ended = |thread: &&Thread| !later.proxy.contains_key(thread);
        Ok(json!({
            "seconds": wall.as_secs_f64(),
            "proxy_cpu": proxy.as_secs_f64(),
            "generator_cpu": own.as_secs_f64(),
            "others_cpu": others.as_secs_f64(),
            "nobody_cpu": nobody.as_secs_f64(),
            "steal": later.steal.saturating_sub(self.steal).as_secs_f64(),
            "threads_ended": self.proxy.keys().filter(ended).count(),
        }))
    }

    /// Thread by thread: one that has ended takes what it used since with it, but must not take what
    /// it used before from the others.
    fn proxy_until(&self, later: &Reading) -> Result<Duration, Failure> {
        let lives = |process| later.proxy.keys().any(|thread| thread.process == process);
        if let Some(gone) = self.proxy.keys().find(|thread| !lives(thread.process)) {
            let process = gone.process;
            let why = format!("process {process} of the proxy ended while it was measured");
            return Err(Failure::Broken(why));
        }
        Ok(growth(&self.proxy, &later.proxy))
    }
}

/// What the threads used that are there later, be they new or not.
fn growth(before: &BTreeMap<Thread, Duration>, later: &BTreeMap<Thread, Duration>) -> Duration {
    let used = later.iter().map(|(thread, time)| {
        let before = before.get(thread).copied().unwrap_or_default();
        time.saturating_sub(before)
    });
    used.sum()
}

/// Every process.
fn numbers() -> Result<Vec<u32>, Failure> {
    let entries = fs::read_dir("/proc").map_err(Failure::io("listing processes"))?;
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.flatten().filter_map(number).collect())
}

/// Each process and its parent.
fn parents() -> Result<Vec<(u32, u32)>, Failure> {
    // One that has ended since has no parent to tell.
    let with_parent = |process| Some((process, parent(process)?));
    Ok(numbers()?.into_iter().filter_map(with_parent).collect())
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc_pid_stat(5): the name may hold anything, brackets too; after it come state and parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn add_threads(process: u32, times: &mut BTreeMap<Thread, Duration>) -> Result<(), Failure> {
    let threads = format!("/proc/{process}/task");
    let threads = fs::read_dir(threads).map_err(Failure::io("listing the proxy's threads"))?;
    for entry in threads.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        // A thread may end between the two; that is as if it had ended before.
        let time = first_number(&entry.path().join("schedstat"));
        if let (Some(thread), Ok(time)) = (number, time) {
            times.insert(Thread { process, thread }, time);
        }
    }
    Ok(())
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
