//! The payload of a Close: as it is read, and as we write one. The first byte says with which key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::ws::close::{self, Close, CloseCode, REASON_BYTES_MAX};
use throughway::wire::ws::control;
use throughway::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Opcode};
use throughway::wire::ws::layout::Layout;
use throughway::wire::ws::rules::{Rules, Sender};

fuzz_target!(|data: &[u8]| {
    let Some((&key, payload)) = data.split_first() else {
        return;
    };
    let mask = (key != 0).then_some([key, key / 2, key.wrapping_mul(3), 0]);
    let close = close::parse(payload, None);
    assert_eq!(close::parse(&masked(payload, mask), mask), close);
    assert_eq!(close, as_it_stands(payload));
    if let Some(close) = close {
        // At full length, so that it may have to be cut.
        let reason = String::from_utf8_lossy(&payload[2..]);
        is_written_whole(close.code, &reason, mask);
    }
    let ping = control::ping(payload, mask);
    let (opcode, repeated) = unmasked(&ping);
    assert_eq!(opcode, Opcode::Ping);
    let len = payload.len().min(CONTROL_PAYLOAD_BYTES_MAX);
    assert_eq!(repeated, payload[..len]);
});

fn as_it_stands(payload: &[u8]) -> Option<Close> {
    let [high, low, reason @ ..] = payload else {
        return None;
    };
    let len = reason.len().min(REASON_BYTES_MAX);
    Some(Close {
        code: CloseCode(u16::from(*high) * 256 + u16::from(*low)),
        reason: String::from_utf8_lossy(&reason[..len]).into_owned(),
    })
}

/// What we write keeps the rules and says the same, as far as it fits.
fn is_written_whole(code: CloseCode, reason: &str, mask: Option<[u8; 4]>) {
    let bytes = close::encode(code, reason, mask);
    keeps_the_rules(&bytes, mask);
    let (opcode, payload) = unmasked(&bytes);
    assert_eq!(opcode, Opcode::Close);
    let Some(close) = close::parse(&payload, None) else {
        assert!(payload.is_empty() && !is_for_the_wire(code.0));
        return;
    };
    assert!(is_for_the_wire(code.0));
    assert_eq!(close.code, code);
    let rest = reason.strip_prefix(&close.reason);
    let next = rest.expect("a front of the reason").chars().next();
    let with_next = close.reason.len() + next.map_or(REASON_BYTES_MAX, char::len_utf8);
    assert!(rest == Some("") || with_next > REASON_BYTES_MAX);
}

/// RFC 6455 §7.4, and the codes that IANA gave away since.
fn is_for_the_wire(code: u16) -> bool {
    match code {
        1004 | 1005 | 1006 | 1015 => false,
        1000..=1014 | 3000..=4999 => true,
        _ => false,
    }
}

fn keeps_the_rules(bytes: &[u8], mask: Option<[u8; 4]>) {
    let sender = if mask.is_some() {
        Sender::Client
    } else {
        Sender::Server
    };
    let mut rules = Rules::new(sender, false);
    let (layout, used) = Layout::read(bytes).expect("a whole header");
    assert_eq!(layout.len, bytes.len() as u64 - used as u64);
    rules.header(&layout).expect("a header as it should be");
    rules.payload(&bytes[used..]).expect("a payload likewise");
}

/// A whole frame, and nothing behind it.
fn unmasked(bytes: &[u8]) -> (Opcode, Vec<u8>) {
    let parsed = frame::parse(bytes).expect("a frame");
    let (header, used) = parsed.expect("a whole header");
    assert_eq!(header.len, bytes.len() as u64 - used as u64);
    (header.opcode, masked(&bytes[used..], header.mask))
}

fn masked(bytes: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let key = mask.unwrap_or_default();
    let bytes = bytes.iter().enumerate();
    bytes.map(|(i, byte)| byte ^ key[i % 4]).collect()
}
