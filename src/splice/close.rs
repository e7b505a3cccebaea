//! How a session ends: who ended it, why, and what was carried until then.
//!
//! Knows no streams and no clock; it only names what happened.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use super::ping::Pinged;
use super::stall::Stalled;
use super::tally::Tally;
use crate::wire::ws::close::{Close, CloseCode};
use crate::wire::ws::violation::Violation;

/// One side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected to the gateway.
    Client,
    /// Whoever the gateway connected to.
    Backend,
}

impl Side {
    /// The one across.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }

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
    /// Both sides are done, and this one began it: with its Close frame, or where frames are not
    /// looked at with the end of its stream.
    Closed(Side),
    /// The stream of this side ended without a Close frame: what is called 1006 (RFC 6455 §7.1.5).
    Gone(Side),
    /// As `Closed` by the end of a stream, but this side, the first to finish, left its TLS without a
    /// close_notify (RFC 8446 §6.1), so that nobody can tell whether it had said everything. Only the
    /// first counts: many clients answer an end that way, and it says nothing about who ended what.
    Truncated(Side),
    /// Reading from or writing to this side failed.
    Lost(Side, io::ErrorKind),
    /// This side sent what it may not.
    Breach(Side, Breach),
    /// This side did not answer the gateway's Ping, or anything else.
    Silent(Side),
    /// No byte in either direction for as long as the limit allows.
    Idle,
    /// The session reached the age that the limit allows.
    Age,
    /// The gateway was told to end it.
    Cut,
}

/// What one side sent and may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Against the protocol.
    Rule(Violation),
    /// A frame longer than the route allows.
    FrameBytes,
    /// A message longer than the route allows.
    MessageBytes,
    /// More in a time than the route allows.
    Rate,
}

impl SpliceEnd {
    /// Who ended the session: `client`, `backend` or `gateway`.
    pub fn by(&self) -> &'static str {
        match self {
            Self::Closed(side)
            | Self::Gone(side)
            | Self::Truncated(side)
            | Self::Lost(side, _)
            | Self::Breach(side, _)
            | Self::Silent(side) => side.name(),
            Self::Idle | Self::Age | Self::Cut => "gateway",
        }
    }

    /// Why the session ended, as one stable word.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Gone(_) => "gone",
            Self::Truncated(_) => "truncated",
            // A broken pipe is the second write into a connection whose reset met the first.
            Self::Lost(
                _,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe,
            ) => "reset",
            Self::Lost(..) => "lost",
            Self::Breach(_, Breach::Rule(_)) => "protocol",
            Self::Breach(_, Breach::FrameBytes) => "frame_bytes",
            Self::Breach(_, Breach::MessageBytes) => "message_bytes",
            Self::Breach(_, Breach::Rate) => "rate",
            Self::Silent(_) => "ping",
            Self::Idle => "idle",
            Self::Age => "session_age",
            Self::Cut => "drain",
        }
    }

    /// THE table of close codes: what `side` is told of this end by the gateway, if it has not been
    /// told by the other side's own Close (RFC 6455 §7.4.1, and the registry of close codes).
    pub(super) fn code(&self, side: Side, cut: CloseCode) -> CloseCode {
        match self {
            Self::Breach(_, Breach::Rule(violation)) => violation.close_code(),
            Self::Breach(_, Breach::FrameBytes | Breach::MessageBytes) => {
                CloseCode::MESSAGE_TOO_BIG
            }
            Self::Breach(_, Breach::Rate) => CloseCode::POLICY_VIOLATION,
            Self::Silent(silent) if *silent == side => CloseCode::GOING_AWAY,
            Self::Closed(_)
            | Self::Gone(_)
            | Self::Truncated(_)
            | Self::Lost(..)
            | Self::Silent(_) => left_alone(side),
            Self::Idle | Self::Age => CloseCode::GOING_AWAY,
            Self::Cut => cut,
        }
    }

    /// The reason beside the code, for whoever reads a log at the other end.
    pub(super) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Breach(_, Breach::Rule(violation)) => return violation.to_string().into(),
            Self::Breach(_, Breach::FrameBytes) => "frame too long",
            Self::Breach(_, Breach::MessageBytes) => "message too long",
            Self::Breach(_, Breach::Rate) => "too much at a time",
            Self::Closed(_) | Self::Gone(_) | Self::Truncated(_) | Self::Lost(..) => LEFT_ALONE,
            Self::Silent(_) => "no answer to a ping",
            Self::Idle => "idle for too long",
            Self::Age => "open for long enough",
            Self::Cut => "the gateway is going away",
        }
        .into()
    }
}

/// The reason that goes with [`left_alone`].
pub(super) const LEFT_ALONE: &str = "the other side is gone";

/// What `side` is told when the other one is there no more. A client that has left the page is going
/// away; a backend that broke off had a failure.
pub(super) fn left_alone(side: Side) -> CloseCode {
    match side {
        Side::Client => CloseCode::INTERNAL_ERROR,
        Side::Backend => CloseCode::GOING_AWAY,
    }
}

/// What a session came to; without an `End`, has come to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<End = SpliceEnd> {
    /// Bytes that the backend's leg accepted, a client's tail included.
    pub to_backend: u64,
    /// Bytes that the client's leg accepted, a backend's tail included.
    pub to_client: u64,
    /// From the start of the splice to its very end, the last goodbyes included.
    pub duration: Duration,
    /// Who ended it, and why.
    pub end: End,
    /// What came from the client; `None` where frames were not looked at.
    pub client: Option<Heard>,
    /// What came from the backend.
    pub backend: Option<Heard>,
    /// For how long a side took nothing of what waited for it.
    pub stalled: Stalled,
}

/// What came from one side, and how it was told of the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its frames.
    pub tally: Tally,
    /// Its Close; `None` without one, or without a code in it.
    pub close: Option<Close>,
    /// How this side was told that it is over.
    pub told: Told,
    /// How it answered the gateway's Pings; `None` where it is sent none.
    pub pinged: Option<Pinged>,
}

/// How a side was told that the session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// By the other side's Close.
    Passed,
    /// By the gateway's own, with this code.
    Own(CloseCode),
    /// Not at all: its connection was cut, in the middle of a frame or for want of time. It calls
    /// that 1006.
    Cut,
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
