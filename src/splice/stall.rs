//! How long a side took nothing while bytes waited for it.
//!
//! Knows no streams: it is told at every look whether some wait, and whether some were taken.

use std::num::NonZeroU32;
use std::time::Duration;

/// The stalls of both directions.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    to_backend: Stall,
    to_client: Stall,
}

/// The stalls of one direction. In milliseconds of 32 bits that begin anew after 49 days: a session
/// may be older than that, and only a single stall may not be longer.
#[derive(Debug, Clone, Copy, Default)]
struct Stall {
    /// When bytes were last taken, while others wait; `None` while none do.
    since: Option<NonZeroU32>,
    longest: u32,
}

/// The longest stall of each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stalled {
    /// The backend took nothing.
    pub to_backend: Duration,
    /// The client took nothing.
    pub to_client: Duration,
}

/// What one direction holds for its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backlog {
    /// Bytes wait.
    pub(super) waits: bool,
    /// Some were taken since this was last looked at.
    pub(super) moved: bool,
}

impl Stalls {
    /// A look at both directions, `age` after the session's beginning.
    pub(super) fn look(&mut self, age: Duration, to_backend: Backlog, to_client: Backlog) {
        self.to_backend.look(age, to_backend);
        self.to_client.look(age, to_client);
    }

    /// The session ends: one that goes on counts up to here, and nothing after it.
    pub(super) fn settle(&mut self, age: Duration) {
        self.to_backend.settle(age);
        self.to_client.settle(age);
    }

    /// The longest so far, those that go on included.
    pub(super) fn longest(&self, age: Duration) -> Stalled {
        Stalled {
            to_backend: self.to_backend.longest(age),
            to_client: self.to_client.longest(age),
        }
    }
}

impl Stall {
    fn look(&mut self, age: Duration, backlog: Backlog) {
        if self.since.is_none() && !backlog.waits {
            return;
        }
        if backlog.moved || !backlog.waits {
            self.longest = self.longest_at(age);
            self.since = None;
        }
        if self.since.is_none() && backlog.waits {
            // A millisecond too late once in 49 days.
            self.since = Some(NonZeroU32::new(millis(age)).unwrap_or(NonZeroU32::MIN));
        }
    }

    fn settle(&mut self, age: Duration) {
        self.longest = self.longest_at(age);
        self.since = None;
    }

    fn longest(&self, age: Duration) -> Duration {
        Duration::from_millis(self.longest_at(age).into())
    }

    fn longest_at(&self, age: Duration) -> u32 {
        match self.since {
            None => self.longest,
            Some(since) => {
                let now = NonZeroU32::new(millis(age)).unwrap_or(NonZeroU32::MIN);
                self.longest.max(now.get().wrapping_sub(since.get()))
            }
        }
    }
}

/// Its lower 32 bits.
fn millis(age: Duration) -> u32 {
    age.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Backlog = Backlog {
        waits: false,
        moved: false,
    };
    const PASSED: Backlog = Backlog {
        waits: false,
        moved: true,
    };
    const STUCK: Backlog = Backlog {
        waits: true,
        moved: false,
    };
    const SLOW: Backlog = Backlog {
        waits: true,
        moved: true,
    };

    #[track_caller]
    fn check(begin: u64, looks: &[(u64, Backlog)], at: u64, expected: u64) {
        let age = |millis| Duration::from_millis(begin + millis);
        let mut stall = Stall::default();
        for (millis, backlog) in looks {
            stall.look(age(*millis), *backlog);
        }
        let longest = stall.longest(age(at));
        assert_eq!(longest, Duration::from_millis(expected), "{looks:?}");
    }

    #[test]
    fn the_longest_time_in_which_nothing_was_taken_counts() {
        // Once more where the 32 bits of milliseconds begin anew in the middle of it.
        for begin in [1, u64::from(u32::MAX) - 40] {
            check(begin, &[], 90, 0);
            check(begin, &[(10, NOTHING), (50, PASSED)], 90, 0);
            check(begin, &[(10, STUCK)], 90, 80);
            check(begin, &[(10, STUCK), (30, STUCK), (60, PASSED)], 90, 50);
            check(begin, &[(10, STUCK), (60, NOTHING)], 90, 50);
            // A side that takes a little now and then is slow, not stalled.
            check(begin, &[(10, SLOW), (30, SLOW), (50, SLOW)], 70, 20);
            let (first, second) = ([(10, STUCK), (20, PASSED)], [(30, STUCK), (65, SLOW)]);
            check(begin, &[first, second].concat(), 70, 35);
            check(
                begin,
                &[second, [(80, PASSED), (90, STUCK)]].concat(),
                95,
                35,
            );
        }
    }

    #[test]
    fn nothing_counts_after_the_end() {
        let (mut stall, age) = (Stall::default(), Duration::from_millis);
        stall.look(age(10), STUCK);
        stall.settle(age(30));
        assert_eq!(stall.longest(age(90)), age(20));
    }

    #[test]
    fn a_direction_is_not_the_other() {
        let (mut stalls, age) = (Stalls::default(), Duration::from_millis);
        stalls.look(age(10), PASSED, NOTHING);
        stalls.look(age(20), STUCK, NOTHING);
        stalls.look(age(50), PASSED, STUCK);
        let expected = Stalled {
            to_backend: age(30),
            to_client: age(40),
        };
        assert_eq!(stalls.longest(age(90)), expected);
    }
}
