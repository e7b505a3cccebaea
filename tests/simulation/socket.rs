//! A socket between the gateway and a far end, in memory and in simulated time: it splits, stalls,
//! holds back until it is flushed, and breaks.
//!
//! Knows no frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use throughway::net::pipe::Plain;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::dice::Dice;
use super::far::{Far, How};

/// The gateway's end.
pub struct Socket {
    pub wire: Rc<RefCell<Wire>>,
}

/// Both ends and what is between them.
pub struct Wire {
    pub far: Far,
    pub dice: Dice,
    pub reads: Reads,
    pub writes: Writes,
    /// Reads, writes, flushes and ends that did something.
    pub moves: usize,
    /// Times that it woke the gateway.
    pub wakes: usize,
}

/// Towards the gateway.
pub struct Reads {
    pub most: usize,
    /// After so many bytes nothing comes for so long.
    pub stalls: VecDeque<(usize, Duration)>,
    /// After so many bytes it ends.
    pub cut: Option<(usize, How)>,
    pub given: usize,
    /// So many of them with the handshake.
    pub tail: usize,
    pub is_stalled: bool,
    /// How much was given by when.
    pub given_at: Vec<(usize, Instant)>,
    /// The gateway was told of the end.
    pub ended: Option<(Instant, How)>,
    pub until: Option<Instant>,
    /// When the last stall was over.
    pub free_at: Instant,
    waker: Option<Waker>,
    timer: Pin<Box<Sleep>>,
}

/// From the gateway.
pub struct Writes {
    pub most: usize,
    pub stalls: VecDeque<(usize, Duration)>,
    pub is_stalled: bool,
    /// How long flushes take, one after the other; where there are none, bytes leave at once.
    pub flushes: Option<VecDeque<Duration>>,
    /// After so many bytes the connection is reset.
    pub break_at: Option<usize>,
    /// All that was accepted.
    pub taken: Vec<u8>,
    pub taken_at: Vec<(usize, Instant)>,
    /// How much of that was on its way.
    pub flushed: usize,
    pub until: Option<Instant>,
    pub shut: bool,
    pub failed: bool,
    timer: Pin<Box<Sleep>>,
}

impl Wire {
    pub fn new(far: Far, dice: Dice) -> Self {
        let now = Instant::now();
        let timer = || Box::pin(sleep(Duration::ZERO));
        Self {
            far,
            dice,
            reads: Reads {
                most: usize::MAX,
                stalls: VecDeque::new(),
                cut: None,
                given: 0,
                tail: 0,
                is_stalled: false,
                given_at: Vec::new(),
                ended: None,
                until: None,
                free_at: now,
                waker: None,
                timer: timer(),
            },
            writes: Writes {
                most: usize::MAX,
                stalls: VecDeque::new(),
                is_stalled: false,
                flushes: None,
                break_at: None,
                taken: Vec::new(),
                taken_at: Vec::new(),
                flushed: 0,
                until: None,
                shut: false,
                failed: false,
                timer: timer(),
            },
            moves: 0,
            wakes: 0,
        }
    }

    /// Since when there has been something to read; `None` if there is nothing.
    pub fn readable_since(&mut self, now: Instant) -> Option<Instant> {
        self.far.advance(now);
        if self.reads.ended.is_some() || self.reads.until.is_some_and(|until| until > now) {
            return None;
        }
        let free = self.reads.until.unwrap_or(self.reads.free_at);
        let given = self.reads.given;
        let next = self.far.said_at.partition_point(|(end, _)| *end <= given);
        let came = match self.far.said_at.get(next) {
            Some((_, at)) => *at,
            None => self.far.ended?.0,
        };
        Some(came.max(free))
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        self.far.advance(now);
        let reads = &mut self.reads;
        if let Some(until) = reads.until.take_if(|until| *until <= now) {
            reads.free_at = until;
        }
        if let Some((_, stall)) = due(&mut reads.stalls, reads.given) {
            reads.until = Some(now + stall);
            reads.is_stalled = true;
        }
        if let Some(until) = reads.until {
            return self.wait_to_read(cx, until);
        }
        let mut most = self
            .far
            .said
            .len()
            .min(reads.cut.map_or(usize::MAX, |cut| cut.0));
        if let Some((stall, _)) = reads.stalls.front() {
            most = most.min(*stall);
        }
        if reads.given < most {
            let piece = self.dice.between(1, reads.most.min(most - reads.given));
            let piece = piece.min(buf.remaining());
            buf.put_slice(&self.far.said[reads.given..reads.given + piece]);
            reads.given += piece;
            reads.given_at.push((reads.given, now));
            self.moves += 1;
            return Poll::Ready(Ok(()));
        }
        if let Some((_, how)) = reads.cut.filter(|cut| cut.0 == reads.given) {
            self.far.ended = self.far.ended.or(Some((now, how)));
        }
        let Some((_, how)) = self.far.ended else {
            let next = self.far.next();
            return self.wait_to_read(cx, next);
        };
        if reads.ended.is_none() {
            self.moves += 1;
        }
        reads.ended = reads.ended.or(Some((now, how)));
        Poll::Ready(match how {
            How::Fin | How::Gone => Ok(()),
            How::Truncated => Err(io::ErrorKind::UnexpectedEof.into()),
            How::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        })
    }

    fn wait_to_read(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<io::Result<()>> {
        let reads = &mut self.reads;
        reads.waker = Some(cx.waker().clone());
        reads.timer.as_mut().reset(until);
        if reads.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.wakes += 1;
        Poll::Pending
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reads.waker.take() {
            self.wakes += 1;
            waker.wake();
        }
    }

    /// Ready when it is not stalled, and fails when it is broken.
    fn can_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        self.far.advance(now);
        if let Some((_, how @ (How::Gone | How::Reset))) = self.far.ended {
            self.writes.failed = true;
            self.writes.until = None;
            let kind = match how {
                How::Reset => io::ErrorKind::ConnectionReset,
                _ => io::ErrorKind::BrokenPipe,
            };
            return Poll::Ready(Err(kind.into()));
        }
        let writes = &mut self.writes;
        writes.until.take_if(|until| *until <= now);
        let Some(until) = writes.until else {
            return Poll::Ready(Ok(()));
        };
        writes.timer.as_mut().reset(until.min(self.far.horizon));
        if writes.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.wakes += 1;
        Poll::Pending
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        assert!(!self.writes.shut, "a write after the shutdown");
        assert!(!bytes.is_empty(), "a write of nothing");
        std::task::ready!(self.can_write(cx, now))?;
        let writes = &mut self.writes;
        let taken = writes.taken.len();
        if let Some((_, stall)) = due(&mut writes.stalls, taken) {
            writes.until = Some(now + stall);
            writes.is_stalled = true;
            std::task::ready!(self.can_write(cx, now))?;
        }
        let writes = &mut self.writes;
        if writes.break_at.is_some_and(|at| at <= taken) {
            self.far.ended = self.far.ended.or(Some((now, How::Reset)));
            writes.failed = true;
            self.wake_reader();
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let stall = writes.stalls.front().map_or(usize::MAX, |(at, _)| *at);
        let most = stall.min(writes.break_at.unwrap_or(usize::MAX)) - taken;
        let piece = self.dice.between(1, most.min(writes.most).min(bytes.len()));
        writes.taken.extend_from_slice(&bytes[..piece]);
        writes.taken_at.push((taken + piece, now));
        self.moves += 1;
        if writes.flushes.is_none() {
            self.arrive(now);
        }
        Poll::Ready(Ok(piece))
    }

    /// What was accepted gets to the far end.
    fn arrive(&mut self, now: Instant) {
        let new = &self.writes.taken[self.writes.flushed..];
        let answers = self.far.hear(new, now);
        self.writes.flushed = self.writes.taken.len();
        if answers {
            self.wake_reader();
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        std::task::ready!(self.can_write(cx, now))?;
        let writes = &mut self.writes;
        if writes.flushed == writes.taken.len() {
            return Poll::Ready(Ok(()));
        }
        if let Some(stall) = writes.flushes.as_mut().and_then(VecDeque::pop_front) {
            writes.until = Some(now + stall);
            std::task::ready!(self.can_write(cx, now))?;
        }
        self.moves += 1;
        self.arrive(now);
        Poll::Ready(Ok(()))
    }

    fn shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(!self.writes.shut, "a second shutdown");
        std::task::ready!(self.flush(cx))?;
        self.writes.shut = true;
        self.moves += 1;
        self.far.hear_end(Instant::now());
        self.wake_reader();
        Poll::Ready(Ok(()))
    }
}

/// The next stall, if its place is reached.
fn due(stalls: &mut VecDeque<(usize, Duration)>, bytes: usize) -> Option<(usize, Duration)> {
    match stalls.front()?.0 <= bytes {
        true => stalls.pop_front(),
        false => None,
    }
}

impl Plain for Socket {}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.borrow_mut().write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().shut(cx)
    }
}
