//! One pump over sources and sinks that do as they are told.

use super::*;
use crate::splice::close::Side;
use crate::splice::{Limits, Params};
use crate::wire::ws::rules::Sender;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf, duplex};

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

fn opaque(tail: &'static [u8]) -> Pump {
    let params = Params::opaque(Limits::default());
    let flow = Flow::of(Sender::Client, &params, None);
    Pump::new(Bytes::from_static(tail), flow, Last::to(Side::Backend))
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
    let mut pump = opaque(b"");
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
    let kept = pump
        .waits
        .any()
        .and_then(|any| any.kept.as_ref())
        .map(|kept| kept.rest().len());
    assert_eq!(kept, Some(HELD_BYTES_MAX - 1000));
    assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
    assert_eq!((source.reads, pump.delivered()), (1, 1001));
}

#[test]
fn it_never_reads_while_the_sink_is_flushing() {
    let mut pump = opaque(b"");
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
    let polled = opaque(b"").poll(&mut cx, &mut source, &mut sink);
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
    let mut pump = opaque(b"tail");
    let mut source: &[u8] = b"and the rest";
    let mut sink = Scripted {
        writes: VecDeque::from([None, Some(4), Some(3), None, None, Some(9)]),
        flushes: VecDeque::from([None]),
        ..Scripted::default()
    };
    let polls = (0..10)
        .map(|_| poll_once(&mut pump, &mut source, &mut sink))
        .position(|polled| polled.is_ready());
    assert_eq!(polls, Some(2), "pending: the flush, the write");
    assert_eq!(pump.delivered(), 16);
    assert_eq!(pump.eof(), Some(Eof::Orderly));
    assert!(poll_once(&mut pump, &mut source, &mut sink).is_ready());
    let calls = [
        "write", "write", "flush", "flush", "write", "write", "write", "write", "flush", "shutdown",
    ];
    assert_eq!(sink.calls, calls);
}

#[test]
fn a_silent_source_costs_no_flush() {
    let mut pump = opaque(b"");
    let (mut source, _other_end) = duplex(16);
    let mut sink = Scripted::default();
    assert!(poll_once(&mut pump, &mut source, &mut sink).is_pending());
    assert!(sink.calls.is_empty());
}

#[test]
fn a_sink_that_accepts_nothing_has_failed() {
    let mut pump = opaque(b"");
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
    let mut pump = opaque(&[7; 10]);
    let (mut far_source, mut source) = duplex(4096);
    let (mut sink, mut far_sink) = duplex(100);
    far_source.write_all(&[7; 4096]).await.unwrap();
    let mut poll = async |pump: &mut Pump| {
        poll_fn(|cx| Poll::Ready(pump.poll(cx, &mut source, &mut sink).is_pending())).await
    };
    assert!(poll(&mut pump).await);
    assert!(pump.waits.are_for_sink(), "the sink has room for 100 bytes");
    let mut arrived = 0;
    while arrived < 4106 {
        arrived += far_sink.read(&mut [0; 4096]).await.unwrap();
        assert!(poll(&mut pump).await);
    }
    assert!(!pump.waits.are_for_sink());
}
