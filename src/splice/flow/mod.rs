//! What passes in one direction, frame by frame: followed by the headers, counted, and held to what
//! the route allows. No payload is copied or changed, and none is waited for.
//!
//! Knows no streams and no clock; what is done about a breach is not its business.

use std::time::Duration;

use crate::wire::ws::close::{self, Close};
use crate::wire::ws::frame::{CONTROL_PAYLOAD_BYTES_MAX, HEADER_BYTES_MAX, Opcode, mask};
use crate::wire::ws::layout::{Layout, LenForm};
use crate::wire::ws::rules::Sender;

use super::checks::Checks;
use super::close::Breach;
use super::params::{Frames, Params};
use super::ping::{MARK_BYTES, Mark};
use super::tally::Tally;
use super::throttle::Throttle;

/// The most that is held back: an incomplete header, or a pong that may be ours but for its last
/// byte. A masked header of a short frame has six bytes.
pub(super) const HELD_BYTES_MAX: usize = 6 + MARK_BYTES - 1;
const _: () = assert!(HELD_BYTES_MAX >= HEADER_BYTES_MAX - 1);

/// One direction; without a box its bytes are only bytes.
#[derive(Debug)]
pub(super) struct Flow(Option<Box<Seen>>);

#[derive(Debug)]
struct Seen {
    /// Bytes of the current frame that are still to pass.
    left: u64,
    /// Payload of the current message, up to and with the current frame.
    message_bytes: u64,
    tally: Tally,
    /// What the current frame is; `None`: nothing that means anything.
    opcode: Option<Opcode>,
    /// What passed ends within a frame, and the rest of that will not come.
    is_cut: bool,
    /// Something was refused: where the next frame begins is not known any more.
    is_deaf: bool,
    checks: Option<Box<Checks>>,
    beside: Option<Box<Beside>>,
}

/// What a direction has none of while nothing but whole messages passes.
#[derive(Debug, Default)]
struct Beside {
    /// What was read and not passed on: no bytes can be put in front of the rest of a frame.
    held: [u8; HELD_BYTES_MAX],
    held_len: u8,
    said: Option<Said>,
    /// By which the gateway knows the answers to its own Pings, once there was one.
    awaited: Option<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    /// What the last Ping carried.
    mark: Mark,
    /// Its answer has come.
    has_come: bool,
}

/// The Close frame of this direction, as it passes.
#[derive(Debug)]
struct Said {
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
    /// It may not be said, and did not pass whole.
    is_refused: bool,
}

/// How far bytes may go on, and why no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) pass: usize,
    pub(super) stop: Stop,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// They are all.
    End,
    /// The rest may be held back until more has come.
    Incomplete,
    /// A frame ends here, and this was to be told.
    Boundary,
    /// What follows, so many bytes, was for the gateway: the answer to its own Ping.
    Pong(usize),
    /// What follows has to wait for so long.
    Wait(Duration),
    /// What follows is not allowed. No other walk comes after this.
    Breach(Breach),
}

impl Flow {
    /// What `sender` says.
    pub(super) fn of(sender: Sender, params: &Params, throttle: Option<Throttle>) -> Self {
        if params.frames == Frames::Opaque {
            return Self(None);
        }
        Self(Some(Box::new(Seen {
            left: 0,
            message_bytes: 0,
            tally: Tally::default(),
            opcode: None,
            is_cut: false,
            is_deaf: false,
            checks: Checks::of(sender, params, throttle),
            beside: None,
        })))
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a frame of the gateway's may be put in here.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|seen| seen.left == 0 && !seen.is_cut)
    }

    /// Whether no frame of the gateway's can be put in any more.
    pub(super) fn is_cut(&self) -> bool {
        self.0.as_ref().is_none_or(|seen| seen.is_cut)
    }

    /// Whether what comes is not understood any more, since something was refused.
    pub(super) fn is_deaf(&self) -> bool {
        self.0.as_ref().is_some_and(|seen| seen.is_deaf)
    }

    /// Whether this side has begun to say its Close: nothing may follow it.
    pub(super) fn has_closed(&self) -> bool {
        let said = self.beside().and_then(|beside| beside.said.as_ref());
        said.is_some_and(|said| !said.is_refused)
    }

    /// Whether its Close has passed whole.
    pub(super) fn has_said_close(&self) -> bool {
        let is_within = |seen: &Seen| seen.opcode == Some(Opcode::Close) && seen.left > 0;
        self.has_closed() && !self.0.as_ref().is_some_and(|seen| is_within(seen))
    }

    /// The Close that passed; `None` too where it had no code.
    pub(super) fn close(&self) -> Option<Close> {
        self.beside()?.said.as_ref()?.close()
    }

    pub(super) fn tally(&self) -> Option<Tally> {
        let seen = self.0.as_ref()?;
        Some(seen.tally.clone().without(seen.opcode, seen.left))
    }

    fn beside(&self) -> Option<&Beside> {
        self.0.as_ref()?.beside.as_deref()
    }

    /// What is to come in front of whatever is read next.
    pub(super) fn held(&self) -> &[u8] {
        self.beside().map_or(&[], Beside::held)
    }

    /// Holds `bytes` back, which are what a walk left as incomplete.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        let Some(seen) = &mut self.0 else { return };
        seen.beside_mut().hold(bytes);
    }

    /// The source has ended inside a header: these bytes pass, and no frame after them.
    pub(super) fn cut_off(&mut self) {
        if let Some(seen) = &mut self.0 {
            seen.is_cut = true;
            seen.let_go();
        }
    }

    /// What the next Ping is to carry. Every Pong that repeats it, or what one before it carried, is
    /// taken out, whenever it comes.
    pub(super) fn next_mark(&mut self) -> Mark {
        let Some(seen) = &mut self.0 else {
            return Mark::new();
        };
        let awaited = &mut seen.beside_mut().awaited;
        let last = awaited.as_ref().map(|awaited| awaited.mark);
        let mark = last.map_or_else(Mark::new, Mark::next);
        let has_come = false;
        *awaited = Some(Awaited { mark, has_come });
        mark
    }

    /// Whether the answer to the last Ping has not come yet.
    pub(super) fn awaits_pong(&self) -> bool {
        let awaited = self.beside().and_then(|beside| beside.awaited.as_ref());
        awaited.is_some_and(|awaited| !awaited.has_come)
    }

    /// Bytes that may pass without being looked at: none at the beginning of a frame. `None` where
    /// what comes has to be looked at.
    pub(super) fn unseen(&self) -> Option<u64> {
        match &self.0 {
            None => Some(u64::MAX),
            Some(seen) if seen.needs_payload() => None,
            Some(seen) => Some(seen.left),
        }
    }

    /// Takes the header at the front of `bytes` in without passing it: it counts to what may pass
    /// without being looked at. False where this frame has to be looked at.
    pub(super) fn enter(&mut self, bytes: &[u8], len_min: u64) -> bool {
        let Some(seen) = &mut self.0 else { return true };
        let Some((layout, taken)) = Layout::read(bytes) else {
            return false;
        };
        if layout.len < len_min || seen.checks.is_some() {
            return false;
        }
        let opcode = Opcode::from_bits(layout.opcode).ok();
        let message_bytes = seen.message_with(opcode, layout.len);
        seen.begin(&layout, opcode, message_bytes);
        // A length of 2^64 - 1 is against the protocol, and nobody is held to that here.
        seen.left = seen.left.saturating_add(taken as u64);
        true
    }

    /// So many bytes passed without being looked at.
    pub(super) fn skip(&mut self, bytes: usize) {
        if let Some(seen) = &mut self.0 {
            seen.left = seen.left.saturating_sub(bytes as u64);
        }
    }

    /// How far `bytes` may go on, which begin with what was held back. With `halt` no further than
    /// to the next boundary.
    pub(super) fn walk(&mut self, bytes: &[u8], halt: bool) -> Walk {
        match &mut self.0 {
            Some(seen) if !seen.is_deaf => {
                seen.let_go();
                let walk = seen.walk(bytes, halt);
                seen.is_deaf = matches!(walk.stop, Stop::Breach(_));
                walk
            }
            _ => Walk {
                pass: bytes.len(),
                stop: Stop::End,
            },
        }
    }
}

impl Seen {
    fn beside_mut(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// What was held back is looked at again, or passes.
    fn let_go(&mut self) {
        if let Some(beside) = &mut self.beside {
            beside.held_len = 0;
        }
    }

    fn walk(&mut self, bytes: &[u8], halt: bool) -> Walk {
        let mut pass = 0;
        // Where the current frame begins, if it does so in `bytes`.
        let mut begin = None;
        loop {
            let rest = bytes.get(pass..).unwrap_or_default();
            if self.left > 0 {
                let payload = within(rest, self.left);
                self.left -= payload.len() as u64;
                if let Err(breach) = self.payload(payload) {
                    return self.broken(begin.unwrap_or(pass), begin.is_some(), breach);
                }
                pass += payload.len();
                let checks = self.checks.as_mut();
                if let Some(wait) = checks.and_then(|checks| checks.slow_down(payload.len())) {
                    let stop = Stop::Wait(wait);
                    return Walk { pass, stop };
                }
                if self.left > 0 {
                    return Walk {
                        pass,
                        stop: Stop::End,
                    };
                }
                continue;
            }
            let stop = match Layout::read(rest) {
                _ if halt => Stop::Boundary,
                _ if rest.is_empty() => Stop::End,
                None => Stop::Incomplete,
                Some((layout, taken)) => match self.frame(&layout, rest, taken) {
                    Ok(()) => {
                        begin = Some(pass);
                        pass += taken;
                        continue;
                    }
                    Err(stop) => stop,
                },
            };
            return Walk { pass, stop };
        }
    }

    /// A frame begins at the front of `rest`.
    fn frame(&mut self, layout: &Layout, rest: &[u8], taken: usize) -> Result<(), Stop> {
        let opcode = Opcode::from_bits(layout.opcode).ok();
        if opcode == Some(Opcode::Pong)
            && let Some(stop) = self.own_pong(layout, rest, taken)
        {
            return Err(stop);
        }
        let message_bytes = self.message_with(opcode, layout.len);
        if let Some(checks) = &mut self.checks {
            checks.header(layout, opcode, message_bytes)?;
        }
        self.begin(layout, opcode, message_bytes);
        Ok(())
    }

    /// How long the current message is once it has a frame like this; 0 for what is no part of one.
    fn message_with(&self, opcode: Option<Opcode>, len: u64) -> u64 {
        match opcode {
            Some(Opcode::Text | Opcode::Binary) => len,
            Some(Opcode::Continuation) => self.message_bytes.saturating_add(len),
            Some(Opcode::Close | Opcode::Ping | Opcode::Pong) | None => 0,
        }
    }

    fn begin(&mut self, layout: &Layout, opcode: Option<Opcode>, message_bytes: u64) {
        self.left = layout.len;
        self.opcode = opcode;
        match opcode {
            Some(Opcode::Text | Opcode::Binary | Opcode::Continuation) => {
                self.message_bytes = message_bytes;
            }
            Some(Opcode::Close) => {
                let said = &mut self.beside_mut().said;
                said.get_or_insert_with(|| Said::begun(layout.mask));
            }
            Some(Opcode::Ping | Opcode::Pong) | None => {}
        }
        self.tally
            .frame(opcode, layout.fin, layout.len, message_bytes);
    }

    fn payload(&mut self, payload: &[u8]) -> Result<(), Breach> {
        // Whoever only watches sees another Close behind it, too.
        if self.opcode == Some(Opcode::Close)
            && self.tally.others().close.frames == 1
            && let Some(said) = self.said_mut()
        {
            said.hear(payload);
        }
        match &mut self.checks {
            Some(checks) => checks.payload(payload),
            None => Ok(()),
        }
    }

    fn said_mut(&mut self) -> Option<&mut Said> {
        self.beside.as_mut()?.said.as_mut()
    }

    fn needs_payload(&self) -> bool {
        let is_heard = self.left > 0 && self.opcode == Some(Opcode::Close);
        let checks = self.checks.as_ref();
        is_heard || checks.is_some_and(|checks| checks.need_payload())
    }

    /// A frame whose payload breaks a rule passes not at all if none of it has passed yet.
    fn broken(&mut self, pass: usize, whole: bool, breach: Breach) -> Walk {
        self.is_cut = !whole;
        if whole {
            self.tally = std::mem::take(&mut self.tally).without(self.opcode, self.left);
            self.left = 0;
        }
        if self.opcode == Some(Opcode::Close)
            && let Some(said) = self.said_mut()
        {
            said.is_refused = true;
        }
        Walk {
            pass,
            stop: Stop::Breach(breach),
        }
    }

    /// Whether this frame answers a Ping of the gateway's, or may once it is complete.
    fn own_pong(&mut self, layout: &Layout, rest: &[u8], taken: usize) -> Option<Stop> {
        let awaited = self.beside.as_mut()?.awaited.as_mut()?;
        // Of a longer form is none that may be sent, and it would not fit into what is held.
        if layout.len != MARK_BYTES as u64 || layout.form != LenForm::Bits7 {
            return None;
        }
        let Some(payload) = rest.get(taken..taken + MARK_BYTES) else {
            return Some(Stop::Incomplete);
        };
        let mut payload: [u8; MARK_BYTES] = payload.try_into().ok()?;
        mask(layout.mask.unwrap_or_default(), 0, &mut payload);
        let answered = Mark(payload);
        if !answered.is_akin(awaited.mark) {
            return None;
        }
        awaited.has_come |= answered == awaited.mark;
        Some(Stop::Pong(taken + MARK_BYTES))
    }
}

impl Beside {
    fn held(&self) -> &[u8] {
        self.held.get(..self.held_len.into()).unwrap_or_default()
    }

    fn hold(&mut self, bytes: &[u8]) {
        let (held, _) = self.held.split_at_mut(bytes.len().min(HELD_BYTES_MAX));
        held.copy_from_slice(bytes);
        // It fits: the array is shorter than 256.
        self.held_len = held.len() as u8;
    }
}

impl Said {
    fn begun(mask: Option<[u8; 4]>) -> Self {
        Self {
            mask,
            payload: Vec::new(),
            is_refused: false,
        }
    }

    /// Bounded, because whoever only watches sees longer ones, too.
    fn hear(&mut self, payload: &[u8]) {
        let room = CONTROL_PAYLOAD_BYTES_MAX.saturating_sub(self.payload.len());
        self.payload.extend(payload.iter().take(room));
    }

    fn close(&self) -> Option<Close> {
        close::parse(&self.payload, self.mask)
    }
}

/// At most the first `most` of `bytes`.
fn within(bytes: &[u8], most: u64) -> &[u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    bytes.get(..most).unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
