//! Who gets in: `limits.connections`, how politely the rest are turned away, and which thread serves
//! whom.
//!
//! Knows no sockets: it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Clients beyond the limit that are being told so at one time. A refusal costs a TLS handshake,
/// so the politeness itself needs a limit; whoever comes beyond it is disconnected.
const REFUSALS_MAX: usize = 256;

/// A thread hands a client over when another has fewer by more than this part of its own. To hand
/// one over wakes the other thread, which among thousands is not worth a difference of one; of few,
/// which may all be busy ones, each counts. No measurement behind it yet.
const SLACK_PART: usize = 64;

/// The places of a process.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Places>);

#[derive(Debug)]
struct Places {
    seats_max: usize,
    seats: Arc<AtomicUsize>,
    refusals: Arc<AtomicUsize>,
    /// Of each thread.
    threads: Box<[Share]>,
}

/// What a thread has of both kinds.
#[derive(Debug)]
struct Share {
    seats: Arc<Count>,
    refusals: Arc<Count>,
}

/// Places of one kind on one thread.
#[derive(Debug)]
struct Count {
    kind: Kind,
    thread: u16,
    taken: AtomicUsize,
    /// On all threads.
    all: Arc<AtomicUsize>,
}

/// What a client gets. Held for as long as its connection lasts, and given back by dropping it.
#[derive(Debug)]
pub struct Place(Arc<Count>);

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its client is served.
    Seat,
    /// Its client is told that the gateway is full.
    Refusal,
}

impl Admission {
    /// Room for `connections` clients at once, on so many threads.
    pub fn new(connections: usize, threads: u16) -> Self {
        let (seats, refusals) = (Arc::default(), Arc::default());
        let count = |kind, thread, all: &Arc<AtomicUsize>| {
            Arc::new(Count {
                kind,
                thread,
                taken: AtomicUsize::new(0),
                all: all.clone(),
            })
        };
        let share = |thread| Share {
            seats: count(Kind::Seat, thread, &seats),
            refusals: count(Kind::Refusal, thread, &refusals),
        };
        let threads = (0..threads).map(share).collect();
        Self(Arc::new(Places {
            seats_max: connections,
            seats,
            refusals,
            threads,
        }))
    }

    /// A place for one more client, who came in on the thread `own`, or `None`: disconnect it.
    pub fn place(&self, own: u16) -> Option<Place> {
        let thread = emptier(&self.spread(), own);
        let share = self.0.threads.get(usize::from(thread))?;
        let count = if take(&self.0.seats, self.0.seats_max) {
            &share.seats
        } else if take(&self.0.refusals, REFUSALS_MAX) {
            &share.refusals
        } else {
            return None;
        };
        count.taken.fetch_add(1, Ordering::Relaxed);
        Some(Place(count.clone()))
    }

    /// How many clients each thread has.
    pub fn spread(&self) -> Vec<usize> {
        let taken = |count: &Count| count.taken.load(Ordering::Relaxed);
        let threads = self.0.threads.iter();
        threads
            .map(|share| taken(&share.seats) + taken(&share.refusals))
            .collect()
    }
}

impl Place {
    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The thread that has it.
    pub fn thread(&self) -> u16 {
        self.0.thread
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        self.0.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One more, unless there are so many.
fn take(taken: &AtomicUsize, max: usize) -> bool {
    let one_more = |n| (n < max).then_some(n + 1);
    taken
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .is_ok()
}

/// Who of the threads gets a client that came in on `own`: `own` itself, unless another has
/// clearly fewer.
fn emptier(clients: &[usize], own: u16) -> u16 {
    let of_own = clients.get(usize::from(own)).copied().unwrap_or_default();
    let fewest = (0..).zip(clients).min_by_key(|(_, clients)| **clients);
    match fewest {
        Some((thread, clients)) if of_own > clients + of_own / SLACK_PART => thread,
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_first_then_refusals_then_nothing_and_a_place_comes_back() {
        let admission = Admission::new(1, 1);
        let kind = || admission.place(0).map(|place| (place.kind(), place));
        let seat = kind();
        assert!(matches!(seat, Some((Kind::Seat, _))));
        let refusals: Vec<_> = (0..REFUSALS_MAX).map(|_| kind()).collect();
        assert!(
            refusals
                .iter()
                .all(|p| matches!(p, Some((Kind::Refusal, _))))
        );
        assert!(kind().is_none());
        assert_eq!(admission.spread(), [1 + REFUSALS_MAX]);
        drop(seat);
        assert!(matches!(kind(), Some((Kind::Seat, _))));
        drop(refusals);
        assert_eq!(admission.spread(), [0]);
    }

    #[test]
    fn a_client_stays_where_it_came_in_unless_another_thread_has_clearly_fewer() {
        let check = |clients: &[usize], own, expected| {
            assert_eq!(emptier(clients, own), expected, "{clients:?}");
        };
        check(&[0], 0, 0);
        check(&[0, 0], 1, 1);
        check(&[1, 0], 1, 1);
        check(&[1, 0], 0, 1);
        check(&[3, 2, 1], 1, 2);
        check(&[63, 62], 0, 1);
        check(&[6400, 6300], 0, 0);
        check(&[6400, 6299], 0, 1);
    }

    #[test]
    fn however_the_kernel_deals_them_out_long_sessions_spread() {
        let admission = Admission::new(100, 3);
        let mut places: Vec<_> = (0..30).map(|_| admission.place(0)).collect();
        assert_eq!(admission.spread(), [10, 10, 10]);
        places.retain(|place| place.as_ref().is_some_and(|place| place.thread() == 1));
        assert_eq!(admission.spread(), [0, 10, 0]);
        let more: Vec<_> = (0..20).map(|_| admission.place(1)).collect();
        assert_eq!(admission.spread(), [10, 10, 10]);
        drop(more);
    }
}
