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
    /// What was read and not passed on: no bytes can be put in front of the rest of a frame.
    held: [u8; HELD_BYTES_MAX],
    held_len: u8,
    /// What the current frame is; `None`: nothing that means anything.
    opcode: Option<Opcode>,
    /// What passed ends within a frame, and the rest of that will not come.
    is_cut: bool,
    /// Something was refused: where the next frame begins is not known any more.
    is_deaf: bool,
    said: Option<Box<Said>>,
    /// By which the gateway knows the answers to its own Pings, once there was one.
    awaited: Option<Box<Awaited>>,
    checks: Option<Box<Checks>>,
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
            held: [0; HELD_BYTES_MAX],
            held_len: 0,
            opcode: None,
            is_cut: false,
            is_deaf: false,
            said: None,
            awaited: None,
            checks: Checks::of(sender, params, throttle),
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
        let said = self.0.as_ref().and_then(|seen| seen.said.as_ref());
        said.is_some_and(|said| !said.is_refused)
    }

    /// Whether its Close has passed whole.
    pub(super) fn has_said_close(&self) -> bool {
        let is_within = |seen: &Seen| seen.opcode == Some(Opcode::Close) && seen.left > 0;
        self.has_closed() && !self.0.as_ref().is_some_and(|seen| is_within(seen))
    }

    /// The Close that passed; `None` too where it had no code.
    pub(super) fn close(&self) -> Option<Close> {
        self.0.as_ref()?.said.as_ref()?.close()
    }

    pub(super) fn tally(&self) -> Option<Tally> {
        let seen = self.0.as_ref()?;
        Some(seen.tally.without(seen.opcode, seen.left))
    }

    /// What is to come in front of whatever is read next.
    pub(super) fn held(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |seen| {
            seen.held.get(..seen.held_len.into()).unwrap_or_default()
        })
    }

    /// Holds `bytes` back, which are what a walk left as incomplete.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        let Some(seen) = &mut self.0 else { return };
        let (held, _) = seen.held.split_at_mut(bytes.len().min(HELD_BYTES_MAX));
        held.copy_from_slice(bytes);
        // It fits: the array is shorter than 256.
        seen.held_len = held.len() as u8;
    }

    /// The source has ended inside a header: these bytes pass, and no frame after them.
    pub(super) fn cut_off(&mut self) {
        if let Some(seen) = &mut self.0 {
            seen.is_cut = true;
            seen.held_len = 0;
        }
    }

    /// What the next Ping is to carry. Every Pong that repeats it, or what one before it carried, is
    /// taken out, whenever it comes.
    pub(super) fn next_mark(&mut self) -> Mark {
        let Some(seen) = &mut self.0 else {
            return Mark::new();
        };
        let last = seen.awaited.as_ref().map(|awaited| awaited.mark);
        let mark = last.map_or_else(Mark::new, Mark::next);
        let has_come = false;
        seen.awaited = Some(Box::new(Awaited { mark, has_come }));
        mark
    }

    /// Whether the answer to the last Ping has not come yet.
    pub(super) fn awaits_pong(&self) -> bool {
        let awaited = self.0.as_ref().and_then(|seen| seen.awaited.as_ref());
        awaited.is_some_and(|awaited| !awaited.has_come)
    }

    /// Bytes that may pass without being looked at; 0 at the beginning of a frame.
    pub(super) fn unseen(&self) -> u64 {
        match &self.0 {
            None => u64::MAX,
            Some(seen) if seen.needs_payload() => 0,
            Some(seen) => seen.left,
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
        seen.left += taken as u64;
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
                seen.held_len = 0;
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
            Some(Opcode::Close) if self.said.is_none() => {
                self.said = Some(Box::new(Said {
                    mask: layout.mask,
                    payload: Vec::new(),
                    is_refused: false,
                }));
            }
            Some(Opcode::Close | Opcode::Ping | Opcode::Pong) | None => {}
        }
        self.tally
            .frame(opcode, layout.fin, layout.len, message_bytes);
    }

    fn payload(&mut self, payload: &[u8]) -> Result<(), Breach> {
        // Whoever only watches sees another Close behind it, too.
        let is_first = self.tally.close.frames == 1;
        if let (Some(Opcode::Close), true, Some(said)) = (self.opcode, is_first, &mut self.said) {
            said.hear(payload);
        }
        match &mut self.checks {
            Some(checks) => checks.payload(payload),
            None => Ok(()),
        }
    }

    fn needs_payload(&self) -> bool {
        self.checks
            .as_ref()
            .is_some_and(|checks| checks.need_payload())
    }

    /// A frame whose payload breaks a rule passes not at all if none of it has passed yet.
    fn broken(&mut self, pass: usize, whole: bool, breach: Breach) -> Walk {
        self.is_cut = !whole;
        if whole {
            self.tally = self.tally.without(self.opcode, self.left);
            self.left = 0;
        }
        if let (Some(Opcode::Close), Some(said)) = (self.opcode, &mut self.said) {
            said.is_refused = true;
        }
        Walk {
            pass,
            stop: Stop::Breach(breach),
        }
    }

    /// Whether this frame answers a Ping of the gateway's, or may once it is complete.
    fn own_pong(&mut self, layout: &Layout, rest: &[u8], taken: usize) -> Option<Stop> {
        let awaited = self.awaited.as_mut()?;
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

impl Said {
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
mod tests {
    use super::*;
    use crate::splice::Limits;
    use crate::wire::ws::close::CloseCode;
    use crate::wire::ws::control;
    use crate::wire::ws::violation::Violation;

    const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);

    fn flow(frames: Frames, max: Option<u64>) -> Flow {
        let params = Params {
            frames,
            frame_bytes_max: max,
            message_bytes_max: max,
            ..Params::opaque(Limits::default())
        };
        Flow::of(Sender::Client, &params, None)
    }

    /// One masked frame; `first` is its first byte.
    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match len {
            0..126 => bytes.push(0x80 | len as u8),
            126..65536 => {
                bytes.push(0x80 | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        // Masked, each is an 'a'.
        bytes.extend((0..len).map(|n| b'a' ^ [1, 2, 3, 4][n % 4]));
        bytes
    }

    /// What passes of `bytes` when they come in two pieces, and what stopped them.
    fn in_two(flow: &mut Flow, bytes: &[u8], at: usize) -> (Vec<u8>, Option<Breach>) {
        let mut passed = Vec::new();
        let mut breach = None;
        for piece in [&bytes[..at], &bytes[at..]] {
            let mut piece = [flow.held(), piece].concat();
            loop {
                let walk = flow.walk(&piece, false);
                passed.extend(&piece[..walk.pass]);
                match walk.stop {
                    Stop::End | Stop::Boundary => break,
                    Stop::Incomplete => {
                        flow.hold(&piece[walk.pass..]);
                        break;
                    }
                    Stop::Pong(len) => piece.drain(..walk.pass + len),
                    Stop::Wait(_) => piece.drain(..walk.pass),
                    Stop::Breach(found) => {
                        breach = Some(found);
                        return (passed, breach);
                    }
                };
            }
        }
        (passed, breach)
    }

    #[test]
    fn every_frame_passes_unchanged_at_every_split_and_is_counted_once() {
        let bytes = [
            frame(0x81, 5),
            frame(0x02, 200),
            frame(0x89, 3),
            frame(0x80, 70_000),
            frame(0x8b, 2),
            close::encode(CloseCode(4001), "enough", KEY),
        ]
        .concat();
        for at in (0..300).chain(bytes.len() - 100..=bytes.len()) {
            let mut flow = flow(Frames::Observe, None);
            let (passed, breach) = in_two(&mut flow, &bytes, at);
            assert!(passed == bytes && breach.is_none(), "split at {at}");
            assert!(flow.has_said_close());
            let tally = flow.tally().unwrap();
            assert_eq!(
                tally.text,
                Data {
                    frames: 1,
                    bytes: 5
                }
            );
            assert_eq!(tally.binary.bytes, 200);
            assert_eq!(tally.continuation.bytes, 70_000);
            assert_eq!((tally.text_messages, tally.binary_messages), (1, 1));
            assert_eq!(tally.message_bytes_max, 70_200);
            assert_eq!((tally.ping.frames, tally.reserved.frames), (1, 1));
            let close = flow.close().unwrap();
            assert_eq!((close.code.0, &*close.reason), (4001, "enough"));
        }
    }

    use crate::splice::tally::Data;

    #[test]
    fn a_frame_cut_short_counts_with_what_came_of_it() {
        let mut flow = flow(Frames::Observe, None);
        let bytes = frame(0x82, 1000);
        in_two(&mut flow, &bytes[..500], 0);
        assert_eq!(flow.tally().unwrap().binary.bytes, 500 - 8);
        assert!(!flow.is_at_boundary());
    }

    #[test]
    fn what_is_too_long_is_found_in_its_header_and_nothing_of_it_passes() {
        let fine = frame(0x81, 100);
        let table = [
            (frame(0x82, 101), Breach::FrameBytes),
            (frame(0x82, 70_000), Breach::FrameBytes),
        ];
        for (long, expected) in table {
            let bytes = [fine.clone(), long].concat();
            for at in 0..bytes.len().min(300) {
                let mut flow = flow(Frames::Observe, Some(100));
                let (passed, breach) = in_two(&mut flow, &bytes, at);
                assert_eq!((&passed, breach), (&fine, Some(expected)), "split at {at}");
                assert!(flow.is_at_boundary() && flow.is_deaf());
            }
        }
    }

    #[test]
    fn a_message_is_as_long_as_its_frames_together() {
        let bytes = [frame(0x01, 60), frame(0x89, 90), frame(0x00, 41)].concat();
        let mut flow = flow(Frames::Observe, Some(100));
        let (passed, breach) = in_two(&mut flow, &bytes, 10);
        assert_eq!(breach, Some(Breach::MessageBytes));
        assert_eq!(passed.len(), bytes.len() - frame(0x00, 41).len());
    }

    #[test]
    fn a_frame_whose_payload_is_refused_passes_not_at_all_if_it_came_whole() {
        let mut bad = frame(0x81, 4);
        // Not UTF-8 once unmasked.
        bad[8] = 0xff ^ 3;
        let bytes = [frame(0x81, 4), bad.clone()].concat();
        let mut whole = flow(Frames::Validate, None);
        let (passed, breach) = in_two(&mut whole, &bytes, 0);
        assert_eq!(passed, frame(0x81, 4));
        assert_eq!(breach, Some(Breach::Rule(Violation::TextNotUtf8)));
        assert!(whole.is_at_boundary());
        // Its beginning has passed: no frame can follow it.
        let mut split = flow(Frames::Validate, None);
        let (passed, _) = in_two(&mut split, &bytes, bytes.len() - 3);
        assert_eq!(passed.len(), bytes.len() - 3);
        assert!(split.is_cut());
    }

    #[test]
    fn a_close_that_is_refused_whole_was_not_said() {
        // Code 1005, which must not be sent.
        let mut bytes = frame(0x88, 2);
        let end = bytes.len() - 2;
        bytes[end] = 0x03 ^ 1;
        bytes[end + 1] = 0xed ^ 2;
        let mut whole = flow(Frames::Validate, None);
        let (passed, breach) = in_two(&mut whole, &bytes, 0);
        assert_eq!(passed, b"");
        assert!(matches!(
            breach,
            Some(Breach::Rule(Violation::BadCloseCode(_)))
        ));
        assert!(whole.is_at_boundary() && !whole.has_closed());
        // Of one whose beginning has passed nobody knows the end: nothing can follow it.
        let mut split = flow(Frames::Validate, None);
        let (passed, _) = in_two(&mut split, &bytes, end);
        assert_eq!(passed.len(), end);
        assert!(split.is_cut() && split.has_closed());
    }

    #[test]
    fn the_awaited_pong_is_taken_out_at_every_split_and_no_other() {
        let other = control::pong(b"twelve bytes", KEY);
        let around = frame(0x81, 7);
        let len = 2 * around.len() + 2 * other.len();
        for at in 0..=len {
            let mut flow = flow(Frames::Observe, None);
            let ours = control::pong(&flow.next_mark().0, KEY);
            let bytes = [&*around, &other, &ours, &around].concat();
            assert!(flow.awaits_pong());
            let (passed, _) = in_two(&mut flow, &bytes, at);
            assert_eq!(
                passed,
                [&*around, &other, &around].concat(),
                "split at {at}"
            );
            assert!(!flow.awaits_pong());
            assert_eq!(flow.tally().unwrap().pong.frames, 1);
        }
    }

    #[test]
    fn a_pong_to_a_ping_before_the_last_is_taken_out_and_is_not_the_answer() {
        let mut flow = flow(Frames::Observe, None);
        let [first, second] =
            [flow.next_mark(), flow.next_mark()].map(|m| control::pong(&m.0, KEY));
        for (pong, awaits) in [(&first, true), (&second, false), (&first, false)] {
            let (passed, _) = in_two(&mut flow, pong, 3);
            assert_eq!((passed, flow.awaits_pong()), (vec![], awaits));
        }
        let strange = control::pong(&Mark::new().0, KEY);
        assert_eq!(in_two(&mut flow, &strange, 3).0, strange);
    }

    #[test]
    fn a_walk_halts_at_the_next_boundary_when_asked_to() {
        let bytes = [frame(0x81, 7), frame(0x81, 9)].concat();
        let mut flow = flow(Frames::Observe, None);
        let first = frame(0x81, 7).len();
        let walk = |flow: &mut Flow, bytes: &[u8]| {
            let walk = flow.walk(bytes, true);
            (walk.pass, walk.stop)
        };
        assert_eq!(walk(&mut flow, &bytes), (0, Stop::Boundary));
        assert_eq!(flow.walk(&bytes[..3], false).stop, Stop::Incomplete);
        assert_eq!(flow.walk(&bytes[..10], false).pass, 10);
        assert_eq!(walk(&mut flow, &bytes[10..]), (first - 10, Stop::Boundary));
    }

    #[test]
    fn it_is_small() {
        let bytes = size_of::<Seen>();
        assert!(bytes <= 200, "{bytes} bytes");
    }
}
