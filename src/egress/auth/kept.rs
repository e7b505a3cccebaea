//! One thing that costs an errand and is good for a while: who goes on the errand, and who makes do
//! with what there is.
//!
//! Knows not what the thing is. An errand blocks its thread for as long as it takes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What ends sooner is as good as ended: it may have to outlive a slow reply.
const LEFT_MIN: Duration = Duration::from_secs(60);
/// How long an errand that came to nothing is not gone on again, while there still is something.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Something that ends. A copy of it is the same thing.
pub(super) trait Lasts: Clone {
    /// How long from now on.
    fn left(&self) -> Duration;
}

/// What was got last.
#[derive(Debug)]
pub(super) struct Kept<T> {
    held: Mutex<Option<Held<T>>>,
    /// Held by whoever is on the errand.
    errand: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Held<T> {
    thing: T,
    /// How long it was good when it was got.
    whole: Duration,
    /// When the errand for its successor has last come to nothing.
    failed: Option<Instant>,
}

impl<T: Lasts> Kept<T> {
    pub(super) fn nothing() -> Self {
        Self {
            held: Mutex::new(None),
            errand: Mutex::new(()),
        }
    }

    /// One that is good. Those who come together wait for the first one's errand instead of going
    /// themselves; as long as there is one that is good, nobody waits but who goes for the next.
    pub(super) fn good<E>(&self, now: Instant, get: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let Some(held) = self.held() else {
            let _going = lock(&self.errand);
            return match self.held() {
                Some(held) => Ok(held.thing),
                None => self.go(get),
            };
        };
        if !held.fades(now) {
            return Ok(held.thing);
        }
        let Ok(_going) = self.errand.try_lock() else {
            return Ok(held.thing);
        };
        match self.go(get) {
            Ok(next) => Ok(next),
            Err(_) => {
                let failed = Some(now);
                let thing = held.thing.clone();
                *lock(&self.held) = Some(Held { failed, ..held });
                Ok(thing)
            }
        }
    }

    fn held(&self) -> Option<Held<T>> {
        let held = lock(&self.held).clone();
        held.filter(|held| held.thing.left() > LEFT_MIN)
    }

    fn go<E>(&self, get: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let thing = get()?;
        *lock(&self.held) = Some(Held {
            thing: thing.clone(),
            whole: thing.left(),
            failed: None,
        });
        Ok(thing)
    }
}

impl<T: Lasts> Held<T> {
    /// Whether half of it is over, and an errand for the next is worth a try.
    fn fades(&self, now: Instant) -> bool {
        let is_due = self
            .failed
            .is_none_or(|at| now.duration_since(at) > AGAIN_AFTER);
        // Kerberos's own library renews at the half too: a little later it surely does.
        is_due && self.thing.left() < self.whole * 2 / 5
    }
}

// What is kept is whole at every moment, so that a panic elsewhere cannot have broken it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Barrier};
    use std::thread;

    /// A thing with a number, and how many seconds it has left.
    #[derive(Debug, Clone)]
    struct Thing(u32, Arc<AtomicU64>);

    impl Thing {
        fn new(number: u32) -> Self {
            Self(number, Arc::new(AtomicU64::new(1000)))
        }

        fn ends_in(&self, seconds: u64) {
            self.1.store(seconds, Ordering::Relaxed);
        }
    }

    impl Lasts for Thing {
        fn left(&self) -> Duration {
            Duration::from_secs(self.1.load(Ordering::Relaxed))
        }
    }

    type Got = Result<Thing, &'static str>;

    fn check(kept: &Kept<Thing>, now: Instant, errand: Got, expected: Result<u32, &str>) {
        let good = kept.good(now, || errand);
        assert_eq!(good.map(|thing| thing.0), expected);
    }

    #[test]
    fn what_is_good_is_kept_and_its_successor_is_got_after_the_half() {
        let (kept, now) = (Kept::nothing(), Instant::now());
        check(&kept, now, Err("no"), Err("no"));
        let first = Thing::new(1);
        check(&kept, now, Ok(first.clone()), Ok(1));
        check(&kept, now, Ok(Thing::new(2)), Ok(1));
        first.ends_in(500);
        check(&kept, now, Ok(Thing::new(2)), Ok(1));
        first.ends_in(399);
        check(&kept, now, Ok(Thing::new(2)), Ok(2));
        check(&kept, now, Ok(Thing::new(3)), Ok(2));
    }

    #[test]
    fn an_errand_that_fails_is_not_gone_on_again_at_once() {
        let (kept, now) = (Kept::nothing(), Instant::now());
        let first = Thing::new(1);
        check(&kept, now, Ok(first.clone()), Ok(1));
        first.ends_in(300);
        check(&kept, now, Err("no"), Ok(1));
        let soon = now + AGAIN_AFTER / 2;
        check(&kept, soon, Ok(Thing::new(2)), Ok(1));
        check(&kept, now + AGAIN_AFTER * 2, Ok(Thing::new(2)), Ok(2));
    }

    #[test]
    fn what_is_about_to_end_is_no_more_use() {
        let (kept, now) = (Kept::nothing(), Instant::now());
        let first = Thing::new(1);
        check(&kept, now, Ok(first.clone()), Ok(1));
        first.ends_in(60);
        check(&kept, now, Err("no"), Err("no"));
        check(&kept, now, Ok(Thing::new(2)), Ok(2));
    }

    #[test]
    fn while_one_is_on_the_errand_the_others_take_what_there_is() {
        let (kept, now) = (Kept::nothing(), Instant::now());
        let first = Thing::new(1);
        check(&kept, now, Ok(first.clone()), Ok(1));
        first.ends_in(300);
        let (leaves, comes_back) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let going = scope.spawn(|| {
                kept.good(now, || {
                    leaves.wait();
                    comes_back.wait();
                    Got::Ok(Thing::new(2))
                })
            });
            leaves.wait();
            check(&kept, now, Err("a second errand"), Ok(1));
            comes_back.wait();
            assert_eq!(going.join().unwrap().unwrap().0, 2);
        });
        check(&kept, now, Err("a second errand"), Ok(2));
    }

    #[test]
    fn those_who_have_nothing_wait_for_the_first_ones_errand() {
        let (kept, now) = (Kept::nothing(), Instant::now());
        let (leaves, comes_back) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                kept.good(now, || {
                    leaves.wait();
                    comes_back.wait();
                    Got::Ok(Thing::new(1))
                })
            });
            leaves.wait();
            let second = scope.spawn(|| kept.good(now, || Got::Err("a second errand")));
            comes_back.wait();
            assert_eq!(first.join().unwrap().unwrap().0, 1);
            assert_eq!(second.join().unwrap().unwrap().0, 1);
        });
    }
}
