//! Two streams and the two pumps between them: which side ended first, what a lost side had still
//! said, and the goodbye to both.
//!
//! Knows no time: how long any of it may take is not its business.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::close::{Heard, Side, SpliceEnd};
use super::flow::Flow;
use super::params::Params;
use super::ping::Signs;
use super::pump::{Eof, Fault, Moves, Pump, poll_discard};
use super::stall::Backlog;
use super::voice::{Last, Word};
use super::{Leg, Pair};
use crate::net::pipe::Plain;
use crate::wire::ws::close::CloseCode;
use crate::wire::ws::rules::Sender;

/// Both sides, past their handshakes.
#[derive(Debug)]
pub(super) struct Both<C, B> {
    client: C,
    backend: B,
    to_backend: Pump,
    to_client: Pump,
    /// The side that ended first, and how.
    first: Option<(Side, How)>,
    /// This side can be neither read nor written any more.
    lost: Option<Side>,
    /// One side is lost, and the other has said its last.
    heard: bool,
    /// Both sides know of the end; what is left is to close their streams.
    is_leaving: bool,
    /// What both sides are told at the cut. It stands here because here is room for it.
    cut_code: CloseCode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By a Close frame.
    Close,
    /// By the end of its stream alone.
    Eof(Eof),
}

impl<C, B> Both<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    pub(super) fn new(pair: Pair<C, B>, mut params: Params) -> Self {
        let mut throttle = params.throttle.take();
        let Pair { client, backend } = pair;
        let mut pump = |tail: Bytes, sender, to| {
            // What the client says is slowed down, and the first pump has that.
            let flow = Flow::of(sender, &params, throttle.take());
            Pump::new(tail, flow, Last::to(to))
        };
        let Leg { stream, tail } = client;
        let (client, to_backend) = (stream, pump(tail, Sender::Client, Side::Backend));
        let Leg { stream, tail } = backend;
        let (backend, to_client) = (stream, pump(tail, Sender::Server, Side::Client));
        Self {
            client,
            backend,
            to_backend,
            to_client,
            first: None,
            lost: None,
            heard: false,
            is_leaving: false,
            cut_code: params.cut_code,
        }
    }

    /// What both sides are told at the cut.
    pub(super) fn cut_code(&self) -> CloseCode {
        self.cut_code
    }

    /// Whether the sides can be told of an end by a frame.
    pub(super) fn is_told(&self) -> bool {
        !self.to_backend.flow().is_opaque()
    }

    /// Bytes that the backend has accepted, and the client.
    pub(super) fn delivered(&self) -> (u64, u64) {
        (self.to_backend.delivered(), self.to_client.delivered())
    }

    /// What came from each side, and how it was told of the end: the client's, and the backend's.
    pub(super) fn heard(&self) -> (Option<Heard>, Option<Heard>) {
        let heard = |from: &Pump, to: &Pump| {
            Some(Heard {
                tally: from.flow().tally()?,
                close: from.flow().close(),
                told: to.told(),
                pinged: None,
            })
        };
        let (to_backend, to_client) = (&self.to_backend, &self.to_client);
        (heard(to_backend, to_client), heard(to_client, to_backend))
    }

    /// Polls both pumps, whatever the first one says: each waits for its own ends. Ready at the
    /// first thing that makes an end of it, be it an orderly one; [`Both::poll_rest`] does what is
    /// left then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        let (client, backend) = (&mut self.client, &mut self.backend);
        let polled = self.to_backend.poll(cx, client, backend);
        if let Poll::Ready(Err(fault)) = polled {
            return Poll::Ready(self.failed(fault, Side::Client, Side::Backend));
        }
        self.note_first(Side::Client);
        let (client, backend) = (&mut self.client, &mut self.backend);
        let polled = self.to_client.poll(cx, backend, client);
        if let Poll::Ready(Err(fault)) = polled {
            return Poll::Ready(self.failed(fault, Side::Backend, Side::Client));
        }
        self.note_first(Side::Backend);
        match self.first {
            Some((side, how)) if self.is_over() => Poll::Ready(self.end(side, how)),
            _ => Poll::Pending,
        }
    }

    /// Bytes alone are over when both streams are. Frames are when both sides have said their Close,
    /// or one has left, with one or without, and the other was told.
    fn is_over(&self) -> bool {
        let (to_backend, to_client) = (&self.to_backend, &self.to_client);
        let are_done = to_backend.is_done() && to_client.is_done();
        let have_closed = to_backend.flow().has_said_close() && to_client.flow().has_said_close();
        let has_left =
            !to_backend.flow().is_opaque() && (to_backend.is_done() || to_client.is_done());
        are_done || have_closed || has_left
    }

    fn end(&self, side: Side, how: How) -> SpliceEnd {
        match how {
            How::Close => SpliceEnd::Closed(side),
            How::Eof(_) if !self.to_backend.flow().is_opaque() => SpliceEnd::Gone(side),
            How::Eof(Eof::Orderly) => SpliceEnd::Closed(side),
            How::Eof(Eof::Truncated) => SpliceEnd::Truncated(side),
        }
    }

    /// The end that a pump's fault means, between the side it reads from and the side it writes to.
    /// A side that has said its Close may go as it likes.
    fn failed(&mut self, fault: Fault, source: Side, sink: Side) -> SpliceEnd {
        let (lost, kind) = match fault {
            Fault::Breach(breach) => return SpliceEnd::Breach(source, breach),
            Fault::Source(kind) => (source, kind),
            Fault::Sink(kind) => (sink, kind),
        };
        self.lost = Some(lost);
        self.note_first(source);
        match self.first {
            Some((first, How::Close)) if self.from(lost).flow().has_said_close() => {
                SpliceEnd::Closed(first)
            }
            _ => SpliceEnd::Lost(lost, kind),
        }
    }

    fn note_first(&mut self, side: Side) {
        let pump = self.from(side);
        let how = match pump.eof() {
            _ if pump.flow().has_said_close() => Some(How::Close),
            eof => eof.map(How::Eof),
        };
        if let (None, Some(how)) = (self.first, how) {
            self.first = Some((side, how));
        }
    }

    fn from(&self, side: Side) -> &Pump {
        match side {
            Side::Client => &self.to_backend,
            Side::Backend => &self.to_client,
        }
    }

    fn to(&mut self, side: Side) -> &mut Pump {
        match side {
            Side::Client => &mut self.to_client,
            Side::Backend => &mut self.to_backend,
        }
    }

    // --- whether a side is there ---------------------------------------------------------------

    /// What waits for the backend, and for the client. To be asked before [`Both::signs`].
    pub(super) fn backlogs(&self) -> (Backlog, Backlog) {
        (self.to_backend.backlog(), self.to_client.backlog())
    }

    /// What both sides did since this was last asked: the client, and the backend.
    pub(super) fn signs(&mut self) -> (Signs, Signs) {
        let (to_backend, to_client) = (self.to_backend.take_moves(), self.to_client.take_moves());
        let signs = |from: &Pump, to: &Pump, read: Moves, took: Moves| Signs {
            moved: read.passed || took.accepted,
            // A side that is not read cannot show any.
            life: read.read || took.freed || !from.is_reading(),
            pong: !from.flow().awaits_pong(),
            is_free: to.is_free(),
            has_left: to.has_spoken(),
        };
        (
            signs(&self.to_backend, &self.to_client, to_backend, to_client),
            signs(&self.to_client, &self.to_backend, to_client, to_backend),
        )
    }

    /// Asks a side whether it is there.
    pub(super) fn ask(&mut self, side: Side) {
        let mark = self.to(side.other()).flow_mut().next_mark();
        self.to(side).say(Word::ping(side, mark));
    }

    // --- the end -------------------------------------------------------------------------------

    /// After an end that came by itself: ready when everything is delivered and both streams are
    /// closed.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(lost) = self.lost {
            return self.poll_last_of(lost, cx);
        }
        let polled = self.poll(cx);
        if let Poll::Ready(SpliceEnd::Breach(side, _)) = polled {
            self.to(side.other()).stop();
            // Its last words are still to be said, and the other pump was not polled.
            cx.waker().wake_by_ref();
        }
        match self.lost {
            Some(lost) => self.poll_last_of(lost, cx),
            None if self.to_backend.is_done() && self.to_client.is_done() => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    /// Ready when everything that `side`, which is lost, had sent before is delivered: a connection
    /// that can no longer be written may well have said its last words before (a backend that
    /// refuses a message, says why and closes), and they wait in its receive buffer. Meanwhile the
    /// side that is left is read and thrown away, unless its end was heard before.
    fn poll_last_of(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<()> {
        let (client, backend) = (&mut self.client, &mut self.backend);
        let last = match side {
            Side::Client => {
                self.heard = self.heard
                    || self.to_client.eof().is_some()
                    || poll_discard(cx, backend).is_ready();
                poll_to_the_last(&mut self.to_backend, cx, client, backend)
            }
            Side::Backend => {
                self.heard = self.heard
                    || self.to_backend.eof().is_some()
                    || poll_discard(cx, client).is_ready();
                poll_to_the_last(&mut self.to_client, cx, backend, client)
            }
        };
        match last {
            Poll::Ready(Err(_both_lost)) => Poll::Ready(()),
            Poll::Ready(Ok(())) if self.heard => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Instead of [`Both::poll_rest`] when the time for that is over: a side that has waited in vain
    /// for the other is told so, if it takes that at once.
    pub(super) fn break_off(&mut self, cx: &mut Context<'_>) {
        if !self.is_told() {
            return;
        }
        self.to_backend.stop();
        self.to_client.stop();
        let (client, backend) = (&mut self.client, &mut self.backend);
        // Nobody is left to hear of a failure, or to wait for.
        let _last_words = (
            self.to_backend.poll(cx, client, backend),
            self.to_client.poll(cx, backend, client),
        );
    }

    /// Tells both sides of an end that is the gateway's, each with its code.
    pub(super) fn part(&mut self, code: impl Fn(Side) -> CloseCode, reason: &str) {
        for side in [Side::Client, Side::Backend] {
            let pump = self.to(side);
            match pump.flow().is_cut() {
                true => pump.stop(),
                false => pump.say(Word::close(side, code(side), reason)),
            }
        }
    }

    /// After [`Both::part`]: ready when both sides have their Close, have answered it, and are closed
    /// in order, so that TLS says close_notify. A side that does not accept its last bytes is not
    /// told that they were all. `is_late`: no answer is waited for any more.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>, is_late: bool) -> Poll<()> {
        if is_late || self.have_parted(cx) {
            self.is_leaving = true;
        }
        if self.is_leaving {
            self.to_backend.stop();
            self.to_client.stop();
        }
        let (client, backend) = (&mut self.client, &mut self.backend);
        let to_backend = self.to_backend.poll(cx, client, backend);
        let to_client = self.to_client.poll(cx, backend, client);
        for (polled, pump) in [
            (to_backend, &mut self.to_backend),
            (to_client, &mut self.to_client),
        ] {
            if let Poll::Ready(Err(_)) = polled {
                pump.give_up();
            }
        }
        if self.to_backend.is_done() && self.to_client.is_done() {
            return self.poll_unheard(cx);
        }
        if !self.is_leaving && self.have_parted(cx) {
            // What has come since is the last thing that was waited for.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Ready when nobody is still saying something that no pump reads any more: a stream that is
    /// closed then is reset, and takes the Close with it that its side was told last.
    fn poll_unheard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let client =
            !self.to_backend.is_cut_short() || poll_discard(cx, &mut self.client).is_ready();
        let backend =
            !self.to_client.is_cut_short() || poll_discard(cx, &mut self.backend).is_ready();
        match client && backend {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Whether each side has its Close and has answered it.
    fn have_parted(&mut self, cx: &mut Context<'_>) -> bool {
        for side in [Side::Client, Side::Backend] {
            // Whose words are not understood any more gets its end at once, and is listened to until
            // it has ended, too.
            let is_deaf = self.from(side).flow().is_deaf();
            let pump = self.to(side);
            if is_deaf && pump.has_parted() && !pump.is_done() {
                pump.stop();
                // Nothing has to come from anybody for this end to be said.
                cx.waker().wake_by_ref();
            }
        }
        [&self.to_backend, &self.to_client]
            .iter()
            .all(|pump| pump.has_parted() && pump.has_heard())
    }
}

/// Polls `pump` on after its source failed, which it does once; fails only with the sink.
fn poll_to_the_last<X, Y>(
    pump: &mut Pump,
    cx: &mut Context<'_>,
    lost: &mut X,
    left: &mut Y,
) -> Poll<Result<(), io::ErrorKind>>
where
    X: AsyncRead + Plain + Unpin,
    Y: AsyncWrite + Plain + Unpin,
{
    loop {
        return match pump.poll(cx, lost, left) {
            Poll::Ready(Err(Fault::Source(_))) => continue,
            // What it may not send is not delivered; there is nobody left to tell.
            Poll::Ready(Err(Fault::Breach(_))) => {
                pump.stop();
                continue;
            }
            Poll::Ready(Err(Fault::Sink(kind))) => Poll::Ready(Err(kind)),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        };
    }
}
