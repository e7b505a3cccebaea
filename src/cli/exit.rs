//! Exit codes, after sysexits.h where it has one.

use std::fmt;
use std::process::ExitCode;

use crate::config::Faults;
use crate::lifecycle::RunError;
use crate::observe::log::BadFilter;

/// EX_CONFIG.
const CONFIG_INVALID: u8 = 78;
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Why a command ended without having done what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is invalid: 78.
    Config(Faults),
    /// An argument or an environment variable is: 2.
    Usage(String),
    /// A way is not open, a request that was explained is refused, or a WebSocket ended otherwise
    /// than well: the code says why.
    Blocked { code: u8, text: String },
    /// Something went wrong while running: 1.
    Run(String),
}

impl Failure {
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) => CONFIG_INVALID,
            Self::Usage(_) => USAGE,
            Self::Blocked { code, .. } => *code,
            Self::Run(_) => FAILED,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(faults) => faults.fmt(f),
            Self::Usage(text) | Self::Blocked { text, .. } | Self::Run(text) => {
                write!(f, "error: {text}")
            }
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Config(faults)
    }
}

impl From<BadFilter> for Failure {
    fn from(error: BadFilter) -> Self {
        Self::Usage(format!("THROUGHWAY_LOG: {error}"))
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Run(error.to_string())
    }
}
