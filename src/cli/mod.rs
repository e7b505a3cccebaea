//! What is typed and what is printed: one file a command. Decides nothing about traffic.

mod check;
mod connect;
pub mod demo;
mod exit;
mod explain;
mod probe;
mod run;
mod way;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A WebSocket gateway and a way through corporate proxies.
///
/// Terminates TLS, checks Origin, reaches the backend directly or by HTTP CONNECT through proxies,
/// verifies its 101 and splices the bytes.
#[derive(Debug, Parser)]
#[command(name = "throughway", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed while running, 2 usage, 78 configuration invalid.
Environment: THROUGHWAY_CONFIG names the configuration file; THROUGHWAY_LOG filters the log, as in
`THROUGHWAY_LOG=debug` or `THROUGHWAY_LOG=info,throughway::egress=debug`.

Begin with `throughway demo`: it needs no file.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT, then drain its sessions
    Run(ConfigFile),
    /// Read a configuration, report every mistake in it, and say what it means
    Check(ConfigFile),
    /// Say which route a request takes and by which way it goes on, without sending anything
    Explain(explain::Flags),
    /// Run a gateway with an embedded backend, an embedded proxy and a page to try them with
    Demo(demo::Flags),
    /// Open one WebSocket step by step, and say what is in the way
    Probe(probe::Flags),
    /// Open one WebSocket and talk: lines in are messages out, messages in are lines out
    Connect(connect::Flags),
    /// Run PAC scripts for a gateway that asks on stdin
    #[command(hide = true)]
    Pac,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "THROUGHWAY_CONFIG",
        default_value = "/etc/throughway/throughway.toml"
    )]
    path: PathBuf,
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(file) => run::run(&file.path),
        Command::Check(file) => check::check(&file.path),
        Command::Explain(flags) => explain::explain(&flags),
        Command::Demo(flags) => demo::demo(&flags),
        Command::Probe(flags) => probe::probe(&flags),
        Command::Connect(flags) => connect::connect(&flags),
        Command::Pac => crate::pac::serve().map_err(exit::Failure::from),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
