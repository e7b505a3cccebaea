//! The splice: both sides are connected, and bytes go each way until both are done.
//!
//! Knows nothing of how either side was reached, of requests, routes or refusals.

mod alive;
mod both;
mod bulk;
mod checks;
mod close;
mod flow;
mod kept;
mod params;
mod ping;
mod pump;
mod stall;
mod table;
mod tally;
mod throttle;
mod voice;
mod watch;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

pub use close::{Breach, Heard, Outcome, Side, SpliceEnd, Told};
pub use params::{Frames, Params, Ping};
pub use ping::{Pinged, RoundTrips};
pub use stall::Stalled;
pub use tally::{Control, Data, Others, Tally};
pub use throttle::Throttle;
pub use watch::{Limits, Watch};

use crate::net::pipe::Plain;
use alive::Alive;
use both::Both;
use ping::Verdict;
use stall::Stalls;
use table::Moment;
use watch::Watched;

/// How long the side that is left may take, once the other is lost, to accept its last bytes and
/// to end: long enough for a slow line, short enough not to collect dead sessions.
const LINGER: Duration = Duration::from_secs(5);

/// How long both sides may take to accept a goodbye and to answer it when the gateway ends the
/// session. Usually that is one round trip; a side that is stalled gets none.
const FAREWELL: Duration = Duration::from_secs(2);

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

/// Carries what both sides say until both are done, one is lost, breaks a rule or does not answer, a
/// limit is reached or the cut comes; `watch` tells of the last two.
///
/// Bytes alone: an end of one side goes through as an end, after everything before it, and the other
/// direction goes on. Frames: a side that ends without a Close is followed by one of the gateway's,
/// and so is every end that is the gateway's own. Bytes that a lost side sent are still delivered,
/// within five seconds.
pub fn run<C, B>(pair: Pair<C, B>, params: Params, watch: &Watch) -> Splice<C, B>
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    Splice {
        watched: Watched::new(watch.clone(), params.limits, Alive::finest(&params)),
        beside: Alive::new(&params, watch.now()).map(Beside::of),
        both: Both::new(pair, params),
    }
}

/// A running splice. Written as a future by hand because it is most of what an idle session
/// holds: what few sessions have, or have only at their end, stands in a box.
#[derive(Debug)]
pub struct Splice<C, B> {
    both: Both<C, B>,
    watched: Watched,
    beside: Option<Box<Beside>>,
}

/// What a session has none of while nobody is asked, nothing has stalled and no end has come.
#[derive(Debug, Default)]
struct Beside {
    stalls: Stalls,
    /// The sides that are asked whether they are there.
    alive: Option<Alive>,
    /// Once the end has come, and both sides are being told.
    ending: Option<Ending>,
}

impl Beside {
    fn of(alive: Alive) -> Box<Self> {
        Box::new(Self {
            alive: Some(alive),
            ..Self::default()
        })
    }
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
        if !this.is_ending() {
            let end = ready!(this.poll_end(cx));
            this.begin_to_end(end);
        }
        let end = ready!(this.poll_ended(cx));
        Poll::Ready(this.outcome(end))
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
        if self.watched.poll_cut(cx, self.both.is_told()).is_ready() {
            return Poll::Ready(SpliceEnd::Cut);
        }
        if let Poll::Ready(end) = self.both.poll(cx) {
            return Poll::Ready(end);
        }
        let now = self.watched.now();
        self.note_stalls(self.watched.age_at(now));
        let (client, backend) = self.both.signs();
        let mut due = Moment::NEVER;
        if let Some(alive) = self.beside.as_mut().and_then(|few| few.alive.as_mut()) {
            for (side, verdict) in alive.look(now, client, backend) {
                match verdict {
                    Verdict::Wait(until) => due = due.min(until),
                    Verdict::Dead => return Poll::Ready(SpliceEnd::Silent(side)),
                    Verdict::Ask => {
                        self.both.ask(side);
                        cx.waker().wake_by_ref();
                    }
                }
            }
        }
        let moved = client.moved || backend.moved;
        self.watched.poll_limits(now, moved, due)
    }

    fn note_stalls(&mut self, age: Duration) {
        let (to_backend, to_client) = self.both.backlogs();
        if self.beside.is_some() || to_backend.waits || to_client.waits {
            let few = self.beside.get_or_insert_default();
            few.stalls.look(age, to_backend, to_client);
        }
    }

    fn begin_to_end(&mut self, end: SpliceEnd) {
        let grace = match is_by_gateway(&end) {
            true => {
                let cut = self.both.cut_code();
                self.both.part(|side| end.code(side, cut), &end.reason());
                FAREWELL
            }
            false => LINGER,
        };
        let latest = Box::pin(sleep(grace));
        let few = self.beside.get_or_insert_default();
        few.stalls.settle(self.watched.age());
        few.ending = Some(Ending { end, latest });
    }

    fn is_ending(&self) -> bool {
        self.beside.as_ref().is_some_and(|few| few.ending.is_some())
    }

    /// The end, once both sides are told or will not hear it in time.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        let Some(ending) = self.beside.as_mut().and_then(|few| few.ending.as_mut()) else {
            return Poll::Pending;
        };
        let end = ending.end;
        let is_late = ending.latest.as_mut().poll(cx).is_ready();
        let told = match is_by_gateway(&end) {
            true => self.both.poll_goodbye(cx, is_late),
            false if is_late || self.watched.is_cut() => {
                self.both.break_off(cx);
                Poll::Ready(())
            }
            false => self.both.poll_rest(cx),
        };
        match told.is_ready() || is_late {
            true => Poll::Ready(end),
            false => Poll::Pending,
        }
    }

    /// What has passed until now.
    pub fn so_far(&self) -> Outcome<()> {
        self.outcome(())
    }

    fn outcome<End>(&self, end: End) -> Outcome<End> {
        let (to_backend, to_client) = self.both.delivered();
        let (mut client, mut backend) = self.both.heard();
        let few = self.beside.as_ref();
        if let Some(alive) = few.and_then(|few| few.alive.as_ref()) {
            let (of_client, of_backend) = alive.pinged(self.watched.now());
            for (heard, pinged) in [(&mut client, of_client), (&mut backend, of_backend)] {
                if let Some(heard) = heard {
                    heard.pinged = pinged;
                }
            }
        }
        let duration = self.watched.age();
        Outcome {
            to_backend,
            to_client,
            duration,
            end,
            client,
            backend,
            stalled: few.map_or_else(Stalled::default, |few| few.stalls.longest(duration)),
        }
    }
}

/// Whether neither side has ended the session by itself, so that both are to be told.
fn is_by_gateway(end: &SpliceEnd) -> bool {
    match end {
        SpliceEnd::Closed(_)
        | SpliceEnd::Gone(_)
        | SpliceEnd::Truncated(_)
        | SpliceEnd::Lost(..) => false,
        SpliceEnd::Breach(..)
        | SpliceEnd::Silent(_)
        | SpliceEnd::Idle
        | SpliceEnd::Age
        | SpliceEnd::Cut => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;

    #[test]
    fn the_future_of_a_session_is_small() {
        let bytes = size_of::<Splice<Stream, Stream>>();
        assert!(bytes <= 272, "{bytes} bytes");
    }
}
