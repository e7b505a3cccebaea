//! One stream of a connection as bytes both ways (RFC 9113 §8.5), and with it the connection.
//!
//! An end of one direction is END_STREAM and leaves the other open. Knows neither what was asked
//! for nor what is carried.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::HELD_BYTES_MAX;
use super::fault::{Code, Failure};
use super::line::Line;
use super::socket::Way;

/// A tunnel, alone on its connection. Frames that are the connection's own, a PING among them, are
/// answered whenever either direction is polled: not while the reader stalls and nobody writes.
pub struct Tunnel {
    line: Line,
    /// The two halves of the stream; `None` once both directions have ended and the connection is
    /// being closed.
    halves: Option<Halves>,
    /// Of the DATA frame that is being read. Its window is released as it is taken.
    piece: Bytes,
    /// The other side has sent its END_STREAM, and everything before it was taken.
    heard_all: bool,
    /// Our END_STREAM is on its way.
    said_all: bool,
}

struct Halves {
    send: SendStream<Bytes>,
    recv: RecvStream,
}

impl Tunnel {
    pub(super) fn new(line: Line, send: SendStream<Bytes>, recv: RecvStream) -> Self {
        Self {
            line,
            halves: Some(Halves { send, recv }),
            piece: Bytes::new(),
            heard_all: false,
            said_all: false,
        }
    }

    /// Fills `buf` with what has come already; pending if nothing has. The error of a stream is
    /// told again each time, so what came before it goes first.
    fn poll_take(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            self.take_piece(buf);
            let has_some = buf.filled().len() > before;
            if buf.remaining() == 0 || self.heard_all {
                return Poll::Ready(Ok(()));
            }
            let Some(halves) = &mut self.halves else {
                return Poll::Ready(Ok(()));
            };
            match halves.recv.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) => self.piece = piece,
                Poll::Ready(None) => self.heard_all = true,
                _ if has_some => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(self.line.reason(error.into()).into()));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take_piece(&mut self, buf: &mut ReadBuf<'_>) {
        let taken = self.piece.len().min(buf.remaining());
        if taken == 0 {
            return;
        }
        buf.put_slice(&self.piece[..taken]);
        self.piece.advance(taken);
        if self.piece.is_empty() {
            // An empty `Bytes` may still hold what it was cut from; an idle session holds none.
            self.piece = Bytes::new();
        }
        if let Some(halves) = &mut self.halves {
            // Refused only by a stream that is gone, which has no window.
            halves.recv.flow_control().release_capacity(taken).ok();
        }
    }

    /// Once both directions have ended, the connection is told goodbye (GOAWAY, and what the
    /// stream below has for it). Ready when it has gone out.
    fn poll_close(&mut self, way: Way, cx: &mut Context<'_>) -> Poll<()> {
        if !(self.heard_all && self.said_all && self.line.state().is_flushed()) {
            return Poll::Ready(());
        }
        self.halves = None;
        self.line.release();
        self.line.poll(way, cx).map(|_| ())
    }

    /// Why the stream takes no more bytes.
    fn unwritable(&mut self, cx: &mut Context<'_>) -> io::Error {
        let halves = self.halves.as_mut();
        let failure = match halves.map(|halves| halves.send.poll_reset(cx)) {
            Some(Poll::Ready(Ok(reason))) => Failure::Reset(reason.into()),
            Some(Poll::Ready(Err(error))) => error.into(),
            _ => Failure::Ended,
        };
        match self.line.reason(failure) {
            // To a writer the end of the connection is no end like another.
            Failure::Ended | Failure::GoneAway(Code::NO_ERROR) => io::ErrorKind::BrokenPipe.into(),
            failure => failure.into(),
        }
    }
}

impl AsyncRead for Tunnel {
    /// The socket is read only once everything that came before was taken: a reader that stalls
    /// stops it, at the latest when the window is used up.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut taken = self.poll_take(cx, buf);
        if taken.is_pending() {
            self.line.state().all_taken();
            let is_over = self.line.poll(Way::Reading, cx).is_ready();
            taken = self.poll_take(cx, buf);
            if let (Poll::Pending, true) = (&taken, is_over) {
                return Poll::Ready(Err(self.line.reason(Failure::Ended).into()));
            }
        }
        if taken.is_ready() && buf.filled().len() == before {
            // As far as it goes at once: nobody waits for a goodbye here.
            let _is_closed = self.poll_close(Way::Reading, cx).is_ready();
        }
        taken
    }
}

impl AsyncWrite for Tunnel {
    /// As much as the other side's window and what is held still take. Both become free only while
    /// the connection is driven.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = buf.len().min(HELD_BYTES_MAX);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.said_all {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        loop {
            let this = &mut *self;
            let Some(Halves { send, .. }) = &mut this.halves else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            send.reserve_capacity(wanted);
            let room = send.capacity().min(wanted);
            if room > 0 {
                let sent = send.send_data(Bytes::copy_from_slice(&buf[..room]), false);
                return Poll::Ready(match sent {
                    Ok(()) => Ok(room),
                    Err(_) => Err(self.unwritable(cx)),
                });
            }
            if this.line.poll(Way::Writing, cx).is_ready() {
                return Poll::Ready(Err(self.unwritable(cx)));
            }
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(self.unwritable(cx))),
            }
        }
    }

    /// Ready when the socket has it all: what waits for the other side's window was not accepted
    /// in the first place.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(end) = self.line.poll(Way::Writing, cx) {
            return Poll::Ready(end.map_err(io::Error::from));
        }
        match self.line.state().is_flushed() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let (false, Some(halves)) = (this.said_all, &mut this.halves) {
            this.said_all = true;
            // A stream that takes none has ended already.
            halves.send.send_data(Bytes::new(), true).ok();
        }
        ready!(self.as_mut().poll_flush(cx))?;
        self.poll_close(Way::Writing, cx).map(Ok)
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("heard_all", &self.heard_all)
            .field("said_all", &self.said_all)
            .finish_non_exhaustive()
    }
}
