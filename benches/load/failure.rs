//! What can go wrong in a measurement. A payload that is not what was sent has an exit code of its
//! own, so that the runner can tell it from everything else.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::pattern::Spoilt;

#[derive(Debug)]
pub(crate) enum Failure {
    /// Bytes arrived that nobody sent, or in another order.
    Spoilt { side: &'static str, spoilt: Spoilt },
    /// A connection ended, or would not open, where the measurement needs it.
    Broken(String),
    Io {
        doing: &'static str,
        source: io::Error,
    },
    /// Nothing arrived for as long as the rig is willing to wait.
    Stuck,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Spoilt { .. } => ExitCode::from(3),
            Failure::Broken(_) | Failure::Io { .. } | Failure::Stuck => ExitCode::FAILURE,
        }
    }

    /// For `map_err`: what was being done when the error came.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Failure::Io { doing, source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Spoilt { side, spoilt } => write!(f, "spoilt payload at the {side}: {spoilt}"),
            Failure::Broken(why) => f.write_str(why),
            Failure::Io { doing, source } => write!(f, "{doing}: {source}"),
            Failure::Stuck => f.write_str("nothing moved any more"),
        }
    }
}
