//! The header of a WebSocket frame, from either side, and the mask over its payload.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, HEADER_BYTES_MAX};
use throughway_fuzz::at_every_split;

fuzz_target!(|data: &[u8]| {
    let verdict = at_every_split(data, || |bytes: &[u8]| frame::parse(bytes).transpose());
    // No header is longer than the longest.
    assert!(verdict.is_some() || data.len() < HEADER_BYTES_MAX);
    let Some(Ok((header, used))) = verdict else {
        return;
    };
    let (head, payload) = data.split_at(used);
    assert!(head.len() <= HEADER_BYTES_MAX);
    assert!(header.len <= i64::MAX as u64);
    if header.opcode.is_control() {
        assert!(header.fin && header.len <= CONTROL_PAYLOAD_BYTES_MAX as u64);
    }
    // The shortest form is the only one that is accepted, so it comes out as it went in.
    let mut again = Vec::new();
    frame::encode(&header, &mut again);
    assert_eq!(again, head);
    if let Some(key) = header.mask {
        masks_as_the_rfc_does(key, header.len, payload);
    }
});

/// RFC 6455 §5.3, a byte at a time. Any number serves for the offset.
fn masks_as_the_rfc_does(key: [u8; 4], offset: u64, payload: &[u8]) {
    let mut masked = payload.to_vec();
    frame::mask(key, offset, &mut masked);
    for (i, (masked, plain)) in masked.iter().zip(payload).enumerate() {
        let at = (offset % 4) as usize + i;
        assert_eq!(*masked, plain ^ key[at % 4], "byte {i} at {offset}");
    }
    frame::mask(key, offset, &mut masked);
    assert_eq!(masked, payload);
}
