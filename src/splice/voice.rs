//! What the gateway itself says to one side, and how it says its last.
//!
//! Knows no streams; when there is room between two frames is the pump's business.

use aws_lc_rs::rand;

use super::close::{LEFT_ALONE, Side, left_alone};
use super::flow::Flow;
use super::ping::Mark;
use crate::wire::ws::close::{self, CloseCode};
use crate::wire::ws::control;

/// One frame of the gateway's.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) frame: Vec<u8>,
    /// Where it is a Close: its code, and nothing comes after it.
    pub(super) close: Option<CloseCode>,
}

/// What one side is told at the very last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    to: Side,
    said: Option<CloseCode>,
}

impl Word {
    /// A Close to this side.
    pub(super) fn close(to: Side, code: CloseCode, reason: &str) -> Self {
        Self {
            frame: close::encode(code, reason, mask_towards(to)),
            close: Some(code),
        }
    }

    /// A Ping to this side.
    pub(super) fn ping(to: Side, mark: Mark) -> Self {
        Self {
            frame: control::ping(&mark.0, mask_towards(to)),
            close: None,
        }
    }
}

impl Last {
    pub(super) fn to(side: Side) -> Self {
        Self {
            to: side,
            said: None,
        }
    }

    /// The Close that stands for the one that the other side never said; `None` if it did say one,
    /// or there is no place for it.
    pub(super) fn word(&self, other: &Flow) -> Option<Word> {
        let is_due = self.said.is_none() && other.is_at_boundary() && !other.has_closed();
        is_due.then(|| Word::close(self.to, left_alone(self.to), LEFT_ALONE))
    }

    pub(super) fn is_said(&mut self, code: CloseCode) {
        self.said = Some(code);
    }

    /// The gateway's own Close, if it said one.
    pub(super) fn said(&self) -> Option<CloseCode> {
        self.said
    }
}

/// A client masks what it sends, and towards a backend the gateway is one (RFC 6455 §5.3).
fn mask_towards(side: Side) -> Option<[u8; 4]> {
    match side {
        Side::Client => None,
        Side::Backend => {
            let mut key = [0; 4];
            rand::fill(&mut key).expect("aws-lc aborts rather than go on without randomness");
            Some(key)
        }
    }
}
