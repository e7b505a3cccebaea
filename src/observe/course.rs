//! The records of a session: one when it ended, and where they are asked for one when it began and
//! others while it goes on.
//!
//! Knows no frames: what passed is brought as numbers under names, and what was said as text, which
//! is written as it is in every record: quoted and escaped.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::begun::Begun;
use super::phases::Millis;
use super::record::{event, millis};

/// How a session went until now.
#[derive(Debug, Clone)]
pub struct Totals {
    /// From the 101 on.
    pub duration: Duration,
    /// What the client said.
    pub to_backend: Passed,
    /// What the backend said.
    pub to_client: Passed,
    /// Of the client; `None` where it is not asked.
    pub client_pings: Option<Pings>,
    /// Of the backend.
    pub backend_pings: Option<Pings>,
}

/// What passed in one direction; all but bytes and stall is nothing where frames were not looked at.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// Bytes delivered.
    pub bytes: u64,
    /// Messages whose last frame has passed.
    pub messages: u64,
    /// The payload of the longest.
    pub message_bytes_max: u64,
    /// In the order in which they are told.
    pub frames: Vec<Frames>,
    /// The longest time in which the side took nothing of what waited for it.
    pub stall: Duration,
}

/// The frames of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// As in `text`.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
    /// Their payload.
    pub bytes: u64,
}

/// How long a side took to answer Pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pings {
    /// Answers.
    pub count: u64,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// The last.
    pub last: Duration,
}

/// How a session ended.
#[derive(Debug, Clone)]
pub struct End {
    /// `client`, `backend` or `gateway`.
    pub by: &'static str,
    /// One stable word.
    pub why: &'static str,
    /// What that word leaves open; empty where it does not.
    pub detail: String,
    /// Of the client.
    pub client: Parting,
    /// Of the backend.
    pub backend: Parting,
}

/// What one side said last, and what it was told; nothing where frames were not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parting {
    /// The code of its Close.
    pub code: u16,
    /// The reason in it, as it came.
    pub reason: String,
    /// How it was told of the end.
    pub told: String,
}

/// Writes that a session has begun.
pub fn began(begun: &Begun) {
    let (request, way, phases) = begun.unpack();
    event!(
        info,
        request,
        "session began",
        server = way.server,
        egress = way.egress,
        warm = way.warm,
        subprotocol = way.subprotocol,
        ms_to_101 = phases.millis(),
        phases = phases.to_string(),
    );
}

/// An event about a session that has lasted a while: how it began, what has passed, then the fields
/// of its own.
macro_rules! course {
    ($message:literal, $begun:ident, $totals:ident, $($field:tt)*) => {{
        let (request, way, phases) = $begun.unpack();
        let Totals { to_backend, to_client, .. } = $totals;
        event!(
            info,
            request,
            $message,
            server = way.server,
            egress = way.egress,
            warm = way.warm,
            subprotocol = way.subprotocol,
            ms_to_101 = phases.millis(),
            phases = phases.to_string(),
            duration_ms = millis($totals.duration),
            bytes_to_backend = to_backend.bytes,
            bytes_to_client = to_client.bytes,
            messages_to_backend = to_backend.messages,
            messages_to_client = to_client.messages,
            message_bytes_max_to_backend = to_backend.message_bytes_max,
            message_bytes_max_to_client = to_client.message_bytes_max,
            frames_to_backend = to_backend.counts(),
            frames_to_client = to_client.counts(),
            payload_to_backend = to_backend.payload(),
            payload_to_client = to_client.payload(),
            stall_to_backend_ms = millis(to_backend.stall),
            stall_to_client_ms = millis(to_client.stall),
            client_pings = shown($totals.client_pings),
            backend_pings = shown($totals.backend_pings),
            $($field)*
        );
    }};
}

/// Writes what has come of a session so far.
pub fn goes_on(begun: &Begun, totals: &Totals) {
    course!("session goes on", begun, totals,);
}

/// Writes the record of a session.
pub fn ended(begun: &Begun, totals: &Totals, end: &End) {
    let End {
        client, backend, ..
    } = end;
    course!(
        "session ended",
        begun,
        totals,
        client_close = client.code,
        client_close_reason = client.reason,
        client_told = client.told,
        backend_close = backend.code,
        backend_close_reason = backend.reason,
        backend_told = backend.told,
        ended_by = end.by,
        why = end.why,
        detail = end.detail,
    );
}

impl Passed {
    /// As in `text 12, ping 1`.
    fn counts(&self) -> String {
        self.list(|frames| frames.count)
    }

    /// As in `text 3407, ping 4`.
    fn payload(&self) -> String {
        self.list(|frames| frames.bytes)
    }

    fn list(&self, number: impl Fn(&Frames) -> u64) -> String {
        let mut list = String::new();
        for frames in self.frames.iter().filter(|frames| number(frames) > 0) {
            let comma = if list.is_empty() { "" } else { ", " };
            write!(list, "{comma}{} {}", frames.kind, number(frames))
                .expect("a string takes it all");
        }
        list
    }
}

impl fmt::Display for Pings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, max, last] = [self.min, self.max, self.last].map(Millis::of);
        match self.count {
            0 => write!(f, "count 0"),
            count => write!(f, "count {count}, min {min}, max {max}, last {last}"),
        }
    }
}

fn shown(pings: Option<Pings>) -> String {
    pings.map(|pings| pings.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: &[(&'static str, u64, u64)], counts: &str, payload: &str) {
        let frames = frames
            .iter()
            .map(|&(kind, count, bytes)| Frames { kind, count, bytes });
        let passed = Passed {
            frames: frames.collect(),
            ..Passed::default()
        };
        assert_eq!(
            (passed.counts().as_str(), passed.payload().as_str()),
            (counts, payload)
        );
    }

    #[test]
    fn frames_are_told_in_their_order_without_zeros() {
        check(&[], "", "");
        check(&[("text", 0, 0), ("close", 0, 0)], "", "");
        check(
            &[
                ("text", 12, 3407),
                ("binary", 0, 0),
                ("ping", 2, 0),
                ("close", 1, 2),
            ],
            "text 12, ping 2, close 1",
            "text 3407, close 2",
        );
    }

    #[test]
    fn round_trips_are_told_in_milliseconds() {
        let micros = Duration::from_micros;
        let pings = Pings {
            count: 3,
            min: micros(940),
            max: micros(31_400),
            last: micros(1_250),
        };
        let expected = "count 3, min 0.9 ms, max 31 ms, last 1.2 ms";
        assert_eq!(shown(Some(pings)), expected);
        assert_eq!(shown(Some(Pings::default())), "count 0");
        assert_eq!(shown(None), "");
    }
}
