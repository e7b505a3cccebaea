//! What a pump does with its source: read it, and let through what the flow lets through.
//!
//! Knows the sink only as what takes bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::{Eof, Fault, HELD_BYTES_MAX, Pump, ROUNDS_MAX, Stage};
use crate::net::pipe::Plain;
use crate::net::scratch;
use crate::splice::flow::{self, Stop};
use crate::splice::kept::Kept;

impl Pump {
    /// One read, and its bytes written as far as the sink accepts them now. `Pending` means that
    /// the source had nothing.
    pub(super) fn poll_round<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Plain + Unpin,
        W: AsyncWrite + Plain + Unpin,
    {
        debug_assert!(self.is_empty());
        if let Some(kind) = self.bulk.take_fault() {
            self.heard(Err(kind.into()))?;
        }
        if let Some(any) = self.waits.any_mut() {
            if let Some(gate) = &mut any.gate {
                ready!(gate.as_mut().poll(cx));
                any.gate = None;
            }
            if any.unseen.is_some() {
                return Poll::Ready(self.poll_unseen(cx, sink));
            }
        }
        if !self.has_word()
            && self.flow.held().is_empty()
            && let Some(filled) = self.bulk.poll_fill(cx, source, sink, &mut self.flow)
        {
            let mut pipe = None;
            let filled = ready!(filled).map(|full| pipe.insert(full).held());
            self.moves.passed |= self.heard(filled)? > 0;
            if let Some(pipe) = pipe.filter(|pipe| !pipe.is_empty()) {
                self.waits.more().pipe = Some(pipe);
            }
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let held = self.flow.held().len();
            let read = self.heard(ready!(poll_behind(cx, source, self.flow.held(), scratch)))?;
            self.bulk.note(read);
            let bytes = scratch.get(..held + read).unwrap_or_default();
            if read == 0 {
                if !bytes.is_empty() {
                    // An end within a header: whoever comes next shall see the same.
                    self.flow.cut_off();
                    self.waits.more().kept = Some(Kept::copy(bytes));
                }
                return Poll::Ready(Ok(()));
            }
            let passed = self.pass(cx, sink, bytes)?;
            if let Some(rest) = Kept::rest_of(bytes.get(passed..).unwrap_or_default()) {
                self.waits.more().unseen = Some(rest);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// As much as may pass of what was read before.
    pub(super) fn poll_unseen<W>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Result<(), Fault>
    where
        W: AsyncWrite + Unpin,
    {
        let Some(mut unseen) = self.take_unseen() else {
            return Ok(());
        };
        let passed = self.pass(cx, sink, unseen.rest())?;
        unseen.advance(passed);
        if !unseen.rest().is_empty() {
            self.waits.more().unseen = Some(unseen);
        }
        Ok(())
    }

    pub(super) fn take_unseen(&mut self) -> Option<Kept> {
        self.waits.any_mut()?.unseen.take()
    }

    /// Lets `bytes` through as far as the flow allows; how many of them are done with.
    pub(super) fn pass<W>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        bytes: &[u8],
    ) -> Result<usize, Fault>
    where
        W: AsyncWrite + Unpin,
    {
        let flow::Walk { pass, stop } = self.flow.walk(bytes, self.has_word());
        let (through, rest) = bytes.split_at(pass);
        // What is held back may be half an answer to the gateway.
        self.moves.passed |= pass > 0 || matches!(stop, Stop::Wait(_) | Stop::Breach(_));
        self.write_through(cx, sink, through)
            .map_err(|e| Fault::Sink(e.kind()))?;
        match stop {
            Stop::End => Ok(bytes.len()),
            Stop::Boundary => Ok(pass),
            Stop::Pong(len) => Ok(pass + len),
            Stop::Wait(wait) => {
                self.waits.more().gate = Some(Box::pin(sleep(wait)));
                Ok(pass)
            }
            Stop::Incomplete => {
                self.flow.hold(rest);
                Ok(bytes.len())
            }
            Stop::Breach(breach) => {
                self.stage = Stage::Refused;
                Err(Fault::Breach(breach))
            }
        }
    }

    /// One read of what is thrown away, but for the Close that may be in it.
    pub(super) fn poll_answer<R>(&mut self, cx: &mut Context<'_>, source: &mut R) -> Poll<()>
    where
        R: AsyncRead + Unpin,
    {
        // What was read before comes first: the next frame begins in it.
        if let Some(unseen) = self.take_unseen() {
            self.listen(unseen.rest());
            return Poll::Ready(());
        }
        if self.has_heard() {
            return Poll::Pending;
        }
        with_scratch(|scratch| {
            let held = self.flow.held().len();
            let read = ready!(poll_behind(cx, source, self.flow.held(), scratch));
            let read = read.unwrap_or(0);
            if read == 0 {
                self.eof = Some(Eof::Orderly);
                return Poll::Ready(());
            }
            self.listen(scratch.get(..held + read).unwrap_or_default());
            Poll::Ready(())
        })
    }

    /// Follows `bytes`, which pass nowhere. Nobody is slowed down or answered any more.
    fn listen(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let flow::Walk { pass, stop } = self.flow.walk(bytes, false);
            let skipped = match stop {
                Stop::Pong(len) => pass + len,
                Stop::Wait(_) => pass,
                Stop::Incomplete => return self.flow.hold(bytes.get(pass..).unwrap_or_default()),
                Stop::End | Stop::Boundary | Stop::Breach(_) => return,
            };
            bytes = bytes.get(skipped..).unwrap_or_default();
        }
    }

    /// How many bytes a read of either kind brought; its end and its failure are kept in mind.
    pub(super) fn heard(&mut self, read: io::Result<usize>) -> Result<usize, Fault> {
        match read {
            Ok(0) => self.end(Eof::Orderly),
            Ok(bytes) => {
                self.moves.read = true;
                return Ok(bytes);
            }
            // What rustls says when TCP ended before TLS did.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(Eof::Truncated),
            Err(error) => {
                self.stop();
                return Err(Fault::Source(error.kind()));
            }
        }
        Ok(0)
    }

    pub(super) fn end(&mut self, eof: Eof) {
        self.eof = Some(eof);
        self.stop();
    }
}

/// One read into `scratch`, behind `held`; how many bytes came.
fn poll_behind<R>(
    cx: &mut Context<'_>,
    source: &mut R,
    held: &[u8],
    scratch: &mut [u8],
) -> Poll<io::Result<usize>>
where
    R: AsyncRead + Unpin,
{
    let (front, room) = scratch.split_at_mut(held.len());
    front.copy_from_slice(held);
    let mut buf = ReadBuf::new(room);
    ready!(Pin::new(source).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

/// Reads from `source` and throws it away; ready when it has ended or failed.
///
/// A socket that is closed with unread bytes resets its connection, and the reset overtakes what
/// the other end has not received yet. So what has to arrive is sent, and then the other end is
/// listened to until it is done, too (RFC 9112 §9.6 tells the same of HTTP).
pub(in crate::splice) fn poll_discard<R>(cx: &mut Context<'_>, source: &mut R) -> Poll<()>
where
    R: AsyncRead + Unpin,
{
    for _ in 0..ROUNDS_MAX {
        let ended = with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            let outcome = ready!(Pin::new(&mut *source).poll_read(cx, &mut buf));
            Poll::Ready(outcome.is_err() || buf.filled().is_empty())
        });
        if ready!(ended) {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

// Every pump of a thread reads into the same buffer, one after the other.
fn with_scratch<T>(act: impl FnOnce(&mut [u8]) -> T) -> T {
    scratch::with(|scratch| {
        let (scratch, _) = scratch.split_at_mut(HELD_BYTES_MAX.min(scratch.len()));
        act(scratch)
    })
}
