//! A pump: one source, one sink, one direction.
//!
//! Knows no time and no sides; what an end of the source or a failure means for the session is
//! not its business.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bulk::Bulk;
use super::kept::Kept;
use crate::net::pipe::Plain;
use crate::net::scratch;

/// The most a pump reads at once, hence the most that a slow sink makes it hold. 64 KiB is four
/// full TLS records; no measurement behind it yet.
pub(super) const HELD_BYTES_MAX: usize = 64 * 1024;

/// Rounds of read and write in one poll, before other tasks of this thread get their turn: with
/// full rounds, one mebibyte. No measurement behind it yet.
const ROUNDS_MAX: usize = 16;

/// One direction of a session.
#[derive(Debug)]
pub(super) struct Pump {
    /// What was read and not yet accepted by the sink; never empty.
    kept: Option<Box<Kept>>,
    bulk: Bulk,
    delivered: u64,
    /// The sink accepted bytes since it was last flushed.
    unflushed: bool,
    /// Bytes were read or accepted since somebody asked.
    moved: bool,
    stage: Stage,
    /// How the source ended, once it did so by itself.
    eof: Option<Eof>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The source may have more.
    Open,
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

/// Which end of a pump failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Reading failed. What was read before is still delivered if the pump is polled on.
    Source(io::ErrorKind),
    /// Writing failed: what this pump holds cannot be delivered any more.
    Sink(io::ErrorKind),
}

impl Pump {
    /// A pump that delivers `tail` before anything that it reads.
    pub(super) fn new(tail: Bytes) -> Self {
        Self {
            kept: Kept::tail(tail),
            bulk: Bulk::default(),
            delivered: 0,
            unflushed: false,
            moved: false,
            stage: Stage::Open,
            eof: None,
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
        for _ in 0..ROUNDS_MAX {
            if self.stage == Stage::Done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_empty(cx, sink)).map_err(|e| Fault::Sink(e.kind()))?;
            match self.stage {
                Stage::Open => ready!(self.poll_round(cx, source, sink))?,
                Stage::Ended | Stage::Done => ready!(self.poll_shutdown(cx, sink)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads no more; what is held is still delivered, and the sink shut down after it.
    pub(super) fn stop(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Ended;
        }
    }

    /// How the source ended, if it did.
    pub(super) fn eof(&self) -> Option<Eof> {
        self.eof
    }

    /// Whether everything is delivered and the sink was shut down.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    #[cfg(test)]
    pub(super) fn bulk(&self) -> &Bulk {
        &self.bulk
    }

    /// Bytes that the sink accepted.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether a byte was read or accepted since this was last asked.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Ready when nothing is kept and nothing is unflushed.
    fn poll_empty<W>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Plain + Unpin,
    {
        while !self.bulk.is_empty() {
            let accepted = ready!(self.bulk.poll_drain(cx, sink))?;
            self.accepted(accepted);
        }
        while let Some(mut kept) = self.kept.take() {
            let Poll::Ready(accepted) = poll_write(cx, sink, kept.rest())? else {
                self.kept = Some(kept);
                return Poll::Pending;
            };
            self.accepted(accepted);
            kept.advance(accepted);
            // What was written whole is dropped here: an idle session holds no buffer.
            self.kept = Some(kept).filter(|kept| !kept.rest().is_empty());
        }
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// One read, and its bytes written as far as the sink accepts them now. `Pending` means that
    /// the source had nothing.
    fn poll_round<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Plain + Unpin,
        W: AsyncWrite + Plain + Unpin,
    {
        debug_assert!(self.kept.is_none() && !self.unflushed);
        if let Some(filled) = self.bulk.poll_fill(cx, source, sink) {
            return Poll::Ready(self.heard(ready!(filled)).map(drop));
        }
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            let read = ready!(Pin::new(source).poll_read(cx, &mut buf));
            let bytes = self.heard(read.map(|()| buf.filled().len()))?;
            self.bulk.note(bytes);
            let sent = self.write_through(cx, sink, buf.filled());
            Poll::Ready(sent.map_err(|e| Fault::Sink(e.kind())))
        })
    }

    /// How many bytes a read of either kind brought; its end and its failure are kept in mind.
    fn heard(&mut self, read: io::Result<usize>) -> Result<usize, Fault> {
        match read {
            Ok(0) => self.end(Eof::Orderly),
            Ok(bytes) => {
                self.moved = true;
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

    fn end(&mut self, eof: Eof) {
        self.eof = Some(eof);
        self.stop();
    }

    /// Writes what the sink accepts now and keeps the rest.
    fn write_through<W>(
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
                self.kept = Some(Kept::copy(bytes));
                return Ok(());
            };
            self.accepted(accepted);
            bytes.advance(accepted);
        }
        Ok(())
    }

    fn accepted(&mut self, n: usize) {
        self.delivered += n as u64;
        self.moved = true;
        self.unflushed = true;
    }

    /// Tells the sink that there is no more: a FIN, over TLS a close_notify before it. A sink
    /// that fails here has had every byte, so nothing is lost but the goodbye; if it is really
    /// gone, the pump that reads from it says so.
    fn poll_shutdown<W>(&mut self, cx: &mut Context<'_>, sink: &mut W) -> Poll<()>
    where
        W: AsyncWrite + Unpin,
    {
        let _goodbye: io::Result<()> = ready!(Pin::new(sink).poll_shutdown(cx));
        self.stage = Stage::Done;
        Poll::Ready(())
    }
}

/// Reads from `source` and throws it away; ready when it has ended or failed.
///
/// A socket that is closed with unread bytes resets its connection, and the reset overtakes what
/// the other end has not received yet. So what has to arrive is sent, and then the other end is
/// listened to until it is done, too (RFC 9112 §9.6 tells the same of HTTP).
pub(super) fn poll_discard<R>(cx: &mut Context<'_>, source: &mut R) -> Poll<()>
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

// Every pump of a thread reads into the same buffer, one after the other.
fn with_scratch<T>(act: impl FnOnce(&mut [u8]) -> T) -> T {
    scratch::with(|scratch| {
        let (scratch, _) = scratch.split_at_mut(HELD_BYTES_MAX.min(scratch.len()));
        act(scratch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// A source that always has as much as is asked for, and counts.
    #[derive(Default)]
    struct Spring {
        reads: usize,
        bytes: usize,
    }

    impl Plain for Spring {}
    impl Plain for Scripted {}
    impl Plain for &[u8] {}

    impl AsyncRead for Spring {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            self.bytes += buf.remaining();
            buf.initialize_unfilled().fill(7);
            buf.advance(buf.remaining());
            Poll::Ready(Ok(()))
        }
    }

    /// A sink that does what it is told, in order: each entry answers one call (a number:
    /// accept so many; `None`: pending); without an entry it accepts everything.
    #[derive(Default)]
    struct Scripted {
        writes: VecDeque<Option<usize>>,
        flushes: VecDeque<Option<usize>>,
        calls: Vec<&'static str>,
    }

    impl AsyncWrite for Scripted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.calls.push("write");
            match self.writes.pop_front() {
                Some(Some(n)) => Poll::Ready(Ok(n)),
                Some(None) => Poll::Pending,
                None => Poll::Ready(Ok(buf.len())),
            }
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.calls.push("flush");
            match self.flushes.pop_front() {
                Some(None) => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            }
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.calls.push("shutdown");
            Poll::Ready(Ok(()))
        }
    }

    fn poll_once<R, W>(pump: &mut Pump, source: &mut R, sink: &mut W) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Plain + Unpin,
        W: AsyncWrite + Plain + Unpin,
    {
        pump.poll(&mut Context::from_waker(Waker::noop()), source, sink)
    }

    #[test]
    fn it_never_reads_while_it_holds_bytes() {
        let mut pump = Pump::new(Bytes::new());
        let mut source = Spring::default();
        let mut sink = Scripted {
            writes: VecDeque::from([Some(1000), None, None, None, Some(1), None]),
            ..Scripted::default()
        };
        for _ in 0..2 {
            assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
            assert_eq!(source.reads, 1);
            assert!(source.bytes as u64 - pump.delivered() <= HELD_BYTES_MAX as u64);
        }
        assert_eq!(pump.delivered(), 1001 - 1);
        let kept = pump.kept.as_ref().map(|kept| kept.rest().len());
        assert_eq!(kept, Some(HELD_BYTES_MAX - 1000));
        assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
        assert_eq!((source.reads, pump.delivered()), (1, 1001));
    }

    #[test]
    fn it_never_reads_while_the_sink_is_flushing() {
        let mut pump = Pump::new(Bytes::new());
        let mut source = Spring::default();
        let mut sink = Scripted {
            flushes: VecDeque::from([None, None, None]),
            ..Scripted::default()
        };
        for _ in 0..3 {
            assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
            assert_eq!(source.reads, 1);
        }
        assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
        assert!(source.reads > 1, "the flush is over, and it reads on");
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_yields_after_a_bounded_number_of_rounds_and_wakes_itself() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let (mut source, mut sink) = (Spring::default(), Scripted::default());
        let polled = Pump::new(Bytes::new()).poll(&mut cx, &mut source, &mut sink);
        assert!(polled.is_pending());
        assert_eq!(
            (source.reads, wakes.0.load(Ordering::Relaxed)),
            (ROUNDS_MAX, 1)
        );
        assert!(poll_discard(&mut cx, &mut source).is_pending());
        assert_eq!(
            (source.reads, wakes.0.load(Ordering::Relaxed)),
            (2 * ROUNDS_MAX, 2)
        );
    }

    #[test]
    fn it_shuts_the_sink_down_once_after_everything_was_written_and_flushed() {
        let mut pump = Pump::new(Bytes::from_static(b"tail"));
        let mut source: &[u8] = b"and the rest";
        let mut sink = Scripted {
            writes: VecDeque::from([None, Some(4), Some(3), None, None, Some(9)]),
            flushes: VecDeque::from([None]),
            ..Scripted::default()
        };
        let polls = (0..10)
            .map(|_| poll_once(&mut pump, &mut source, &mut sink))
            .position(|polled| polled.is_ready());
        assert_eq!(polls, Some(3), "pending: the write, the flush, the write");
        assert_eq!(pump.delivered(), 16);
        assert_eq!(pump.eof(), Some(Eof::Orderly));
        assert!(poll_once(&mut pump, &mut source, &mut sink).is_ready());
        let calls = [
            "write", "write", "flush", "flush", "write", "write", "write", "write", "flush",
            "shutdown",
        ];
        assert_eq!(sink.calls, calls);
    }

    #[test]
    fn a_silent_source_costs_no_flush() {
        let mut pump = Pump::new(Bytes::new());
        let (mut source, _other_end) = duplex(16);
        let mut sink = Scripted::default();
        assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
        assert!(sink.calls.is_empty());
    }

    #[test]
    fn a_sink_that_accepts_nothing_has_failed() {
        let mut pump = Pump::new(Bytes::new());
        let mut sink = Scripted {
            writes: VecDeque::from([Some(0)]),
            ..Scripted::default()
        };
        let polled = poll_once(&mut pump, &mut Spring::default(), &mut sink);
        let expected = Fault::Sink(io::ErrorKind::WriteZero);
        assert_eq!(polled, Poll::Ready(Err(expected)));
    }

    #[tokio::test]
    async fn an_idle_pump_holds_no_buffer() {
        let mut pump = Pump::new(Bytes::from(vec![7; 10]));
        let (mut far_source, mut source) = duplex(4096);
        let (mut sink, mut far_sink) = duplex(100);
        far_source.write_all(&[7; 4096]).await.unwrap();
        let mut poll = async |pump: &mut Pump| {
            poll_fn(|cx| Poll::Ready(pump.poll(cx, &mut source, &mut sink).is_pending())).await
        };
        assert!(poll(&mut pump).await);
        assert!(pump.kept.is_some(), "the sink has room for 100 bytes");
        let mut arrived = 0;
        while arrived < 4106 {
            arrived += far_sink.read(&mut [0; 4096]).await.unwrap();
            assert!(poll(&mut pump).await);
        }
        assert!(pump.kept.is_none());
    }
}
