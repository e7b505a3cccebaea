//! Whether a side is still there: asked by the gateway's own Pings when it has been silent.
//!
//! Knows no streams: it says when to ask, and is told when the question left and what was heard.

use std::time::Duration;

use aws_lc_rs::rand;

use super::params::Ping;
use super::table::{Moment, nanos};

/// Payload of the gateway's own Pings, by which it knows their Pongs again.
pub(super) const MARK_BYTES: usize = 12;
/// In front of what is random, so that a capture tells whose they are.
const NAME: [u8; 4] = *b"tway";

/// What one Ping carries; nobody else's carries the same. The last byte counts those to one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(pub(super) [u8; MARK_BYTES]);

/// What asking a side came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinged {
    /// Its answers.
    pub round_trips: RoundTrips,
    /// How long ago it last showed life.
    pub silence: Duration,
}

/// How long a side took to answer the gateway's Pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundTrips {
    /// Answers.
    pub count: u64,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// The last.
    pub last: Duration,
}

/// One side under question.
#[derive(Debug)]
pub(super) struct Question {
    every: u64,
    timeout: u64,
    /// When it last showed life.
    heard: Moment,
    stage: Stage,
    /// When the Ping left whose Pong has not come.
    unanswered: Option<Moment>,
    round_trips: RoundTrips,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was heard not long ago.
    Quiet,
    /// The Ping waits for the end of a frame; its answer is not waited for yet.
    Owed,
    /// The Ping left then.
    Asked(Moment),
}

/// What one side did since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signs {
    /// Bytes came from it, or it took some.
    pub(super) moved: bool,
    /// Bytes came from it, or it took some after it had taken none. It is given the benefit of the
    /// doubt while nobody reads it: its answer may be there, behind what the other side does not take.
    pub(super) life: bool,
    /// No answer to a Ping is waited for.
    pub(super) pong: bool,
    /// It takes bytes: a Ping would not wait behind data.
    pub(super) is_free: bool,
    /// The Ping that was given to be sent has left.
    pub(super) has_left: bool,
}

/// What to do about one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this moment, unless it shows life.
    Wait(Moment),
    /// Send it a Ping.
    Ask,
    /// It is there no more.
    Dead,
}

impl Mark {
    pub(super) fn new() -> Self {
        let mut mark = [0; MARK_BYTES];
        let (name, random) = mark.split_at_mut(NAME.len());
        name.copy_from_slice(&NAME);
        rand::fill(random).expect("aws-lc aborts rather than go on without randomness");
        Self(mark)
    }

    /// Of the next Ping to the same side.
    pub(super) fn next(self) -> Self {
        let Self(mut mark) = self;
        let [.., number] = &mut mark;
        *number = number.wrapping_add(1);
        Self(mark)
    }

    /// Whether both are of Pings to the same side.
    pub(super) fn is_akin(self, other: Self) -> bool {
        let ([akin @ .., _], [others @ .., _]) = (self.0, other.0);
        akin == others
    }
}

impl Question {
    pub(super) fn new(ping: Ping, now: Moment) -> Self {
        Self {
            every: nanos(ping.every),
            timeout: nanos(ping.timeout),
            heard: now,
            stage: Stage::Quiet,
            unanswered: None,
            round_trips: RoundTrips::default(),
        }
    }

    pub(super) fn look(&mut self, now: Moment, signs: Signs) -> Verdict {
        if signs.pong
            && let Some(left) = self.unanswered.take()
        {
            self.round_trips.add(now.since(left));
        }
        if signs.life {
            self.heard = now;
            if let Stage::Asked(_) = self.stage {
                self.stage = Stage::Quiet;
            }
        }
        if self.stage == Stage::Owed && signs.has_left {
            self.stage = Stage::Asked(now);
            self.unanswered = Some(now);
        }
        match self.stage {
            Stage::Quiet => self.quiet(now, signs.is_free),
            // It leaves at the end of a frame that is on its way, which wakes us.
            Stage::Owed => Verdict::Wait(Moment::NEVER),
            Stage::Asked(at) => match at.after(self.timeout) {
                late if late <= now => Verdict::Dead,
                late => Verdict::Wait(late),
            },
        }
    }

    /// A side that takes no bytes is not asked: the Ping would wait behind them, and its answer for
    /// longer. TCP knows whether it is there.
    fn quiet(&mut self, now: Moment, is_free: bool) -> Verdict {
        let due = self.heard.after(self.every);
        if now < due {
            return Verdict::Wait(due);
        }
        if !is_free {
            self.heard = now;
            return Verdict::Wait(now.after(self.every));
        }
        self.stage = Stage::Owed;
        Verdict::Ask
    }

    pub(super) fn pinged(&self, now: Moment) -> Pinged {
        Pinged {
            round_trips: self.round_trips,
            silence: now.since(self.heard),
        }
    }
}

impl RoundTrips {
    fn add(&mut self, trip: Duration) {
        self.min = match self.count {
            0 => trip,
            _ => self.min.min(trip),
        };
        self.max = self.max.max(trip);
        self.last = trip;
        self.count += 1;
    }
}
