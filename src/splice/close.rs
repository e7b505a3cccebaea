//! How a session ends: who ended it, why, and what was carried until then.
//!
//! Knows no streams and no clock; it only names what happened.

use std::io;
use std::time::Duration;

/// One side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected to the gateway.
    Client,
    /// Whoever the gateway connected to.
    Backend,
}

impl Side {
    /// The side's name, as records spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
        }
    }
}

/// Who ended a session, and why. The list is closed: every session ends for one of these reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpliceEnd {
    /// Both directions finished, and everything was delivered; this side finished first.
    Closed(Side),
    /// As `Closed`, but this side, the first to finish, left its TLS without a close_notify
    /// (RFC 8446 §6.1), so that nobody can tell whether it had said everything. Only the first
    /// counts: many clients answer an end that way, and it says nothing about who ended what.
    Truncated(Side),
    /// Reading from or writing to this side failed.
    Lost(Side, io::ErrorKind),
    /// No byte in either direction for as long as the limit allows.
    Idle,
    /// The session reached the age that the limit allows.
    Age,
    /// The gateway was told to end it.
    Cut,
}

impl SpliceEnd {
    /// Who ended the session: `client`, `backend` or `gateway`.
    pub fn by(&self) -> &'static str {
        match self {
            Self::Closed(side) | Self::Truncated(side) | Self::Lost(side, _) => side.name(),
            Self::Idle | Self::Age | Self::Cut => "gateway",
        }
    }

    /// Why the session ended, as one stable word.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Truncated(_) => "truncated",
            // A broken pipe is the second write into a connection whose reset met the first.
            Self::Lost(
                _,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe,
            ) => "reset",
            Self::Lost(..) => "lost",
            Self::Idle => "idle",
            Self::Age => "session_age",
            Self::Cut => "drain",
        }
    }
}

/// What a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that the backend's leg accepted, a client's tail included.
    pub to_backend: u64,
    /// Bytes that the client's leg accepted, a backend's tail included.
    pub to_client: u64,
    /// From the start of the splice to its very end, the last goodbyes included.
    pub duration: Duration,
    /// Who ended it, and why.
    pub end: SpliceEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_names_who_and_why() {
        use io::ErrorKind::{ConnectionReset, InvalidData};
        let table = [
            (SpliceEnd::Closed(Side::Client), "client", "closed"),
            (SpliceEnd::Truncated(Side::Backend), "backend", "truncated"),
            (
                SpliceEnd::Lost(Side::Client, ConnectionReset),
                "client",
                "reset",
            ),
            (
                SpliceEnd::Lost(Side::Backend, InvalidData),
                "backend",
                "lost",
            ),
            (SpliceEnd::Idle, "gateway", "idle"),
            (SpliceEnd::Age, "gateway", "session_age"),
            (SpliceEnd::Cut, "gateway", "drain"),
        ];
        for (end, by, why) in table {
            assert_eq!((end.by(), end.why()), (by, why), "{end:?}");
        }
    }
}
