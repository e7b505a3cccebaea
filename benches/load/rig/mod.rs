//! The test rig: every client session and the backend, in one thread around one epoll.
//!
//! One thread, because two on one core would measure each other's turns. It tells a measurement
//! what happened and is told what next; it does not know what is measured.

mod backend;
mod sessions;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::args::Target;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::tls::Tickets;
use backend::Backend;
use sessions::Sessions;

/// Tokens from here on are the backend's; below are the slots of sessions.
const BACKEND: usize = 1 << 32;
const EVENTS_MAX: usize = 1024;
/// Two 64 KiB messages and a little; what is read in one call.
const SCRATCH_BYTES: usize = 256 * 1024;
/// How many sessions are opened at the same time, less than any listener's backlog.
const OPENING_MAX: usize = 64;
/// How long nothing at all may happen while something is awaited.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Opened,
    /// Everything that was asked for has come, each byte as it was sent.
    Answered,
}

/// What a session does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Ask,
    Wait,
    Close,
}

pub(crate) struct Rig {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    exchange: Exchange,
    sessions: Sessions,
    backend: Backend,
    moved: Instant,
}

impl Rig {
    pub(crate) fn new(
        target: &Target,
        exchange: Exchange,
        tickets: Tickets,
    ) -> Result<Self, Failure> {
        let poll = Poll::new().map_err(Failure::io("making an epoll"))?;
        Ok(Self {
            backend: Backend::listen(target, poll.registry())?,
            sessions: Sessions::towards(target, tickets)?,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            scratch: vec![0; SCRATCH_BYTES],
            exchange,
            moved: Instant::now(),
        })
    }

    /// Begins to open a session in `slot`.
    pub(crate) fn open(&mut self, slot: usize) -> Result<(), Failure> {
        self.sessions.open(slot, self.poll.registry())
    }

    /// Opens the sessions from `first` up to `end` and lets each do `next` once it stands; when
    /// that is to ask, waits for the answers too.
    pub(crate) fn open_all(&mut self, first: usize, end: usize, next: Next) -> Result<(), Failure> {
        let last = match next {
            Next::Ask => What::Answered,
            Next::Wait | Next::Close => What::Opened,
        };
        let (mut begun, mut done) = (first, first);
        while done < end {
            while begun < end && begun - done < OPENING_MAX {
                self.open(begun)?;
                begun += 1;
            }
            self.turn(PATIENCE, |_, what| {
                done += usize::from(what == last);
                if what == last { Next::Wait } else { next }
            })?;
        }
        Ok(())
    }

    /// Has the session in `slot` ask once more.
    pub(crate) fn ask(&mut self, slot: usize) -> Result<(), Failure> {
        self.sessions.ask(slot, &mut self.exchange)
    }

    /// How many sessions so far began with a resumed TLS session.
    pub(crate) fn resumed(&self) -> u64 {
        self.sessions.resumed
    }

    /// How many connections so far came by CONNECT.
    pub(crate) fn tunnels(&self) -> u64 {
        self.exchange.tunnels
    }

    /// Waits for something to happen, at most for `wait`, and deals with all of it.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        mut told: impl FnMut(usize, What) -> Next,
    ) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(Failure::io("waiting")(error));
            }
            _ => {}
        }
        if !self.events.is_empty() {
            self.moved = Instant::now();
        } else if self.moved.elapsed() >= PATIENCE {
            return Err(Failure::Stuck);
        }
        for event in &self.events {
            let Token(token) = event.token();
            let (exchange, scratch) = (&mut self.exchange, self.scratch.as_mut_slice());
            if token >= BACKEND {
                let registry = self.poll.registry();
                self.backend.turn(event, registry, exchange, scratch)?;
            } else {
                self.sessions.turn(event, exchange, scratch, &mut told)?;
            }
        }
        Ok(())
    }

    /// Lets time pass; sessions that are told something do nothing.
    pub(crate) fn rest(&mut self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            self.moved = Instant::now();
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left, |_, _| Next::Wait)?;
        }
    }
}
