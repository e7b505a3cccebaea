//! Type 2: what the proxy challenges with ([MS-NLMP] §2.2.1.2).
//!
//! Bytes of a stranger: every length and offset that is followed must stay inside the message, and
//! every attribute must be one. Knows no password.

use std::fmt;

use super::av::Pairs;
use super::flags;
use super::layout::{SIGNATURE, array, value};

/// Longest challenge. Real ones have 150 to 500 bytes; what we answer holds all of its attributes,
/// and must itself fit into 16 bits.
pub const CHALLENGE_BYTES_MAX: usize = 16 * 1024;

/// A parsed challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub(super) flags: u32,
    /// ServerChallenge, the nonce.
    pub(super) nonce: [u8; 8],
    /// TargetInfo.
    pub(super) pairs: Pairs,
    /// The message itself, which the MIC covers.
    pub(super) message: Vec<u8>,
}

/// Why bytes are no challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAChallenge {
    /// Longer than [`CHALLENGE_BYTES_MAX`].
    TooLong,
    /// They do not begin as a message of NTLM.
    Signature,
    /// A message of NTLM, of another type than 2.
    Type,
    /// A length or an offset leads out of the message.
    Bounds,
    /// The attributes are none.
    TargetInfo,
}

impl Challenge {
    /// Parses a whole message.
    pub fn parse(message: &[u8]) -> Result<Self, NotAChallenge> {
        if message.len() > CHALLENGE_BYTES_MAX {
            return Err(NotAChallenge::TooLong);
        }
        if !message.starts_with(SIGNATURE) {
            return Err(NotAChallenge::Signature);
        }
        if u32_at(message, 8)? != 2 {
            return Err(NotAChallenge::Type);
        }
        // The name of the target, at 12, is not followed: nothing of ours needs it, and squid's
        // ntlm_fake_auth points outside of its message with it.
        let flags = u32_at(message, 20)?;
        let nonce = array(message, 24).ok_or(NotAChallenge::Bounds)?;
        Ok(Self {
            flags,
            nonce,
            pairs: pairs(message, flags)?,
            message: message.to_vec(),
        })
    }
}

// Servers from before NTLMv2 end here, after 32 or 40 bytes.
fn pairs(message: &[u8], flags: u32) -> Result<Pairs, NotAChallenge> {
    if flags & flags::TARGET_INFO == 0 {
        return Ok(Pairs::default());
    }
    match value(message, 40).ok_or(NotAChallenge::Bounds)? {
        [] => Ok(Pairs::default()),
        bytes => Pairs::parse(bytes).ok_or(NotAChallenge::TargetInfo),
    }
}

fn u32_at(message: &[u8], offset: usize) -> Result<u32, NotAChallenge> {
    let bytes = array(message, offset).ok_or(NotAChallenge::Bounds)?;
    Ok(u32::from_le_bytes(bytes))
}

impl fmt::Display for NotAChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is over {CHALLENGE_BYTES_MAX} bytes"),
            Self::Signature => f.write_str("it is no message of NTLM"),
            Self::Type => f.write_str("it is not of type 2"),
            Self::Bounds => f.write_str("it ends too early"),
            Self::TargetInfo => f.write_str("its target information is malformed"),
        }
    }
}

impl std::error::Error for NotAChallenge {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// [MS-NLMP] §4.2.4.3.
    pub(in crate::wire::ntlm) fn example() -> Vec<u8> {
        let parts: [&[u8]; 11] = [
            b"NTLMSSP\0\x02\0\0\0",
            b"\x0c\0\x0c\0\x38\0\0\0",
            b"\x33\x82\x8a\xe2",
            b"\x01\x23\x45\x67\x89\xab\xcd\xef",
            &[0; 8],
            b"\x24\0\x24\0\x44\0\0\0",
            b"\x06\0\x70\x17\0\0\0\x0f",
            b"S\0e\0r\0v\0e\0r\0",
            b"\x02\0\x0c\0D\0o\0m\0a\0i\0n\0",
            b"\x01\0\x0c\0S\0e\0r\0v\0e\0r\0",
            &[0; 4],
        ];
        parts.concat()
    }

    #[test]
    fn the_challenge_of_the_specification() {
        let challenge = Challenge::parse(&example()).expect("a challenge");
        assert_eq!(challenge.flags, 0xe28a_8233);
        assert_eq!(
            challenge.nonce,
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]
        );
        assert_eq!(challenge.pairs.timestamp(), None);
        assert_eq!(challenge.pairs.to_bytes().expect("short"), example()[68..]);
    }

    #[test]
    fn no_beginning_of_a_challenge_is_one() {
        let whole = example();
        for cut in 0..whole.len() {
            let expected = match cut {
                0..8 => NotAChallenge::Signature,
                // The attributes come last, so every cut takes something from them.
                _ => NotAChallenge::Bounds,
            };
            assert_eq!(Challenge::parse(&whole[..cut]), Err(expected), "{cut}");
        }
    }

    fn check(change: impl Fn(&mut Vec<u8>), expected: Result<(), NotAChallenge>) {
        let mut message = example();
        change(&mut message);
        assert_eq!(
            Challenge::parse(&message).map(|_| ()),
            expected,
            "{message:?}"
        );
    }

    #[test]
    fn what_is_no_challenge() {
        check(|_| {}, Ok(()));
        check(|m| m[0] = b'n', Err(NotAChallenge::Signature));
        check(|m| m[8] = 1, Err(NotAChallenge::Type));
        check(|m| m[8] = 3, Err(NotAChallenge::Type));
        check(|m| m[44..48].fill(0xff), Err(NotAChallenge::Bounds));
        check(|m| m[40] -= 1, Err(NotAChallenge::TargetInfo));
        check(|m| m[70] = 0xff, Err(NotAChallenge::TargetInfo));
        check(
            |m| m.resize(CHALLENGE_BYTES_MAX + 1, 0),
            Err(NotAChallenge::TooLong),
        );
    }

    #[test]
    fn a_name_that_is_not_needed_may_be_nowhere() {
        check(|m| m[12..20].fill(0xff), Ok(()));
    }

    #[test]
    fn a_challenge_from_before_ntlmv2_has_no_attributes() {
        let mut message = example();
        message[22] &= !0x80;
        message[12..20].fill(0);
        message.truncate(32);
        let challenge = Challenge::parse(&message).expect("a challenge");
        assert_eq!(challenge.pairs, Pairs::default());
    }
}
