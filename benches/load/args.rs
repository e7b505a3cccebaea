//! The command line, as typed by `benches/run` or by hand.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

/// Clients and a backend around a proxy, and what the proxy costs.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// What `cargo bench` hands to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an authority and a certificate for localhost in a folder.
    Certificate { folder: PathBuf },
    /// Relay connections and change a bit now and then.
    Spoil {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        to: SocketAddr,
        /// Bytes from one changed bit to the next.
        #[arg(long, default_value_t = 1_000)]
        every: usize,
    },
    /// Each session sends a message as soon as the one before came back.
    Echo(Echo),
    /// Messages at a fixed rate, whatever comes back.
    Rate(Rate),
    /// Connect, upgrade, echo once, close; over and over.
    Connect(Connect),
    /// Much in one direction.
    Bulk(Bulk),
    /// Ever more sessions that say nothing, and the memory they cost.
    Idle(Idle),
}

/// Who is measured, and from where.
#[derive(Debug, Group)]
pub(crate) struct Target {
    /// Where clients connect to.
    #[arg(long)]
    pub(crate) to: SocketAddr,
    /// What paths begin with; the number of the connection follows.
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// The authority that signed the listener's certificate; makes clients speak TLS.
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// Where the backend listens.
    #[arg(long)]
    pub(crate) backend: SocketAddr,
    /// Where the backend listens for TLS.
    #[arg(long, requires_all = ["cert", "key"])]
    pub(crate) backend_tls: Option<SocketAddr>,
    #[arg(long)]
    pub(crate) cert: Option<PathBuf>,
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
    /// The proxy's first process; its children count too.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

#[derive(Debug, Group)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Sessions beside those that say nothing after their first echo.
    #[arg(long, default_value_t = 0)]
    pub(crate) idle: usize,
    /// Bytes of payload.
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Seconds before the measured ones.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm: f64,
}

#[derive(Debug, Group)]
pub(crate) struct Rate {
    #[command(flatten)]
    pub(crate) echo: Echo,
    /// Messages a second, all sessions together.
    #[arg(long, default_value_t = 10_000.0)]
    pub(crate) rate: f64,
}

#[derive(Debug, Group)]
pub(crate) struct Connect {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many connections after the warm-up.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) count: u64,
    /// How many before it.
    #[arg(long, default_value_t = 500)]
    pub(crate) warm: u64,
    #[arg(long, default_value_t = 8)]
    pub(crate) at_once: usize,
    /// Come back with TLS tickets.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Seconds of rest before memory is read again.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) settle: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    ToClient,
    ToBackend,
}

#[derive(Debug, Group)]
pub(crate) struct Bulk {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, value_enum)]
    pub(crate) direction: Direction,
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Bytes of payload, all sessions together.
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) bytes: u64,
    /// Bytes of payload in one message.
    #[arg(long, default_value_t = 64 * 1024)]
    pub(crate) size: usize,
    /// Seconds of rest before memory is read again, the sessions still open.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) settle: f64,
}

#[derive(Debug, Group)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many sessions there are each time memory is read.
    #[arg(long, value_delimiter = ',', default_value = "0,1000,2000,5000,9000")]
    pub(crate) steps: Vec<usize>,
    /// Seconds of rest before it is read.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) settle: f64,
}
