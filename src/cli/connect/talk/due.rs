//! What is due: the Close after the end of the input, pings and their pongs, and the end of waiting.
//!
//! Knows no socket: the time comes in with each question.

use tokio::time::Instant;

use super::{CLOSE_WAIT, GOING_AWAY, NORMAL, Phase, SHOWN_BYTES_MAX, Talk};
use crate::cli::connect::end::End;
use crate::cli::connect::ping::{Due, Pings};
use crate::cli::connect::sending::random;
use crate::wire::ws::frame::Opcode;

impl Talk {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Leaving { until } | Phase::Closing { until } => Some(until),
            Phase::Open => {
                let pings = self.pings.as_ref().map(Pings::deadline);
                pings.into_iter().chain(self.close_at).min()
            }
        }
    }

    /// When bytes last moved that an answer has to wait behind. Those that we ourselves do not read,
    /// because nobody takes what we write, are held against nobody.
    pub(super) fn moved(&self, now: Instant) -> Instant {
        match self.shown.len() >= SHOWN_BYTES_MAX {
            true => now,
            false => self.moved,
        }
    }

    // Does what is due; the end, if it has come.
    pub(super) fn ended(&mut self, now: Instant) -> Option<End> {
        let moved = self.moved(now);
        match &mut self.phase {
            Phase::Open => self.do_what_is_due(now, moved),
            Phase::Closing { until } => {
                *until = (*until).max(moved + CLOSE_WAIT);
                if now >= *until {
                    let stuck = self.stuck.take().map(End::Lost);
                    let end = self.end.take().or(stuck);
                    return Some(end.unwrap_or(End::Unanswered(CLOSE_WAIT)));
                }
            }
            Phase::Leaving { until } => {
                let is_late = now >= *until;
                let is_said = !self.has_to_write();
                if is_late || self.is_over && is_said {
                    return self.end.take();
                }
            }
        }
        None
    }

    fn do_what_is_due(&mut self, now: Instant, moved: Instant) {
        if self.close_at.is_some_and(|at| now >= at) {
            return self.close(NORMAL, "");
        }
        let Some(pings) = &mut self.pings else { return };
        match pings.due(now, moved) {
            Due::Nothing => {}
            Due::NoPong => {
                let end = End::NoPong(pings.timeout());
                self.fail(GOING_AWAY, "no pong", end);
            }
            Due::Ping => {
                let sent = random().and_then(|mark| {
                    pings.sent(mark, now);
                    self.sending.push(Opcode::Ping, &mark)
                });
                self.must(sent);
            }
        }
    }
}
