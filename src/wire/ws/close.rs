//! Close: the code and the reason by which a side ends (RFC 6455 §5.5.1, §7.4).
//!
//! Knows one payload at a time: not who sent it, nor whether anyone answers.

use std::fmt;

use super::control;
use super::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Opcode};

/// What is left of a control frame beside the code.
pub const REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - CODE_BYTES;

const CODE_BYTES: usize = 2;

/// Why a side ends: any number that its two bytes can hold, a sensible one or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

/// What a Close said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The first two bytes of its payload.
    pub code: CloseCode,
    /// The others. What is no UTF-8 is replaced by U+FFFD; control characters are not.
    pub reason: String,
}

/// The codes of RFC 6455 §7.4.1 and of IANA's registry "WebSocket Close Code Number".
impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL_CLOSURE: Self = Self(1000);
    /// A server goes down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The other side broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that the side does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Stands for a Close without a code; never on the wire.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// Stands for an end without a Close; never on the wire.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// The payload is not what its message promises: a text that is not UTF-8.
    pub const INVALID_FRAME_PAYLOAD_DATA: Self = Self(1007);
    /// Against a policy, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// Larger than the side takes.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server agreed on none of the extensions that the client cannot do without.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// The side met something that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service starts anew: come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// Too much to do: come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway got nothing good from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// Stands for a TLS handshake that failed; never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);
    /// The WebSocket sibling of HTTP's 401.
    pub const UNAUTHORIZED: Self = Self(3000);
    /// Of HTTP's 403.
    pub const FORBIDDEN: Self = Self(3003);
    /// Of HTTP's 408.
    pub const TIMEOUT: Self = Self(3008);

    /// A Close may carry it: the codes that were given a meaning for the wire, and the two ranges
    /// that are not the protocol's, of libraries and of applications (RFC 6455 §7.4.2).
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// What the registry calls it; `None` where it has no name.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NORMAL_CLOSURE => "normal closure",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::UNSUPPORTED_DATA => "unsupported data",
            Self::NO_STATUS_RECEIVED => "no status received",
            Self::ABNORMAL_CLOSURE => "abnormal closure",
            Self::INVALID_FRAME_PAYLOAD_DATA => "invalid frame payload data",
            Self::POLICY_VIOLATION => "policy violation",
            Self::MESSAGE_TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL_ERROR => "internal error",
            Self::SERVICE_RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            Self::TLS_HANDSHAKE => "TLS handshake",
            Self::UNAUTHORIZED => "unauthorized",
            Self::FORBIDDEN => "forbidden",
            Self::TIMEOUT => "timeout",
            Self(_) => return None,
        })
    }
}

/// Reads the payload of a Close as it stands on the wire, masked where there is a key. `None`
/// where it has no code: it is empty, or a single byte. Judges nothing; what is longer than a
/// Close may be is cut there.
pub fn parse(payload: &[u8], mask: Option<[u8; 4]>) -> Option<Close> {
    let len = payload.len().min(CONTROL_PAYLOAD_BYTES_MAX);
    let mut plain = payload.get(..len)?.to_vec();
    if let Some(key) = mask {
        frame::mask(key, 0, &mut plain);
    }
    let (code, reason) = plain.split_first_chunk()?;
    Some(Close {
        code: CloseCode(u16::from_be_bytes(*code)),
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// A whole Close. A reason is cut to the 123 bytes that fit, between two characters. A code that
/// must not be sent is left out, and the reason with it: a Close without a code is what 1005 stands
/// for.
pub fn encode(code: CloseCode, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    if !code.may_be_sent() {
        return control::encode(Opcode::Close, &[], mask);
    }
    let mut payload = code.0.to_be_bytes().to_vec();
    let fits = reason.floor_char_boundary(REASON_BYTES_MAX);
    payload.extend_from_slice(reason.get(..fits).unwrap_or_default().as_bytes());
    control::encode(Opcode::Close, &payload, mask)
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.name().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ws::frame::Header;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn every_number_may_be_sent_or_may_not() {
        let sendable: Vec<u16> = (0..=u16::MAX)
            .filter(|code| CloseCode(*code).may_be_sent())
            .collect();
        let protocols = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
        ];
        assert_eq!(sendable[..12], protocols);
        assert!(sendable[12..].iter().copied().eq(3000..=4999));
    }

    #[test]
    fn a_code_prints_with_its_name_where_it_has_one() {
        let check = |code: u16, expected: &str| {
            assert_eq!(CloseCode(code).to_string(), expected);
        };
        check(1000, "1000 normal closure");
        check(1006, "1006 abnormal closure");
        check(1014, "1014 bad gateway");
        check(3003, "3003 forbidden");
        check(1004, "1004");
        check(4321, "4321");
        check(0, "0");
        let named = (0..=u16::MAX).filter(|code| CloseCode(*code).name().is_some());
        assert_eq!(named.count(), 18);
    }

    #[test]
    fn what_a_close_says_is_read_with_a_key_and_without() {
        let check = |payload: &[u8], expected: Option<(u16, &str)>| {
            let close = |(code, reason): (u16, &str)| Close {
                code: CloseCode(code),
                reason: reason.to_owned(),
            };
            let expected = expected.map(close);
            assert_eq!(parse(payload, None), expected, "{payload:02x?}");
            let mut masked = payload.to_vec();
            frame::mask(KEY, 0, &mut masked);
            assert_eq!(parse(&masked, Some(KEY)), expected, "{payload:02x?}");
        };
        check(b"", None);
        check(b"\x03", None);
        check(b"\x03\xe8", Some((1000, "")));
        check(b"\x03\xe9bye", Some((1001, "bye")));
        // What a side may not say is remembered all the same.
        check(b"\x00\x00", Some((0, "")));
        check(b"\x03\xee\xff!", Some((1006, "\u{fffd}!")));
        check(b"\xff\xff\xe2\x82", Some((65535, "\u{fffd}")));
        let long = [b"\x03\xe8", &[b'x'; 200][..]].concat();
        check(&long, Some((1000, &"x".repeat(REASON_BYTES_MAX))));
    }

    #[test]
    fn a_close_is_written_whole() {
        let bye = encode(CloseCode::GOING_AWAY, "bye", None);
        assert_eq!(bye, b"\x88\x05\x03\xe9bye");
        let masked = encode(CloseCode::NORMAL_CLOSURE, "", Some(KEY));
        assert_eq!(masked, b"\x88\x82\x37\xfa\x21\x3d\x34\x12");
    }

    #[test]
    fn a_code_that_must_not_be_sent_is_no_code() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(encode(CloseCode(code), "why", None), b"\x88\x00");
            let masked = encode(CloseCode(code), "why", Some(KEY));
            assert_eq!(masked, b"\x88\x80\x37\xfa\x21\x3d");
        }
    }

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        for (reason, kept) in [
            ("x".repeat(123), 123),
            ("x".repeat(124), 123),
            ("\u{e9}".repeat(70), 122),
            ("\u{20ac}".repeat(50), 123),
            (format!("x{}", "\u{1f310}".repeat(40)), 121),
        ] {
            for mask in [None, Some(KEY)] {
                let bytes = encode(CloseCode::POLICY_VIOLATION, &reason, mask);
                let (header, used) = frame::parse(&bytes).unwrap().unwrap();
                let expected = Header {
                    fin: true,
                    rsv: 0,
                    opcode: Opcode::Close,
                    mask,
                    len: bytes.len() as u64 - used as u64,
                };
                assert_eq!(header, expected);
                let close = parse(&bytes[used..], mask).expect("a code");
                assert_eq!(close.code, CloseCode::POLICY_VIOLATION);
                assert_eq!(close.reason, reason[..kept]);
            }
        }
    }
}
