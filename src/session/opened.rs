//! A session that has its 101: what an idle one holds, and what it leaves in the log.
//!
//! Knows nothing of how it came about.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::terms::Lesson;
use super::told;
use crate::listen::Place;
use crate::net::Stream;
use crate::observe::begun::Begun;
use crate::observe::course;
use crate::splice::{Outcome, Splice};

/// A session that has its 101. This is what an idle one holds.
pub(super) struct Opened {
    pub(super) splice: Splice<Stream, Stream>,
    pub(super) begun: Begun,
    pub(super) beside: Option<Box<Beside>>,
    /// Counted against `limits.connections` until the session is over.
    pub(super) _place: Place,
}

/// What few sessions have.
pub(super) struct Beside {
    /// Where a leg is pinged as its path needs it.
    lesson: Option<Lesson>,
    /// When it says that it goes on, where it is to say so.
    goes_on: Option<Interval>,
}

impl Beside {
    pub(super) fn of(lesson: Option<Lesson>, goes_on: Option<Interval>) -> Option<Box<Self>> {
        let is_some = lesson.is_some() || goes_on.is_some();
        is_some.then(|| Box::new(Self { lesson, goes_on }))
    }
}

impl Opened {
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(outcome) = Pin::new(&mut self.splice).poll(cx) {
            return Poll::Ready(outcome);
        }
        let goes_on = self.beside.as_mut().and_then(|few| few.goes_on.as_mut());
        if let Some(goes_on) = goes_on {
            // Polled until it waits, so that it wakes this task for the next time.
            while goes_on.poll_tick(cx).is_ready() {
                course::goes_on(&self.begun, &told::totals(&self.splice.so_far()));
            }
        }
        Poll::Pending
    }

    pub(super) fn record(&self, outcome: &Outcome) {
        course::ended(&self.begun, &told::totals(outcome), &told::end(outcome));
        let lesson = self.beside.as_ref().and_then(|few| few.lesson.as_ref());
        if let Some(lesson) = lesson {
            let (request, way, _) = self.begun.unpack();
            lesson.learn(outcome, request.route, way.egress);
        }
    }
}

/// First `every` from now; `None` where that never comes. Who was late once keeps to its times and
/// says nothing twice.
pub(super) fn rhythm(every: Duration) -> Option<Interval> {
    let mut rhythm = interval_at(Instant::now().checked_add(every)?, every);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
    Some(rhythm)
}
