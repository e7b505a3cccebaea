//! How a talk is ended by us: with a Close that is answered, or with one that is not waited for.
//!
//! Knows no reasons but those it is given.

use tokio::time::Instant;

use super::{CLOSE_WAIT, LEAVE_WAIT, Phase, QUIET, Talk};
use crate::cli::connect::end::End;
use crate::cli::connect::sending::NoRandomness;

impl Talk {
    /// Something moved, so that more may be on its way.
    pub(super) fn put_off(&mut self) {
        if let Some(max) = self.close_at_max {
            self.close_at = Some(max.min(Instant::now() + QUIET));
        }
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let until = Instant::now() + CLOSE_WAIT;
        self.phase = Phase::Closing { until };
        let sent = self.sending.close(Some(code), reason);
        self.must(sent);
    }

    // Says why, unless a Close is out already, and waits for no answer.
    pub(super) fn fail(&mut self, code: u16, reason: &str, end: End) {
        if self.phase == Phase::Open {
            self.close(code, reason);
        }
        self.leave(end);
    }

    // What was known before is why it ends.
    pub(super) fn leave(&mut self, end: End) {
        self.end.get_or_insert(end);
        let until = Instant::now() + LEAVE_WAIT;
        self.phase = Phase::Leaving { until };
    }

    pub(super) fn must(&mut self, sent: Result<(), NoRandomness>) {
        if let Err(NoRandomness) = sent {
            self.leave(End::NoRandomness);
        }
    }
}
