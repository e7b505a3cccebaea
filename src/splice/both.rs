//! Two streams and the two pumps between them: which side ended first, what a lost side had still
//! said, and the goodbye to both.
//!
//! Knows no time: how long any of it may take is not its business.

use std::io;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::Pair;
use super::close::{Side, SpliceEnd};
use super::pump::{Eof, Fault, Pump, poll_discard};
use crate::net::pipe::Plain;

/// Both sides, past their handshakes.
#[derive(Debug)]
pub(super) struct Both<C, B> {
    client: C,
    backend: B,
    to_backend: Pump,
    to_client: Pump,
    /// The side that ended first, and how.
    first: Option<(Side, Eof)>,
    /// One side is lost, and the other has said its last.
    heard: bool,
}

impl<C, B> Both<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    pub(super) fn new(pair: Pair<C, B>) -> Self {
        Self {
            to_backend: Pump::new(pair.client.tail),
            to_client: Pump::new(pair.backend.tail),
            client: pair.client.stream,
            backend: pair.backend.stream,
            first: None,
            heard: false,
        }
    }

    /// Bytes that the backend has accepted, and the client.
    pub(super) fn delivered(&self) -> (u64, u64) {
        (self.to_backend.delivered(), self.to_client.delivered())
    }

    /// Whether any byte moved since this was last asked.
    pub(super) fn has_moved(&mut self) -> bool {
        let to_backend = self.to_backend.has_moved();
        self.to_client.has_moved() || to_backend
    }

    /// Polls both pumps, whatever the first one says: each waits for its own ends.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        let polled = self
            .to_backend
            .poll(cx, &mut self.client, &mut self.backend);
        if let Poll::Ready(Err(fault)) = polled {
            return Poll::Ready(lost(fault, Side::Client, Side::Backend));
        }
        self.note_first(Side::Client, self.to_backend.eof());
        let polled = self.to_client.poll(cx, &mut self.backend, &mut self.client);
        if let Poll::Ready(Err(fault)) = polled {
            return Poll::Ready(lost(fault, Side::Backend, Side::Client));
        }
        self.note_first(Side::Backend, self.to_client.eof());
        match self.first {
            Some((side, eof)) if self.to_backend.is_done() && self.to_client.is_done() => {
                Poll::Ready(match eof {
                    Eof::Orderly => SpliceEnd::Closed(side),
                    Eof::Truncated => SpliceEnd::Truncated(side),
                })
            }
            _ => Poll::Pending,
        }
    }

    fn note_first(&mut self, side: Side, eof: Option<Eof>) {
        if let (None, Some(eof)) = (self.first, eof) {
            self.first = Some((side, eof));
        }
    }

    /// Ready when everything that `side`, which is lost, had sent before is delivered: a connection
    /// that can no longer be written may well have said its last words before (a backend that
    /// refuses a message, says why and closes), and they wait in its receive buffer. Meanwhile the
    /// side that is left is read and thrown away, unless its end was heard before.
    pub(super) fn poll_last_of(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<()> {
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

    /// Reads no more, delivers what is held and shuts both streams down, so that TLS says
    /// close_notify. A side that does not accept its last bytes is not told that they were all.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.to_backend.stop();
        self.to_client.stop();
        let (client, backend) = (&mut self.client, &mut self.backend);
        let to_backend = self.to_backend.poll(cx, client, backend);
        let to_client = self.to_client.poll(cx, backend, client);
        match to_backend.is_pending() || to_client.is_pending() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

/// The end that a pump's fault means, between the side it reads from and the side it writes to.
fn lost(fault: Fault, source: Side, sink: Side) -> SpliceEnd {
    match fault {
        Fault::Source(kind) => SpliceEnd::Lost(source, kind),
        Fault::Sink(kind) => SpliceEnd::Lost(sink, kind),
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
            Poll::Ready(Err(Fault::Sink(kind))) => Poll::Ready(Err(kind)),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        };
    }
}
