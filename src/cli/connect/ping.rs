//! Our own pings: when the next is due, which pong answers it, and when there is none.
//!
//! Knows no socket: the time comes in with each question.

use std::time::Duration;

use tokio::time::Instant;

/// What tells our pings from others: RFC 6455 §5.5.3 has a pong repeat it.
pub(super) type Mark = [u8; 8];

/// Pings at regular intervals, one at a time.
#[derive(Debug)]
pub(super) struct Pings {
    every: Duration,
    timeout: Duration,
    next: Instant,
    out: Option<Out>,
}

/// A ping without its pong.
#[derive(Debug)]
struct Out {
    mark: Mark,
    /// When the last byte of it went out; `None`: it still waits behind other bytes.
    written: Option<Instant>,
    due: Instant,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A ping is to be sent.
    Ping,
    /// A pong did not come.
    NoPong,
}

impl Pings {
    /// The first is due at once.
    pub(super) fn new(every: Duration, timeout: Duration, now: Instant) -> Self {
        Self {
            every,
            timeout,
            next: now,
            out: None,
        }
    }

    /// When to ask again.
    pub(super) fn deadline(&self) -> Instant {
        self.out.as_ref().map_or(self.next, |out| out.due)
    }

    /// What is due. `moved` is when bytes last moved that a pong, or a ping, must wait behind: they
    /// show that the other side lives, so that nothing is held against it.
    pub(super) fn due(&mut self, now: Instant, moved: Instant) -> Due {
        let Some(out) = &mut self.out else {
            return match now >= self.next {
                true => Due::Ping,
                false => Due::Nothing,
            };
        };
        out.due = out.due.max(moved + self.timeout);
        match now >= out.due {
            true => Due::NoPong,
            false => Due::Nothing,
        }
    }

    /// One goes out.
    pub(super) fn sent(&mut self, mark: Mark, now: Instant) {
        self.next = now + self.every;
        self.out = Some(Out {
            mark,
            written: None,
            due: now + self.timeout,
        });
    }

    /// All that was to be written is written.
    pub(super) fn written(&mut self, now: Instant) {
        if let Some(out) = &mut self.out
            && out.written.is_none()
        {
            out.written = Some(now);
            out.due = now + self.timeout;
        }
    }

    /// A pong came: the round trip, if it answers ours.
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let out = self.out.take_if(|out| out.mark == payload)?;
        Some(now - out.written.unwrap_or(now))
    }

    /// How long a pong may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_ping_is_sent_at_once_and_then_at_intervals() {
        let begin = Instant::now();
        let mut pings = Pings::new(s(30), s(10), begin);
        assert_eq!(pings.due(begin, begin), Due::Ping);
        pings.sent(*b"markmark", begin);
        pings.written(begin + s(1));
        assert_eq!(pings.pong(b"another!", begin + s(2)), None);
        assert_eq!(pings.pong(b"markmark", begin + s(3)), Some(s(2)));
        assert_eq!(pings.pong(b"markmark", begin + s(3)), None);
        assert_eq!(pings.deadline(), begin + s(30));
        assert_eq!(pings.due(begin + s(29), begin), Due::Nothing);
        assert_eq!(pings.due(begin + s(30), begin), Due::Ping);
    }

    #[test]
    fn a_pong_that_does_not_come_is_missed_unless_bytes_before_it_move() {
        let begin = Instant::now();
        let mut pings = Pings::new(s(5), s(10), begin);
        pings.sent(*b"markmark", begin);
        pings.written(begin);
        assert_eq!(pings.due(begin + s(9), begin), Due::Nothing);
        assert_eq!(pings.due(begin + s(10), begin + s(8)), Due::Nothing);
        assert_eq!(pings.deadline(), begin + s(18));
        assert_eq!(pings.due(begin + s(18), begin + s(8)), Due::NoPong);
    }
}
