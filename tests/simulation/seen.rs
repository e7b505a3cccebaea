//! What happened in the simulation, counted, so that it cannot quietly simulate nothing.

use std::collections::BTreeMap;

use throughway::policy::rate::Action;
use throughway::splice::{Frames, SpliceEnd};

use super::far::How;
use super::frames::{CLOSE, Frame, PONG};
use super::leg::Leg;
use super::oracle::Trial;
use super::scene::Cut;

/// How often each thing happened.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<&'static str, u64>);

/// Everything that has to.
const EXPECTED: &[&str] = &[
    "frames opaque",
    "frames observe",
    "frames validate",
    "read byte by byte",
    "written byte by byte",
    "reads stalled",
    "writes stalled",
    "held until flushed",
    "a tail",
    "reset when read",
    "failed when written",
    "half closed",
    "truncated",
    "ended within a header",
    "ended within a payload",
    "ended between frames without a Close",
    "a frame over 64 KiB passed",
    "control between fragments",
    "both Closes passed",
    "own Close to the client",
    "own Close to the backend",
    "no Close for want of a boundary",
    "own Ping to the client",
    "own Ping to the backend",
    "own Pong taken out",
    "late Pong taken out",
    "application Pong passed",
    "nothing lost",
    "end closed",
    "end gone",
    "end truncated",
    "end reset",
    "end protocol",
    "end frame_bytes",
    "end message_bytes",
    "end rate",
    "end ping",
    "end idle",
    "end session_age",
    "end drain",
    "drained",
    "violation 1002",
    "violation 1007",
    "slowed down",
];

impl Seen {
    /// What happened in one run.
    pub fn of(trial: &Trial<'_>) -> Self {
        let mut seen = Self::default();
        let facts = &trial.facts;
        let frames = match facts.frames {
            Frames::Opaque => "frames opaque",
            Frames::Observe => "frames observe",
            Frames::Validate => "frames validate",
        };
        seen.note_if(true, frames);
        seen.ended(trial);
        let drained = matches!(facts.cut, Some((_, Cut::Drain)));
        seen.note_if(drained && trial.outcome.end == SpliceEnd::Cut, "drained");
        seen.note_if(facts.throttle == Some(Action::Delay), "slowed down");
        let (client, backend) = (&trial.client, &trial.backend);
        let is_whole = |from: &Leg<'_>, to: &Leg<'_>| {
            let given = from.wire.reads.given;
            given > 0 && to.passed.bytes == to.passed.due(given)
        };
        seen.note_if(
            is_whole(client, backend) && is_whole(backend, client),
            "nothing lost",
        );
        let closed = client.passed.closed && backend.passed.closed;
        seen.note_if(closed, "both Closes passed");
        seen.note_if(
            client.passed.own_close().is_some(),
            "own Close to the client",
        );
        seen.note_if(
            backend.passed.own_close().is_some(),
            "own Close to the backend",
        );
        seen.note_if(client.passed.pings() > 0, "own Ping to the client");
        seen.note_if(backend.passed.pings() > 0, "own Ping to the backend");
        for (from, to) in [(client, backend), (backend, client)] {
            seen.socket(from);
            if facts.frames != Frames::Opaque {
                seen.frames(from, to);
            }
        }
        seen
    }

    fn ended(&mut self, trial: &Trial<'_>) {
        let end = match trial.outcome.end.why() {
            "closed" => "end closed",
            "gone" => "end gone",
            "truncated" => "end truncated",
            "reset" | "lost" => "end reset",
            "protocol" => "end protocol",
            "frame_bytes" => "end frame_bytes",
            "message_bytes" => "end message_bytes",
            "rate" => "end rate",
            "ping" => "end ping",
            "idle" => "end idle",
            "session_age" => "end session_age",
            "drain" => "end drain",
            other => panic!("{other} is a new end"),
        };
        self.note_if(true, end);
        if let SpliceEnd::Breach(side, _) = trial.outcome.end {
            let code = trial.leg(side).wire.far.barrier.map(|barrier| barrier.code);
            self.note_if(code == Some(1002), "violation 1002");
            self.note_if(code == Some(1007), "violation 1007");
        }
    }

    fn socket(&mut self, leg: &Leg<'_>) {
        let (reads, writes) = (&leg.wire.reads, &leg.wire.writes);
        self.note_if(reads.most == 1 && reads.given > 20, "read byte by byte");
        self.note_if(
            writes.most == 1 && writes.taken.len() > 20,
            "written byte by byte",
        );
        self.note_if(reads.is_stalled, "reads stalled");
        self.note_if(writes.is_stalled, "writes stalled");
        self.note_if(
            writes.flushes.is_some() && writes.flushed > 0,
            "held until flushed",
        );
        self.note_if(reads.tail > 0, "a tail");
        self.note_if(leg.has_ended(&[How::Reset]), "reset when read");
        self.note_if(writes.failed, "failed when written");
        self.note_if(leg.has_ended(&[How::Fin]), "half closed");
        self.note_if(leg.has_ended(&[How::Truncated]), "truncated");
    }

    fn frames(&mut self, from: &Leg<'_>, to: &Leg<'_>) {
        let given = from.wire.reads.given;
        let frames = Frame::all(&from.wire.far.said[..given]);
        let last = frames.last().map_or(0, |last| last.end);
        if from.wire.reads.ended.is_some() {
            self.note_if(last < given, "ended within a header");
            self.note_if(last > given, "ended within a payload");
            let is_between = last == given && !from.has_closed();
            self.note_if(is_between, "ended between frames without a Close");
        }
        let passed = frames.iter().filter(|frame| frame.end <= to.passed.upto);
        for frame in passed {
            self.note_if(frame.len() > 64 * 1024, "a frame over 64 KiB passed");
            let is_answer = to.passed.answers.contains(&(frame.start..frame.end));
            let is_pong = frame.opcode() == PONG && !is_answer;
            self.note_if(is_pong, "application Pong passed");
        }
        let is_between = |pair: &[Frame]| {
            let [data, control] = pair else { return false };
            data.opcode() < 3 && !data.is_last() && control.opcode() > CLOSE
        };
        self.note_if(
            frames.windows(2).any(is_between),
            "control between fragments",
        );
        let is_untold = to.passed.within && !to.passed.closed && to.could_hear();
        self.note_if(is_untold, "no Close for want of a boundary");
        self.note_if(!to.passed.answers.is_empty(), "own Pong taken out");
        let is_late = from
            .wire
            .far
            .manners
            .pong
            .is_some_and(|after| after.as_millis() > 200);
        let is_late = is_late && !to.passed.answers.is_empty();
        self.note_if(is_late, "late Pong taken out");
    }

    pub fn note_if(&mut self, is_so: bool, what: &'static str) {
        assert!(EXPECTED.contains(&what), "{what:?} is not in the list");
        *self.0.entry(what).or_default() += u64::from(is_so);
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub fn assert_everything_happened(&self) {
        let never = |what: &&&str| self.0.get(**what).is_none_or(|count| *count == 0);
        let never: Vec<_> = EXPECTED.iter().filter(never).collect();
        assert!(never.is_empty(), "never happened: {never:?}");
    }
}
