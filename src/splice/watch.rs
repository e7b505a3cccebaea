//! What ends sessions that would go on: their limits on time, and the cut. One watch serves all
//! the sessions of a thread, with one timer for all of them.
//!
//! Knows no bytes: it is told that some moved, not which.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::close::SpliceEnd;

/// The timer rings at most this often in the shortest limit there is. So a session ends at most a
/// tenth of a limit late, and never early.
const ROUNDS_PER_LIMIT: u32 = 10;
/// However long the limits are: a second late is in nobody's way.
const ROUND_MAX: Duration = Duration::from_secs(1);

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

    /// How late an end by the shorter of them may be.
    fn round(&self) -> Duration {
        let shorter = self.idle.into_iter().chain(self.session).min();
        shorter.map_or(ROUND_MAX, |limit| (limit / ROUNDS_PER_LIMIT).min(ROUND_MAX))
    }
}

/// Wakes each session of a thread when it has to look at its limits, and all of them at the cut.
#[derive(Clone, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    /// The table wants to be looked at sooner than was thought.
    sooner: Notify,
    is_cut: AtomicBool,
}

/// The sessions, each in a slot that is used again after it.
#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// No slot is due before this; `None`: no slot is ever due.
    next: Option<Instant>,
    /// No round is shorter than this; `None`: there was no session yet.
    round: Option<Duration>,
}

#[derive(Default)]
struct Slot {
    due: Option<Instant>,
    /// `None` in a free slot.
    waker: Option<Waker>,
}

impl Watch {
    /// Watches until `cut` is cancelled, which every session is told. Somebody has to run this on
    /// the thread of the sessions, or their limits mean nothing.
    pub async fn run(&self, cut: CancellationToken) {
        tokio::select! {
            () = cut.cancelled() => {}
            () = self.wake_in_time() => {}
        }
        self.0.is_cut.store(true, Ordering::Relaxed);
        wake(self.table().everyone());
    }

    async fn wake_in_time(&self) {
        let mut last_round = None;
        loop {
            let at = self.table().next_round(last_round);
            let ringing = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.sooner.notified() => continue,
                () = ringing => {}
            }
            let now = Instant::now();
            last_round = Some(now);
            wake(self.table().due(now));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics halfway through a change.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Relaxed)
    }
}

/// Not while the table is locked: a task that is gone by then may be dropped by this.
fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

impl Table {
    fn next_round(&self, last: Option<Instant>) -> Option<Instant> {
        let earliest = last.zip(self.round).map(|(last, round)| last + round);
        self.next
            .map(|next| earliest.map_or(next, |earliest| next.max(earliest)))
    }

    /// Whoever is due. Each has to be [`Table::set`] again.
    fn due(&mut self, now: Instant) -> Vec<Waker> {
        let mut wakers = Vec::new();
        self.next = None;
        for slot in &mut self.slots {
            match slot.due {
                Some(due) if due <= now => {
                    slot.due = None;
                    wakers.extend(slot.waker.clone());
                }
                Some(due) => self.next = Some(self.next.map_or(due, |next| next.min(due))),
                None => {}
            }
        }
        wakers
    }

    fn everyone(&self) -> Vec<Waker> {
        self.slots.iter().filter_map(|s| s.waker.clone()).collect()
    }

    fn enter(&mut self, waker: &Waker) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer sessions than descriptors")
        });
        self.slots[slot as usize].waker = Some(waker.clone());
        slot
    }

    /// Whether that is sooner than anything before.
    fn set(&mut self, slot: u32, due: Instant, round: Duration) -> bool {
        self.slots[slot as usize].due = Some(due);
        let is_shorter = self.round.is_none_or(|shortest| round < shortest);
        let is_sooner = self.next.is_none_or(|next| due < next);
        if is_shorter {
            self.round = Some(round);
        }
        if is_sooner {
            self.next = Some(due);
        }
        is_sooner || is_shorter
    }

    fn leave(&mut self, slot: u32) {
        self.slots[slot as usize] = Slot::default();
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            // The last one is gone: what a storm of sessions needed is given back.
            (self.slots, self.free, self.next) = Default::default();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// A session under a watch. A message costs it one look at the time and no lock.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Watch,
    limits: Limits,
    start: Instant,
    /// When bytes last moved.
    last: Instant,
    /// Its place in the watch, once it was polled.
    entered: Option<Entered>,
}

#[derive(Debug)]
struct Entered {
    slot: u32,
    /// Where the waker in the slot points to; it holds what it points to, so the same place means
    /// the same task.
    waker: usize,
    /// The watch wakes us then. No later than the next limit, because `last` only ever grows.
    due: Option<Instant>,
}

impl Watched {
    pub(super) fn new(watch: Watch, limits: Limits, start: Instant) -> Self {
        Self {
            watch,
            limits,
            start,
            last: start,
            entered: None,
        }
    }

    /// How long it has been watched.
    pub(super) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ready at the cut; otherwise the task is woken at it.
    pub(super) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.enter(cx.waker());
        match self.watch.is_cut() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// After [`Watched::poll_cut`], and after whatever could move bytes in this poll: ready if a
    /// limit is reached; otherwise the task is woken when it may be.
    pub(super) fn poll_limits(&mut self, moved: bool) -> Poll<SpliceEnd> {
        let now = Instant::now();
        if moved {
            self.last = now;
        }
        let Some(entered) = &mut self.entered else {
            return Poll::Pending;
        };
        if entered.due.is_none_or(|due| now < due) {
            return Poll::Pending;
        }
        let Some((at, end)) = self.limits.next(self.start, self.last) else {
            return Poll::Pending;
        };
        if at <= now {
            return Poll::Ready(end);
        }
        entered.due = Some(at);
        self.watch.set(entered.slot, at, self.limits.round());
        Poll::Pending
    }

    fn enter(&mut self, waker: &Waker) {
        let place = waker.data().addr();
        match &mut self.entered {
            Some(entered) if entered.waker == place => {}
            Some(entered) => {
                entered.waker = place;
                self.watch.table().slots[entered.slot as usize].waker = Some(waker.clone());
            }
            None => {
                let slot = self.watch.table().enter(waker);
                let due = self.limits.next(self.start, self.last).map(|(at, _)| at);
                if let Some(due) = due {
                    self.watch.set(slot, due, self.limits.round());
                }
                let waker = place;
                self.entered = Some(Entered { slot, waker, due });
            }
        }
    }
}

impl Watch {
    fn set(&self, slot: u32, due: Instant, round: Duration) {
        let is_sooner = self.table().set(slot, due, round);
        if is_sooner {
            self.0.sooner.notify_one();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(entered) = &self.entered {
            self.watch.table().leave(entered.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_nearer_limit_is_the_next_one() {
        let start = Instant::now();
        let check =
            |idle: Option<u64>, session: Option<u64>, expected: Option<(u64, SpliceEnd)>| {
                let limits = Limits {
                    idle: idle.map(seconds),
                    session: session.map(seconds),
                };
                let last = start + seconds(10);
                let expected = expected.map(|(s, end)| (start + seconds(s), end));
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

    #[test]
    fn an_end_is_at_most_a_tenth_of_a_limit_or_a_second_late() {
        let check = |idle: Option<u64>, session: Option<u64>, expected: Duration| {
            let limits = Limits {
                idle: idle.map(Duration::from_millis),
                session: session.map(Duration::from_millis),
            };
            assert_eq!(limits.round(), expected, "{limits:?}");
        };
        check(None, None, seconds(1));
        check(Some(100), None, Duration::from_millis(10));
        check(Some(500), Some(200), Duration::from_millis(20));
        check(Some(3_600_000), Some(86_400_000), seconds(1));
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A session of its own task, and how often that was woken.
    struct Session {
        watched: Watched,
        woken: Arc<Woken>,
    }

    impl Session {
        fn begin(watch: &Watch, limits: Limits) -> Self {
            let mut session = Self {
                watched: Watched::new(watch.clone(), limits, Instant::now()),
                woken: Arc::default(),
            };
            assert!(session.poll(false).is_pending());
            session
        }

        fn poll(&mut self, moved: bool) -> Poll<SpliceEnd> {
            let waker = Waker::from(self.woken.clone());
            match self.watched.poll_cut(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => Poll::Ready(SpliceEnd::Cut),
                Poll::Pending => self.watched.poll_limits(moved),
            }
        }

        fn wakes(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    fn idle(s: u64) -> Limits {
        Limits {
            idle: Some(seconds(s)),
            session: None,
        }
    }

    /// Lets a watch run for so long on the paused clock.
    async fn watching(watch: &Watch, time: Duration) {
        let watching = watch.run(CancellationToken::new());
        drop(tokio::time::timeout(time, watching).await);
    }

    #[tokio::test(start_paused = true)]
    async fn each_session_is_woken_for_its_own_limit_and_not_before() {
        let watch = Watch::default();
        let limits = [idle(10), idle(20), Limits::default()];
        let mut sessions = limits.map(|limits| Session::begin(&watch, limits));
        for (until, expected) in [(9, [0, 0, 0]), (12, [1, 0, 0]), (22, [1, 1, 0])] {
            watching(&watch, seconds(until) - sessions[0].watched.age()).await;
            assert_eq!(sessions.each_ref().map(Session::wakes), expected);
        }
        let ends = sessions.each_mut().map(|session| session.poll(false));
        let idle = Poll::Ready(SpliceEnd::Idle);
        assert_eq!(ends, [idle, idle, Poll::Pending]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_silent_is_woken_again_a_limit_after_its_last_byte() {
        let watch = Watch::default();
        let mut session = Session::begin(&watch, idle(10));
        watching(&watch, seconds(9)).await;
        assert!(session.poll(true).is_pending());
        watching(&watch, seconds(2)).await;
        assert_eq!(session.wakes(), 1, "its first limit has come");
        assert!(session.poll(false).is_pending(), "and means nothing");
        watching(&watch, seconds(7)).await;
        assert_eq!(session.wakes(), 1);
        watching(&watch, seconds(2)).await;
        assert_eq!(session.wakes(), 2);
        assert_eq!(session.poll(false), Poll::Ready(SpliceEnd::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn the_cut_wakes_everyone_and_holds_for_who_comes_after_it() {
        let watch = Watch::default();
        let mut sessions = [0, 1].map(|_| Session::begin(&watch, Limits::default()));
        let cut = CancellationToken::new();
        cut.cancel();
        watch.run(cut).await;
        for session in &mut sessions {
            assert_eq!(session.wakes(), 1);
            assert_eq!(session.poll(true), Poll::Ready(SpliceEnd::Cut));
        }
        let mut late = Watched::new(watch, Limits::default(), Instant::now());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(late.poll_cut(cx).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_used_again_and_the_last_to_leave_gives_the_room_back() {
        let watch = Watch::default();
        let first = Session::begin(&watch, idle(10));
        let second = Session::begin(&watch, idle(10));
        drop(first);
        let third = Session::begin(&watch, idle(10));
        assert_eq!(watch.table().slots.len(), 2);
        drop((second, third));
        assert_eq!(watch.table().slots.capacity(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_moves_to_another_task_is_woken_there() {
        let watch = Watch::default();
        let mut session = Session::begin(&watch, idle(10));
        let before = std::mem::take(&mut session.woken);
        assert!(session.poll(false).is_pending());
        watching(&watch, seconds(12)).await;
        assert_eq!((before.0.load(Ordering::Relaxed), session.wakes()), (0, 1));
    }
}
