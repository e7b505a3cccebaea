//! One side, drawn: what it says, how it behaves, and what weather its socket has.
//!
//! Knows nothing of the other one.

use std::time::Duration;

use throughway::splice::Frames;
use tokio::time::Instant;

use super::dice::Dice;
use super::far::{Bounds, Far, How, Manners};
use super::socket::Wire;
use super::speech::{Saying, Scale, Speaker, close, noise};

/// What one side is to be.
pub struct Plan {
    pub scale: Scale,
    pub frames: Frames,
    pub is_noise: bool,
    pub bounds: Bounds,
    pub masks: bool,
    pub is_wrong: bool,
    pub closes: bool,
}

impl Plan {
    pub fn wire(&self, dice: &mut Dice) -> Wire {
        let speech = self.speech(dice);
        let bytes: usize = speech.iter().map(|saying| saying.bytes.len()).sum();
        let manners = Manners {
            frames: !self.is_noise,
            pong: match dice.below(100) {
                0..55 => Some(dice.millis(0, 100)),
                55..85 => Some(dice.millis(500, 20_000)),
                _ => None,
            },
            close: match dice.below(100) {
                0..75 => Some(dice.millis(0, 3_000)),
                _ => None,
            },
            end: match dice.below(100) {
                0..75 => Some((dice.millis(0, 500), How::Fin)),
                75..90 => Some((dice.millis(0, 6_000), end(dice))),
                _ => None,
            },
        };
        let mut far = Far::new(
            self.masks,
            manners,
            self.bounds,
            dice.split(),
            Instant::now(),
        );
        far.last = self.last(dice);
        far.speech = speech;
        far.speech.reverse();
        let mut wire = Wire::new(far, dice.split());
        self.weather(dice, &mut wire, bytes);
        wire
    }

    fn speech(&self, dice: &mut Dice) -> Vec<Saying> {
        if self.is_noise {
            let most = match self.scale {
                Scale::Tiny => 400,
                Scale::Middling => 20_000,
                Scale::Large => 400_000,
            };
            let blocks = dice.below(6);
            let block = |dice: &mut Dice| {
                let bytes = dice.between(1, most);
                Saying {
                    after: dice.millis(0, 1_000),
                    bytes: noise(dice, bytes),
                    fault: None,
                }
            };
            return (0..blocks).map(|_| block(dice)).collect();
        }
        let mut speaker = Speaker {
            dice,
            scale: self.scale,
            masks: self.masks,
            odd: self.frames != Frames::Validate,
        };
        let mut speech = speaker.speech(self.is_wrong);
        if self.closes {
            speech.push(Saying {
                after: dice.millis(0, 20_000),
                bytes: close(dice, self.masks),
                fault: None,
            });
        }
        speech
    }

    /// What it does when it has said everything.
    fn last(&self, dice: &mut Dice) -> Option<(Duration, How)> {
        let ends = if self.closes { 15 } else { 30 };
        (self.is_noise || dice.percent(ends)).then(|| (dice.millis(0, 60_000), end(dice)))
    }

    fn weather(&self, dice: &mut Dice, wire: &mut Wire, bytes: usize) {
        let most = |dice: &mut Dice| match (self.scale, dice.below(4)) {
            (Scale::Tiny, 0..2) => 1,
            (Scale::Tiny, _) => dice.between(2, 40),
            (Scale::Middling, 0..3) => dice.between(100, 5_000),
            (Scale::Large, 0) => dice.between(3_000, 20_000),
            (Scale::Middling | Scale::Large, _) => usize::MAX,
        };
        wire.reads.most = most(dice);
        wire.writes.most = most(dice);
        let stalls = |dice: &mut Dice| {
            let count = dice.one_of(&[0, 0, 0, 1, 1, 3]);
            let mut stalls: Vec<_> = (0..count)
                .map(|_| {
                    let long = if dice.percent(20) { 60_000 } else { 2_000 };
                    (dice.between(0, bytes), dice.millis(1, long))
                })
                .collect();
            stalls.sort_unstable();
            stalls.into()
        };
        wire.reads.stalls = stalls(dice);
        wire.writes.stalls = stalls(dice);
        if dice.percent(40) {
            let slow = dice.below(4);
            wire.writes.flushes = Some((0..slow).map(|_| dice.millis(1, 1_000)).collect());
        }
        if dice.percent(20) {
            wire.reads.cut = Some((dice.between(0, bytes), end(dice)));
        }
        if dice.percent(8) {
            wire.writes.break_at = Some(dice.between(0, bytes));
        }
    }
}

fn end(dice: &mut Dice) -> How {
    dice.one_of(&[How::Fin, How::Gone, How::Truncated, How::Reset])
}
