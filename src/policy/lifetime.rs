//! How old an idle tunnel may get: as old as the configuration says, until cuts teach that
//! somebody on the way ends them sooner.
//!
//! Knows neither a clock nor a tunnel: time is an argument.

use std::time::{Duration, Instant};

use super::cuts::Cuts;

/// Whoever cuts sooner than this wants no idle tunnels, and to renew them would be a nuisance. Common
/// servers give a client 10 seconds or 60 to begin its request.
pub const AGE_MIN: Duration = Duration::from_secs(5);

/// The age at which an idle tunnel is too old.
#[derive(Debug)]
pub struct Lifetime {
    age_max: Duration,
    cuts: Cuts,
}

/// What two cuts that agree have taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// At about this age tunnels are cut.
    pub cut_at: Duration,
    /// So they may get this old.
    pub age_max: Duration,
}

impl Lifetime {
    /// `age_max` at most.
    pub fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            cuts: Cuts::default(),
        }
    }

    /// The age at which a tunnel is too old.
    pub fn age_max(&self) -> Duration {
        self.age_max
    }

    /// An idle tunnel that was opened at `opened` was cut at `now` by another. What that teaches,
    /// if it does: another one, opened after the first was cut, ended at about the same age.
    pub fn cut(&mut self, opened: Instant, now: Instant) -> Option<Learned> {
        let age = now.saturating_duration_since(opened);
        if age < AGE_MIN || age >= self.age_max {
            return None;
        }
        let cut_at = self.cuts.agree(opened, now)?;
        // A fifth is kept as a margin: a timer of the other side may be as coarse as its seconds.
        self.age_max = cut_at * 4 / 5;
        Some(Learned {
            cut_at,
            age_max: self.age_max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts, each with the seconds when it was opened and when cut; and what the last one taught,
    /// as seconds in which it is cut and may stand.
    fn check(cuts: &[(u64, u64)], expected: Option<(u64, u64)>) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut lifetime = Lifetime::new(Duration::from_secs(50));
        let (last, before) = cuts.split_last().expect("a cut");
        for (opened, cut) in before {
            let taught = lifetime.cut(at(*opened), at(*cut));
            assert_eq!(taught, None, "{opened}..{cut} of {cuts:?}");
        }
        let taught = lifetime.cut(at(last.0), at(last.1));
        let taught = taught.map(|t| (t.cut_at.as_secs(), t.age_max.as_secs()));
        assert_eq!(taught, expected, "{cuts:?}");
        let age_max = expected.map_or(50, |(_, age_max)| age_max);
        assert_eq!(lifetime.age_max().as_secs(), age_max, "{cuts:?}");
    }

    #[test]
    fn two_cuts_at_one_age_teach_it_and_one_does_not() {
        check(&[(0, 30)], None);
        check(&[(0, 30), (30, 60)], Some((30, 24)));
        check(&[(0, 30), (31, 65)], Some((30, 24)));
        check(&[(0, 30), (30, 45)], None);
        check(&[(0, 30), (30, 45), (45, 60)], Some((15, 12)));
        // Two that stand side by side, the second's successor opened before the second is cut.
        check(&[(0, 30), (1, 31), (30, 60)], Some((30, 24)));
    }

    #[test]
    fn cuts_that_are_one_event_teach_nothing() {
        check(&[(0, 30), (0, 30), (1, 30), (2, 30)], None);
        check(&[(0, 17), (5, 17)], None);
    }

    #[test]
    fn neither_a_cut_at_once_nor_one_that_comes_too_late_teaches() {
        check(&[(0, 4), (4, 8), (8, 12)], None);
        check(&[(0, 5), (5, 10)], Some((5, 4)));
        check(&[(0, 60), (60, 120)], None);
    }

    #[test]
    fn what_was_learned_is_learned_anew_when_it_gets_worse() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut lifetime = Lifetime::new(Duration::from_secs(50));
        lifetime.cut(at(0), at(40));
        assert!(lifetime.cut(at(40), at(80)).is_some());
        lifetime.cut(at(80), at(100));
        let learned = lifetime.cut(at(100), at(120)).expect("learned again");
        assert_eq!(learned.cut_at.as_secs(), 20);
    }
}
