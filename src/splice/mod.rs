//! The splice: both sides are connected, and bytes go each way until both are done.
//!
//! Knows nothing of how either side was reached, of requests, routes or refusals.

mod clock;
mod close;
mod pump;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub use clock::Limits;
pub use close::{Outcome, Side, SpliceEnd};

use clock::Clock;
use pump::{Eof, Fault, Pump, poll_discard};

/// How long the side that is left may take, once the other is lost, to accept its last bytes and
/// to end: long enough for a slow line, short enough not to collect dead sessions.
const LINGER: Duration = Duration::from_secs(5);

/// How long both sides may take to accept a goodbye when the gateway ends the session. Usually
/// it fits into the socket's buffer at once; a side that is stalled gets none.
const FAREWELL: Duration = Duration::from_secs(1);

/// One side of a session, ready for bytes.
#[derive(Debug)]
pub struct Leg<S> {
    /// The stream, past its handshake.
    pub stream: S,
    /// What was already read from the stream and belongs to the other side: it is delivered
    /// before anything else.
    pub tail: Bytes,
}

/// Both sides of a session.
#[derive(Debug)]
pub struct Pair<C, B> {
    /// The client's leg.
    pub client: Leg<C>,
    /// The backend's leg.
    pub backend: Leg<B>,
}

/// Carries bytes both ways until both sides are done, one is lost, a limit is reached or `cut`
/// is cancelled.
///
/// An end of one side goes through as an end, after everything before it, and the other
/// direction goes on. Bytes that a lost side sent are still delivered, within five seconds.
pub async fn run<C, B>(pair: Pair<C, B>, limits: Limits, cut: CancellationToken) -> Outcome
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let start = Instant::now();
    // Asking a token takes its lock, and every session asks at every wakeup: a child each, so
    // that they do not meet at one lock.
    let cut = cut.child_token();
    let mut both = Both::new(pair);
    let end = both.until_end(limits, start, &cut).await;
    match end {
        SpliceEnd::Closed(_) | SpliceEnd::Truncated(_) => {}
        SpliceEnd::Lost(side, _) => tokio::select! {
            () = both.deliver_the_last_of(side) => {}
            () = sleep(LINGER) => {}
            () = cut.cancelled() => {}
        },
        SpliceEnd::Idle | SpliceEnd::Age | SpliceEnd::Cut => tokio::select! {
            () = both.say_goodbye() => {}
            () = sleep(FAREWELL) => {}
        },
    }
    Outcome {
        to_backend: both.to_backend.delivered(),
        to_client: both.to_client.delivered(),
        duration: start.elapsed(),
        end,
    }
}

/// Two streams and the two pumps between them.
struct Both<C, B> {
    client: C,
    backend: B,
    to_backend: Pump,
    to_client: Pump,
    /// The side that ended first, and how.
    first: Option<(Side, Eof)>,
}

impl<C, B> Both<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    fn new(pair: Pair<C, B>) -> Self {
        Self {
            to_backend: Pump::new(pair.client.tail),
            to_client: Pump::new(pair.backend.tail),
            client: pair.client.stream,
            backend: pair.backend.stream,
            first: None,
        }
    }

    async fn until_end(
        &mut self,
        limits: Limits,
        start: Instant,
        cut: &CancellationToken,
    ) -> SpliceEnd {
        let mut cancelled = pin!(cut.cancelled());
        let timer = pin!(sleep_until(limits.first(start)));
        let mut clock = Clock::new(limits, start, timer);
        poll_fn(|cx| {
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(SpliceEnd::Cut);
            }
            self.poll_timed(cx, &mut clock)
        })
        .await
    }

    /// The timer is asked before the pumps, because the pumps of a busy session may use up the
    /// task's cooperative budget every time, and a timer without budget never rings. It is
    /// judged after them, because the bytes that they find may be what it waits for.
    fn poll_timed(&mut self, cx: &mut Context<'_>, clock: &mut Clock<'_>) -> Poll<SpliceEnd> {
        let rang = clock.rang(cx);
        let before = self.moved();
        if let Poll::Ready(end) = self.poll_pumps(cx) {
            return Poll::Ready(end);
        }
        if self.moved() != before {
            clock.touch();
        }
        if rang {
            return clock.poll_judge(cx);
        }
        Poll::Pending
    }

    fn moved(&self) -> u64 {
        self.to_backend.moved() + self.to_client.moved()
    }

    /// Polls both pumps, whatever the first one says: each waits for its own ends.
    fn poll_pumps(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
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

    /// Delivers what `side`, which is lost, had sent before.
    async fn deliver_the_last_of(&mut self, side: Side) {
        match side {
            Side::Client => {
                let heard = self.to_client.eof().is_some();
                let pump = &mut self.to_backend;
                deliver_the_last(pump, &mut self.client, &mut self.backend, heard).await;
            }
            Side::Backend => {
                let heard = self.to_backend.eof().is_some();
                let pump = &mut self.to_client;
                deliver_the_last(pump, &mut self.backend, &mut self.client, heard).await;
            }
        }
    }

    /// Reads no more, delivers what is held and shuts both streams down, so that TLS says
    /// close_notify. A side that does not accept its last bytes is not told that they were all.
    async fn say_goodbye(&mut self) {
        self.to_backend.stop();
        self.to_client.stop();
        poll_fn(|cx| {
            let client = &mut self.client;
            let backend = &mut self.backend;
            let to_backend = self.to_backend.poll(cx, client, backend);
            let to_client = self.to_client.poll(cx, backend, client);
            if to_backend.is_pending() || to_client.is_pending() {
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// The end that a pump's fault means, between the side it reads from and the side it writes to.
fn lost(fault: Fault, source: Side, sink: Side) -> SpliceEnd {
    match fault {
        Fault::Source(kind) => SpliceEnd::Lost(source, kind),
        Fault::Sink(kind) => SpliceEnd::Lost(sink, kind),
    }
}

/// `pump` goes on from `lost` to `left` until it is done: a connection that can no longer be
/// written may well have said its last words before (a backend that refuses a message, says why
/// and closes), and they wait in its receive buffer. Meanwhile `left` is read and thrown away,
/// unless its end was `heard` before.
async fn deliver_the_last<X, Y>(pump: &mut Pump, lost: &mut X, left: &mut Y, mut heard: bool)
where
    X: AsyncRead + Unpin,
    Y: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        heard = heard || poll_discard(cx, left).is_ready();
        match poll_to_the_last(pump, cx, lost, left) {
            Poll::Ready(Err(_both_lost)) => Poll::Ready(()),
            Poll::Ready(Ok(())) if heard => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

/// Polls `pump` on after its source failed, which it does once; fails only with the sink.
fn poll_to_the_last<X, Y>(
    pump: &mut Pump,
    cx: &mut Context<'_>,
    lost: &mut X,
    left: &mut Y,
) -> Poll<Result<(), io::ErrorKind>>
where
    X: AsyncRead + Unpin,
    Y: AsyncWrite + Unpin,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;

    #[test]
    fn the_future_of_a_session_is_small() {
        fn size_of_output<T>(_: impl FnOnce(Pair<Stream, Stream>) -> T) -> usize {
            size_of::<T>()
        }
        let bytes = size_of_output(|pair| run(pair, Limits::default(), CancellationToken::new()));
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
