//! What was typed.
//!
//! Knows no way: that is the same for every command that dials.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::input::Shape;
use super::voice::Voice;
use crate::{cli::way, config};

const AFTER_HELP: &str = "\
Lines of standard input are messages and messages are lines of standard output; all else is said on
standard error. After the end of the input a Close is sent once nothing has come for half a second,
and what comes until the other side's is still printed.

Exit codes: 0 closed with 1000 or without a code, 101 to 114 closed with 1001 to 1014 (106: lost
without a Close), 120 closed with 3000 to 3999, 121 with 4000 to 4999, 65 input that cannot be sent,
74 input or output failed, 76 the server broke the protocol, 2 usage, 69 unreachable, 75 try again or
no pong, 77 refused, 78 configuration invalid. docs/connect.md has more.

To try it: `throughway demo`, and `throughway connect ws://localhost:8080/direct` beside it.";

/// The bounds of --message-bytes.
const MESSAGE_BYTES_MIN: usize = 1;
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// What to open, and what to send and show there.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, override_usage = "throughway connect [OPTIONS] <URL>")]
pub(in crate::cli) struct Flags {
    #[command(flatten)]
    pub(super) way: way::Flags,
    /// Send this header; may be given several times
    // Not repeated by clap: it may hold a token.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// Send input as binary messages, and write messages as their bytes, with nothing between
    #[arg(short, long)]
    binary: bool,
    /// Send this file as one message, and then no more; `-` is all of standard input; several are
    /// sent in order
    #[arg(short, long, value_name = "PATH")]
    pub(super) file: Vec<PathBuf>,
    /// After the end of the input listen on, at most for so long, before the Close is sent; without
    /// a duration until the other side closes
    #[arg(
        short,
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        value_parser = config::duration,
    )]
    wait: Option<Option<Duration>>,
    /// Send a ping at once and then this often, and say how long its pong took
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub(super) ping: Option<Duration>,
    /// A pong that takes longer ends it all
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        requires = "ping",
        value_parser = config::duration,
    )]
    pub(super) pong_timeout: Duration,
    /// No message is longer, sent or received
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16MiB",
        value_parser = message_bytes,
    )]
    pub(super) message_bytes: usize,
    /// Say nothing on standard error but errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say each step, header and frame
    #[arg(short, long)]
    verbose: bool,
}

/// What follows the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// A Close, once it is quiet.
    Close,
    /// The same after so long.
    Wait(Duration),
    /// Whatever the other side does.
    Listen,
}

impl Flags {
    pub(super) fn shape(&self) -> Shape {
        match self.binary {
            true => Shape::Binary,
            false => Shape::Text,
        }
    }

    pub(super) fn voice(&self) -> Voice {
        match (self.quiet, self.verbose) {
            (true, _) => Voice::Quiet,
            (false, true) => Voice::Verbose,
            (false, false) => Voice::Usual,
        }
    }

    pub(super) fn at_end(&self) -> AtEnd {
        match self.wait {
            None => AtEnd::Close,
            Some(None) => AtEnd::Listen,
            Some(Some(most)) => AtEnd::Wait(most),
        }
    }
}

fn message_bytes(text: &str) -> Result<usize, String> {
    config::size(text, &(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX))
}
