//! Whether the end that an outcome names has happened.

use std::time::Duration;

use throughway::policy::rate::Action;
use throughway::splice::{Breach, Frames, Side, SpliceEnd};
use tokio::time::Instant;

use super::far::How;
use super::frames::PING;
use super::leg::Leg;
use super::oracle::Trial;

impl Trial<'_> {
    /// The end that is named has happened.
    pub fn check_end(&self) {
        let end = self.outcome.end;
        let took = self.outcome.duration;
        let is_true = match end {
            SpliceEnd::Closed(side) => match self.facts.frames {
                Frames::Opaque => self.leg(side).wire.reads.ended.is_some(),
                _ => self.leg(side).has_closed(),
            },
            SpliceEnd::Gone(side) => {
                let leg = self.leg(side);
                leg.has_ended(&[How::Fin, How::Gone, How::Truncated]) && !leg.has_closed()
            }
            SpliceEnd::Truncated(side) => self.leg(side).has_ended(&[How::Truncated]),
            SpliceEnd::Lost(side, _) => {
                let leg = self.leg(side);
                leg.has_ended(&[How::Reset]) || leg.wire.writes.failed
            }
            SpliceEnd::Breach(side, breach) => self.is_breach(side, breach),
            SpliceEnd::Silent(side) => self.is_silent(self.leg(side)),
            SpliceEnd::Idle => self
                .facts
                .limits
                .idle
                .is_some_and(|idle| self.was_idle(idle)),
            SpliceEnd::Age => self.facts.limits.session.is_some_and(|age| age <= took),
            SpliceEnd::Cut => self.facts.cut.is_some_and(|(at, _)| at <= took),
        };
        assert!(is_true, "{end:?} never happened");
    }

    /// For so long nothing passed. A frame's rest may have after that, to make room for the Closes.
    fn was_idle(&self, idle: Duration) -> bool {
        let mut passed = [self.client.passed_at(), self.backend.passed_at()].concat();
        passed.extend([self.start, self.now]);
        passed.sort_unstable();
        passed.windows(2).any(|pair| pair[1] - pair[0] >= idle)
    }

    fn is_breach(&self, side: Side, breach: Breach) -> bool {
        let wire = self.leg(side).wire;
        let barrier = wire.far.barrier.filter(|b| b.start < wire.reads.given);
        match breach {
            Breach::Rule(violation) => barrier.is_some_and(|b| b.code == violation.close_code().0),
            Breach::FrameBytes | Breach::MessageBytes => barrier.is_some_and(|b| b.code == 1009),
            Breach::Rate => side == Side::Client && self.facts.throttle == Some(Action::Close),
        }
    }

    /// It was asked, and in all that time nothing came from it that could have been read.
    fn is_silent(&self, leg: &Leg<'_>) -> bool {
        let ping = match leg.side {
            Side::Client => self.facts.ping_client,
            Side::Backend => self.facts.ping_backend,
        };
        let own = leg.passed.own.iter().rfind(|own| own.opcode == PING);
        let mut asked = leg.wire.far.asked.iter();
        let asked = asked.rfind(|(end, _)| own.is_some_and(|own| own.end == *end));
        let (Some(ping), Some((_, asked))) = (ping, asked) else {
            return false;
        };
        let late = *asked + ping.timeout;
        let is_within = |at: Instant| *asked < at && at < late;
        let read = leg.wire.reads.given_at.iter().any(|(_, at)| is_within(*at));
        let unread = leg.unread_since().is_some_and(|at| at < late);
        assert!(!unread, "it had said something, and nobody read it");
        late <= self.now && !read
    }
}
