//! What goes to the server: whole messages, each one frame with a mask of its own (RFC 6455 §5.3).
//!
//! Knows no socket: it makes the bytes that somebody writes.

use std::mem;

use aws_lc_rs::rand;
use bytes::BytesMut;

use crate::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Opcode};

/// Bytes on their way, always whole frames but for the one that is being written.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// The socket is written from it.
    pub(super) bytes: BytesMut,
    /// The ping to answer next. RFC 6455 §5.5.3: of several the last is enough, so that a server
    /// that pings and does not read costs one pong.
    pong: Option<Vec<u8>>,
}

/// The system has none to give: nothing may be sent without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRandomness;

impl Sending {
    /// A frame behind all others.
    pub(super) fn push(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), NoRandomness> {
        self.settle()?;
        self.append(opcode, payload)
    }

    /// A Close frame; the reason is cut to what fits.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), NoRandomness> {
        let mut payload = Vec::new();
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            let fits = reason.floor_char_boundary(CONTROL_PAYLOAD_BYTES_MAX - payload.len());
            payload.extend_from_slice(&reason.as_bytes()[..fits]);
        }
        self.push(Opcode::Close, &payload)
    }

    /// The answer to a ping, in place of one that still waits.
    pub(super) fn pong(&mut self, payload: Vec<u8>) -> Result<(), NoRandomness> {
        self.pong = Some(payload);
        match self.bytes.is_empty() {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Sends the pong that waits, if one does.
    pub(super) fn settle(&mut self) -> Result<(), NoRandomness> {
        match mem::take(&mut self.pong) {
            Some(pong) => self.append(Opcode::Pong, &pong),
            None => Ok(()),
        }
    }

    fn append(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), NoRandomness> {
        frame::append(opcode, payload, Some(random()?), &mut self.bytes);
        Ok(())
    }
}

/// Fresh random bytes: a mask, or what a ping is known by.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames, unmasked, each with its mask.
    fn frames(sending: &Sending) -> Vec<(Opcode, Vec<u8>, [u8; 4])> {
        let mut rest = &sending.bytes[..];
        let mut frames = Vec::new();
        while let Some((header, used)) = frame::parse(rest).unwrap() {
            let end = used + usize::try_from(header.len).unwrap();
            let mut payload = rest[used..end].to_vec();
            let key = header.mask.expect("a client masks");
            frame::mask(key, 0, &mut payload);
            assert!(header.fin && header.rsv == 0);
            frames.push((header.opcode, payload, key));
            rest = &rest[end..];
        }
        frames
    }

    #[test]
    fn each_frame_is_whole_and_has_a_mask_of_its_own() {
        let mut sending = Sending::default();
        for payload in [&b""[..], b"hi", &[7; 70_000]] {
            sending.push(Opcode::Binary, payload).unwrap();
        }
        let frames = frames(&sending);
        let payloads: Vec<&[u8]> = frames.iter().map(|(_, p, _)| p.as_slice()).collect();
        assert_eq!(payloads, [&b""[..], b"hi", &[7; 70_000]]);
        assert!(frames[0].2 != frames[1].2 || frames[1].2 != frames[2].2);
    }

    #[test]
    fn of_several_pings_the_last_is_answered_and_before_what_comes_next() {
        let mut sending = Sending::default();
        sending.push(Opcode::Text, b"hi").unwrap();
        for ping in ["a", "b", "c"] {
            sending.pong(ping.into()).unwrap();
        }
        sending.close(Some(1000), "").unwrap();
        let frames = frames(&sending);
        let shown: Vec<_> = frames.iter().map(|(o, p, _)| (*o, p.as_slice())).collect();
        let close = 1000_u16.to_be_bytes();
        let expected = [
            (Opcode::Text, &b"hi"[..]),
            (Opcode::Pong, b"c"),
            (Opcode::Close, &close),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_reason_is_cut_to_what_fits_and_never_within_a_character() {
        let mut sending = Sending::default();
        sending.close(Some(4000), &"é".repeat(100)).unwrap();
        sending.close(None, "nobody reads this").unwrap();
        let frames = frames(&sending);
        assert_eq!(frames[0].1.len(), 2 + 122);
        assert_eq!(frames[1].1, b"");
    }
}
