//! One side of a run that is over: its wire, and what arrived there.

use throughway::splice::Side;
use tokio::time::Instant;

use super::far::How;
use super::frames::{CLOSE, Frame};
use super::passed::{Own, Passed};
use super::socket::Wire;

/// One side.
pub struct Leg<'a> {
    pub side: Side,
    pub wire: &'a Wire,
    /// What arrived here.
    pub passed: Passed,
}

impl Leg<'_> {
    pub fn has_ended(&self, like: &[How]) -> bool {
        let ended = self.wire.reads.ended;
        ended.is_some_and(|(_, how)| like.contains(&how))
    }

    /// Its Close was read, whole.
    pub fn has_closed(&self) -> bool {
        let given = self.wire.reads.given;
        let frames = Frame::all(&self.wire.far.said[..given]);
        frames.iter().any(|f| f.opcode() == CLOSE && f.end <= given)
    }

    /// Nothing kept the gateway's bytes from it.
    pub fn could_hear(&self) -> bool {
        let writes = &self.wire.writes;
        let is_stuck = writes.until.is_some() || writes.flushed < writes.taken.len();
        let has_left = matches!(self.wire.far.ended, Some((_, How::Gone | How::Reset)));
        !writes.failed && !is_stuck && !has_left
    }

    pub fn last_move(&self) -> Option<Instant> {
        let read = self.wire.reads.given_at.last().map(|(_, at)| *at);
        read.max(self.wire.writes.taken_at.last().map(|(_, at)| *at))
    }

    /// When bytes of the other side's arrived here.
    pub fn passed_at(&self) -> Vec<Instant> {
        let at = self.wire.writes.taken_at.iter();
        let is_own = |end: usize| {
            let own = |own: &Own| own.at < end && end <= own.end;
            self.passed.own.iter().any(own)
        };
        at.filter(|(end, _)| !is_own(*end))
            .map(|(_, at)| *at)
            .collect()
    }

    /// Since when something of it waits to be read.
    pub fn unread_since(&self) -> Option<Instant> {
        let reads = &self.wire.reads;
        let is_stalled = reads.until.is_some() || reads.cut.is_some_and(|c| c.0 == reads.given);
        let at = &self.wire.far.said_at;
        let next = at.partition_point(|(end, _)| *end <= reads.given);
        let came = at.get(next).filter(|_| !is_stalled)?.1;
        Some(came.max(reads.free_at))
    }
}
