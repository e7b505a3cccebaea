//! The two limits on time that a session has, on one timer.
//!
//! Knows no bytes: it is told that some moved, not which.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::close::SpliceEnd;

/// What ends a session although both sides would go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Silence in both directions after which the session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Age at which the session ends; `None`: never.
    pub session: Option<Duration>,
}

impl Limits {
    /// The next moment at which a limit is reached, and what that would mean. A limit too far
    /// away to be a moment is no limit.
    fn next(&self, start: Instant, last: Instant) -> Option<(Instant, SpliceEnd)> {
        let idle = self.idle.and_then(|idle| last.checked_add(idle));
        let age = self.session.and_then(|age| start.checked_add(age));
        match (idle, age) {
            (Some(idle), Some(age)) if idle < age => Some((idle, SpliceEnd::Idle)),
            (_, Some(age)) => Some((age, SpliceEnd::Age)),
            (Some(idle), None) => Some((idle, SpliceEnd::Idle)),
            (None, None) => None,
        }
    }

    /// When the timer of a session that starts now has to ring first.
    pub(super) fn first(&self, start: Instant) -> Instant {
        self.next(start, start).map_or(start, |(at, _)| at)
    }
}

/// A session's clock. Its timer is set anew only when it rings: a message costs one look at the
/// time, not a timer operation.
pub(super) struct Clock<'a> {
    limits: Limits,
    start: Instant,
    /// When bytes last moved.
    last: Instant,
    /// Set to a moment no later than the next limit, because `last` only ever grows.
    timer: Pin<&'a mut Sleep>,
}

impl<'a> Clock<'a> {
    /// `timer` must be set to `limits.first(start)`.
    pub(super) fn new(limits: Limits, start: Instant, timer: Pin<&'a mut Sleep>) -> Self {
        Self {
            limits,
            start,
            last: start,
            timer,
        }
    }

    /// Bytes moved just now.
    pub(super) fn touch(&mut self) {
        self.last = Instant::now();
    }

    /// Whether the timer rang; otherwise the task is woken when it does. It may have rung for a
    /// moment that has moved on since: [`Clock::poll_judge`] tells.
    pub(super) fn rang(&mut self, cx: &mut Context<'_>) -> bool {
        self.limits.next(self.start, self.last).is_some() && self.timer.as_mut().poll(cx).is_ready()
    }

    /// After the timer rang: ready if a limit is really reached, else the timer is set to the
    /// next one.
    pub(super) fn poll_judge(&mut self, cx: &mut Context<'_>) -> Poll<SpliceEnd> {
        let Some((at, end)) = self.limits.next(self.start, self.last) else {
            return Poll::Pending;
        };
        if at <= Instant::now() {
            return Poll::Ready(end);
        }
        self.timer.as_mut().reset(at);
        // A timer that was set must be polled once, or it wakes nobody.
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_limit_is_the_next_one() {
        let start = Instant::now();
        let check =
            |idle: Option<u64>, session: Option<u64>, expected: Option<(u64, SpliceEnd)>| {
                let limits = Limits {
                    idle: idle.map(Duration::from_secs),
                    session: session.map(Duration::from_secs),
                };
                let last = start + Duration::from_secs(10);
                let expected = expected.map(|(s, end)| (start + Duration::from_secs(s), end));
                assert_eq!(limits.next(start, last), expected, "{limits:?}");
            };
        check(None, None, None);
        check(Some(5), None, Some((15, SpliceEnd::Idle)));
        check(None, Some(12), Some((12, SpliceEnd::Age)));
        check(Some(5), Some(12), Some((12, SpliceEnd::Age)));
        check(Some(5), Some(16), Some((15, SpliceEnd::Idle)));
        check(Some(u64::MAX), Some(16), Some((16, SpliceEnd::Age)));
        check(Some(u64::MAX), Some(u64::MAX), None);
    }
}
