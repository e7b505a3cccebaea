//! An end that speaks WebSocket and lets nothing pass: it echoes messages, answers Pings and Closes,
//! and tells whoever breaks the protocol so, with 1002 or 1007 (RFC 6455).
//!
//! What it says depends on the bytes it got alone, not on how they were cut. Like `frames`, a second
//! reading of the RFC. It inflates nothing: a compressed message goes back as it came.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frames::{
    BINARY, CLOSE, CONTINUATION, Frame, Head, PING, PONG, Seat, TEXT, close, code_of, frame, pong,
    unmasked, whole,
};

/// Where such an end is in its conversation.
#[derive(Debug)]
pub struct Strict {
    seat: Seat,
    deflate: bool,
    /// What came and was not dealt with.
    rest: Vec<u8>,
    /// The message that has begun: opcode, RSV bits, and its payload so far.
    message: Option<(u8, u8, Vec<u8>)>,
    is_over: bool,
}

/// What it hears, and how that ended.
#[derive(Debug)]
pub struct Heard {
    pub bytes: Vec<u8>,
    pub end: Result<(), io::ErrorKind>,
}

impl Strict {
    /// `deflate`: permessage-deflate was agreed on.
    pub fn new(seat: Seat, deflate: bool) -> Self {
        Self {
            seat,
            deflate,
            rest: Vec::new(),
            message: None,
            is_over: false,
        }
    }

    /// What it says to these bytes. After its own Close it says nothing more.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut said = Vec::new();
        while let (false, Some(head)) = (self.is_over, Head::read(&self.rest)) {
            if !self.allows(&head) {
                self.is_over = true;
                said.extend(close(1002, "").bytes(self.seat));
                break;
            }
            let Some(payload) = whole(&self.rest[head.bytes..], head.len) else {
                break;
            };
            let payload = unmasked(payload, head.key.unwrap_or_default());
            self.rest.drain(..head.bytes + payload.len());
            if let Some(answer) = self.hear(&head, payload) {
                self.is_over = answer.is_close();
                said.extend(answer.bytes(self.seat));
            }
        }
        said
    }

    /// Whether it has said its Close.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// By its header alone.
    fn allows(&self, head: &Head) -> bool {
        let may_be_masked = head.key.is_some() == (self.seat == Seat::Backend);
        let is_control = head.opcode >= CLOSE;
        let is_sound = head.is_minimal && head.len < 1 << 63 && may_be_masked;
        let in_order = match head.opcode {
            CONTINUATION => self.message.is_some(),
            TEXT | BINARY => self.message.is_none(),
            CLOSE | PING | PONG => head.fin && head.len <= 125 && !is_half_code(head),
            _ => false,
        };
        let rsv = match head.rsv {
            0 => true,
            4 => self.deflate && !is_control && head.opcode != CONTINUATION,
            _ => false,
        };
        is_sound && in_order && rsv
    }

    /// Its answer to a frame whose header is allowed.
    fn hear(&mut self, head: &Head, payload: Vec<u8>) -> Option<Frame> {
        match head.opcode {
            PING => Some(pong(payload)),
            PONG => None,
            CLOSE => Some(answer_to_close(&payload)),
            _ => self.hear_part(head, &payload),
        }
    }

    fn hear_part(&mut self, head: &Head, payload: &[u8]) -> Option<Frame> {
        let (opcode, rsv, mut whole) =
            (self.message.take()).unwrap_or((head.opcode, head.rsv, Vec::new()));
        whole.extend_from_slice(payload);
        if opcode == TEXT && rsv == 0 && !is_text(&whole, head.fin) {
            return Some(close(1007, ""));
        }
        if head.fin {
            return Some(frame(opcode, whole).rsv(rsv));
        }
        self.message = Some((opcode, rsv, whole));
        None
    }

    /// Speaks on this connection until its other end is done, too: what comes after its own Close is
    /// heard, but not answered.
    pub async fn converse(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Heard {
        let mut bytes = Vec::new();
        let mut room = vec![0; 64 * 1024];
        let end = loop {
            let n = match stream.read(&mut room).await {
                Ok(0) => break Ok(()),
                Ok(n) => n,
                Err(error) => break Err(error.kind()),
            };
            bytes.extend_from_slice(&room[..n]);
            if self.is_over {
                continue;
            }
            let said = self.take(&room[..n]);
            // Whoever is gone is not there to be told; what it had said has been heard.
            if stream.write_all(&said).await.is_ok() && stream.flush().await.is_ok() && self.is_over
            {
                stream.shutdown().await.ok();
            }
        };
        stream.shutdown().await.ok();
        Heard { bytes, end }
    }
}

/// RFC 6455 §5.5.1: a Close says nothing, or at least a whole code.
fn is_half_code(head: &Head) -> bool {
    head.opcode == CLOSE && head.len == 1
}

fn answer_to_close(payload: &[u8]) -> Frame {
    match code_of(payload) {
        None => frame(CLOSE, []),
        Some(1000..=1003 | 1007..=1014 | 3000..=4999) => match is_text(&payload[2..], true) {
            true => frame(CLOSE, &payload[..2]),
            false => close(1007, ""),
        },
        Some(_) => close(1002, ""),
    }
}

/// Whether it is UTF-8, or, where more follows, the beginning of some.
fn is_text(bytes: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !is_whole && error.error_len().is_none(),
    }
}
