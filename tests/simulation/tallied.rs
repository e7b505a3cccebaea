//! The tally of an outcome against the frames that were said: no fewer than arrived, no more than were
//! read. Where nothing was lost, the two are the same.

use throughway::splice::{Control, Tally};

use super::frames::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};
use super::passed::Passed;

/// In the order of `names`.
type Counts = [u64; 16];

const NAMES: [&str; 16] = [
    "messages",
    "longest message",
    "text frames",
    "text bytes",
    "binary frames",
    "binary bytes",
    "continuations",
    "continuation bytes",
    "pings",
    "ping bytes",
    "pongs",
    "pong bytes",
    "closes",
    "close bytes",
    "reserved frames",
    "reserved bytes",
];

pub fn check(who: &str, tally: &Tally, said: &[u8], given: usize, passed: &Passed) {
    let frames = frames(said, passed);
    let least = counted(&frames, passed.upto, true);
    let most = counted(&frames, given, false);
    let control = |c: &Control| [u64::from(c.frames), u64::from(c.bytes)];
    let others = tally.others();
    let counts: Counts = [
        &[tally.messages, tally.message_bytes_max][..],
        &[tally.text.frames, tally.text.bytes],
        &[tally.binary.frames, tally.binary.bytes],
        &[others.continuation.frames, others.continuation.bytes],
        &control(&others.ping),
        &control(&others.pong),
        &control(&others.close),
        &control(&others.reserved),
    ]
    .concat()
    .try_into()
    .unwrap();
    for (n, name) in NAMES.iter().enumerate() {
        let (least, most, count) = (least[n], most[n], counts[n]);
        let is_right = (least..=most).contains(&count);
        assert!(is_right, "{name} of {who}: {count}, not {least} to {most}");
    }
}

fn frames(said: &[u8], passed: &Passed) -> Vec<Frame> {
    let mut frames = Frame::all(said);
    frames.retain(|frame| !passed.answers.contains(&(frame.start..frame.end)));
    frames
}

/// What is in the first bytes of a stream.
fn counted(frames: &[Frame], upto: usize, is_least: bool) -> Counts {
    let mut counts = [0; 16];
    let mut message = 0;
    for frame in frames.iter().filter(|frame| frame.payload <= upto) {
        // It may have been an answer to the gateway, and was not understood before its end.
        if is_least && frame.opcode() == PONG && frame.end > upto {
            continue;
        }
        let whole = frame.len() as u64;
        let here = (frame.end.min(upto) - frame.payload) as u64;
        // A control frame counts with all that its header tells.
        let bytes = if frame.opcode() < 8 || is_least {
            here
        } else {
            whole
        };
        let place = match frame.opcode() {
            TEXT => 2,
            BINARY => 4,
            CONTINUATION => 6,
            PING => 8,
            PONG => 10,
            CLOSE => 12,
            _ => 14,
        };
        counts[place] += 1;
        counts[place + 1] += if place == 14 && !is_least {
            whole
        } else {
            bytes
        };
        if place > 6 {
            continue;
        }
        match frame.opcode() {
            CONTINUATION => message += whole,
            _ => message = whole,
        }
        counts[1] = counts[1].max(message);
        counts[0] += u64::from(frame.is_last());
    }
    counts
}
