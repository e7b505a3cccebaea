//! What a pump does with its sink: hand on what it holds, put the gateway's word in, say the end.
//!
//! Knows nothing of the source.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;

use super::waits::Waiting;
use super::{Pump, Stage};
use crate::net::parting::poll_write_last;
use crate::net::pipe::Plain;
use crate::splice::kept::Kept;

impl Pump {
    pub(super) fn is_empty(&self) -> bool {
        !self.waits.are_for_sink() && !self.unflushed
    }

    /// Ready when nothing is kept and nothing is unflushed.
    pub(super) fn poll_empty<W>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Plain + Unpin,
    {
        while self.waits.are_for_sink() {
            ready!(self.poll_held(cx, sink))?;
        }
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
            self.is_speaking = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands on some of what waits for the sink.
    fn poll_held<W>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Plain + Unpin,
    {
        let is_last = self.stage == Stage::Ended && !self.has_unseen();
        let Some(any) = self.waits.any_mut() else {
            return Poll::Ready(Ok(()));
        };
        let (accepted, is_own) = match (&mut any.pipe, &mut any.kept, sink.plain()) {
            (Some(pipe), _, Some(plain)) => {
                let accepted = ready!(pipe.poll_drain(cx, plain))?;
                any.pipe.take_if(|pipe| pipe.is_empty());
                (accepted, false)
            }
            (_, Some(kept), plain) => {
                let accepted = match plain.filter(|_| is_last && kept.is_own()) {
                    Some(plain) => ready!(poll_write_last(cx, plain, kept.rest()))?,
                    None => ready!(poll_write(cx, sink, kept.rest()))?,
                };
                kept.advance(accepted);
                let is_own = kept.is_own();
                // What was written whole is dropped here: an idle session holds no buffer.
                any.kept.take_if(|kept| kept.rest().is_empty());
                (accepted, is_own)
            }
            // What is plain stays so.
            _ => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        };
        match is_own {
            true => self.unflushed = true,
            false => self.accepted(accepted),
        }
        self.moves.freed = true;
        Poll::Ready(Ok(()))
    }

    /// Takes the gateway's own word up, if there is one and this is the place for it.
    pub(super) fn speaks(&mut self) -> bool {
        if self.stage == Stage::Parted {
            return false;
        }
        let has_close = |any: &Waiting| any.word.as_ref().is_some_and(|word| word.close.is_some());
        if self.stage == Stage::Ended
            && !self.has_unseen()
            && !self.waits.any().is_some_and(has_close)
        {
            self.waits.say(self.last.word(&self.flow));
        }
        if !self.flow.is_at_boundary() {
            return false;
        }
        let Some(any) = self.waits.any_mut() else {
            return false;
        };
        let Some(word) = any.word.take() else {
            return false;
        };
        any.kept = Some(Kept::own(word.frame));
        self.is_speaking = true;
        if let Some(code) = word.close {
            self.last.is_said(code);
            self.stage = match self.stage {
                Stage::Open | Stage::Refused => Stage::Parted,
                ended => {
                    drop(self.take_unseen());
                    ended
                }
            };
        }
        true
    }

    /// Writes what the sink accepts now and keeps the rest.
    pub(super) fn write_through<W>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        mut bytes: &[u8],
    ) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        while !bytes.is_empty() {
            let Poll::Ready(accepted) = poll_write(cx, sink, bytes)? else {
                self.waits.more().kept = Some(Kept::copy(bytes));
                return Ok(());
            };
            self.accepted(accepted);
            bytes.advance(accepted);
        }
        Ok(())
    }

    pub(super) fn accepted(&mut self, n: usize) {
        self.delivered += n as u64;
        self.moves.accepted = true;
        self.unflushed = true;
    }

    /// Tells the sink that there is no more: a FIN, over TLS a close_notify before it. A sink
    /// that fails here has had every byte, so nothing is lost but the goodbye; if it is really
    /// gone, the pump that reads from it says so.
    pub(super) fn poll_shutdown<W>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Poll<()>
    where
        W: AsyncWrite + Unpin,
    {
        let _goodbye: io::Result<()> = ready!(Pin::new(sink).poll_shutdown(cx));
        self.stage = Stage::Done;
        Poll::Ready(())
    }
}

/// As the sink's own, but a sink that accepts nothing without being pending has failed: asking
/// again would spin.
fn poll_write<W>(cx: &mut Context<'_>, sink: &mut W, bytes: &[u8]) -> Poll<io::Result<usize>>
where
    W: AsyncWrite + Unpin,
{
    let accepted = ready!(Pin::new(sink).poll_write(cx, bytes))?;
    if accepted == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    // A sink that claims more than it was given would make us advance past the end.
    Poll::Ready(Ok(accepted.min(bytes.len())))
}
