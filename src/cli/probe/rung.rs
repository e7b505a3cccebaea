//! The rungs of the ladder: steps that are over, and what is to be said of them.
//!
//! Knows neither how a rung is shown nor how it was judged.

use std::time::Duration;

use super::path::Silence;
use crate::cli::way::Ended;
use crate::cli::way::advice::Verdict;
use crate::egress::{Detail, Place, Step};

/// What was done.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A step of the dial.
    Dial { place: Place, step: Step },
    /// A ping and its pong.
    Ping,
    /// Silence.
    Idle,
}

/// A step that is over.
#[derive(Debug)]
pub(super) struct Rung {
    pub(super) what: What,
    pub(super) details: Vec<Detail>,
    pub(super) more: More,
    pub(super) took: Duration,
    /// What is wrong, if anything is.
    pub(super) verdict: Option<Verdict>,
}

/// What else a step showed.
#[derive(Debug)]
pub(super) enum More {
    Nothing,
    /// The one that the backend chose.
    Subprotocol(String),
    Silence(Silence),
}

impl Rung {
    /// A step of the dial, with what is to be said of it.
    pub(super) fn of(ended: Ended, more: More, verdict: Option<Verdict>) -> Self {
        Self {
            what: What::Dial {
                place: ended.place,
                step: ended.step,
            },
            details: ended.details,
            more,
            took: ended.took,
            verdict,
        }
    }
}
