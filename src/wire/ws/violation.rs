//! How a side can break the protocol, each way with its close code and its sentence.
//!
//! Knows no state: [`super::rules`] finds them.

use std::fmt;

use super::close::CloseCode;
use super::frame::{FrameError, Opcode};

/// What a side sent and may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// No frame of either side is like it.
    Frame(FrameError),
    /// A client's frame without a mask (RFC 6455 §5.1).
    Unmasked,
    /// A server's frame with one (RFC 6455 §5.1).
    Masked,
    /// An RSV bit that no extension gave a meaning, or not on such a frame (RFC 6455 §5.2, RFC 7692
    /// §6); the bits as in [`super::layout::Layout::rsv`].
    Rsv(u8),
    /// A continuation outside a message (RFC 6455 §5.4).
    StrayContinuation,
    /// A text or binary frame before the last one's message has ended (RFC 6455 §5.4).
    MessageInMessage(Opcode),
    /// Data or another Close behind a Close (RFC 6455 §5.5.1).
    AfterClose(Opcode),
    /// A Close with one byte, half a code (RFC 6455 §5.5.1).
    HalfCloseCode,
    /// A code that must not be on the wire (RFC 6455 §7.4).
    BadCloseCode(CloseCode),
    /// A text message that is not UTF-8, or ends within a code point (RFC 6455 §8.1).
    TextNotUtf8,
    /// The reason of a Close, likewise (RFC 6455 §5.5.1).
    ReasonNotUtf8,
}

impl Violation {
    /// What the connection is closed with (RFC 6455 §7.4.1).
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Frame(_)
            | Self::Unmasked
            | Self::Masked
            | Self::Rsv(_)
            | Self::StrayContinuation
            | Self::MessageInMessage(_)
            | Self::AfterClose(_)
            | Self::HalfCloseCode
            | Self::BadCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::TextNotUtf8 | Self::ReasonNotUtf8 => CloseCode::INVALID_FRAME_PAYLOAD_DATA,
        }
    }
}

impl From<FrameError> for Violation {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Unmasked => f.write_str("a client's frame is not masked"),
            Self::Masked => f.write_str("a server's frame is masked"),
            Self::Rsv(bits) => write!(f, "RSV bits {bits:03b} that no extension allows there"),
            Self::StrayContinuation => f.write_str("continuation frame outside a message"),
            Self::MessageInMessage(opcode) => {
                write!(f, "{opcode} frame inside a message that has not ended")
            }
            Self::AfterClose(opcode) => write!(f, "{opcode} frame after a Close"),
            Self::HalfCloseCode => f.write_str("Close with a payload of one byte"),
            Self::BadCloseCode(code) => {
                write!(f, "Close with code {}, which must not be sent", code.0)
            }
            Self::TextNotUtf8 => f.write_str("text message that is not UTF-8"),
            Self::ReasonNotUtf8 => f.write_str("Close with a reason that is not UTF-8"),
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ws::close::REASON_BYTES_MAX;

    #[test]
    fn each_has_a_code_and_a_sentence_that_fits_into_a_close() {
        let check = |violation: Violation, code: u16, sentence: &str| {
            assert_eq!(violation.close_code(), CloseCode(code), "{violation:?}");
            assert_eq!(violation.to_string(), sentence);
            assert!(sentence.len() <= REASON_BYTES_MAX);
        };
        use Violation::*;
        let reserved = Frame(FrameError::ReservedOpcode(11));
        check(reserved, 1002, "reserved opcode 11");
        let long = Frame(FrameError::LongControl);
        check(long, 1002, "control frame over 125 bytes");
        check(Unmasked, 1002, "a client's frame is not masked");
        check(Masked, 1002, "a server's frame is masked");
        let rsv = "RSV bits 100 that no extension allows there";
        check(Rsv(4), 1002, rsv);
        let stray = "continuation frame outside a message";
        check(StrayContinuation, 1002, stray);
        let inside = "text frame inside a message that has not ended";
        check(MessageInMessage(Opcode::Text), 1002, inside);
        let after = "continuation frame after a Close";
        check(AfterClose(Opcode::Continuation), 1002, after);
        check(HalfCloseCode, 1002, "Close with a payload of one byte");
        let code = "Close with code 1006, which must not be sent";
        check(BadCloseCode(CloseCode::ABNORMAL_CLOSURE), 1002, code);
        check(TextNotUtf8, 1007, "text message that is not UTF-8");
        let reason = "Close with a reason that is not UTF-8";
        check(ReasonNotUtf8, 1007, reason);
    }
}
