//! The rungs of the ladder: facts as they come, gathered into steps that are over.
//!
//! Knows neither how a rung is shown nor what it means.

use std::time::Duration;

use super::advice::Verdict;
use super::path::Silence;
use crate::egress::{Cause, Detail, Fact, Place, Step};

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

/// What a fact led to.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing to show yet.
    More,
    /// A step begins.
    Began(What),
    /// A step is over, and how.
    Over(Ended),
    /// This way is tried next.
    Turn(String),
    /// All begins anew after this.
    Pause(Duration),
}

/// A step that is over, not judged yet.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) place: Place,
    pub(super) step: Step,
    pub(super) details: Vec<Detail>,
    pub(super) took: Duration,
    pub(super) result: Result<(), Cause>,
}

/// Gathers.
#[derive(Debug, Default)]
pub(super) struct Gather {
    running: Option<(Place, Step)>,
    details: Vec<Detail>,
}

impl Gather {
    /// Takes the next fact.
    pub(super) fn hear(&mut self, fact: Fact) -> Heard {
        match fact {
            Fact::Began { place, step } => {
                self.running = Some((place.clone(), step.clone()));
                self.details.clear();
                Heard::Began(What::Dial { place, step })
            }
            Fact::Learned(detail) => {
                self.details.push(detail);
                Heard::More
            }
            Fact::Ended { took, result } => match self.running.take() {
                None => Heard::More,
                Some((place, step)) => Heard::Over(Ended {
                    place,
                    step,
                    details: std::mem::take(&mut self.details),
                    took,
                    result,
                }),
            },
            Fact::Turn(name) => Heard::Turn(name),
            Fact::Pause(pause) => Heard::Pause(pause),
        }
    }
}

impl Ended {
    /// With what is to be said of it.
    pub(super) fn judged(self, more: More, verdict: Option<Verdict>) -> Rung {
        Rung {
            what: What::Dial {
                place: self.place,
                step: self.step,
            },
            details: self.details,
            more,
            took: self.took,
            verdict,
        }
    }
}
