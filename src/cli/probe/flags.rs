//! What was typed.
//!
//! Knows no way: that is the same for every command that dials.

use std::time::Duration;

use clap::Args;

use crate::cli::way;

const AFTER_HELP: &str = "\
Exit codes: 0 the way is open, 2 usage, 69 unreachable, 75 try again, 77 refused, 78 configuration
invalid. docs/probe.md explains what is shown.

To try it: `throughway demo`, and `throughway probe ws://localhost:8080/proxied` beside it.";

/// What to dial, and how to tell of it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, override_usage = "throughway probe [OPTIONS] <URL>")]
pub(in crate::cli) struct Flags {
    #[command(flatten)]
    pub(super) way: way::Flags,
    /// Then wait in silence and tell after how long the way is cut; at most this long
    #[arg(
        long,
        value_name = "MAX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10m",
        value_parser = humantime::parse_duration,
    )]
    pub(super) idle: Option<Duration>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}
