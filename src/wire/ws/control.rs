//! Control frames of our own, whole (RFC 6455 §5.5).
//!
//! Does not know when one may be sent, nor draws a key: that comes from whoever has randomness.

use super::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Opcode};

/// Its length is always of 7 bits: two bytes, and a key.
const HEADER_BYTES_MAX: usize = 6;

/// A Ping, which the other side's Pong repeats the payload of.
pub fn ping(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    encode(Opcode::Ping, payload, mask)
}

/// A Pong, to a Ping with this payload.
pub fn pong(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    encode(Opcode::Pong, payload, mask)
}

/// One frame of a payload that is cut to 125 bytes, masked where there is a key.
pub(super) fn encode(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let len = payload.len().min(CONTROL_PAYLOAD_BYTES_MAX);
    let payload = payload.get(..len).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX + len);
    frame::append(opcode, payload, mask, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn the_pings_and_pongs_of_the_rfc() {
        // RFC 6455 §5.7.
        assert_eq!(ping(b"Hello", None), b"\x89\x05Hello");
        assert_eq!(
            pong(b"Hello", Some(KEY)),
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
        assert_eq!(ping(b"", Some(KEY)), b"\x89\x80\x37\xfa\x21\x3d");
    }

    #[test]
    fn a_payload_ends_where_a_control_frame_does() {
        let longest = [b'x'; CONTROL_PAYLOAD_BYTES_MAX];
        let whole = [b"\x89\x7d", &longest[..]].concat();
        assert_eq!(ping(&longest, None), whole);
        assert_eq!(ping(&[b'x'; 1000], None), whole);
        let masked = pong(&[b'x'; 1000], Some(KEY));
        assert_eq!(masked.len(), 6 + CONTROL_PAYLOAD_BYTES_MAX);
    }
}
