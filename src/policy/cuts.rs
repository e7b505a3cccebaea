//! When cuts of idle connections prove that somebody on the way cuts them at one age.
//!
//! Whoever does so does it at one age, again and again. A proxy that is restarted ends all of them at
//! once, at whatever age they have, and proves nothing by that. Knows neither a clock nor what the
//! connections carry: time is an argument.

use std::time::{Duration, Instant};

/// The cuts that were seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cuts {
    suspected: Option<Suspicion>,
}

/// One cut: no proof yet.
#[derive(Debug, Clone, Copy)]
struct Suspicion {
    age: Duration,
    since: Instant,
}

impl Cuts {
    /// A connection that was idle from `since` on was cut at `now`. At which age, if that is proof:
    /// another one, idle since after the first was cut, ended at about the same age.
    pub(super) fn agree(&mut self, since: Instant, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(since);
        match self.suspected.filter(|first| is_about(first.age, age)) {
            // Perhaps it was the same event that cut both.
            Some(first) if since < first.since => None,
            Some(first) => {
                self.suspected = None;
                Some(first.age.min(age))
            }
            None => {
                self.suspected = Some(Suspicion { age, since: now });
                None
            }
        }
    }
}

/// Within a quarter of the shorter one.
pub(super) fn is_about(a: Duration, b: Duration) -> bool {
    let (low, high) = (a.min(b), a.max(b));
    high - low <= low / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts, each with the seconds since when it was idle and when cut; what the last one proves.
    fn check(cuts: &[(u64, u64)], expected: Option<u64>) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut seen = Cuts::default();
        let proofs = cuts
            .iter()
            .map(|(since, cut)| seen.agree(at(*since), at(*cut)));
        let proofs: Vec<_> = proofs.map(|proof| proof.map(|age| age.as_secs())).collect();
        let (last, before) = proofs.split_last().expect("a cut");
        assert!(before.iter().all(Option::is_none), "{cuts:?}: {proofs:?}");
        assert_eq!(*last, expected, "{cuts:?}");
    }

    #[test]
    fn two_that_agree_and_are_not_one_event_are_proof() {
        check(&[(0, 30)], None);
        check(&[(0, 30), (30, 60)], Some(30));
        check(&[(0, 36), (40, 70)], Some(30));
        check(&[(0, 30), (30, 68)], None);
        check(&[(0, 30), (1, 31)], None);
        check(&[(0, 30), (30, 45), (45, 75)], None);
    }
}
