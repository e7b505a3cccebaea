//! The way to the 101, measured: what the session does itself here, and what the dial tells.
//!
//! Knows no order; whoever comes to the end of a part says which it was.

use std::time::Duration;

use tokio::time::Instant;

use crate::egress::Steps;
use crate::observe::failures::DialFailures;
use crate::observe::phases::{Phase, Phases};

/// From a connection on.
#[derive(Debug)]
pub(super) struct Laps {
    phases: Phases,
    steps: Steps,
    start: Instant,
    /// When the last part ended.
    last: Instant,
}

impl Laps {
    /// It begins now. Dials that fail are counted in `failures`.
    pub(super) fn new(failures: DialFailures) -> Self {
        let (phases, now) = (Phases::default(), Instant::now());
        Self {
            steps: Steps::deaf().counting(failures).timing(phases.clone()),
            phases,
            start: now,
            last: now,
        }
    }

    /// What a dial has to tell its steps to.
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// `phase` ends here. It began where the one before ended.
    pub(super) fn ends(&mut self, phase: Phase) {
        let took = self.resume();
        self.phases.took(0, phase, took);
    }

    /// What begins here was preceded by something that has measured itself. How long that took.
    pub(super) fn resume(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.last, now))
    }

    /// Each part, and from the beginning to the end of the last.
    pub(super) fn all(&self) -> (&Phases, Duration) {
        (&self.phases, self.last.duration_since(self.start))
    }
}
