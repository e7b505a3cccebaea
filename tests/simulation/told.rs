//! Whether each side was told of the end as it should be, and asked only where that was wanted.

use throughway::splice::{Breach, Side, SpliceEnd, Told};
use throughway::wire::ws::close::CloseCode;

use super::leg::Leg;
use super::oracle::Trial;

impl Trial<'_> {
    /// Each side has one Close or there is a reason that it has none, and the right one.
    pub fn check_told(&self, from: &Leg<'_>, to: &Leg<'_>) {
        let told = self.heard(to.side).told;
        let end = self.outcome.end;
        match (to.passed.own_close(), to.passed.closed) {
            (Some(code), _) => {
                assert_eq!(told, Told::Own(CloseCode(code)), "of {:?}", to.side);
                let after_an_end = from.wire.reads.ended.is_some() && code == left_alone(to.side);
                let is_right = code == self.code(to.side) || after_an_end;
                assert!(is_right, "{code} to {:?} of {end:?}", to.side);
            }
            (None, true) => assert_eq!(told, Told::Passed, "of {:?}", to.side),
            (None, false) => {
                let has_left = matches!(end, SpliceEnd::Gone(side) | SpliceEnd::Lost(side, _)
                    if side == to.side);
                let none = to.passed.within || to.passed.own_cut || has_left;
                let why = none || !to.could_hear() || self.is_cut_short();
                assert!(why, "{:?} was told nothing of {end:?}", to.side);
                assert!(told == Told::Cut || !to.could_hear(), "{told:?}");
            }
        }
    }

    fn code(&self, side: Side) -> u16 {
        match self.outcome.end {
            SpliceEnd::Breach(_, Breach::Rule(violation)) => violation.close_code().0,
            SpliceEnd::Breach(_, Breach::FrameBytes | Breach::MessageBytes) => 1009,
            SpliceEnd::Breach(_, Breach::Rate) => 1008,
            SpliceEnd::Silent(silent) if silent == side => 1001,
            SpliceEnd::Idle | SpliceEnd::Age => 1001,
            SpliceEnd::Cut => self.facts.cut_code,
            SpliceEnd::Closed(_)
            | SpliceEnd::Gone(_)
            | SpliceEnd::Truncated(_)
            | SpliceEnd::Lost(..)
            | SpliceEnd::Silent(_) => left_alone(side),
        }
    }

    pub fn check_pings(&self, to: &Leg<'_>) {
        let ping = match to.side {
            Side::Client => self.facts.ping_client,
            Side::Backend => self.facts.ping_backend,
        };
        let asked = to.passed.pings();
        assert!(ping.is_some() || asked == 0, "nobody wanted {asked} pings");
        let pinged = self.heard(to.side).pinged;
        assert_eq!(pinged.is_some(), ping.is_some());
        let answers = pinged.map_or(0, |pinged| pinged.round_trips.count);
        assert!(
            answers <= asked as u64,
            "{answers} answers to {asked} pings"
        );
    }
}

fn left_alone(side: Side) -> u16 {
    match side {
        Side::Client => 1011,
        Side::Backend => 1001,
    }
}
