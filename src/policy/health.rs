//! Which of several chains are worth a try: sessions tell what became of theirs, and the next ones
//! are judged by it.
//!
//! A chain that failed is put aside for a while, and then tried by one session at a time until it
//! answers one. Knows neither a clock nor what a chain is: time is an argument, a chain a number.

use std::time::{Duration, Instant};

/// What a session may do with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try it.
    Usable,
    /// Leave it: it failed lately, or another session is finding out.
    Aside,
    /// Try it and tell the others: its time aside is over.
    Probe,
}

/// What is known of the chains of one egress.
#[derive(Debug)]
pub struct Health {
    retry_after: Duration,
    chains: Vec<State>,
}

/// One session's try of one chain. It is ended by [`Health::answered`], [`Health::failed`] or
/// [`Health::left`]; a probe that is not leaves its chain aside for good.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial {
    chain: usize,
    began: Instant,
    probes: bool,
}

#[derive(Debug)]
enum State {
    Usable {
        /// When it last answered.
        answered: Option<Instant>,
    },
    Aside {
        /// When it last failed.
        since: Instant,
        why: String,
        /// A session is finding out.
        probed: bool,
    },
}

impl Health {
    /// So many chains, all of them usable. One that failed is left aside for `retry_after`.
    pub fn new(chains: usize, retry_after: Duration) -> Self {
        let fresh = || State::Usable { answered: None };
        Self {
            retry_after,
            chains: std::iter::repeat_with(fresh).take(chains).collect(),
        }
    }

    /// How long a chain that failed is left aside.
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// What a session may do with `chain` now.
    pub fn judge(&self, chain: usize, now: Instant) -> Verdict {
        match self.chains.get(chain) {
            Some(State::Usable { .. }) => Verdict::Usable,
            Some(State::Aside { since, probed, .. }) => {
                let is_over = now.saturating_duration_since(*since) >= self.retry_after;
                match is_over && !probed {
                    true => Verdict::Probe,
                    false => Verdict::Aside,
                }
            }
            None => Verdict::Aside,
        }
    }

    /// Of `chains`, the one that has been aside the longest.
    pub fn longest_aside(&self, chains: &[usize]) -> Option<usize> {
        let since = |chain: &usize| match self.chains.get(*chain)? {
            State::Aside { since, .. } => Some((*since, *chain)),
            State::Usable { .. } => None,
        };
        chains
            .iter()
            .filter_map(since)
            .min()
            .map(|(_, chain)| chain)
    }

    /// Why `chain` is aside, if it is.
    pub fn why_aside(&self, chain: usize) -> Option<&str> {
        match self.chains.get(chain)? {
            State::Aside { why, .. } => Some(why),
            State::Usable { .. } => None,
        }
    }

    /// A session tries `chain`, whatever the verdict was.
    pub fn begin(&mut self, chain: usize, now: Instant) -> Trial {
        let probes = self.judge(chain, now) == Verdict::Probe;
        if let Some(State::Aside { probed, .. }) = self.chains.get_mut(chain) {
            *probed |= probes;
        }
        Trial {
            chain,
            began: now,
            probes,
        }
    }

    /// The chain answered. Whether it comes back by that.
    pub fn answered(&mut self, trial: &Trial, now: Instant) -> bool {
        let Some(state) = self.chains.get_mut(trial.chain) else {
            return false;
        };
        let answered = Some(now);
        let before = std::mem::replace(state, State::Usable { answered });
        matches!(before, State::Aside { .. })
    }

    /// The chain could not be reached. Whether it is put aside by that: it may be already, and
    /// it may have answered another session since this trial began.
    pub fn failed(&mut self, trial: &Trial, reason: String, now: Instant) -> bool {
        let Some(state) = self.chains.get_mut(trial.chain) else {
            return false;
        };
        match state {
            State::Usable { answered } if answered.is_some_and(|at| at > trial.began) => false,
            State::Usable { .. } => {
                *state = State::Aside {
                    since: now,
                    why: reason,
                    probed: false,
                };
                true
            }
            State::Aside { since, why, probed } => {
                *since = now;
                *why = reason;
                *probed &= !trial.probes;
                false
            }
        }
    }

    /// The trial ended without telling anything: the next session may probe at once.
    pub fn left(&mut self, trial: &Trial) {
        if let Some(State::Aside { probed, .. }) = self.chains.get_mut(trial.chain) {
            *probed &= !trial.probes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, and when in seconds.
    enum Event {
        /// The session with this number tries the chain.
        Begin(usize),
        Answered(usize),
        Failed(usize),
        Left(usize),
    }
    use Event::{Answered, Begin, Failed, Left};

    /// One chain that is left aside for 30 seconds: after the events, the verdict at each moment.
    fn check(events: &[(u64, Event)], expected: &[(u64, Verdict)]) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut health = Health::new(1, Duration::from_secs(30));
        let mut trials: Vec<Trial> = Vec::new();
        for (seconds, event) in events {
            let now = at(*seconds);
            match event {
                Begin(session) => {
                    assert_eq!(*session, trials.len());
                    trials.push(health.begin(0, now));
                }
                Answered(session) => drop(health.answered(&trials[*session], now)),
                Failed(session) => drop(health.failed(&trials[*session], "down".into(), now)),
                Left(session) => health.left(&trials[*session]),
            }
        }
        for (seconds, verdict) in expected {
            assert_eq!(health.judge(0, at(*seconds)), *verdict, "at {seconds} s");
        }
    }

    #[test]
    fn a_chain_is_usable_until_it_fails_and_then_aside_for_its_time() {
        use Verdict::{Aside, Probe, Usable};
        check(&[], &[(0, Usable), (100, Usable)]);
        check(&[(0, Begin(0)), (1, Answered(0))], &[(1, Usable)]);
        check(&[(0, Begin(0)), (1, Left(0))], &[(1, Usable)]);
        let failed = [(0, Begin(0)), (5, Failed(0))];
        check(
            &failed,
            &[(5, Aside), (34, Aside), (35, Probe), (99, Probe)],
        );
    }

    #[test]
    fn one_session_probes_and_the_others_wait_for_what_it_tells() {
        use Verdict::{Aside, Probe, Usable};
        let probed = || vec![(0, Begin(0)), (0, Failed(0)), (30, Begin(1))];
        let then = |more: Vec<(u64, Event)>| -> Vec<(u64, Event)> {
            probed().into_iter().chain(more).collect()
        };
        check(&probed(), &[(30, Aside), (1000, Aside)]);
        check(&then(vec![(31, Answered(1))]), &[(31, Usable)]);
        check(
            &then(vec![(35, Failed(1))]),
            &[(35, Aside), (64, Aside), (65, Probe)],
        );
        check(&then(vec![(31, Left(1))]), &[(31, Probe)]);
        // A second one that tries all the same does not take the probe away from the first.
        let second = vec![(31, Begin(2)), (32, Left(2))];
        check(&then(second), &[(32, Aside), (62, Aside)]);
        let second = vec![(31, Begin(2)), (32, Failed(2)), (33, Failed(1))];
        check(&then(second), &[(62, Aside), (63, Probe)]);
        // Whoever is answered brings it back.
        check(
            &then(vec![(31, Begin(2)), (32, Answered(2))]),
            &[(32, Usable)],
        );
    }

    #[test]
    fn a_failure_that_is_older_than_an_answer_is_no_news() {
        use Verdict::{Aside, Usable};
        let overtaken = [
            (0, Begin(0)),
            (2, Begin(1)),
            (3, Answered(1)),
            (5, Failed(0)),
        ];
        check(&overtaken, &[(5, Usable)]);
        let not_overtaken = [
            (0, Begin(0)),
            (3, Answered(0)),
            (3, Begin(1)),
            (5, Failed(1)),
        ];
        check(&not_overtaken, &[(5, Aside)]);
    }

    #[test]
    fn going_aside_and_coming_back_are_told_once() {
        let now = Instant::now();
        let mut health = Health::new(2, Duration::from_secs(30));
        let (one, other) = (health.begin(0, now), health.begin(0, now));
        assert!(health.failed(&one, "refused".to_owned(), now));
        assert!(!health.failed(&other, "timed out".to_owned(), now));
        assert_eq!(health.why_aside(0), Some("timed out"));
        assert_eq!(health.why_aside(1), None);
        let later = now + Duration::from_secs(30);
        let (one, other) = (health.begin(0, later), health.begin(0, later));
        assert!(health.answered(&one, later));
        assert!(!health.answered(&other, later));
        assert_eq!(health.why_aside(0), None);
    }

    #[test]
    fn of_several_the_least_recently_failed_is_the_longest_aside() {
        let start = Instant::now();
        let mut health = Health::new(4, Duration::from_secs(30));
        assert_eq!(health.longest_aside(&[0, 1, 2, 3]), None);
        for (chain, seconds) in [(2, 1), (0, 2), (1, 3)] {
            let now = start + Duration::from_secs(seconds);
            let trial = health.begin(chain, now);
            health.failed(&trial, String::new(), now);
        }
        assert_eq!(health.longest_aside(&[0, 1, 2, 3]), Some(2));
        assert_eq!(health.longest_aside(&[1, 0, 3]), Some(0));
        assert_eq!(health.longest_aside(&[3]), None);
        assert_eq!(health.judge(9, start), Verdict::Aside);
    }
}
