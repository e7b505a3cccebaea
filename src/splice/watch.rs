//! What ends sessions that would go on: their limits on time, and the cut. One watch serves all
//! the sessions of a thread, with one timer for all of them.
//!
//! Knows no bytes: it is told that some moved, not which.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::close::SpliceEnd;
use super::table::{Moment, Table, Ticket, nanos, round};

/// What ends a session although both sides would go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Silence in both directions after which the session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Age at which the session ends; `None`: never.
    pub session: Option<Duration>,
}

/// Wakes each session of a thread when it has to look at its limits, and all of them at the cut.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    birth: Instant,
    table: Mutex<Table>,
    /// The table wants to be looked at sooner than was thought.
    sooner: Notify,
    is_cut: AtomicBool,
    /// Each session has a moment at which it ends: its own in the table.
    is_draining: AtomicBool,
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
                match self.instant(at) {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.sooner.notified() => continue,
                () = ringing => {}
            }
            let now = self.now();
            last_round = Some(now);
            wake(self.table().due(now));
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment(nanos(self.0.birth.elapsed()))
    }

    fn instant(&self, moment: Moment) -> Option<Instant> {
        let at = (!moment.is_never()).then(|| Duration::from_nanos(moment.0));
        self.0.birth.checked_add(at?)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics halfway through a change.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the sessions one after the other from now on, the oldest first, the last of them `over`
    /// from now at the latest.
    pub fn drain(&self, over: Duration) {
        let chance = |below: u64| {
            let mut dice = [0; 8];
            rand::fill(&mut dice).expect("aws-lc aborts rather than go on without randomness");
            u64::from_ne_bytes(dice) % below
        };
        self.table().spread(self.now(), nanos(over), chance);
        self.0.is_draining.store(true, Ordering::Relaxed);
        self.0.sooner.notify_one();
    }

    fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
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

impl Default for Watch {
    fn default() -> Self {
        Self(Arc::new(Shared {
            birth: Instant::now(),
            table: Mutex::default(),
            sooner: Notify::new(),
            is_cut: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        }))
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
    start: Moment,
    /// When bytes last moved.
    last: Moment,
    /// Silence that ends it, in nanoseconds.
    idle: u64,
    /// Its end, however lively it is.
    end: Moment,
    /// How late its ends may be, in nanoseconds.
    round: u32,
    /// The watch wakes us then. No later than the next limit, because `last` only ever grows.
    due: Moment,
    /// Where the waker in the slot points to; it holds what it points to, so the same place means
    /// the same task.
    waker: usize,
    /// Of its slot in the watch, once it was polled.
    ticket: Option<Ticket>,
}

impl Watched {
    /// `finest` is the shortest of the times beside its limits at which it wants to be woken.
    pub(super) fn new(watch: Watch, limits: Limits, finest: Duration) -> Self {
        let start = watch.now();
        let finest = [limits.idle, limits.session]
            .into_iter()
            .flatten()
            .fold(finest, Duration::min);
        Self {
            watch,
            start,
            last: start,
            idle: limits.idle.map_or(u64::MAX, nanos),
            round: round(nanos(finest)),
            end: limits
                .session
                .map_or(Moment::NEVER, |age| start.after(nanos(age))),
            due: Moment::NEVER,
            waker: 0,
            ticket: None,
        }
    }

    /// How old it was at `moment`.
    pub(super) fn age_at(&self, moment: Moment) -> Duration {
        moment.since(self.start)
    }

    /// How long it has been watched.
    pub(super) fn age(&self) -> Duration {
        Duration::from_nanos(self.watch.now().0 - self.start.0)
    }

    /// Ready at the cut; otherwise the task is woken at it. A session whose sides can be told of an
    /// end has a cut of its own during a drain, the others that at the end of it.
    pub(super) fn poll_cut(&mut self, cx: &mut Context<'_>, is_told: bool) -> Poll<()> {
        self.enter(cx.waker(), is_told);
        match self.watch.is_cut() || self.is_drained() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Whether everything ends at once. The task is woken then.
    pub(super) fn is_cut(&self) -> bool {
        self.watch.is_cut()
    }

    fn is_drained(&self) -> bool {
        let Some(ticket) = self.ticket.filter(|_| self.watch.is_draining()) else {
            return false;
        };
        self.watch.table().cut(ticket) <= self.watch.now()
    }

    /// After [`Watched::poll_cut`], and after whatever could move bytes in this poll: ready if a
    /// limit is reached; otherwise the task is woken when it may be.
    pub(super) fn poll_limits(
        &mut self,
        now: Moment,
        moved: bool,
        other: Moment,
    ) -> Poll<SpliceEnd> {
        if moved {
            self.last = now;
        }
        if now < self.due && self.due <= other {
            return Poll::Pending;
        }
        let (at, end) = self.next();
        if at <= now {
            return Poll::Ready(end);
        }
        self.wake_at(at.min(other));
        Poll::Pending
    }

    /// What time it is for everybody under this watch.
    pub(super) fn now(&self) -> Moment {
        self.watch.now()
    }

    /// The next moment at which a limit is reached, and what that would mean.
    fn next(&self) -> (Moment, SpliceEnd) {
        let idle = self.last.after(self.idle);
        match idle < self.end {
            true => (idle, SpliceEnd::Idle),
            false => (self.end, SpliceEnd::Age),
        }
    }

    fn enter(&mut self, waker: &Waker, is_told: bool) {
        let place = waker.data().addr();
        if self.ticket.is_some() && self.waker == place {
            return;
        }
        self.waker = place;
        match self.ticket {
            Some(ticket) => self.watch.table().moved(ticket, waker),
            None => {
                let start = match is_told {
                    true => self.start,
                    false => Moment::NEVER,
                };
                self.ticket = Some(self.watch.table().enter(waker, start));
                self.wake_at(self.next().0);
            }
        }
    }

    fn wake_at(&mut self, due: Moment) {
        self.due = due;
        let (Some(ticket), false) = (self.ticket, due.is_never()) else {
            return;
        };
        let is_sooner = self.watch.table().set(ticket, due, self.round);
        if is_sooner {
            self.watch.0.sooner.notify_one();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.watch.table().leave(ticket);
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

    #[tokio::test(start_paused = true)]
    async fn the_nearer_limit_is_the_next_one() {
        let watch = Watch::default();
        tokio::time::advance(seconds(100)).await;
        let check = |idle: Option<u64>, session: Option<u64>, expected: (u64, SpliceEnd)| {
            let limits = Limits {
                idle: idle.map(seconds),
                session: session.map(seconds),
            };
            let mut watched = Watched::new(watch.clone(), limits, Duration::MAX);
            watched.last = watched.start.after(nanos(seconds(10)));
            let (at, end) = watched.next();
            let at = at.0.saturating_sub(watched.start.0);
            assert_eq!((at / 1_000_000_000, end), expected, "{limits:?}");
        };
        let never = (Moment::NEVER.0 / 1_000_000_000 - 100, SpliceEnd::Age);
        check(None, None, never);
        check(Some(5), None, (15, SpliceEnd::Idle));
        check(None, Some(12), (12, SpliceEnd::Age));
        check(Some(5), Some(12), (12, SpliceEnd::Age));
        check(Some(5), Some(16), (15, SpliceEnd::Idle));
        check(Some(u64::MAX), Some(16), (16, SpliceEnd::Age));
        check(Some(u64::MAX), Some(u64::MAX), never);
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
                watched: Watched::new(watch.clone(), limits, Duration::MAX),
                woken: Arc::default(),
            };
            assert!(session.poll(false).is_pending());
            session
        }

        fn poll(&mut self, moved: bool) -> Poll<SpliceEnd> {
            let waker = Waker::from(self.woken.clone());
            match self
                .watched
                .poll_cut(&mut Context::from_waker(&waker), true)
            {
                Poll::Ready(()) => Poll::Ready(SpliceEnd::Cut),
                Poll::Pending => {
                    let now = self.watched.now();
                    self.watched.poll_limits(now, moved, Moment::NEVER)
                }
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
        let mut late = Watched::new(watch, Limits::default(), Duration::MAX);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(late.poll_cut(cx, true).is_ready());
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

    #[tokio::test(start_paused = true)]
    async fn a_drained_session_is_woken_at_its_end_and_told_of_it() {
        let watch = Watch::default();
        let mut sessions: Vec<_> = (0..10)
            .map(|_| Session::begin(&watch, Limits::default()))
            .collect();
        watch.drain(seconds(10));
        watching(&watch, seconds(5)).await;
        let ended = sessions.iter_mut().filter_map(|s| match s.poll(false) {
            Poll::Ready(end) => Some((end, s.wakes())),
            Poll::Pending => None,
        });
        let ended: Vec<_> = ended.collect();
        assert!((4..=6).contains(&ended.len()), "{ended:?}");
        assert!(ended.iter().all(|ended| *ended == (SpliceEnd::Cut, 1)));
        watching(&watch, seconds(6)).await;
        assert!(sessions.iter_mut().all(|s| s.poll(false).is_ready()));
    }
}
