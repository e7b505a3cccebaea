//! The header of a WebSocket frame, from either side, and the mask over its payload.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, HEADER_BYTES_MAX};
use throughway::wire::ws::layout::{Layout, LenForm};
use throughway_fuzz::at_every_split;

fuzz_target!(|data: &[u8]| {
    let layout = at_every_split(data, || |bytes: &[u8]| Layout::read(bytes));
    assert_eq!(layout, by_byte(data));
    // No header is longer than the longest.
    assert!(layout.is_some() || data.len() < HEADER_BYTES_MAX);

    let verdict = at_every_split(data, || |bytes: &[u8]| frame::parse(bytes).transpose());
    // An error may be known before the layout is, a header may not.
    let Some((layout, used)) = layout else {
        assert!(!matches!(verdict, Some(Ok(_))));
        return;
    };
    let Some(Ok((header, same))) = verdict else {
        assert!(verdict.is_some() && !is_allowed(&layout), "{verdict:?}");
        return;
    };
    assert!(is_allowed(&layout) && same == used);
    let (head, payload) = data.split_at(used);
    // The shortest form is the only one that is accepted, so it comes out as it went in.
    let mut again = Vec::new();
    frame::encode(&header, &mut again);
    assert_eq!(again, head);
    if let Some(key) = header.mask {
        masks_as_the_rfc_does(key, header.len, payload);
    }
});

/// The figure of RFC 6455 §5.2, walked a byte at a time.
fn by_byte(data: &[u8]) -> Option<(Layout, usize)> {
    let mut next = Next::Flags;
    let mut layout = Layout {
        fin: false,
        rsv: 0,
        opcode: 0,
        form: LenForm::Bits7,
        len: 0,
        mask: None,
    };
    let mut is_masked = false;
    let mut key = Vec::new();
    for (at, &byte) in data.iter().enumerate() {
        let bit = |n: u8| byte & (1 << (7 - n)) != 0;
        next = match next {
            Next::Flags => {
                layout.fin = bit(0);
                layout.rsv = (1..=3).fold(0, |rsv, n| rsv * 2 + u8::from(bit(n)));
                layout.opcode = byte % 16;
                Next::Length
            }
            Next::Length => {
                is_masked = bit(0);
                layout.form = match byte % 128 {
                    126 => LenForm::Bits16,
                    127 => LenForm::Bits64,
                    _ => LenForm::Bits7,
                };
                match layout.form {
                    LenForm::Bits7 => {
                        layout.len = u64::from(byte % 128);
                        Next::Key
                    }
                    LenForm::Bits16 => Next::Extended(2),
                    LenForm::Bits64 => Next::Extended(8),
                }
            }
            Next::Extended(left) => {
                layout.len = layout.len << 8 | u64::from(byte);
                match left {
                    1 => Next::Key,
                    left => Next::Extended(left - 1),
                }
            }
            Next::Key => {
                key.push(byte);
                Next::Key
            }
        };
        if matches!(next, Next::Key) && (!is_masked || key.len() == 4) {
            layout.mask = key.try_into().ok();
            return Some((layout, at + 1));
        }
    }
    None
}

/// What the next byte is.
enum Next {
    Flags,
    Length,
    /// Of the extended length; so many are left.
    Extended(u8),
    Key,
}

/// What RFC 6455 §5.2 and §5.5 allow whichever side sends it.
fn is_allowed(layout: &Layout) -> bool {
    let shortest = match layout.len {
        0..=125 => LenForm::Bits7,
        126..=0xffff => LenForm::Bits16,
        0x1_0000..=0x7fff_ffff_ffff_ffff => LenForm::Bits64,
        0x8000_0000_0000_0000.. => return false,
    };
    let is_short = layout.len <= CONTROL_PAYLOAD_BYTES_MAX as u64;
    layout.form == shortest
        && match layout.opcode {
            0..=2 => true,
            8..=10 => layout.fin && is_short,
            _ => false,
        }
}

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
