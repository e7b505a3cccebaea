//! What is done about what came: shown, answered, or refused.
//!
//! Knows no bytes, only the messages that they were.

use tokio::time::Instant;

use super::{Phase, Rules, SHOWN_BYTES_MAX, Talk};
use crate::cli::connect::end::End;
use crate::cli::connect::message::{Close, Incoming, Violation};
use crate::cli::way::span;
use crate::wire::ws::frame::Opcode;

impl Talk {
    pub(super) fn hear(&mut self) {
        loop {
            if let Phase::Leaving { .. } = self.phase {
                return self.reading.bytes.clear();
            }
            if self.shown.len() >= SHOWN_BYTES_MAX {
                return;
            }
            match self.reading.next() {
                Ok(Some(incoming)) => self.heed(incoming),
                Ok(None) => return,
                Err(violation) => self.refuse(violation),
            }
        }
    }

    fn heed(&mut self, incoming: Incoming) {
        let Rules { look, voice, .. } = self.rules;
        match incoming {
            Incoming::Text(text) => {
                voice.tell(|| spoken('<', Opcode::Text, text.len()));
                look.text(&text, &mut self.shown);
            }
            Incoming::Binary(bytes) => {
                voice.tell(|| spoken('<', Opcode::Binary, bytes.len()));
                look.binary(&bytes, &mut self.shown, voice);
            }
            Incoming::Ping(payload) => {
                voice.tell(|| spoken('<', Opcode::Ping, payload.len()));
                // RFC 6455 §5.5.1: nothing follows a Close.
                if self.phase == Phase::Open {
                    let sent = self.sending.pong(payload);
                    self.must(sent);
                }
            }
            Incoming::Pong(payload) => {
                let now = Instant::now();
                let pings = self.pings.as_mut();
                match pings.and_then(|pings| pings.pong(&payload, now)) {
                    Some(took) => voice.say(|| format!("pong after {}", span(took))),
                    None => voice.tell(|| spoken('<', Opcode::Pong, payload.len())),
                }
            }
            Incoming::Close(close) => self.on_close(close),
        }
    }

    // RFC 6455 §5.5.1: it is answered, with the same code.
    fn on_close(&mut self, close: Close) {
        if self.stuck.is_some() {
            return self.leave(End::Closed(close));
        }
        if self.phase != Phase::Open {
            return self.leave(End::Answered(close));
        }
        let sent = self.sending.close(close.code, "");
        self.must(sent);
        self.leave(End::Closed(close));
    }

    fn refuse(&mut self, violation: Violation) {
        let Violation { code, words } = violation.clone();
        self.fail(code, &words, End::Broken(violation));
    }
}

/// A frame in a line.
pub(super) fn spoken(mark: char, opcode: Opcode, bytes: usize) -> String {
    let what = match opcode {
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
        Opcode::Close => "close",
        Opcode::Continuation => "continuation",
    };
    format!("{mark} {what}, {bytes} bytes")
}
