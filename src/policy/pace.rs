//! How often a silent connection must be asked for a sign of life so that its path lets it live:
//! what `ping = "auto"` goes by.
//!
//! NAT boxes, load balancers and proxies end what is idle for some time, and nobody says for how
//! long. So that is learned from connections that ended without a Close: two that were idle for
//! about as long, one after the other, are believed, and the interval stays a fifth under the age of
//! theirs. Paths change too: when none was cut for long, the interval grows again by steps, and one
//! cut at about the old age takes it back and makes the next attempt come later. Knows neither a
//! clock nor a connection: time is an argument.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::cuts::{Cuts, is_about};

/// The longest interval, and the first: under the 60 seconds at which most of them cut, with room
/// for an answer that takes its time.
pub const EVERY_MAX: Duration = Duration::from_secs(45);
/// The shortest: a path that cuts sooner is for no WebSocket, and phones are woken by each ping.
pub const EVERY_MIN: Duration = Duration::from_secs(12);
/// How long the answer to a ping may take; shorter than every interval.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Idle for less is not idle: who ends then does not end it for that.
const IDLE_MIN: Duration = EVERY_MIN;
/// So long nothing is cut before the interval grows by its first step.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// And so long at most, however often that was wrong.
const PATIENCE_MAX: Duration = Duration::from_secs(16 * 24 * 60 * 60);
/// Paths that are kept in mind. A script may name proxies without an end.
pub const PATHS_MAX: usize = 1024;

/// What is known of one path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    cuts: Cuts,
    learned: Option<Lesson>,
}

/// What cuts have proved.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    cut_at: Duration,
    /// The last that proved it.
    since: Instant,
    patience: Duration,
}

/// An estimate that is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// After about this silence the path cuts.
    pub cut_at: Duration,
    /// So one is asked after this silence.
    pub every: Duration,
}

impl Pace {
    /// The silence after which to ask.
    pub fn every(&self, now: Instant) -> Duration {
        let Some(lesson) = self.learned else {
            return EVERY_MAX;
        };
        let quiet = now.saturating_duration_since(lesson.since);
        let mut every = under(lesson.cut_at);
        let mut steps = quiet.as_secs() / lesson.patience.as_secs();
        while steps > 0 && every < EVERY_MAX {
            every = every * 5 / 4;
            steps -= 1;
        }
        every.min(EVERY_MAX)
    }

    /// A connection over which nothing came since `since` was found to be cut at `now` without a
    /// Close: reset, ended, or without an answer to a ping that was sent at `now`. What that
    /// changes, if it does.
    pub fn cut(&mut self, since: Instant, now: Instant) -> Option<Learned> {
        let idle = now.saturating_duration_since(since);
        if idle < IDLE_MIN {
            return None;
        }
        let before = self.every(now);
        let known = self.learned.filter(|l| is_about(l.cut_at, idle));
        let (cut_at, patience) = match known {
            // The interval had grown, and this is what it was short for.
            Some(lesson) if before > under(lesson.cut_at) => {
                let doubled = (lesson.patience * 2).min(PATIENCE_MAX);
                (lesson.cut_at.min(idle), doubled)
            }
            Some(_) | None => (self.cuts.agree(since, now)?, PATIENCE),
        };
        self.learned = Some(Lesson {
            cut_at,
            since: now,
            patience,
        });
        let every = self.every(now);
        let is_news = every != before || known.is_none();
        is_news.then_some(Learned { cut_at, every })
    }
}

/// A fifth is kept as a margin: timers are coarse, and a ping takes its time to get there.
fn under(cut_at: Duration) -> Duration {
    (cut_at * 4 / 5).clamp(EVERY_MIN, EVERY_MAX)
}

/// The paths of a gateway, by the route's name and the egress's. At most [`PATHS_MAX`].
#[derive(Debug, Default)]
pub struct Paces(BTreeMap<(String, String), Pace>);

impl Paces {
    /// The silence after which to ask on this path.
    pub fn every(&self, route: &str, egress: &str, now: Instant) -> Duration {
        let key = (route.to_owned(), egress.to_owned());
        let pace = self.0.get(&key);
        pace.map_or(EVERY_MAX, |pace| pace.every(now))
    }

    /// As [`Pace::cut`]. Of too many paths, the new ones teach nothing.
    pub fn cut(
        &mut self,
        route: &str,
        egress: &str,
        since: Instant,
        now: Instant,
    ) -> Option<Learned> {
        let key = (route.to_owned(), egress.to_owned());
        if self.0.len() >= PATHS_MAX && !self.0.contains_key(&key) {
            return None;
        }
        self.0.entry(key).or_default().cut(since, now)
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.cut_at.as_secs_f64().round();
        write!(f, "this path cuts idle connections at about {seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Cuts, each with the seconds since when it was idle and when cut; after each, the seconds of
    /// the interval.
    fn check(cuts: &[(u64, u64)], expected: &[u64]) {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut told = Vec::new();
        for (since, cut) in cuts {
            let before = pace.every(start + seconds(*cut));
            let learned = pace.cut(start + seconds(*since), start + seconds(*cut));
            let every = pace.every(start + seconds(*cut));
            assert!(learned.is_some() || before == every, "{cuts:?}");
            assert!(learned.is_none_or(|l| l.every == every), "{cuts:?}");
            told.push(every.as_secs());
        }
        assert_eq!(told, expected, "{cuts:?}");
    }

    #[test]
    fn two_cuts_that_agree_are_believed() {
        check(&[(0, 40)], &[45]);
        check(&[(0, 40), (50, 90)], &[45, 32]);
        check(&[(0, 44), (50, 90)], &[45, 32]);
        check(&[(0, 60), (60, 120)], &[45, 45]);
        check(&[(0, 50), (60, 110)], &[45, 40]);
        // Pings go unanswered as long as they come too late.
        let silent = [
            (0, 45),
            (45, 90),
            (90, 126),
            (126, 162),
            (162, 190),
            (190, 218),
        ];
        check(&silent, &[45, 36, 36, 28, 28, 22]);
    }

    #[test]
    fn what_is_learned_is_news_once_even_if_the_interval_was_short_enough() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut cut = |n| pace.cut(start + seconds(n), start + seconds(n + 60));
        let learned = Learned {
            cut_at: seconds(60),
            every: EVERY_MAX,
        };
        assert_eq!(
            [cut(0), cut(60), cut(120), cut(180)],
            [None, Some(learned), None, None]
        );
    }

    #[test]
    fn neither_one_event_nor_a_cut_in_the_midst_of_talk_is() {
        check(&[(0, 40), (0, 40), (2, 40), (9, 40)], &[45; 4]);
        check(&[(0, 11), (11, 22), (22, 33)], &[45; 3]);
        check(&[(0, 40), (40, 60), (60, 100), (100, 120)], &[45; 4]);
    }

    #[test]
    fn it_asks_no_more_often_than_the_least() {
        check(&[(0, 12), (12, 24)], &[45, 12]);
        check(&[(0, 14), (14, 28), (28, 40), (40, 52)], &[45, 12, 12, 12]);
    }

    #[test]
    fn it_lengthens_slowly_and_one_cut_takes_that_back() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.cut(start, start + seconds(40));
        let taught = start + seconds(100);
        let learned = pace.cut(taught - seconds(40), taught).expect("taught");
        assert_eq!((learned.cut_at, learned.every), (seconds(40), seconds(32)));
        let text = "this path cuts idle connections at about 40 s";
        assert_eq!(learned.to_string(), text);
        let after = |pace: &Pace, since, quiet| pace.every(since + seconds(quiet));
        assert_eq!(after(&pace, taught, DAY - 1), seconds(32));
        assert_eq!(after(&pace, taught, DAY), seconds(40));
        assert_eq!(after(&pace, taught, 2 * DAY), seconds(45));
        assert_eq!(after(&pace, taught, 10_000 * DAY), seconds(45));
        let wrong = taught + seconds(DAY + 40);
        let again = pace.cut(wrong - seconds(40), wrong).expect("taken back");
        assert_eq!(again, learned);
        assert_eq!(after(&pace, wrong, 2 * DAY - 1), seconds(32));
        assert_eq!(after(&pace, wrong, 2 * DAY), seconds(40));
    }

    #[test]
    fn each_path_has_a_pace_of_its_own_and_there_are_so_many() {
        let start = Instant::now();
        let mut paces = Paces::default();
        for n in [0, 100] {
            let since = start + seconds(n);
            paces.cut("chat", "corp", since, since + seconds(30));
        }
        let now = start + seconds(130);
        assert_eq!(paces.every("chat", "corp", now), seconds(24));
        assert_eq!(paces.every("chat", "direct", now), EVERY_MAX);
        assert_eq!(paces.every("feed", "corp", now), EVERY_MAX);
        for n in 0..2 * PATHS_MAX {
            paces.cut("chat", &n.to_string(), start, now);
        }
        assert_eq!(paces.0.len(), PATHS_MAX);
        assert_eq!(paces.every("chat", "corp", now), seconds(24));
    }

    /// A path that forgets silently after some seconds, and one session after the other on it that
    /// says nothing of its own: how many die until none does, and how the interval stands then.
    fn simulate(forgets_after: u64) -> (usize, Duration) {
        let mut pace = Pace::default();
        let (mut now, mut died) = (Instant::now(), 0);
        for _session in 0..50 {
            // A few rounds of silence and ping, none of which the path outlives if it is too long.
            for _round in 0..20 {
                let every = pace.every(now);
                let since = now;
                now += every;
                if every >= seconds(forgets_after) {
                    died += 1;
                    pace.cut(since, now);
                    break;
                }
            }
        }
        (died, pace.every(now))
    }

    #[test]
    fn on_every_path_sessions_soon_live() {
        for forgets_after in 16..=120 {
            let (died, every) = simulate(forgets_after);
            assert!(every < seconds(forgets_after), "{forgets_after}: {every:?}");
            assert!(died <= 10, "{forgets_after}: {died} died");
            // And are not asked more often than it takes.
            let least = seconds(forgets_after).min(EVERY_MAX) * 3 / 5;
            assert!(every >= least.max(EVERY_MIN), "{forgets_after}: {every:?}");
        }
    }
}
