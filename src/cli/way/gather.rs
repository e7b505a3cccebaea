//! Facts as they come, gathered into steps that are over.
//!
//! Knows neither how a step is shown nor what it means.

use std::time::Duration;

use crate::egress::{Cause, Detail, Fact, Place, Step};

/// What a fact led to.
#[derive(Debug)]
pub(in crate::cli) enum Heard {
    /// Nothing to show yet.
    More,
    /// A step begins.
    Began { place: Place, step: Step },
    /// A step is over, and how.
    Over(Ended),
    /// This way is tried next.
    Turn(String),
    /// All begins anew after this.
    Pause(Duration),
}

/// A step that is over, not judged yet.
#[derive(Debug)]
pub(in crate::cli) struct Ended {
    pub(in crate::cli) place: Place,
    pub(in crate::cli) step: Step,
    pub(in crate::cli) details: Vec<Detail>,
    pub(in crate::cli) took: Duration,
    pub(in crate::cli) result: Result<(), Cause>,
}

/// Gathers.
#[derive(Debug, Default)]
pub(in crate::cli) struct Gather {
    running: Option<(Place, Step)>,
    details: Vec<Detail>,
}

impl Gather {
    /// Takes the next fact.
    pub(in crate::cli) fn hear(&mut self, fact: Fact) -> Heard {
        match fact {
            Fact::Began { place, step } => {
                self.running = Some((place.clone(), step.clone()));
                self.details.clear();
                Heard::Began { place, step }
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
