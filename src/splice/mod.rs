//! The splice: both sides are connected, and bytes go each way until both are done.
//!
//! Knows nothing of how either side was reached, of requests, routes or refusals.

mod both;
mod bulk;
mod close;
mod kept;
mod pump;
mod watch;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

pub use close::{Outcome, Side, SpliceEnd};
pub use watch::{Limits, Watch};

use crate::net::pipe::Plain;
use both::Both;
use watch::Watched;

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

/// Carries bytes both ways until both sides are done, one is lost, a limit is reached or the cut
/// comes; `watch` tells of the last two.
///
/// An end of one side goes through as an end, after everything before it, and the other
/// direction goes on. Bytes that a lost side sent are still delivered, within five seconds.
pub fn run<C, B>(pair: Pair<C, B>, limits: Limits, watch: &Watch) -> Splice<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    Splice {
        both: Both::new(pair),
        watched: Watched::new(watch.clone(), limits),
        ending: None,
    }
}

/// A running splice. Written as a future by hand because it is most of what an idle session
/// holds: every field stands here, and what only the end of a session needs stands in a box.
#[derive(Debug)]
pub struct Splice<C, B> {
    both: Both<C, B>,
    watched: Watched,
    /// Once the end has come, and both sides are being told.
    ending: Option<Box<Ending>>,
}

/// The last moments of a session.
#[derive(Debug)]
struct Ending {
    end: SpliceEnd,
    /// When they are over at the latest.
    latest: Pin<Box<Sleep>>,
}

impl<C, B> Future for Splice<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if this.ending.is_none() {
            let end = ready!(this.poll_end(cx));
            match grace(&end) {
                None => return Poll::Ready(this.outcome(end)),
                Some(grace) => this.ending = Some(Ending::new(end, grace)),
            }
        }
        let end = ready!(this.poll_ended(cx));
        Poll::Ready(this.outcome(end))
    }
}

/// How long it may take to tell both sides of an end; `None`: there is nothing to tell.
fn grace(end: &SpliceEnd) -> Option<Duration> {
    match end {
        SpliceEnd::Closed(_) | SpliceEnd::Truncated(_) => None,
        SpliceEnd::Lost(..) => Some(LINGER),
        SpliceEnd::Idle | SpliceEnd::Age | SpliceEnd::Cut => Some(FAREWELL),
    }
}

impl Ending {
    fn new(end: SpliceEnd, grace: Duration) -> Box<Self> {
        let latest = Box::pin(sleep(grace));
        Box::new(Self { end, latest })
    }
}

impl<C, B> Splice<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    /// The limits are judged after the pumps, because the bytes that these find may be what the
    /// watch waits for, and whatever the pumps say: those of a busy session never rest.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        if self.watched.poll_cut(cx).is_ready() {
            return Poll::Ready(SpliceEnd::Cut);
        }
        if let Poll::Ready(end) = self.both.poll(cx) {
            return Poll::Ready(end);
        }
        self.watched.poll_limits(self.both.has_moved())
    }

    /// The end, once both sides are told or will not hear it in time.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        let Some(ending) = &mut self.ending else {
            return Poll::Pending;
        };
        let end = ending.end;
        let is_late = ending.latest.as_mut().poll(cx).is_ready();
        let told = match end {
            SpliceEnd::Lost(lost, _) if self.watched.poll_cut(cx).is_pending() => {
                self.both.poll_last_of(lost, cx)
            }
            SpliceEnd::Lost(..) | SpliceEnd::Closed(_) | SpliceEnd::Truncated(_) => Poll::Ready(()),
            SpliceEnd::Idle | SpliceEnd::Age | SpliceEnd::Cut => self.both.poll_goodbye(cx),
        };
        match told.is_ready() || is_late {
            true => Poll::Ready(end),
            false => Poll::Pending,
        }
    }

    fn outcome(&self, end: SpliceEnd) -> Outcome {
        let (to_backend, to_client) = self.both.delivered();
        Outcome {
            to_backend,
            to_client,
            duration: self.watched.age(),
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;

    #[test]
    fn the_future_of_a_session_is_small() {
        let bytes = size_of::<Splice<Stream, Stream>>();
        assert!(bytes <= 256, "{bytes} bytes");
    }
}
