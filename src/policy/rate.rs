//! How fast a client may say something: so many messages and so many bytes in a time, and a burst
//! of so much at once.
//!
//! The generic cell rate algorithm: instead of tokens, a bucket holds the moment at which all that
//! was taken from it will have been earned. It costs an addition, holds sixteen bytes a kind and no
//! timer. Knows neither clients nor sockets, and time is an argument.

use std::time::{Duration, Instant};

/// Bound of what a bucket may owe: no message is worth waiting longer for, and no arithmetic on
/// times overflows.
pub const DEBT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// So much in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Per {
    /// How many; more than none.
    pub count: u64,
    /// In which time; more than none.
    pub period: Duration,
}

/// What a client may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages; `None`: any number.
    pub messages: Option<Per>,
    /// Bytes of payload; `None`: any number.
    pub bytes: Option<Per>,
    /// How much may come at once: what this time earns, and one message at least.
    pub burst: Duration,
    /// What happens beyond it.
    pub action: Action,
}

/// What happens to a client that says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Nothing is read of it until its time has come, so that it waits.
    #[default]
    Delay,
    /// Its session ends.
    Close,
}

/// The rates of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Of each session.
    pub session: Option<Rate>,
    /// Of all sessions of one client address together.
    pub client: Option<Rate>,
}

/// What was taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// When the messages taken will have been earned.
    messages: Instant,
    /// And the bytes.
    bytes: Instant,
}

/// When what was taken may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At once.
    Now,
    /// After this time. It is paid for: nothing is taken again when it has passed.
    Wait(Duration),
}

impl Bucket {
    /// A full one: a whole burst may come.
    pub fn full(now: Instant) -> Self {
        Self {
            messages: now,
            bytes: now,
        }
    }

    /// Takes so many messages and bytes, whatever is left: what was read already cannot be unread,
    /// and a debt is earned off like everything else. Who is told of lengths before it has the
    /// bytes takes them when they come, so that nobody owes for what it only announced. Nothing may
    /// be taken too, which tells how long what is owed already will last.
    pub fn take(&mut self, rate: &Rate, now: Instant, messages: u64, bytes: u64) -> Verdict {
        let waits = [
            charge(&mut self.messages, rate.messages, rate.burst, now, messages),
            charge(&mut self.bytes, rate.bytes, rate.burst, now, bytes),
        ];
        match waits.into_iter().max() {
            None | Some(Duration::ZERO) => Verdict::Now,
            Some(wait) => Verdict::Wait(wait),
        }
    }

    /// When a whole burst may come again: from then on there is nothing to remember.
    pub fn full_at(&self) -> Instant {
        self.messages.max(self.bytes)
    }
}

fn charge(
    earned: &mut Instant,
    per: Option<Per>,
    burst: Duration,
    now: Instant,
    count: u64,
) -> Duration {
    let Some(per) = per else {
        return Duration::ZERO;
    };
    let owed = earned.saturating_duration_since(now);
    let owed = owed.saturating_add(cost(per, count)).min(DEBT_MAX);
    *earned = now + owed;
    owed.saturating_sub(burst.max(cost(per, 1)))
}

/// The time that earns so many.
fn cost(per: Per, count: u64) -> Duration {
    let nanos = per.period.as_nanos().saturating_mul(u128::from(count));
    let nanos = nanos / u128::from(per.count.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn per(count: u64, seconds: u64) -> Per {
        Per {
            count,
            period: Duration::from_secs(seconds),
        }
    }

    fn rate(messages: Option<Per>, bytes: Option<Per>, burst_ms: u64) -> Rate {
        Rate {
            messages,
            bytes,
            burst: Duration::from_millis(burst_ms),
            action: Action::Delay,
        }
    }

    /// Takes at these milliseconds so many messages and bytes; how many milliseconds each waits.
    fn check(rate: &Rate, taken: &[(u64, u64, u64)], expected: &[u64]) {
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let waits = taken.iter().map(|(at, messages, bytes)| {
            let now = start + Duration::from_millis(*at);
            match bucket.take(rate, now, *messages, *bytes) {
                Verdict::Now => 0,
                Verdict::Wait(wait) => wait.as_millis() as u64,
            }
        });
        assert_eq!(waits.collect::<Vec<_>>(), expected, "{taken:?} by {rate:?}");
    }

    #[test]
    fn a_burst_comes_at_once_and_then_each_when_it_is_earned() {
        let ten = rate(Some(per(10, 1)), None, 500);
        let five = [(0, 1, 9); 5];
        check(&ten, &five, &[0; 5]);
        check(&ten, &[(0, 6, 9)], &[100]);
        check(&ten, &[(0, 5, 9), (0, 1, 0), (0, 1, 0)], &[0, 100, 200]);
        // What was earned meanwhile, and never more than a burst of it.
        check(&ten, &[(0, 5, 9), (100, 1, 0)], &[0, 0]);
        check(&ten, &[(0, 5, 9), (99_999, 6, 0)], &[0, 100]);
        check(&ten, &[(0, 5, 9), (250, 3, 0), (400, 1, 0)], &[0, 50, 0]);
    }

    #[test]
    fn one_message_may_always_come_however_short_the_burst() {
        let hourly = rate(Some(per(10, 3600)), None, 1000);
        check(&hourly, &[(0, 1, 0), (0, 1, 0)], &[0, 360_000]);
        check(&hourly, &[(0, 1, 0), (360_000, 1, 0)], &[0, 0]);
    }

    #[test]
    fn bytes_and_messages_are_counted_apart_and_the_longer_wait_holds() {
        let both = rate(Some(per(1, 1)), Some(per(1000, 1)), 1000);
        check(&both, &[(0, 1, 1000)], &[0]);
        check(&both, &[(0, 2, 1500)], &[1000]);
        check(&both, &[(0, 1, 4000)], &[3000]);
        check(&both, &[(0, 0, 4000), (0, 1, 0)], &[3000, 3000]);
        check(
            &both,
            &[(0, 0, 4000), (2000, 0, 0), (3000, 0, 0)],
            &[3000, 1000, 0],
        );
        check(&rate(None, None, 1000), &[(0, u64::MAX, u64::MAX)], &[0]);
    }

    #[test]
    fn what_was_read_is_owed_and_the_debt_is_bounded() {
        let kilobyte = rate(None, Some(per(1024, 1)), 1000);
        check(&kilobyte, &[(0, 0, 10 * 1024), (9000, 0, 0)], &[9000, 0]);
        check(&kilobyte, &[(0, 0, 10 * 1024), (9000, 0, 1)], &[9000, 0]);
        let day = DEBT_MAX.as_millis() as u64 - 1000;
        check(&kilobyte, &[(0, 0, u64::MAX), (0, 0, u64::MAX)], &[day; 2]);
        let fastest = rate(None, Some(per(u64::MAX, 1)), 1);
        check(&fastest, &[(0, 0, u64::MAX)], &[999]);
        let slowest = rate(None, Some(per(1, u64::MAX)), 1);
        let waited = DEBT_MAX.as_millis() as u64;
        check(&slowest, &[(0, 0, 1), (waited, 0, 0)], &[0, 0]);
    }

    #[test]
    fn it_is_full_again_when_all_is_earned() {
        let now = Instant::now();
        let mut bucket = Bucket::full(now);
        assert_eq!(bucket.full_at(), now);
        bucket.take(&rate(Some(per(1, 1)), Some(per(1, 1)), 1), now, 3, 2);
        assert_eq!(bucket.full_at(), now + 3 * SECOND);
    }

    /// However it is taken, what goes on in any time is what that time earns and a burst.
    #[test]
    fn no_way_of_asking_gets_more_through() {
        let start = Instant::now();
        let rate = rate(Some(per(7, 1)), None, 2000);
        for seed in 1..=200_u64 {
            let mut random = seed;
            let mut next = |below: u64| {
                // Knuth's MMIX: good enough to be irregular.
                random = random.wrapping_mul(6_364_136_223_846_793_005);
                random = random.wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let mut bucket = Bucket::full(start);
            let (mut now, mut passed) = (start, 0);
            while now < start + 60 * SECOND {
                let count = next(4);
                if let Verdict::Wait(wait) = bucket.take(&rate, now, count, 0) {
                    now += wait;
                }
                passed += count;
                let earned = (now - start).as_secs_f64() * 7.0;
                assert!(passed as f64 <= earned + 14.001, "seed {seed}: {passed}");
                now += Duration::from_millis(next(700));
            }
        }
    }
}
