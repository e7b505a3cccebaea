//! Whether the proxies of an egress let in those who come without a session.
//!
//! Rejected passwords lock accounts, and a keeper would go on with them by night. So one keeper of
//! an egress goes first, and after a rejection none goes before a session was let in. Knows no
//! schemes and no servers.

use tokio::sync::{Mutex, MutexGuard, watch};

/// Of one egress, for all its keepers.
#[derive(Debug)]
pub(super) struct Trust {
    standing: watch::Sender<Standing>,
    /// To find out.
    turn: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unknown,
    Gained,
    Lost,
}

/// Leave to ask the proxies; where it is not known how they answer, for one at a time.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    _turn: Option<MutexGuard<'a, ()>>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            standing: watch::Sender::new(Standing::Unknown),
            turn: Mutex::new(()),
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
            if self.is(Standing::Gained) {
                return Leave { _turn: None };
            }
            let turn = self.turn.lock().await;
            // Whoever went before may have found out.
            if self.is(Standing::Unknown) {
                return Leave { _turn: Some(turn) };
            }
        }
    }

    /// Somebody was let in.
    pub(super) fn gained(&self) {
        self.becomes(Standing::Gained);
    }

    /// A keeper was told that it is not who it should be.
    pub(super) fn lost(&self) {
        self.becomes(Standing::Lost);
    }

    fn is(&self, standing: Standing) -> bool {
        *self.standing.borrow() == standing
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
    async fn one_finds_out_and_the_others_go_by_what_it_found() {
        let trust = Trust::default();
        let first = may_ask(&trust).await;
        assert!(first.is_some() && may_ask(&trust).await.is_none());
        trust.gained();
        drop(first);
        let _all = (
            may_ask(&trust).await.unwrap(),
            may_ask(&trust).await.unwrap(),
        );
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
