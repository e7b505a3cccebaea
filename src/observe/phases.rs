//! How long each part of the way to a session's 101 took.
//!
//! Knows no clock: whoever has measured something says how long it took. What is kept of it for as
//! long as the session lasts is four bytes a part or so.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::number;

/// A part of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// TLS with the client.
    ClientTls,
    /// Until the client had said what it wants.
    Head,
    /// Whether it may have that, and from where.
    Decide,
    /// Finding where the proxies come from.
    Find,
    /// Asking a PAC script.
    Pac,
    /// Resolving a name.
    Resolve,
    /// Connecting, by TCP or to a socket of this machine.
    Connect,
    /// TLS, with a proxy or with the server.
    Tls,
    /// All that is said to a proxy until there is a tunnel.
    Tunnel,
    /// The WebSocket handshake with the server.
    Upgrade,
    /// Waiting before all is tried again.
    Pause,
    /// Until the client's socket had taken its 101.
    Answer,
    /// What has no place of its own any more.
    Other,
}

const PHASES: [Phase; 13] = [
    Phase::ClientTls,
    Phase::Head,
    Phase::Decide,
    Phase::Find,
    Phase::Pac,
    Phase::Resolve,
    Phase::Connect,
    Phase::Tls,
    Phase::Tunnel,
    Phase::Upgrade,
    Phase::Pause,
    Phase::Answer,
    Phase::Other,
];

/// Parts that are told apart: a chain of three proxies has some sixteen.
const LAPS_MAX: usize = 24;
/// The place of all that come too late for one of their own.
const LAST: usize = LAPS_MAX - 1;
/// A hop beyond is counted to it. It takes the upper half of a byte, a phase the lower.
const HOP_MAX: u8 = 15;

/// What is measured while a session begins; a clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Phases(Arc<Mutex<Laps>>);

/// In the order in which they first ended.
#[derive(Debug)]
struct Laps {
    laps: [Lap; LAPS_MAX],
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lap {
    phase: Phase,
    /// The number of the proxy, from 1; 0 where it was at none.
    hop: u8,
    /// Stops at its limit, which is more than an hour.
    micros: u32,
}

/// What was measured, packed: the time of all, then of each part.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a>(&'a [u8]);

impl Phase {
    /// As records spell it. What is a step of a dial too is called as that.
    fn word(self) -> &'static str {
        match self {
            Self::ClientTls => "client_tls",
            Self::Head => "head",
            Self::Decide => "decide",
            Self::Find => "find",
            Self::Pac => "pac",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Tunnel => "tunnel",
            Self::Upgrade => "upgrade",
            Self::Pause => "pause",
            Self::Answer => "answer",
            Self::Other => "other",
        }
    }
}

impl Phases {
    /// Counts what ended. The same at the same hop, once more, is added to what it took before.
    pub fn took(&self, hop: usize, phase: Phase, time: Duration) {
        let hop = u8::try_from(hop).unwrap_or(HOP_MAX).min(HOP_MAX);
        self.laps().add(phase, hop, micros(time));
    }

    /// All of it, where it took `all` from the connection to the 101.
    pub fn packed(&self, all: Duration) -> Vec<u8> {
        let laps = self.laps();
        let mut bytes = Vec::with_capacity((laps.len + 1) * (1 + number::BYTES_MAX));
        number::push(&mut bytes, micros(all));
        for lap in laps.laps.iter().take(laps.len) {
            bytes.push(lap.hop << 4 | lap.phase as u8);
            number::push(&mut bytes, lap.micros);
        }
        bytes
    }

    // Nothing in here panics halfway through a change.
    fn laps(&self) -> MutexGuard<'_, Laps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Laps {
    fn add(&mut self, phase: Phase, hop: u8, micros: u32) {
        let used = self.laps.iter_mut().take(self.len);
        let mut known = used.filter(|lap| lap.phase == phase && lap.hop == hop);
        if let Some(lap) = known.next() {
            lap.micros = lap.micros.saturating_add(micros);
            return;
        }
        let (phase, hop) = match self.len {
            0..LAST => (phase, hop),
            _ => (Phase::Other, 0),
        };
        if let Some(lap) = self.laps.get_mut(self.len.min(LAST)) {
            let before = if self.len > LAST { lap.micros } else { 0 };
            let micros = before.saturating_add(micros);
            *lap = Lap { phase, hop, micros };
            self.len = (self.len + 1).min(LAPS_MAX);
        }
    }
}

impl Default for Laps {
    fn default() -> Self {
        let none = Lap {
            phase: Phase::Other,
            hop: 0,
            micros: 0,
        };
        Self {
            laps: [none; LAPS_MAX],
            len: 0,
        }
    }
}

impl<'a> Packed<'a> {
    /// Of what [`Phases::packed`] made.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// From the connection to the 101, in milliseconds.
    pub fn millis(&self) -> u64 {
        number::pop(&mut &*self.0).map_or(0, |all| u64::from(all) / 1000)
    }

    fn laps(&self) -> impl Iterator<Item = Lap> {
        let mut rest = self.0;
        let _all = number::pop(&mut rest);
        std::iter::from_fn(move || {
            let (first, more) = rest.split_first()?;
            rest = more;
            Some(Lap {
                phase: *PHASES.get(usize::from(first & HOP_MAX))?,
                hop: first >> 4,
                micros: number::pop(&mut rest)?,
            })
        })
    }
}

impl fmt::Display for Packed<'_> {
    /// As in `decide 0.0 ms, hop1 connect 0.4 ms, hop1 tunnel 31 ms, upgrade 8.1 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Lap { phase, hop, micros }) in self.laps().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}")?;
            if hop > 0 {
                write!(f, "hop{hop} ")?;
            }
            write!(f, "{} {}", phase.word(), Millis(micros))?;
        }
        Ok(())
    }
}

/// As in `0.4 ms` or `31 ms`: with a decimal only where it says something.
#[derive(Debug)]
pub(super) struct Millis(u32);

impl Millis {
    pub(super) fn of(time: Duration) -> Self {
        Self(micros(time))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 / 100;
        match tenths < 100 {
            true => write!(f, "{}.{} ms", tenths / 10, tenths % 10),
            false => write!(f, "{} ms", tenths / 10),
        }
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Took = (usize, Phase, u64);

    fn check(laps: &[Took], expected: &str, bytes: usize) {
        let phases = Phases::default();
        for (hop, phase, micros) in laps {
            phases.took(*hop, *phase, Duration::from_micros(*micros));
        }
        let packed = phases.packed(Duration::from_micros(98_765));
        let shown = Packed::of(&packed);
        assert_eq!((shown.millis(), shown.to_string().as_str()), (98, expected));
        assert_eq!(packed.len(), 3 + bytes, "{expected}");
    }

    #[test]
    fn parts_are_told_in_their_order_and_take_few_bytes() {
        check(&[], "", 0);
        check(&[(0, Phase::Decide, 99)], "decide 0.0 ms", 2);
        check(
            &[
                (0, Phase::ClientTls, 1_250),
                (1, Phase::Connect, 400),
                (1, Phase::Tunnel, 9_999),
                (0, Phase::Tls, 10_000),
                (0, Phase::Upgrade, 31_999),
            ],
            "client_tls 1.2 ms, hop1 connect 0.4 ms, hop1 tunnel 9.9 ms, tls 10 ms, upgrade 31 ms",
            5 + 2 + 2 + 2 + 2 + 3,
        );
        let forever = u64::MAX / 2;
        check(&[(0, Phase::Find, forever)], "find 4294967 ms", 6);
        check(&[(40, Phase::Tls, 100)], "hop15 tls 0.1 ms", 2);
    }

    #[test]
    fn what_is_done_again_is_added_up() {
        let again = [
            (1, Phase::Connect, 1_000),
            (2, Phase::Connect, 500),
            (0, Phase::Pause, 250_000),
            (1, Phase::Connect, 2_000),
        ];
        let expected = "hop1 connect 3.0 ms, hop2 connect 0.5 ms, pause 250 ms";
        check(&again, expected, 3 + 3 + 4);
    }

    #[test]
    fn what_comes_too_late_for_a_place_of_its_own_shares_the_last() {
        let places = [Phase::Resolve, Phase::Connect];
        let laps: Vec<Took> = (0..13)
            .flat_map(|hop| places.map(|phase| (hop, phase, 100)))
            .collect();
        let phases = Phases::default();
        for (hop, phase, micros) in &laps {
            phases.took(*hop, *phase, Duration::from_micros(*micros));
        }
        let packed = phases.packed(Duration::ZERO);
        let shown = Packed::of(&packed).to_string();
        assert!(
            shown.ends_with(", hop11 resolve 0.1 ms, other 0.3 ms"),
            "{shown}"
        );
        assert_eq!(shown.split(", ").count(), LAPS_MAX);
    }

    #[test]
    fn every_phase_is_found_at_its_number() {
        for (number, phase) in PHASES.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
        }
        assert!(PHASES.len() <= usize::from(HOP_MAX) + 1);
    }
}
