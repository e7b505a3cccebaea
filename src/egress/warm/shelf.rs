//! The tunnels that stand ready for one server: who may take one, when another is wanted, and what
//! their ends teach.
//!
//! Waits for nothing and opens nothing. Knows no hops, and the clock only to ask it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::net::Stream;
use crate::net::quiet;
use crate::policy::backoff::Backoff;
use crate::policy::lifetime::{AGE_MIN, Lifetime};

/// A tunnel is renewed when it has lived between 80 % and 95 % of what it may, by the dice, so
/// that those that were opened together are not renewed together.
const DUE_LEAST: u32 = 205;
const DUE_SPREAD: u32 = 39;
/// What the two are parts of.
const WHOLE: u32 = 256;

/// The tunnels to one server.
#[derive(Debug)]
pub(super) struct Shelf {
    /// For the log.
    egress: String,
    server: String,
    count: usize,
    state: Mutex<State>,
    /// The keeper has something to look at.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The oldest first.
    tunnels: Vec<Tunnel>,
    lifetime: Lifetime,
    backoff: Backoff,
    /// Nothing is opened before this.
    paused_until: Option<Instant>,
    /// Since then no tunnel has proved that it can be kept.
    is_failing: bool,
}

#[derive(Debug)]
struct Tunnel {
    stream: Stream,
    opened: Instant,
    /// After this part of its lifetime it is renewed.
    due: u32,
}

/// What the keeper does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Opens a tunnel.
    Open,
    /// Waits until then, or until something changes.
    Wait(Instant),
}

impl Shelf {
    /// Room for `count` tunnels, which is not zero, none of them older than `age_max`.
    pub(super) fn new(egress: String, server: String, count: usize, age_max: Duration) -> Self {
        Self {
            egress,
            server,
            count,
            state: Mutex::new(State {
                tunnels: Vec::new(),
                lifetime: Lifetime::new(age_max),
                backoff: Backoff::default(),
                paused_until: None,
                is_failing: false,
            }),
            changed: Notify::new(),
        }
    }

    /// How many stand ready.
    pub(super) fn ready(&self) -> usize {
        self.state().tunnels.len()
    }

    /// The youngest tunnel that is alive: the older one is, the likelier is an end that this side
    /// has not heard of.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut state = self.state();
        let now = Instant::now();
        let age_max = state.lifetime.age_max();
        self.changed.notify_one();
        while let Some(mut tunnel) = state.tunnels.pop() {
            if tunnel.age(now) >= age_max {
                continue;
            }
            if quiet::is_quiet(&mut tunnel.stream) {
                self.proved(&mut state);
                return Some(tunnel.stream);
            }
            self.cut(&mut state, &tunnel, now);
        }
        None
    }

    /// A new tunnel. It takes the place of the oldest where there is none left.
    pub(super) fn put(&self, stream: Stream) {
        let mut state = self.state();
        state.tunnels.push(Tunnel {
            stream,
            opened: Instant::now(),
            due: DUE_LEAST + u32::from(dice()) % DUE_SPREAD,
        });
        let too_many = state.tunnels.len().saturating_sub(self.count);
        state.tunnels.drain(..too_many);
        debug!(egress = %self.egress, server = %self.server, "tunnel opened ahead");
    }

    /// No tunnel could be opened.
    pub(super) fn failed(&self, why: &str) {
        self.fails(&mut self.state(), why);
    }

    /// What the keeper does now.
    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        let now = Instant::now();
        let age_max = state.lifetime.age_max();
        state.tunnels.retain(|t| t.age(now) < age_max);
        let proof = |t: &Tunnel| t.opened + AGE_MIN.min(t.due_age(age_max));
        if state.tunnels.iter().any(|t| proof(t) <= now) {
            self.proved(&mut state);
        }
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return Next::Wait(until);
        }
        let dues = state.tunnels.iter().map(|t| t.opened + t.due_age(age_max));
        let young: Vec<Instant> = dues.filter(|due| *due > now).collect();
        if young.len() < self.count {
            return Next::Open;
        }
        let proofs = state.tunnels.iter().map(proof);
        let proofs = proofs.filter(|_| state.is_failing);
        let soonest = young.into_iter().chain(proofs).min();
        Next::Wait(soonest.unwrap_or(now + age_max))
    }

    /// Something that [`Shelf::next`] does not know yet.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Throws away each tunnel that has ended, and has the task woken when another does.
    pub(super) fn poll_ends(&self, cx: &mut Context<'_>) -> Poll<std::convert::Infallible> {
        let mut state = self.state();
        let all = std::mem::take(&mut state.tunnels);
        for mut tunnel in all {
            match quiet::poll_noise(&mut tunnel.stream, cx) {
                Poll::Pending => state.tunnels.push(tunnel),
                Poll::Ready(()) => {
                    self.cut(&mut state, &tunnel, Instant::now());
                    self.changed.notify_one();
                }
            }
        }
        Poll::Pending
    }

    /// Nobody fills it any more.
    pub(super) fn clear(&self) {
        self.state().tunnels.clear();
    }

    // A tunnel that was not used ended, or said something, which makes it useless as well.
    fn cut(&self, state: &mut State, tunnel: &Tunnel, now: Instant) {
        let age = tunnel.age(now);
        if age < AGE_MIN {
            let why = format!("a tunnel did not stay open and silent: it ended after {age:.1?}");
            return self.fails(state, &why);
        }
        let shown = format!("{age:.1?}");
        debug!(egress = %self.egress, server = %self.server, age = shown, "idle tunnel was cut");
        let (opened, now) = (tunnel.opened.into_std(), now.into_std());
        if let Some(learned) = state.lifetime.cut(opened, now) {
            info!(
                egress = %self.egress,
                server = %self.server,
                renewed_after = format!("{:.1?}", learned.age_max),
                "the proxy, or the server behind it, cuts idle tunnels at about {} s",
                learned.cut_at.as_secs(),
            );
        }
    }

    fn fails(&self, state: &mut State, why: &str) {
        let pause = state.backoff.failed(dice());
        state.paused_until = Some(Instant::now() + pause);
        if !std::mem::replace(&mut state.is_failing, true) {
            warn!(egress = %self.egress, server = %self.server, error = why, "cannot keep tunnels warm");
        }
    }

    fn proved(&self, state: &mut State) {
        state.backoff.worked();
        if std::mem::take(&mut state.is_failing) {
            info!(egress = %self.egress, server = %self.server, "tunnels are kept warm again");
        }
    }

    // A tunnel is put in or taken out whole, so that a panic elsewhere cannot have broken one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tunnel {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    fn due_age(&self, age_max: Duration) -> Duration {
        age_max * self.due / WHOLE
    }
}

fn dice() -> u8 {
    let mut dice = [0];
    rand::fill(&mut dice).expect("aws-lc aborts rather than go on without randomness");
    dice[0]
}
