//! What one seed stands for: both far ends, their sockets, and what the gateway is told to do.
//!
//! Knows no outcome.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throughway::policy::clients::{Client, Clients};
use throughway::policy::rate::{Action, Per, Rate};
use throughway::splice::{Frames, Limits, Params, Ping, Throttle};
use throughway::wire::ws::close::CloseCode;
use tokio::time::Instant;

use super::dice::Dice;
use super::far::Bounds;
use super::side::Plan;
use super::socket::Wire;
use super::speech::Scale;

pub type Shared = Rc<RefCell<Wire>>;

/// What the gateway is told, apart from what the splice takes for itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub frames: Frames,
    pub limits: Limits,
    pub ping_client: Option<Ping>,
    pub ping_backend: Option<Ping>,
    pub throttle: Option<Action>,
    pub cut: Option<(Duration, Cut)>,
    pub cut_code: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Everything, now.
    All,
    /// This session's turn in a drain has come.
    Drain,
}

pub struct Scene {
    pub params: Params,
    pub facts: Facts,
    pub client: Shared,
    pub backend: Shared,
    /// Bytes that came glued to the handshakes.
    pub tails: (usize, usize),
}

impl Scene {
    pub fn drawn(seed: u64) -> Self {
        let mut dice = Dice::seeded(seed);
        let frames = match dice.below(100) {
            0..45 => Frames::Observe,
            45..85 => Frames::Validate,
            _ => Frames::Opaque,
        };
        let scale = match dice.below(10) {
            0..4 => Scale::Tiny,
            4..8 => Scale::Middling,
            _ => Scale::Large,
        };
        let is_noise = frames == Frames::Opaque && dice.percent(70);
        let mut bound = |least, most| match frames != Frames::Opaque && dice.percent(20) {
            true => dice.between(least, most),
            false => usize::MAX,
        };
        let bounds = Bounds {
            frame: bound(150, 100_000),
            message: bound(150, 100_000),
        };
        let wrong = (frames == Frames::Validate && dice.percent(35)).then(|| dice.below(2));
        let closer = dice.below(3);
        let mut side = |number: usize| {
            let plan = Plan {
                scale,
                frames,
                is_noise,
                bounds,
                masks: number == 0,
                is_wrong: wrong == Some(number),
                closes: closer == number,
            };
            Rc::new(RefCell::new(plan.wire(&mut dice)))
        };
        let (client, backend) = (side(0), side(1));
        let (throttle, action) = throttle(&mut dice, frames, &client);
        let ping = |dice: &mut Dice| {
            (frames != Frames::Opaque && dice.percent(40)).then(|| Ping {
                every: dice.millis(1_000, 30_000),
                timeout: dice.millis(1_000, 10_000),
            })
        };
        let facts = Facts {
            frames,
            limits: Limits {
                idle: dice.percent(40).then(|| dice.millis(1_000, 120_000)),
                session: dice.percent(25).then(|| dice.millis(1_000, 300_000)),
            },
            ping_client: ping(&mut dice),
            ping_backend: ping(&mut dice),
            throttle: action,
            cut: cut(&mut dice, frames),
            cut_code: dice.one_of(&[1001, 1012, 1013]),
        };
        let most = |bytes: usize| (bytes < usize::MAX).then_some(bytes as u64);
        let params = Params {
            limits: facts.limits,
            frames,
            deflate: false,
            frame_bytes_max: most(bounds.frame),
            message_bytes_max: most(bounds.message),
            throttle,
            ping_client: facts.ping_client,
            ping_backend: facts.ping_backend,
            cut_code: CloseCode(facts.cut_code),
        };
        let tails = (tail(&mut dice, &client), tail(&mut dice, &backend));
        Self {
            params,
            facts,
            client,
            backend,
            tails,
        }
    }
}

fn cut(dice: &mut Dice, frames: Frames) -> Option<(Duration, Cut)> {
    if !dice.percent(22) {
        return None;
    }
    // A drain leaves a session without frames to the cut that follows it.
    let how = match frames != Frames::Opaque && dice.percent(40) {
        true => Cut::Drain,
        false => Cut::All,
    };
    let at = if dice.percent(10) {
        Duration::ZERO
    } else {
        dice.millis(1, 60_000)
    };
    Some((at, how))
}

fn throttle(
    dice: &mut Dice,
    frames: Frames,
    client: &Shared,
) -> (Option<Throttle>, Option<Action>) {
    if frames == Frames::Opaque || !dice.percent(20) {
        return (None, None);
    }
    let action = if dice.percent(70) {
        Action::Delay
    } else {
        Action::Close
    };
    let bytes: usize = client
        .borrow()
        .far
        .speech
        .iter()
        .map(|s| s.bytes.len())
        .sum();
    let per_second = |count: usize| Per {
        count: count.max(1) as u64,
        period: Duration::from_secs(1),
    };
    let rate = Rate {
        messages: dice.percent(60).then(|| per_second(dice.between(1, 20))),
        bytes: dice
            .percent(60)
            .then(|| per_second(dice.between(bytes / 30, bytes))),
        burst: dice.millis(0, 2_000),
        action,
    };
    let who = Client::at(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let clients = Arc::new(Mutex::new(Clients::new(rate)));
    let throttle = match dice.percent(50) {
        true => Throttle::of(Some(rate), None, who),
        false => Throttle::of(None, Some((&clients, action)), who),
    };
    (throttle, Some(action))
}

/// Draws how much of what a side says at once came with its handshake.
fn tail(dice: &mut Dice, wire: &Shared) -> usize {
    let wire = &mut *wire.borrow_mut();
    wire.far.advance(Instant::now());
    let most = wire
        .far
        .said
        .len()
        .min(wire.reads.cut.map_or(usize::MAX, |cut| cut.0));
    if !dice.percent(25) || most == 0 {
        return 0;
    }
    let tail = dice.between(1, most.min(16 * 1024));
    wire.reads.given = tail;
    wire.reads.tail = tail;
    wire.reads.given_at.push((tail, Instant::now()));
    tail
}
