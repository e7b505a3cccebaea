//! A splice under observation: how often it is polled and for what, whether it sleeps while there is
//! something to do, and how much it holds.
//!
//! Knows nothing of what the bytes are.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use throughway::policy::rate::Action;
use throughway::splice::{Outcome, Splice};
use tokio::time::Instant;

use super::scene::{Facts, Shared};
use super::socket::{Socket, Wire};

/// What the splice may hold of one direction: one read, and a header that is not complete.
const HELD_BYTES_MAX: usize = 64 * 1024;
const HEADER_BYTES_MAX: usize = 32;

/// Whatever is older than this is no matter of who was polled first.
const INSTANT: Duration = Duration::from_millis(2);

/// Polls at one moment that come to nothing.
const IDLE_POLLS_MAX: usize = 400;

pub struct Probe {
    splice: Splice<Socket, Socket>,
    facts: Facts,
    start: Instant,
    client: Shared,
    backend: Shared,
    bell: Arc<Bell>,
    waker: Option<Waker>,
    before: Option<Instant>,
    pub polls: Polls,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Polls {
    /// In which no socket did anything.
    pub idle: usize,
    /// Since the clock last moved.
    idle_now: usize,
    moves: usize,
}

struct Bell {
    inner: Waker,
    rung: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        self.inner.wake_by_ref();
    }
}

impl Probe {
    pub fn on(
        splice: Splice<Socket, Socket>,
        facts: Facts,
        client: Shared,
        backend: Shared,
    ) -> Self {
        Self {
            splice,
            facts,
            start: Instant::now(),
            client,
            backend,
            bell: Arc::new(Bell {
                inner: Waker::noop().clone(),
                rung: AtomicUsize::new(0),
            }),
            waker: None,
            before: None,
            polls: Polls::default(),
        }
    }

    /// The gateway has no reason to end, and no side has given it one.
    fn is_calm(&self, now: Instant) -> bool {
        let is_cut = self.facts.cut.is_some_and(|(at, _)| self.start + at <= now);
        let is_calm = |wire: &Wire| {
            let is_barred = wire
                .far
                .barrier
                .is_some_and(|b| b.start <= wire.reads.given);
            let is_over = wire.far.has_heard_close || wire.reads.ended.is_some();
            !is_barred && !is_over && !wire.writes.shut && !wire.writes.failed
        };
        let closes = self.facts.throttle == Some(Action::Close);
        !is_cut && !closes && is_calm(&self.client.borrow()) && is_calm(&self.backend.borrow())
    }

    /// What the last poll left is what was left at every moment since.
    fn look_back(&mut self, now: Instant) {
        let Some(before) = self.before.replace(now) else {
            return;
        };
        if now > before {
            self.polls.idle_now = 0;
        }
        if now < before + INSTANT || !self.is_calm(now) {
            return;
        }
        let (client, backend) = (
            &mut *self.client.borrow_mut(),
            &mut *self.backend.borrow_mut(),
        );
        // Whoever is slowed down is read when its time has come.
        if self.facts.throttle.is_none() {
            awake("to the backend", client, backend, now);
        }
        awake("to the client", backend, client, now);
    }

    fn look(&self, now: Instant) {
        if !self.is_calm(now) {
            return;
        }
        let (client, backend) = (&self.client.borrow(), &self.backend.borrow());
        bounded("to the backend", client, backend);
        bounded("to the client", backend, client);
    }
}

/// Whether nothing was left undone between `from` and `to`.
fn awake(what: &str, from: &mut Wire, to: &Wire, now: Instant) {
    let long_ago = |at: Instant| at + INSTANT < now;
    if let Some(until) = to.writes.until {
        assert!(
            !long_ago(until),
            "{what}: there is room, and nothing is written"
        );
        return;
    }
    let is_flushed = to.writes.flushed == to.writes.taken.len();
    assert!(
        is_flushed,
        "{what}: it sleeps on bytes that are not flushed"
    );
    if let Some(since) = from.readable_since(now) {
        assert!(
            !long_ago(since),
            "{what}: there are bytes, and they are not read"
        );
    }
    let held = from.reads.given.saturating_sub(to.writes.taken.len());
    let most = HEADER_BYTES_MAX + from.far.answered_bytes;
    assert!(
        held <= most,
        "{what}: it sleeps on {held} bytes that it could write"
    );
}

fn bounded(what: &str, from: &Wire, to: &Wire) {
    let held = from.reads.given.saturating_sub(to.writes.taken.len());
    let most = HELD_BYTES_MAX + HEADER_BYTES_MAX + from.far.answered_bytes;
    assert!(held <= most, "{what}: it holds {held} bytes");
}

impl Future for Probe {
    type Output = (Outcome, Polls);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waker = this.waker.get_or_insert_with(|| {
            this.bell = Arc::new(Bell {
                inner: cx.waker().clone(),
                rung: AtomicUsize::new(0),
            });
            Waker::from(this.bell.clone())
        });
        let waker = waker.clone();
        let now = Instant::now();
        this.look_back(now);
        let polled = Pin::new(&mut this.splice).poll(&mut Context::from_waker(&waker));
        let moves = this.client.borrow().moves + this.backend.borrow().moves;
        if moves == this.polls.moves {
            this.polls.idle += 1;
            this.polls.idle_now += 1;
            assert!(this.polls.idle_now < IDLE_POLLS_MAX, "it spins");
        }
        this.polls.moves = moves;
        this.look(now);
        polled.map(|outcome| (outcome, this.polls))
    }
}
