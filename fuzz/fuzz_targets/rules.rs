//! The frames that one side sends, held against the rules. The first byte says whose they are and
//! whether permessage-deflate was agreed on.

#![no_main]

use std::iter;

use libfuzzer_sys::fuzz_target;
use throughway::wire::ws::layout::Layout;
use throughway::wire::ws::rules::{Rules, Sender};
use throughway::wire::ws::violation::Violation;
use throughway_fuzz::split;

const KEY: [u8; 4] = *b"\x00\x7f\x80\xff";

fuzz_target!(|data: &[u8]| {
    let Some((&flags, wire)) = data.split_first() else {
        return;
    };
    let deflate = flags & 2 != 0;
    if flags & 1 == 0 {
        check(Sender::Client, deflate, wire);
        return;
    }
    // What a server may send, a client may: masked.
    let verdict = check(Sender::Server, deflate, wire);
    if verdict != Some(Violation::Masked) {
        assert_eq!(check(Sender::Client, deflate, &masked(wire)), verdict);
    }
});

/// At once, in two parts and byte by byte it is one verdict, and that of the reference.
fn check(sender: Sender, deflate: bool, wire: &[u8]) -> Option<Violation> {
    let rules = Rules::new(sender, deflate);
    let by_byte = judged(rules, wire.chunks(1));
    let verdict = by_byte.map(|(violation, _)| violation);
    let whole = judged(rules, iter::once(wire));
    assert_eq!(whole.map(|(violation, _)| violation), verdict, "at once");
    let (left, right) = split(wire);
    let in_two = judged(rules, [left, right].into_iter());
    assert_eq!(in_two.map(|(violation, _)| violation), verdict, "in two");
    let code = by_byte.map(|(violation, end)| (violation.close_code().0, end));
    assert_eq!(code, reference(sender, deflate, wire), "{verdict:?}");
    verdict
}

/// What the rules say, and behind how many bytes.
fn judged<'a>(
    mut rules: Rules,
    parts: impl Iterator<Item = &'a [u8]>,
) -> Option<(Violation, usize)> {
    let mut head = Vec::new();
    let (mut left, mut end) = (0, 0);
    for mut part in parts {
        while !part.is_empty() {
            let n = match left {
                0 => 1,
                left => part.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            };
            let (now, rest) = part.split_at(n);
            (part, end) = (rest, end + n);
            let verdict = if left > 0 {
                left -= n as u64;
                rules.payload(now)
            } else {
                head.extend_from_slice(now);
                let Some((layout, _)) = Layout::read(&head) else {
                    continue;
                };
                head.clear();
                left = layout.len;
                rules.header(&layout)
            };
            if let Err(violation) = verdict {
                return Some((violation, end));
            }
        }
    }
    None
}

// --- the reference -----------------------------------------------------------------------------

/// A frame, or the front of the last one, whose header is whole.
struct Frame {
    first: u8,
    second: u8,
    len: u64,
    /// Where the payload begins.
    at: usize,
    payload: Vec<u8>,
}

/// Reads whole messages: the close code, and behind which byte nothing could mend it.
fn reference(sender: Sender, deflate: bool, wire: &[u8]) -> Option<(u16, usize)> {
    let mut message: Option<(bool, Vec<u8>)> = None;
    let mut closed = false;
    for frame in frames(wire) {
        if !fits(&frame, sender, deflate, message.is_some(), closed) {
            return Some((1002, frame.at));
        }
        let is_whole = frame.payload.len() as u64 == frame.len;
        let fin = frame.first >= 0x80;
        match frame.first % 16 {
            8 => {
                closed = true;
                if let Some((code, text)) = frame.payload.split_first_chunk() {
                    if !is_a_code(u16::from_be_bytes(*code)) {
                        return Some((1002, frame.at + 2));
                    }
                    if let Some(end) = breaks(text, is_whole) {
                        return Some((1007, frame.at + 2 + end));
                    }
                }
            }
            opcode @ 0..=2 => {
                let is_text = opcode == 1 && frame.first & 0x40 == 0;
                let (is_text, text) = message.get_or_insert((is_text, Vec::new()));
                let before = text.len();
                text.extend(&frame.payload);
                if let Some(end) = breaks(text, fin && is_whole).filter(|_| *is_text) {
                    return Some((1007, frame.at + end - before));
                }
                if fin {
                    message = None;
                }
            }
            _ => {}
        }
    }
    None
}

/// RFC 6455 §5, a sentence a line.
fn fits(frame: &Frame, sender: Sender, deflate: bool, in_message: bool, closed: bool) -> bool {
    let opcode = frame.first % 16;
    let fin = frame.first >= 0x80;
    let is_control = opcode >= 8;
    let shortest = match frame.len {
        0..=125 => frame.len as u8,
        126..=65535 => 126,
        _ => 127,
    };
    let rsv_allowed = if deflate && (opcode == 1 || opcode == 2) {
        0x40
    } else {
        0
    };
    [0, 1, 2, 8, 9, 10].contains(&opcode)
        && frame.first & 0x70 & !rsv_allowed == 0
        && (frame.second >= 0x80) == (sender == Sender::Client)
        && frame.second % 128 == shortest
        && frame.len < 1 << 63
        && (!is_control || (fin && frame.len <= 125))
        && (is_control || in_message == (opcode == 0))
        && (!closed || opcode == 9 || opcode == 10)
        && (opcode != 8 || frame.len != 1)
}

/// Behind how many bytes a text cannot be UTF-8 any more.
fn breaks(text: &[u8], is_whole: bool) -> Option<usize> {
    let error = std::str::from_utf8(text).err()?;
    let good = error.valid_up_to();
    let cannot_be = |end: &usize| {
        std::str::from_utf8(&text[..*end]).is_err_and(|error| error.error_len().is_some())
    };
    (good + 1..=text.len())
        .find(cannot_be)
        .or(is_whole.then_some(text.len()))
}

fn is_a_code(code: u16) -> bool {
    let unused = [1004, 1005, 1006, 1015];
    (1000..1016).contains(&code) && !unused.contains(&code) || (3000..5000).contains(&code)
}

fn frames(wire: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(frame) = frame(wire, at) {
        at = frame.at + frame.payload.len();
        frames.push(frame);
    }
    frames
}

fn frame(wire: &[u8], start: usize) -> Option<Frame> {
    let (first, second) = (*wire.get(start)?, *wire.get(start + 1)?);
    let more = match second % 128 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut at = start + 2 + more;
    let len = match wire.get(start + 2..at)? {
        [] => u64::from(second % 128),
        bytes => bytes.iter().fold(0, |len, b| len * 256 + u64::from(*b)),
    };
    let mut key = vec![0; 4];
    if second >= 128 {
        key = wire.get(at..at + 4)?.to_vec();
        at += 4;
    }
    let here = wire.len() - at;
    let end = at + usize::try_from(len).unwrap_or(here).min(here);
    let payload = wire[at..end].iter().enumerate();
    Some(Frame {
        first,
        second,
        len,
        at,
        payload: payload.map(|(i, byte)| byte ^ key[i % 4]).collect(),
    })
}

/// The frames of a server as a client sends them; what is no whole header is left out.
fn masked(wire: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut start = 0;
    for frame in frames(wire) {
        let head = bytes.len();
        bytes.extend_from_slice(&wire[start..frame.at]);
        if frame.second < 128 {
            bytes[head + 1] |= 128;
            bytes.extend(KEY);
        }
        let payload = frame.payload.iter().enumerate();
        bytes.extend(payload.map(|(i, byte)| byte ^ KEY[i % 4]));
        start = frame.at + frame.payload.len();
    }
    bytes
}
