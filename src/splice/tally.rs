//! What passed in one direction, counted by what it was.
//!
//! Knows headers alone: a frame counts as soon as its header has passed.

use crate::wire::ws::frame::Opcode;

/// Frames of one opcode, and their payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Data {
    /// Frames.
    pub frames: u64,
    /// Bytes of payload, as they were on the wire: compressed where that was agreed on.
    pub bytes: u64,
}

/// As [`Data`], of frames that are at most 125 bytes long and rare. It stops at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// Frames.
    pub frames: u32,
    /// Bytes of payload.
    pub bytes: u32,
}

/// Everything that one side sent, the gateway's own frames not among it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages whose last frame has passed.
    pub messages: u64,
    /// The longest of them, in bytes of payload.
    pub message_bytes_max: u64,
    /// First frames of text messages.
    pub text: Data,
    /// First frames of binary messages.
    pub binary: Data,
    /// What many sessions have none of until they end.
    others: Option<Box<Others>>,
}

/// Frames that begin no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Others {
    /// The frames of a message after its first.
    pub continuation: Data,
    /// Pings.
    pub ping: Control,
    /// Pongs.
    pub pong: Control,
    /// Closes.
    pub close: Control,
    /// Frames of an opcode that means nothing (RFC 6455 §5.2).
    pub reserved: Control,
}

impl Tally {
    /// A frame whose message has come to `message_bytes` with it.
    pub(super) fn frame(
        &mut self,
        opcode: Option<Opcode>,
        fin: bool,
        len: u64,
        message_bytes: u64,
    ) {
        match opcode {
            Some(Opcode::Text) => self.text.count(len),
            Some(Opcode::Binary) => self.binary.count(len),
            Some(Opcode::Continuation) => self.others_mut().continuation.count(len),
            Some(Opcode::Ping) => return self.others_mut().ping.count(len),
            Some(Opcode::Pong) => return self.others_mut().pong.count(len),
            Some(Opcode::Close) => return self.others_mut().close.count(len),
            None => return self.others_mut().reserved.count(len),
        }
        self.message_bytes_max = self.message_bytes_max.max(message_bytes);
        self.messages += u64::from(fin);
    }

    /// Of the frames that begin no message.
    pub fn others(&self) -> Others {
        self.others.as_deref().copied().unwrap_or_default()
    }

    /// As [`Tally::others`], to be counted.
    pub fn others_mut(&mut self) -> &mut Others {
        self.others.get_or_insert_default()
    }

    /// What has passed when the frame that passes now, of this opcode, lacks its last `left` bytes.
    pub(super) fn without(mut self, opcode: Option<Opcode>, left: u64) -> Self {
        let data = match opcode {
            Some(Opcode::Text) => &mut self.text,
            Some(Opcode::Binary) => &mut self.binary,
            Some(Opcode::Continuation) => &mut self.others_mut().continuation,
            // Of at most 125 bytes it matters to nobody.
            Some(Opcode::Ping | Opcode::Pong | Opcode::Close) | None => return self,
        };
        data.bytes = data.bytes.saturating_sub(left);
        self
    }
}

impl Data {
    fn count(&mut self, len: u64) {
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(len);
    }
}

impl Control {
    fn count(&mut self, len: u64) {
        self.frames = self.frames.saturating_add(1);
        self.bytes = self
            .bytes
            .saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
    }
}
