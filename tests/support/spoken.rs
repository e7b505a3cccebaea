//! Frames as a client or a server sends them, whole.
//!
//! Knows no streams and no order.

use throughway::wire::ws::frame::{Opcode, append};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of a client's, masked.
pub fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(opcode, payload, Some(KEY))
}

/// A frame of a server's.
pub fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(opcode, payload, None)
}

/// What a Close says.
pub fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

fn frame(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(opcode, payload, mask, &mut bytes);
    bytes
}
