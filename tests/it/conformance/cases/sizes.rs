//! 9: much of it, in one frame and in many. How much is too much is not the protocol's business.

use super::{Case, legal};
use crate::support::frames::{Frame, binary, rest, text};

const KIB: usize = 1024;
const MIB: usize = KIB * KIB;

pub(super) fn cases() -> Vec<Case> {
    vec![
        legal("9.1 a text of 1 MiB", vec![text("ß".repeat(MIB / 2))]),
        legal("9.2 a binary of 1 MiB", vec![binary(pattern(MIB))]),
        legal(
            "9.3 a text in frames of 4093 bytes",
            parted(&"ß".repeat(MIB / 4), 4093),
        ),
        legal(
            "9.4 a text in frames of 61 bytes",
            parted(&"ß".repeat(32 * KIB), 61),
        ),
        legal(
            "9.7 five hundred messages of 100 bytes",
            vec![binary(pattern(100)); 500],
        ),
    ]
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n / 7 % 251) as u8).collect()
}

/// An odd length cuts a two-byte letter in half each time.
fn parted(whole: &str, bytes: usize) -> Vec<Frame> {
    let parts = whole.as_bytes().chunks(bytes);
    let mut frames = vec![text("").and_more()];
    frames.extend(parts.map(|part| rest(part).and_more()));
    frames.push(rest(""));
    frames
}
