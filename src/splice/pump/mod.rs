//! A pump: one source, one sink, one direction.
//!
//! Knows no time and no sides; what an end of the source or a failure means for the session is
//! not its business.

mod sink;
mod source;
mod waits;

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::bulk::Bulk;
use super::close::{Breach, Told};
use super::flow::Flow;
use super::kept::Kept;
use super::stall::Backlog;
use super::voice::{Last, Word};
use crate::net::pipe::Plain;
pub(super) use source::poll_discard;
use waits::Waits;

/// The most that a pump reads at once, hence the most that a slow sink makes it hold. Sealed or not, so
/// much leaves in one segment where these are longest, 65,483 bytes on the loopback of Linux; of 64 KiB
/// there is always a tail that costs a segment of its own.
pub(super) const HELD_BYTES_MAX: usize = 60 * 1024;

/// Rounds of read and write in one poll, before other tasks of this thread get their turn: with
/// full rounds, one mebibyte. No measurement behind it yet.
const ROUNDS_MAX: usize = 16;

/// One direction of a session.
#[derive(Debug)]
pub(super) struct Pump {
    flow: Flow,
    waits: Waits,
    /// A word of the gateway's was taken up, and the sink has not had all of it.
    is_speaking: bool,
    bulk: Bulk,
    delivered: u64,
    /// The sink accepted bytes since it was last flushed.
    unflushed: bool,
    /// What happened since somebody asked.
    moves: Moves,
    stage: Stage,
    /// How the source ended, once it did so by itself.
    eof: Option<Eof>,
    last: Last,
}

/// What a pump did since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moves {
    /// Bytes were read.
    pub(super) read: bool,
    /// There were some among them that were not for the gateway itself.
    pub(super) passed: bool,
    /// The sink accepted some.
    pub(super) accepted: bool,
    /// It did so after it had accepted none.
    pub(super) freed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The source may have more.
    Open,
    /// The source has sent what it may not, and nothing more passes. What to do is for others to say.
    Refused,
    /// The sink has the gateway's Close. The source is read for its own, and passes no more.
    Parted,
    /// The source is not read any more; what was read is still to be delivered.
    Ended,
    /// The sink was told that there is no more, too.
    Done,
}

/// How a source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eof {
    /// With a FIN, or over TLS with a close_notify.
    Orderly,
    /// The TCP connection under TLS ended without a close_notify.
    Truncated,
}

/// What a pump fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Reading failed. What was read before is still delivered if the pump is polled on.
    Source(io::ErrorKind),
    /// Writing failed: what this pump holds cannot be delivered any more.
    Sink(io::ErrorKind),
    /// The source sent what it may not. Nothing of it was delivered, and nothing after it will be.
    Breach(Breach),
}

impl Pump {
    /// A pump that delivers `tail` before anything that it reads, and tells the sink in the words of
    /// `last` when its source is gone.
    pub(super) fn new(tail: Bytes, flow: Flow, last: Last) -> Self {
        let mut waits = Waits::default();
        if let Some(tail) = Kept::tail(tail) {
            waits.more().unseen = Some(tail);
        }
        Self {
            flow,
            waits,
            is_speaking: false,
            bulk: Bulk::default(),
            delivered: 0,
            unflushed: false,
            moves: Moves::default(),
            stage: Stage::Open,
            eof: None,
            last,
        }
    }

    /// Moves bytes until one end has to be waited for; ready once the source has ended, all of
    /// it was delivered, and the sink was shut down.
    ///
    /// A round empties the pump before it reads, and this order is the whole contract:
    ///
    /// - *It never reads while it holds.* The read stands behind a `ready!` on "nothing kept,
    ///   nothing unflushed". So a slow sink stops the reading, and the pump and a sink that
    ///   buffers inside (TLS does) together hold no more than one read.
    /// - *It loses no wakeup.* `Pending` leaves this loop in one of three ways. The sink was
    ///   pending (write, flush or shutdown): it wakes us, and the source's state does not matter
    ///   until then. The source was pending: it wakes us, and the sink owes us nothing, because
    ///   the pump was empty when it read. The rounds are used up: we wake ourselves.
    /// - *Nothing is cut off.* The shutdown stands behind the same `ready!` as the read.
    /// - *A word of the gateway's stands between two frames.* It is taken up only where nothing is
    ///   kept and the flow is at a boundary, and a walk halts at the next one while it waits.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Plain + Unpin,
        W: AsyncWrite + Plain + Unpin,
    {
        let polled = self.poll_rounds(cx, source, sink);
        self.waits.tidy();
        polled
    }

    fn poll_rounds<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Plain + Unpin,
        W: AsyncWrite + Plain + Unpin,
    {
        for _ in 0..ROUNDS_MAX {
            if self.stage == Stage::Done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_empty(cx, sink)).map_err(|e| Fault::Sink(e.kind()))?;
            if self.speaks() {
                continue;
            }
            match self.stage {
                Stage::Open => ready!(self.poll_round(cx, source, sink))?,
                Stage::Refused => return Poll::Pending,
                Stage::Parted => ready!(self.poll_answer(cx, source)),
                Stage::Ended if self.has_unseen() => self.poll_unseen(cx, sink)?,
                Stage::Ended | Stage::Done => ready!(self.poll_shutdown(cx, sink)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    // --- what others ask of it -----------------------------------------------------------------

    /// Reads no more; what is held is still delivered, and the sink shut down after it.
    pub(super) fn stop(&mut self) {
        if self.stage == Stage::Parted {
            // Nothing passes any more.
            drop(self.take_unseen());
        }
        self.stage = match self.stage {
            Stage::Open | Stage::Refused | Stage::Parted => Stage::Ended,
            Stage::Ended | Stage::Done => return,
        };
    }

    /// Says `word` at the next boundary. A Close takes the place of a Ping that still waits.
    pub(super) fn say(&mut self, word: Word) {
        let is_open = matches!(self.stage, Stage::Open | Stage::Refused);
        if is_open && !self.flow.is_opaque() && !self.flow.has_closed() {
            self.waits.say(Some(word));
        }
    }

    /// The sink is gone: nothing can be delivered any more, and nothing is left to do.
    pub(super) fn give_up(&mut self) {
        self.waits = Waits::default();
        self.stage = Stage::Done;
    }

    /// Whether a word would leave at once and not wait behind data.
    pub(super) fn is_free(&self) -> bool {
        self.stage == Stage::Open && self.is_empty() && !self.flow.has_closed()
    }

    /// Whether what the source says is read: nothing waits for the sink, or for its time to come.
    pub(super) fn is_reading(&self) -> bool {
        self.is_empty() && self.waits.any().is_none_or(|any| any.gate.is_none())
    }

    /// Whether nothing of the gateway's waits to be said. Data may wait that came behind it.
    pub(super) fn has_spoken(&self) -> bool {
        !self.has_word() && !self.is_speaking
    }

    /// Whether the sink knows of the end as far as frames can say: by a Close, or it cannot be told.
    pub(super) fn has_parted(&self) -> bool {
        match self.stage {
            Stage::Open | Stage::Refused => self.flow.has_said_close() && self.is_empty(),
            Stage::Parted => self.is_empty(),
            Stage::Ended => false,
            Stage::Done => true,
        }
    }

    /// Whether nothing more comes from the source: it has said its Close, or has ended.
    pub(super) fn has_heard(&self) -> bool {
        self.eof.is_some() || self.flow.has_said_close() || self.stage == Stage::Done
    }

    /// How the source ended, if it did.
    pub(super) fn eof(&self) -> Option<Eof> {
        self.eof
    }

    /// Whether everything is delivered and the sink was shut down.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether it is over before its source was, from which something was refused.
    pub(super) fn is_cut_short(&self) -> bool {
        self.is_done() && self.eof.is_none() && self.flow.is_deaf()
    }

    /// What the source said.
    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// As [`Pump::flow`], to tell it what to look out for.
    pub(super) fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    /// Bytes that the sink accepted, the gateway's own not among them.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// How the sink was told of the end.
    pub(super) fn told(&self) -> Told {
        match self.last.said() {
            Some(code) => Told::Own(code),
            None if self.flow.has_said_close() => Told::Passed,
            None => Told::Cut,
        }
    }

    /// What happened since this was last asked.
    pub(super) fn take_moves(&mut self) -> Moves {
        std::mem::take(&mut self.moves)
    }

    /// Whether bytes wait for the sink, and whether it took some since [`Pump::take_moves`].
    pub(super) fn backlog(&self) -> Backlog {
        Backlog {
            waits: !self.is_empty(),
            moved: self.moves.accepted || self.moves.freed,
        }
    }

    fn has_word(&self) -> bool {
        self.waits.any().is_some_and(|any| any.word.is_some())
    }

    fn has_unseen(&self) -> bool {
        self.waits.any().is_some_and(|any| any.unseen.is_some())
    }

    #[cfg(test)]
    pub(super) fn holds_pipe(&self) -> bool {
        self.waits.any().is_some_and(|any| any.pipe.is_some())
    }

    #[cfg(test)]
    pub(super) fn bulk(&self) -> &Bulk {
        &self.bulk
    }
}

#[cfg(test)]
mod tests;
