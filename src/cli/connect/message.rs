//! What a server sends, as messages: frames as their bytes come, fragments put together, and the
//! protocol held to meanwhile (RFC 6455 §5, §7.4, §8.1).
//!
//! Knows one direction, the server's; no socket, no clock, and nothing of what is sent.

use std::fmt;

use bytes::{Buf, BytesMut};

use crate::wire::ws::frame::{self, Header, Opcode};

// RFC 6455 §7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_PAYLOAD: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
}

/// A Close frame; one without a payload has no code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

/// What a server may not do, and the code it is told so with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u16,
    pub(super) words: String,
}

/// Which of the two a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// A data frame whose payload is still coming.
#[derive(Debug)]
struct Open {
    fin: bool,
    /// Never zero between two calls.
    left: u64,
}

/// Reads messages from bytes.
#[derive(Debug)]
pub(super) struct Reader {
    /// What came and is not read yet. The socket reads into it.
    pub(super) bytes: BytesMut,
    /// The message that has begun, as far as it came.
    message: Option<(Kind, Vec<u8>)>,
    frame: Option<Open>,
    /// No message is longer, whatever number of frames it has.
    message_bytes_max: usize,
}

impl Reader {
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            message: None,
            frame: None,
            message_bytes_max,
        }
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside_a_frame(&self) -> bool {
        self.frame.is_some() || !self.bytes.is_empty()
    }

    /// The next thing that is there whole.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        loop {
            if self.frame.is_some() {
                return match self.payload() {
                    false => Ok(None),
                    true => match self.ended()? {
                        Some(message) => Ok(Some(message)),
                        None => continue,
                    },
                };
            }
            let parsed = frame::parse(&self.bytes);
            let parsed = parsed.map_err(|error| protocol(error.to_string()))?;
            let Some((header, used)) = parsed else {
                return Ok(None);
            };
            check(&header)?;
            if header.opcode.is_control() {
                return self.control(&header, used);
            }
            self.begin(&header)?;
            self.bytes.advance(used);
        }
    }

    // RFC 6455 §5.4: control frames may stand between the fragments of a message.
    fn control(&mut self, header: &Header, used: usize) -> Result<Option<Incoming>, Violation> {
        // It fits: it is at most 125.
        let end = used + header.len as usize;
        let Some(payload) = self.bytes.get(used..end) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.bytes.advance(end);
        Ok(Some(match header.opcode {
            Opcode::Ping => Incoming::Ping(payload),
            Opcode::Pong => Incoming::Pong(payload),
            Opcode::Close => Incoming::Close(close(&payload)?),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                unreachable!("the caller has a control frame")
            }
        }))
    }

    // A frame of a message. What it announces is judged before any of it is kept.
    fn begin(&mut self, header: &Header) -> Result<(), Violation> {
        let begun = self.message.as_ref().map(|(_, bytes)| bytes.len());
        match (header.opcode, begun) {
            (Opcode::Continuation, None) => {
                return Err(protocol("a continuation of no message"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(protocol("a message begins within another"));
            }
            _ => {}
        }
        let room = self.message_bytes_max - begun.unwrap_or_default();
        if header.len > room as u64 {
            let max = self.message_bytes_max;
            return Err(Violation {
                code: TOO_BIG,
                words: format!("a message is longer than {max} bytes"),
            });
        }
        match header.opcode {
            Opcode::Text => self.message = Some((Kind::Text, Vec::new())),
            Opcode::Binary => self.message = Some((Kind::Binary, Vec::new())),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        self.frame = Some(Open {
            fin: header.fin,
            left: header.len,
        });
        Ok(())
    }

    // Takes what is there of the frame's payload; whether that was all of it.
    fn payload(&mut self) -> bool {
        let (Some(open), Some((_, message))) = (&mut self.frame, &mut self.message) else {
            return true;
        };
        let there = self
            .bytes
            .len()
            .min(usize::try_from(open.left).unwrap_or(usize::MAX));
        message.extend_from_slice(&self.bytes.split_to(there));
        open.left -= there as u64;
        open.left == 0
    }

    // The message, if this frame was its last.
    fn ended(&mut self) -> Result<Option<Incoming>, Violation> {
        let last = self.frame.take().is_some_and(|open| open.fin);
        let Some((kind, bytes)) = self.message.take_if(|_| last) else {
            return Ok(None);
        };
        match kind {
            Kind::Binary => Ok(Some(Incoming::Binary(bytes))),
            Kind::Text => text(bytes, "a text message").map(|text| Some(Incoming::Text(text))),
        }
    }
}

fn check(header: &Header) -> Result<(), Violation> {
    // RFC 6455 §5.1: a server must not mask.
    if header.mask.is_some() {
        return Err(protocol("a server's frame is masked"));
    }
    // RFC 6455 §5.2: none was offered, so none can have been agreed on.
    if header.rsv != 0 {
        return Err(protocol("a frame uses an extension that was not offered"));
    }
    Ok(())
}

// RFC 6455 §5.5.1: nothing, or a code and perhaps a reason.
fn close(payload: &[u8]) -> Result<Close, Violation> {
    let (code, reason) = match payload {
        [] => (None, Vec::new()),
        [_] => return Err(protocol("a Close frame with half a code")),
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason.to_vec()),
    };
    match code {
        Some(code) if !may_be_sent(code) => {
            Err(protocol(format!("a Close frame with the code {code}")))
        }
        code => Ok(Close {
            code,
            reason: text(reason, "the reason of a Close frame")?,
        }),
    }
}

// RFC 6455 §7.4: 1004 is reserved, 1005, 1006 and 1015 are never on the wire; the registry goes up
// to 1014, libraries have 3000 to 3999 and applications 4000 to 4999.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

// RFC 6455 §8.1.
fn text(bytes: Vec<u8>, what: &str) -> Result<String, Violation> {
    String::from_utf8(bytes).map_err(|_| Violation {
        code: INVALID_PAYLOAD,
        words: format!("{what} is not UTF-8"),
    })
}

fn protocol(words: impl Into<String>) -> Violation {
    Violation {
        code: PROTOCOL_ERROR,
        words: words.into(),
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 70_000;

    fn read(pieces: &[&[u8]]) -> (Vec<Incoming>, Option<Violation>) {
        let mut reader = Reader::new(MAX);
        let mut all = Vec::new();
        for piece in pieces {
            reader.bytes.extend_from_slice(piece);
            loop {
                match reader.next() {
                    Ok(Some(incoming)) => all.push(incoming),
                    Ok(None) => break,
                    Err(violation) => return (all, Some(violation)),
                }
            }
        }
        (all, None)
    }

    /// The same whole, a byte at a time, and cut at every point.
    fn check(bytes: &[u8], expected: Vec<Incoming>, violation: Option<(u16, &str)>) {
        let violation = violation.map(|(code, words)| Violation {
            code,
            words: words.to_owned(),
        });
        let expected = (expected, violation);
        assert_eq!(read(&[bytes]), expected);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected);
        for at in 0..bytes.len().min(64) {
            let (near, far) = bytes.split_at(at);
            assert_eq!(read(&[near, far]), expected, "cut at {at}");
        }
    }

    fn text(text: &str) -> Incoming {
        Incoming::Text(text.to_owned())
    }

    fn closed(code: Option<u16>, reason: &str) -> Incoming {
        Incoming::Close(Close {
            code,
            reason: reason.to_owned(),
        })
    }

    #[test]
    fn frames_become_messages() {
        check(b"\x81\x02hi\x81\x00", vec![text("hi"), text("")], None);
        check(b"\x82\x01\xff", vec![Incoming::Binary(vec![0xff])], None);
        check(
            b"\x01\x01\xc3\x89\x02yo\x00\x00\x8a\x00\x80\x01\xa9",
            vec![
                Incoming::Ping(b"yo".to_vec()),
                Incoming::Pong(Vec::new()),
                text("é"),
            ],
            None,
        );
        check(b"\x88\x00", vec![closed(None, "")], None);
        check(
            b"\x88\x05\x0f\xa1bye",
            vec![closed(Some(4001), "bye")],
            None,
        );
        let mut long = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70".to_vec();
        long.extend_from_slice(&[7; MAX]);
        check(&long, vec![Incoming::Binary(vec![7; MAX])], None);
    }

    #[test]
    fn what_a_server_may_not_do_has_its_code() {
        fn bad(bytes: &[u8], code: u16, words: &str) {
            check(bytes, Vec::new(), Some((code, words)));
        }
        bad(b"\x83\x00", 1002, "reserved opcode 3");
        bad(b"\x09\x00", 1002, "control frame without FIN");
        bad(b"\x81\x80abcd", 1002, "a server's frame is masked");
        bad(
            b"\xc1\x00",
            1002,
            "a frame uses an extension that was not offered",
        );
        bad(b"\x80\x00", 1002, "a continuation of no message");
        bad(b"\x01\x00\x81\x00", 1002, "a message begins within another");
        bad(b"\x81\x01\xff", 1007, "a text message is not UTF-8");
        bad(
            b"\x88\x03\x03\xe8\xff",
            1007,
            "the reason of a Close frame is not UTF-8",
        );
        bad(b"\x88\x01\x03", 1002, "a Close frame with half a code");
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000_u16] {
            let [high, low] = code.to_be_bytes();
            let words = format!("a Close frame with the code {code}");
            bad(&[0x88, 2, high, low], 1002, &words);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_by_its_header() {
        let words = "a message is longer than 70000 bytes";
        let at_once = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x71";
        check(at_once, Vec::new(), Some((1009, words)));
        let in_pieces = b"\x02\x01a\x80\x7f\x00\x00\x00\x00\x00\x01\x11\x70";
        check(in_pieces, Vec::new(), Some((1009, words)));
    }
}
