//! The sessions of a thread in the order of nothing: when each is to be woken, and when each ends
//! during a drain.
//!
//! Knows no clock and wakes nobody.

use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

/// The timer rings at most this often in the shortest limit there is. So a session ends at most a
/// tenth of a limit late, and never early.
const ROUNDS_PER_LIMIT: u64 = 10;
/// In nanoseconds. However long the limits are: a second late is in nobody's way.
const ROUND_MAX: u32 = 1_000_000_000;

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

/// How late an end by a limit of so many nanoseconds may be, in nanoseconds.
pub(super) fn round(limit: u64) -> u32 {
    u32::try_from(limit / ROUNDS_PER_LIMIT).map_or(ROUND_MAX, |round| round.min(ROUND_MAX))
}

/// Which slot is whose; it is one more than the slot's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(NonZeroU32);

impl Ticket {
    fn of(number: usize) -> Self {
        let next = u32::try_from(number + 1).ok().and_then(NonZeroU32::new);
        Self(next.expect("fewer sessions than descriptors"))
    }

    fn number(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// The sessions, each in a slot that is used again after it.
pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    free: Vec<Ticket>,
    /// No slot is due before this.
    next: Moment,
    /// No round is shorter than this, in nanoseconds.
    round: u32,
    /// When a session ends that comes during a drain.
    last_cut: Moment,
}

pub(super) struct Slot {
    due: Moment,
    /// When its session began, and once there is a drain when it ends: the oldest is the first, either
    /// way. [`Moment::NEVER`] if a drain leaves it alone.
    turn: Moment,
    /// `None` in a free slot.
    waker: Option<Waker>,
}

impl Table {
    pub(super) fn next_round(&self, last: Option<Moment>) -> Moment {
        match last {
            Some(last) if !self.next.is_never() => self.next.max(last.after(self.round.into())),
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
        let running = self.slots.iter_mut().filter(|slot| !slot.turn.is_never());
        let mut running: Vec<&mut Slot> = running.collect();
        running.sort_by_key(|slot| slot.turn);
        let step = over / (running.len() as u64).max(1);
        for (number, slot) in (0..).zip(running) {
            let within = chance(step.max(1));
            slot.turn = now.after(step * number + within);
            slot.due = slot.due.min(slot.turn);
            self.next = self.next.min(slot.due);
        }
        self.round = self.round.min(round(over));
        self.last_cut = now.after(over);
    }

    pub(super) fn enter(&mut self, waker: &Waker, start: Moment) -> Ticket {
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::FREE);
            Ticket::of(self.slots.len() - 1)
        });
        let turn = match self.is_draining() && !start.is_never() {
            true => self.last_cut,
            false => start,
        };
        self.slots[ticket.number()] = Slot {
            due: Moment::NEVER,
            turn,
            waker: Some(waker.clone()),
        };
        ticket
    }

    /// Whether that is sooner than anything before.
    pub(super) fn set(&mut self, ticket: Ticket, due: Moment, round: u32) -> bool {
        let due = due.min(self.cut(ticket));
        self.slots[ticket.number()].due = due;
        let is_sooner = due < self.next || round < self.round;
        self.next = self.next.min(due);
        self.round = self.round.min(round);
        is_sooner
    }

    /// The task of a session is another one now.
    pub(super) fn moved(&mut self, ticket: Ticket, waker: &Waker) {
        self.slots[ticket.number()].waker = Some(waker.clone());
    }

    /// When a session ends by a drain.
    pub(super) fn cut(&self, ticket: Ticket) -> Moment {
        match self.is_draining() {
            true => self.slots[ticket.number()].turn,
            false => Moment::NEVER,
        }
    }

    fn is_draining(&self) -> bool {
        !self.last_cut.is_never()
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.slots[ticket.number()] = Slot::FREE;
        self.free.push(ticket);
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
        turn: Moment::NEVER,
        waker: None,
    };
}

impl Default for Table {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            next: Moment::NEVER,
            round: u32::MAX,
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
        let check = |limit: u64, expected| assert_eq!(u64::from(round(limit)), expected);
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
        for again in 0..2 {
            let cuts = table.slots.iter().map(|slot| slot.turn.0);
            let expected = [1399, 1199, 1299, 1099];
            assert_eq!(cuts.collect::<Vec<_>>(), expected, "{again} times before");
            table.spread(Moment(1000), 400, |below| below - 1);
        }
        assert_eq!(table.next, Moment(1099));
        let deaf = table.enter(Waker::noop(), Moment::NEVER);
        assert!(table.cut(deaf).is_never());
        assert_eq!(size_of::<Slot>(), 32);
        let late = table.enter(Waker::noop(), Moment(1050));
        assert_eq!(table.cut(late), Moment(1400));
        // What else it waits for cannot put the end off.
        table.set(late, Moment(5000), 1);
        assert_eq!(table.slots[late.number()].due, Moment(1400));
    }
}
