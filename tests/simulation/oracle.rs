//! What has to be true of every run, whatever was drawn.

use std::time::Duration;

use throughway::splice::{Breach, Frames, Heard, Outcome, Side, SpliceEnd};
use tokio::time::Instant;

use super::far::How;
use super::leg::Leg;
use super::passed::Passed;
use super::probe::Polls;
use super::scene::{Cut, Facts};
use super::seen::Seen;
use super::socket::Wire;
use super::tallied;

/// What the splice allows a goodbye, and a side that is left.
const FAREWELL: Duration = Duration::from_secs(2);
const LINGER: Duration = Duration::from_secs(5);
/// A watch is at most this late, and the clock a little.
const LATE: Duration = Duration::from_millis(1_010);
const HORIZON: Duration = Duration::from_secs(900);

/// A header, or a Pong that may be the gateway's, of which the rest did not come.
const HELD_BYTES_MAX: usize = 32;

const HEADER_BYTES_MAX: usize = 14;

/// One run, over.
pub struct Trial<'a> {
    pub facts: Facts,
    pub outcome: Outcome,
    pub polls: Polls,
    pub start: Instant,
    pub now: Instant,
    pub client: Leg<'a>,
    pub backend: Leg<'a>,
}

impl<'a> Trial<'a> {
    pub fn new(
        facts: Facts,
        outcome: Outcome,
        polls: Polls,
        client: &'a Wire,
        backend: &'a Wire,
    ) -> Self {
        let leg = |side, from, wire, counted| Leg {
            side,
            wire,
            passed: match facts.frames {
                Frames::Opaque => Passed::bytes(from, wire),
                Frames::Observe | Frames::Validate => Passed::frames(from, wire, counted),
            },
        };
        let now = Instant::now();
        Self {
            start: now - outcome.duration,
            now,
            polls,
            client: leg(Side::Client, backend, client, outcome.to_client),
            backend: leg(Side::Backend, client, backend, outcome.to_backend),
            facts,
            outcome,
        }
    }

    /// Fails with what is wrong, and else tells what happened.
    pub fn judge(self) -> Seen {
        let (to_backend, to_client) = (self.outcome.to_backend, self.outcome.to_client);
        assert_eq!(to_backend, self.backend.passed.bytes as u64, "to_backend");
        assert_eq!(to_client, self.client.passed.bytes as u64, "to_client");
        self.check_end();
        self.check_times();
        self.check_polls();
        for (from, to) in [(&self.client, &self.backend), (&self.backend, &self.client)] {
            self.check_barrier(from, to);
            self.check_whole(from, to);
            if self.facts.frames != Frames::Opaque {
                self.check_told(from, to);
                self.check_pings(to);
                let tally = &self.heard(from.side).tally;
                let (said, given) = (&from.wire.far.said, from.wire.reads.given);
                tallied::check(from.side.name(), tally, said, given, &to.passed);
            }
        }
        Seen::of(&self)
    }

    pub fn heard(&self, side: Side) -> &Heard {
        let heard = match side {
            Side::Client => &self.outcome.client,
            Side::Backend => &self.outcome.backend,
        };
        heard.as_ref().expect("frames were looked at")
    }

    pub fn leg(&self, side: Side) -> &Leg<'a> {
        match side {
            Side::Client => &self.client,
            Side::Backend => &self.backend,
        }
    }

    pub fn is_by_a_side(&self) -> bool {
        matches!(
            self.outcome.end,
            SpliceEnd::Closed(_)
                | SpliceEnd::Gone(_)
                | SpliceEnd::Truncated(_)
                | SpliceEnd::Lost(..)
        )
    }

    /// Nothing holds a session beyond what it was given.
    fn check_times(&self) {
        let took = self.outcome.duration;
        let linger = match self.is_by_a_side() {
            true => LINGER,
            false => FAREWELL,
        };
        let by = |what: &str, at: Duration| {
            let latest = at + LATE + linger;
            assert!(took <= latest, "{took:?}: it outlives {what} at {at:?}");
        };
        by("both its sides", HORIZON);
        if let Some(age) = self.facts.limits.session {
            by("its age", age);
        }
        if let Some((at, _)) = self.facts.cut {
            by("the cut", at);
        }
        if let Some(idle) = self.facts.limits.idle {
            let moved = self.client.last_move().max(self.backend.last_move());
            by(
                "its silence",
                moved.map_or(idle, |at| at - self.start + idle),
            );
        }
    }

    /// Polls that come to nothing are woken for: by a socket, or by the watch.
    fn check_polls(&self) {
        let wakes = self.client.wire.wakes + self.backend.wire.wakes;
        let most = 200 + 2 * wakes + 12 * self.outcome.duration.as_secs() as usize;
        assert!(self.polls.idle <= most, "{:?}, over {most}", self.polls);
    }

    /// What may not pass does not, but for a header that an end cut short: it was never understood.
    fn check_barrier(&self, from: &Leg<'_>, to: &Leg<'_>) {
        let Some(barrier) = from.wire.far.barrier else {
            return;
        };
        let upto = to.passed.upto;
        let header = from.wire.reads.given - barrier.start.min(from.wire.reads.given);
        if from.wire.reads.ended.is_some() && header < HEADER_BYTES_MAX {
            return;
        }
        assert!(upto <= barrier.at, "{upto} passed, over {barrier:?}");
    }

    /// Nothing that may pass is lost, unless there was nobody to have it.
    fn check_whole(&self, from: &Leg<'_>, to: &Leg<'_>) {
        let end = self.outcome.end;
        let is_told_why = matches!(end, SpliceEnd::Breach(side, breach)
            if side == from.side && breach != Breach::Rate);
        let is_slow = self.facts.throttle.is_some() && from.side == Side::Client;
        let is_lost = matches!(end, SpliceEnd::Lost(side, _) if side == to.side);
        let is_owed = (self.is_by_a_side() || is_told_why) && !is_slow && !is_lost;
        if !is_owed || !to.could_hear() || self.is_cut_short() {
            return;
        }
        let barrier = from.wire.far.barrier.map_or(usize::MAX, |b| b.start);
        let due = to.passed.due(from.wire.reads.given.min(barrier));
        let held = match from.has_ended(&[How::Fin, How::Gone, How::Truncated]) {
            true => 0,
            false => HELD_BYTES_MAX,
        };
        let passed = to.passed.bytes;
        assert!(passed + held >= due, "{passed} of {due} arrived: {end:?}");
    }

    /// The cut came when a side had ended the session already.
    pub fn is_cut_short(&self) -> bool {
        let cut = self.facts.cut.filter(|(_, how)| *how == Cut::All);
        cut.is_some_and(|(at, _)| at <= self.outcome.duration)
    }
}
