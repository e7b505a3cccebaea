//! The time that is left for a dial: each step has its own limit, and one end bounds them all.
//!
//! Deadlines are moments, not durations, so that a side that drips a byte at a time does not get
//! its time anew with each byte.

use std::time::Duration;

use tokio::time::Instant;

/// Stands for "no end" where a limit is too long to be added to now.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// When the dial must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    end: Instant,
    half: Instant,
}

impl Budget {
    /// `total` from now.
    pub(super) fn new(total: Duration) -> Self {
        let (now, total) = (Instant::now(), total.min(FAR));
        Self {
            end: now + total,
            half: now + total / 2,
        }
    }

    /// The deadline of a step that begins now and may take `limit`.
    pub(super) fn step(self, limit: Duration) -> Instant {
        self.end.min(Instant::now() + limit.min(FAR))
    }

    /// The deadline of a step that has no limit of its own.
    pub(super) fn end(self) -> Instant {
        self.end
    }

    /// The same budget for a part that may take `limit` in all.
    pub(super) fn within(self, limit: Duration) -> Self {
        let end = self.step(limit);
        Self { end, ..self }
    }

    /// Whether something is left after a pause.
    pub(super) fn outlasts(self, pause: Duration) -> bool {
        Instant::now() + pause < self.end
    }

    /// Whether at least half of it is left.
    pub(super) fn half_is_left(self) -> bool {
        Instant::now() <= self.half
    }

    /// Whether all of it is spent.
    pub(super) fn is_spent(self) -> bool {
        Instant::now() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_never_outlasts_the_whole() {
        let start = Instant::now();
        let budget = Budget::new(Duration::from_secs(10));
        assert!(budget.half_is_left());
        assert_eq!(
            budget.step(Duration::from_secs(4)) - start,
            Duration::from_secs(4)
        );
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(
            budget.step(Duration::from_secs(4)) - start,
            Duration::from_secs(10)
        );
        assert!(!budget.is_spent() && !budget.half_is_left());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(budget.is_spent());
        assert!(!Budget::new(Duration::MAX).is_spent());
        let whole = Budget::new(Duration::from_secs(10));
        let part = whole.within(Duration::from_secs(3));
        let left = |budget: Budget| budget.step(Duration::from_secs(60)) - Instant::now();
        assert_eq!(left(part), Duration::from_secs(3));
        assert_eq!(left(whole), Duration::from_secs(10));
        assert_eq!(left(whole.within(Duration::MAX)), Duration::from_secs(10));
    }
}
