//! What a side means to say, drawn: messages in frames of all kinds and sizes, control frames between
//! them, and perhaps one frame that it may not send.
//!
//! Knows no sockets and no time but the pauses.

use std::time::Duration;

use super::dice::Dice;
use super::frames::{self, BINARY, CLOSE, CONTINUATION, Form, PING, PONG, TEXT, header, write};

/// How much is said, so that a side that is heard byte by byte says little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Tiny,
    Middling,
    Large,
}

/// One frame, after a pause.
#[derive(Debug, Clone)]
pub struct Saying {
    pub after: Duration,
    pub bytes: Vec<u8>,
    pub fault: Option<Fault>,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The code that it earns both sides.
    pub code: u16,
    /// From here on nothing of it may pass.
    pub at: usize,
}

/// Draws what one side says.
#[derive(Debug)]
pub struct Speaker<'a> {
    pub dice: &'a mut Dice,
    pub scale: Scale,
    /// It is a client, so it masks.
    pub masks: bool,
    /// Opcodes that mean nothing, and whatever else nobody is held to.
    pub odd: bool,
}

impl Speaker<'_> {
    /// Everything that it says but its Close.
    pub fn speech(&mut self, fault: bool) -> Vec<Saying> {
        let most = match self.scale {
            Scale::Tiny => 6,
            Scale::Middling => 10,
            Scale::Large => 5,
        };
        let messages = self.dice.below(most);
        let fault_at = if fault {
            self.dice.between(0, messages)
        } else {
            usize::MAX
        };
        let mut said = Vec::new();
        for message in 0..=messages {
            if message == fault_at {
                let wrong = self.wrong();
                said.extend(wrong);
            }
            if message < messages {
                self.message(&mut said);
            }
        }
        for saying in &mut said {
            saying.after = self.pause();
        }
        said
    }

    fn pause(&mut self) -> Duration {
        match self.dice.below(100) {
            0..60 => Duration::ZERO,
            60..85 => self.dice.millis(1, 50),
            85..96 => self.dice.millis(50, 4_000),
            _ => self.dice.millis(4_000, 90_000),
        }
    }

    fn message(&mut self, said: &mut Vec<Saying>) {
        let parts = self.dice.one_of(&[1, 1, 1, 2, 3, 5]);
        let is_text = self.dice.percent(40);
        for part in 0..parts {
            let opcode = match (part, is_text) {
                (0, true) => TEXT,
                (0, false) => BINARY,
                _ => CONTINUATION,
            };
            let payload = self.payload(is_text);
            let last = if part + 1 == parts { 128 } else { 0 };
            said.push(self.fine(last | opcode, &payload));
            if self.dice.percent(25) {
                said.push(self.control());
            }
        }
        if self.odd && self.dice.percent(10) {
            let first = 128 | self.dice.one_of(&[3, 7, 11, 15]);
            said.push(self.fine(first, b"nobody knows what"));
        }
    }

    /// Application Pings that look like the gateway's, and Pongs that nobody asked for, are among them.
    fn control(&mut self) -> Saying {
        let opcode = self.dice.one_of(&[PING, PONG]);
        let mut payload = match self.dice.below(3) {
            0 => self.noise(12),
            1 => {
                let bytes = self.dice.between(0, 125);
                self.noise(bytes)
            }
            _ => Vec::new(),
        };
        if payload.len() == 12 && self.dice.percent(50) {
            payload[..4].copy_from_slice(b"tway");
        }
        if self.odd && payload.len() == 12 && self.dice.percent(30) {
            let form = self.dice.one_of(&[Form::Two, Form::Eight]);
            let mut bytes = header(128 | opcode, 12, form, self.key().map(|_| [0; 4]));
            bytes.extend(payload);
            return fine(bytes);
        }
        self.fine(128 | opcode, &payload)
    }

    /// A frame that may not be sent, and what has to come before it to make it one.
    fn wrong(&mut self) -> Vec<Saying> {
        let key = self.key();
        let (other_key, zeros) = match self.masks {
            true => (None, Some([0; 4])),
            false => (Some([1, 2, 3, 4]), None),
        };
        let at_once = |bytes: Vec<u8>| vec![wrong(bytes, 1002, 0)];
        let head = |first, len, form| header(first, len, form, key);
        let payload_at = head(0, 0, Form::Shortest).len();
        match self.dice.below(14) {
            0 => at_once(write(128 | BINARY, b"who masks", other_key)),
            1 => at_once(write(0b1100_0000 | TEXT, b"rsv", key)),
            2 => at_once(write(128 | CONTINUATION, b"of nothing", key)),
            3 => at_once(write(128 | 11, b"reserved", key)),
            4 => at_once(write(128 | PING, &[b'x'; 126], key)),
            5 => at_once(write(PING, b"in parts", key)),
            6 => {
                let form = self.dice.one_of(&[Form::Two, Form::Eight]);
                at_once([head(128 | BINARY, 5, form), b"wordy".to_vec()].concat())
            }
            7 => at_once(head(128 | BINARY, 1 << 63, Form::Eight)),
            8 => at_once(write(128 | CLOSE, b"\x03", key)),
            9 => {
                let begun = fine(write(TEXT, b"not ended", key));
                vec![begun, wrong(write(128 | TEXT, b"another", key), 1002, 0)]
            }
            10 => {
                let code = self
                    .dice
                    .one_of(&[0, 999, 1004, 1005, 1006, 1015, 2999, 5000_u16]);
                let bytes = write(128 | CLOSE, &code.to_be_bytes(), key);
                vec![wrong(bytes, 1002, payload_at + 1)]
            }
            11 => {
                let bytes = write(128 | CLOSE, b"\x03\xe8ok\xff", key);
                vec![wrong(bytes, 1007, payload_at + 4)]
            }
            12 => {
                let mut text = vec![b'a'; self.dice.between(1, 2_000)];
                let bad = self.dice.below(text.len());
                text[bad] = 0xff;
                let bytes = write(128 | TEXT, &text, zeros);
                let head = bytes.len() - text.len();
                vec![wrong(bytes, 1007, head + bad)]
            }
            _ => {
                let begun = fine(write(TEXT, b"half a sign: \xe2\x82", key));
                let ended = write(128 | CONTINUATION, b"!", key);
                vec![begun, wrong(ended, 1007, payload_at)]
            }
        }
    }

    fn payload(&mut self, is_text: bool) -> Vec<u8> {
        let bytes = match (self.scale, self.dice.below(10)) {
            (_, 0) => 0,
            (_, 1) => self.dice.one_of(&[1, 12, 124, 125, 126, 127]),
            (Scale::Tiny, _) => self.dice.between(0, 60),
            (Scale::Middling, _) => self.dice.between(0, 3_000),
            (Scale::Large, 2) => self.dice.between(65_530, 65_540),
            (Scale::Large, 3..5) => self.dice.between(0, 2_000),
            (Scale::Large, _) => self.dice.between(0, 200 * 1024),
        };
        match is_text {
            true => "text \u{20ac} "
                .bytes()
                .cycle()
                .take(bytes / 9 * 9)
                .collect(),
            false => self.noise(bytes),
        }
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        noise(self.dice, bytes)
    }

    fn key(&mut self) -> Option<[u8; 4]> {
        let key = (self.dice.next() as u32).to_be_bytes();
        self.masks.then_some(key)
    }

    fn fine(&mut self, first: u8, payload: &[u8]) -> Saying {
        let key = self.key();
        let is_long = payload.len() > 500;
        fine(write(
            first,
            payload,
            key.map(|key| if is_long { [0; 4] } else { key }),
        ))
    }
}

/// Bytes that mean nothing.
pub fn noise(dice: &mut Dice, bytes: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        noise.extend_from_slice(&dice.next().to_be_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// A Close that may be sent.
pub fn close(dice: &mut Dice, masks: bool) -> Vec<u8> {
    let key = masks.then(|| (dice.next() as u32).to_be_bytes());
    let payload: &[u8] = dice.one_of(&[&b""[..], b"\x03\xe8", b"\x0f\xa1enough of this"]);
    frames::write(128 | CLOSE, payload, key)
}

fn fine(bytes: Vec<u8>) -> Saying {
    Saying {
        after: Duration::ZERO,
        bytes,
        fault: None,
    }
}

fn wrong(bytes: Vec<u8>, code: u16, at: usize) -> Saying {
    let mut saying = fine(bytes);
    saying.fault = Some(Fault { code, at });
    saying
}
