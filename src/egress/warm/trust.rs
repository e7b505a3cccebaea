//! Whether the proxies of an egress let in those who come without a session, and how many of these
//! may ask at once.
//!
//! Rejected passwords lock accounts, and a keeper would go on with them by night. So one keeper of
//! an egress goes first, and after a rejection none goes before a session was let in. Knows no
//! schemes and no servers.

use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Keepers of one egress that ask at once: a gateway that starts with a hundred servers is no storm.
const AT_ONCE_MAX: u32 = 4;

/// Of one egress, for all its keepers.
#[derive(Debug)]
pub(super) struct Trust {
    standing: watch::Sender<Standing>,
    places: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unknown,
    Gained,
    Lost,
}

/// Leave to ask the proxies, until it is dropped.
pub(super) type Leave<'a> = SemaphorePermit<'a>;

impl Default for Trust {
    fn default() -> Self {
        Self {
            standing: watch::Sender::new(Standing::Unknown),
            places: Semaphore::new(AT_ONCE_MAX as usize),
        }
    }
}

impl Trust {
    /// Waits until the proxies may be asked.
    pub(super) async fn leave(&self) -> Leave<'_> {
        loop {
            let mut standing = self.standing.subscribe();
            // It ends with its sender, which is ours.
            standing.wait_for(|s| *s != Standing::Lost).await.ok();
            let places = self.places_wanted();
            let asked = self.places.acquire_many(places).await;
            let leave = asked.expect("nobody closes it");
            // Whoever went before may have found out.
            if !self.is_lost() && self.places_wanted() == places {
                return leave;
            }
        }
    }

    // Who finds out goes alone.
    fn places_wanted(&self) -> u32 {
        match *self.standing.borrow() {
            Standing::Gained => 1,
            Standing::Unknown | Standing::Lost => AT_ONCE_MAX,
        }
    }

    fn is_lost(&self) -> bool {
        *self.standing.borrow() == Standing::Lost
    }

    /// Somebody was let in.
    pub(super) fn gained(&self) {
        self.becomes(Standing::Gained);
    }

    /// A keeper was told that it is not who it should be.
    pub(super) fn lost(&self) {
        self.becomes(Standing::Lost);
    }

    fn becomes(&self, standing: Standing) {
        self.standing.send_if_modified(|before| {
            let is_news = *before != standing;
            *before = standing;
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn may_ask(trust: &Trust) -> Option<Leave<'_>> {
        timeout(Duration::from_secs(3600), trust.leave()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn one_finds_out_and_then_a_few_ask_at_once() {
        let trust = Trust::default();
        let first = may_ask(&trust).await;
        assert!(first.is_some() && may_ask(&trust).await.is_none());
        trust.gained();
        drop(first);
        let mut few = Vec::new();
        for _ in 0..AT_ONCE_MAX {
            few.push(may_ask(&trust).await.expect("a place"));
        }
        assert!(may_ask(&trust).await.is_none());
        few.pop();
        assert!(may_ask(&trust).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_rejected_waits_for_a_session_that_is_let_in() {
        let trust = Trust::default();
        let first = may_ask(&trust).await;
        trust.lost();
        drop(first);
        assert!(may_ask(&trust).await.is_none());
        let session = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            trust.gained();
        };
        let (leave, ()) = tokio::join!(may_ask(&trust), session);
        assert!(leave.is_some());
    }
}
