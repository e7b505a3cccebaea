//! Who gets in: `limits.connections`, and how politely the rest are turned away.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients beyond the limit that are being told so at one time. A refusal costs a TLS handshake,
/// so the politeness itself needs a limit; whoever comes beyond it is disconnected.
const REFUSALS_MAX: usize = 256;

/// The places of a process.
#[derive(Debug, Clone)]
pub struct Admission {
    seats: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// What a client gets. Held for as long as its connection lasts, and given back by dropping it.
#[derive(Debug)]
pub enum Place {
    /// It is served.
    Seat(OwnedSemaphorePermit),
    /// It is told that the gateway is full.
    Refusal(OwnedSemaphorePermit),
}

impl Admission {
    /// Room for `connections` clients at once.
    pub fn new(connections: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        }
    }

    /// A place for one more client, or `None`: disconnect it.
    pub fn place(&self) -> Option<Place> {
        if let Ok(seat) = self.seats.clone().try_acquire_owned() {
            return Some(Place::Seat(seat));
        }
        let refusal = self.refusals.clone().try_acquire_owned().ok()?;
        Some(Place::Refusal(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_first_then_refusals_then_nothing_and_a_place_comes_back() {
        let admission = Admission::new(1);
        let seat = admission.place();
        assert!(matches!(seat, Some(Place::Seat(_))));
        let refusals: Vec<_> = (0..REFUSALS_MAX).map(|_| admission.place()).collect();
        assert!(
            refusals
                .iter()
                .all(|p| matches!(p, Some(Place::Refusal(_))))
        );
        assert!(admission.place().is_none());
        drop(seat);
        assert!(matches!(admission.place(), Some(Place::Seat(_))));
    }
}
