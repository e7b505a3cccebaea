//! The sessions of a thread in the order of nothing: when each is to be woken, and when each ends
//! during a drain.
//!
//! Knows no clock and wakes nobody.

use std::task::Waker;
use std::time::Duration;

/// The timer rings at most this often in the shortest limit there is. So a session ends at most a
/// tenth of a limit late, and never early.
const ROUNDS_PER_LIMIT: u64 = 10;
/// However long the limits are: a second late is in nobody's way.
const ROUND_MAX: Duration = Duration::from_secs(1);

/// A moment, in nanoseconds since the watch was made: half of what an `Instant` takes, five times
/// for each session. They last for 584 years; a limit that is reached later is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    pub(super) const NEVER: Self = Self(u64::MAX);

    pub(super) fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(super) fn since(self, before: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(before.0))
    }

    pub(super) fn is_never(self) -> bool {
        self == Self::NEVER
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How late an end by a limit of so many nanoseconds may be.
pub(super) fn round(limit: u64) -> u64 {
    (limit / ROUNDS_PER_LIMIT).min(nanos(ROUND_MAX))
}

/// The sessions, each in a slot that is used again after it.
pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    free: Vec<u32>,
    /// No slot is due before this.
    next: Moment,
    /// No round is shorter than this, in nanoseconds.
    round: u64,
    /// When a session ends that comes during a drain.
    last_cut: Moment,
}

pub(super) struct Slot {
    due: Moment,
    /// When its session began; [`Moment::NEVER`] if a drain leaves it alone.
    start: Moment,
    /// When it ends, once there is a drain.
    cut: Moment,
    /// `None` in a free slot.
    waker: Option<Waker>,
}

impl Table {
    pub(super) fn next_round(&self, last: Option<Moment>) -> Moment {
        match last {
            Some(last) if !self.next.is_never() => self.next.max(last.after(self.round)),
            _ => self.next,
        }
    }

    /// Whoever is due. Each has to be [`Table::set`] again.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Waker> {
        let mut wakers = Vec::new();
        self.next = Moment::NEVER;
        for slot in &mut self.slots {
            if slot.due <= now {
                slot.due = Moment::NEVER;
                wakers.extend(slot.waker.clone());
            }
            self.next = self.next.min(slot.due);
        }
        wakers
    }

    pub(super) fn everyone(&self) -> Vec<Waker> {
        self.slots.iter().filter_map(|s| s.waker.clone()).collect()
    }

    /// Deals out the moments until `over` from now, in equal steps and each somewhere within its own:
    /// the oldest session first.
    pub(super) fn spread(&mut self, now: Moment, over: u64, mut chance: impl FnMut(u64) -> u64) {
        let running = self.slots.iter_mut().filter(|slot| !slot.start.is_never());
        let mut running: Vec<&mut Slot> = running.collect();
        running.sort_by_key(|slot| slot.start);
        let step = over / (running.len() as u64).max(1);
        for (number, slot) in (0..).zip(running) {
            let within = chance(step.max(1));
            slot.cut = now.after(step * number + within);
            slot.due = slot.due.min(slot.cut);
            self.next = self.next.min(slot.due);
        }
        self.round = self.round.min(round(over));
        self.last_cut = now.after(over);
    }

    pub(super) fn enter(&mut self, waker: &Waker, start: Moment) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::FREE);
            u32::try_from(self.slots.len() - 1).expect("fewer sessions than descriptors")
        });
        let entered = &mut self.slots[slot as usize];
        entered.waker = Some(waker.clone());
        entered.start = start;
        entered.cut = match start.is_never() {
            true => Moment::NEVER,
            false => self.last_cut,
        };
        slot
    }

    /// Whether that is sooner than anything before.
    pub(super) fn set(&mut self, slot: u32, due: Moment, round: u64) -> bool {
        let set = &mut self.slots[slot as usize];
        let due = due.min(set.cut);
        set.due = due;
        let is_sooner = due < self.next || round < self.round;
        self.next = self.next.min(due);
        self.round = self.round.min(round);
        is_sooner
    }

    /// The task of a session is another one now.
    pub(super) fn moved(&mut self, slot: u32, waker: &Waker) {
        self.slots[slot as usize].waker = Some(waker.clone());
    }

    /// When a session ends by a drain.
    pub(super) fn cut(&self, slot: u32) -> Moment {
        self.slots[slot as usize].cut
    }

    pub(super) fn leave(&mut self, slot: u32) {
        self.slots[slot as usize] = Slot::FREE;
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            // The last one is gone: what a storm of sessions needed is given back.
            *self = Self {
                last_cut: self.last_cut,
                ..Self::default()
            };
        }
    }
}

impl Slot {
    const FREE: Self = Self {
        due: Moment::NEVER,
        start: Moment::NEVER,
        cut: Moment::NEVER,
        waker: None,
    };
}

impl Default for Table {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            next: Moment::NEVER,
            round: u64::MAX,
            last_cut: Moment::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_at_most_a_tenth_of_a_limit_or_a_second_late() {
        let millis = |ms| nanos(Duration::from_millis(ms));
        let check = |limit: u64, expected| assert_eq!(round(limit), expected);
        check(u64::MAX, millis(1000));
        check(millis(100), millis(10));
        check(millis(3_600_000), millis(1000));
    }

    #[test]
    fn a_drain_spreads_the_ends_evenly_and_the_oldest_is_first() {
        let mut table = Table::default();
        let starts = [30, 10, 20, 0];
        for start in starts {
            table.enter(Waker::noop(), Moment(start));
        }
        table.spread(Moment(1000), 400, |below| below - 1);
        let cuts = table.slots.iter().map(|slot| slot.cut.0);
        assert_eq!(cuts.collect::<Vec<_>>(), [1399, 1199, 1299, 1099]);
        assert_eq!(table.next, Moment(1099));
        let deaf = table.enter(Waker::noop(), Moment::NEVER);
        assert!(table.slots[deaf as usize].cut.is_never());
        let late = table.enter(Waker::noop(), Moment(1050));
        assert_eq!(table.slots[late as usize].cut, Moment(1400));
        // What else it waits for cannot put the end off.
        table.set(late, Moment(5000), 1);
        assert_eq!(table.slots[late as usize].due, Moment(1400));
    }
}
