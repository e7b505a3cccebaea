//! What a failure means and what to do about it: one sentence of cause, one of remedy, the stable
//! word and the exit code. A new kind of failure does not compile until it has all four.
//!
//! Knows no sockets and no order of steps: one failure in, one verdict out.

mod answer;
#[cfg(test)]
pub(in crate::cli) mod check;
mod proxy;
mod step;
mod switch;
mod tls;

use super::scene::Scene;
use crate::egress::{DialError, Fault};

pub(in crate::cli) use answer::of_answer;
pub(in crate::cli) use step::of_step;

/// Every word that a probe can end with, as docs/probe.md lists them.
#[cfg(test)]
pub(in crate::cli) const REASONS: [&str; 19] = [
    "open",
    "idle_cut",
    "dns",
    "tcp",
    "tls",
    "proxy_refused",
    "proxy_auth",
    "proxy_reply",
    "pac",
    "answer_invalid",
    "upgrade_removed",
    "backend_refused",
    "backend_unavailable",
    "backend_declined",
    "lost",
    "timeout",
    "shortage",
    "frames_invalid",
    "request",
];

/// What to say of a step that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Verdict {
    /// The stable word.
    pub(in crate::cli) reason: &'static str,
    pub(in crate::cli) exit: Exit,
    /// One sentence, without a full stop.
    pub(in crate::cli) cause: String,
    /// The same.
    pub(in crate::cli) remedy: String,
}

/// What the program exits with, after sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Exit {
    /// 0: a finding, and no failure.
    Finding,
    /// 2: what was typed cannot be sent.
    Usage,
    /// 69, EX_UNAVAILABLE: not reachable by this way.
    Unreachable,
    /// 75, EX_TEMPFAIL: may work in a moment.
    TryAgain,
    /// 77, EX_NOPERM: somebody said no.
    Refused,
}

impl Exit {
    pub(in crate::cli) fn code(self) -> u8 {
        match self {
            Self::Finding => 0,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::TryAgain => 75,
            Self::Refused => 77,
        }
    }
}

/// Cause, remedy and exit code; the word comes from elsewhere.
type Told = (Exit, String, String);

fn told(exit: Exit, cause: impl Into<String>, remedy: impl Into<String>) -> Told {
    (exit, cause.into(), remedy.into())
}

/// A dial that failed outside of any step.
pub(in crate::cli) fn of_dial(error: &DialError) -> Verdict {
    let reason = error.reason();
    let exit = match (error.fault(), reason) {
        (_, "proxy_auth" | "proxy_refused") => Exit::Refused,
        (_, "timeout" | "shortage") => Exit::TryAgain,
        (Fault::Ours, _) => Exit::Usage,
        _ => Exit::Unreachable,
    };
    Verdict {
        reason,
        exit,
        cause: error.to_string(),
        remedy: "look at the steps before, and at the proxy's log".to_owned(),
    }
}

impl Scene {
    /// What to do about somebody between who changes a request.
    fn unread(&self) -> &'static str {
        match self.is_secure {
            false => "use wss://: nobody between can take a header out of what he cannot read",
            true => "let what terminates TLS before the backend pass Upgrade and Connection on",
        }
    }
}
