//! The cases: what one side says, and what is to be thought of it. Their order is that of the
//! suite that everybody knows; the numbers are those of its chapters.
//!
//! Knows no gateway: whether there is one between the two ends is the business of who runs them.

mod closing;
mod compression;
mod control;
mod fragments;
mod framing;
mod opcodes;
mod reserved;
mod sizes;
mod text;

use crate::support::frames::{CLOSE, Frame, Seat, close, text};
use crate::support::strict::Strict;

/// One conversation. Either side may be the one that says it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// What is right, up to the first wrong frame.
    pub(super) good: Vec<Frame>,
    pub(super) bad: Option<Bad>,
    /// permessage-deflate was agreed on.
    pub(super) deflate: bool,
}

/// The first wrong frame. Something more always follows it, which nobody is to hear.
#[derive(Debug, Clone)]
pub(super) struct Bad {
    pub(super) frame: Frame,
    /// What it is answered with.
    pub(super) code: u16,
    pub(super) found: Found,
}

/// Where it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// In its header: nobody has to see its payload.
    Header,
    /// In its payload, which may have been handed on in part before.
    Payload,
    /// It comes behind the Close of its own side.
    AfterClose,
}

/// What is said, as bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    pub(super) good: Vec<u8>,
    /// The wrong frame alone.
    pub(super) bad: Vec<u8>,
    /// What comes after it.
    pub(super) more: Vec<u8>,
    /// What a strict end answers to what is good.
    pub(super) answer: Vec<u8>,
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    [
        framing::cases(),
        control::cases(),
        reserved::cases(),
        opcodes::cases(),
        fragments::cases(),
        text::cases(),
        closing::cases(),
        sizes::cases(),
        compression::cases(),
    ]
    .concat()
}

/// Nothing is wrong with it. Where it has no Close, a Close ends it.
pub(super) fn legal(name: impl Into<String>, mut frames: Vec<Frame>) -> Case {
    if !frames.iter().any(Frame::is_close) {
        frames.push(close(1000, ""));
    }
    Case {
        name: name.into(),
        good: frames,
        bad: None,
        deflate: false,
    }
}

/// The header of `bad` breaks the protocol.
pub(super) fn header(name: impl Into<String>, good: Vec<Frame>, bad: Frame) -> Case {
    broken(name, good, bad, 1002, Found::Header)
}

/// The payload of `bad` does.
pub(super) fn payload(name: impl Into<String>, good: Vec<Frame>, bad: Frame, code: u16) -> Case {
    broken(name, good, bad, code, Found::Payload)
}

/// `bad` comes where nothing may come any more.
pub(super) fn after_close(name: impl Into<String>, good: Vec<Frame>, bad: Frame) -> Case {
    broken(name, good, bad, 1002, Found::AfterClose)
}

/// `frame` is wrong there, and answered with this code.
pub(super) fn broken(
    name: impl Into<String>,
    good: Vec<Frame>,
    frame: Frame,
    code: u16,
    found: Found,
) -> Case {
    Case {
        name: name.into(),
        good,
        bad: Some(Bad { frame, code, found }),
        deflate: false,
    }
}

impl Case {
    /// The same with permessage-deflate.
    pub(super) fn deflated(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// Whether all of it fits beside a head.
    pub(super) fn is_short(&self) -> bool {
        self.said_by(Seat::Backend).all().len() <= 8 * 1024
    }

    /// As this side says it.
    pub(super) fn said_by(&self, seat: Seat) -> Script {
        let bytes = |frames: &mut dyn Iterator<Item = &Frame>| -> Vec<u8> {
            let each: Vec<_> = frames.map(|frame| frame.bytes(seat)).collect();
            each.concat()
        };
        let good = bytes(&mut self.good.iter());
        let more = [text("nobody hears this"), close(1000, "")];
        let mut strict = Strict::new(seat.other(), self.deflate);
        Script {
            answer: strict.take(&good),
            bad: bytes(&mut self.bad.iter().map(|bad| &bad.frame)),
            more: match self.bad {
                Some(_) => bytes(&mut more.iter()),
                None => Vec::new(),
            },
            good,
        }
    }

    /// The code of the Close that a strict end says; `None` where it has none.
    pub(super) fn code(&self) -> Option<u16> {
        let closes = self.good.iter().find(|frame| frame.is_close());
        match (&self.bad, closes) {
            (_, Some(frame)) => frame.code(),
            (Some(bad), None) => Some(bad.code),
            (None, None) => unreachable!("a legal case has a Close"),
        }
    }
}

impl Script {
    pub(super) fn all(&self) -> Vec<u8> {
        [&*self.good, &self.bad, &self.more].concat()
    }
}

/// A Close whose payload is just this.
fn raw_close(payload: impl AsRef<[u8]>) -> Frame {
    crate::support::frames::frame(CLOSE, payload)
}
