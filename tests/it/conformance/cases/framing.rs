//! 1: lengths and the ways to write them, and masks.

use super::{Case, header, legal};
use crate::support::frames::{CLOSE, binary, close, frame, ping, rest, text};

const LENGTHS: [usize; 9] = [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536];

pub(super) fn cases() -> Vec<Case> {
    [lengths(), wasteful(), too_long(), masks()].concat()
}

fn lengths() -> Vec<Case> {
    let of = |len: usize| {
        [
            legal(
                format!("1.1 text of {len} bytes"),
                vec![text("*".repeat(len))],
            ),
            legal(
                format!("1.2 binary of {len} bytes"),
                vec![binary(vec![0xfe; len])],
            ),
        ]
    };
    LENGTHS.into_iter().flat_map(of).collect()
}

/// RFC 6455 §5.2: in all cases the minimal number of bytes must be used.
fn wasteful() -> Vec<Case> {
    let good = || vec![text("good")];
    let of = |(name, frame): (&str, _)| header(format!("1.3 {name}"), good(), frame);
    [
        ("0 bytes in 16 bits", text("").len16()),
        ("125 bytes in 16 bits", binary([7; 125]).len16()),
        ("0 bytes in 64 bits", text("").len64()),
        ("126 bytes in 64 bits", text("*".repeat(126)).len64()),
        ("65535 bytes in 64 bits", binary(vec![7; 65_535]).len64()),
        ("a ping's length in 16 bits", ping("12345").len16()),
        ("a close's length in 64 bits", close(1000, "").len64()),
    ]
    .map(of)
    .to_vec()
}

/// RFC 6455 §5.2: the most significant bit must be 0.
fn too_long() -> Vec<Case> {
    let of = |len: u64| {
        let frame = binary("what there is of it").claiming(len);
        header(format!("1.4 a length of {len:#x}"), vec![], frame)
    };
    [1 << 63, (1 << 63) + 5, u64::MAX].map(of).to_vec()
}

/// RFC 6455 §5.1: a client masks every frame, a server none.
fn masks() -> Vec<Case> {
    let of = |(name, good, frame): (&str, Vec<_>, _)| header(format!("1.5 {name}"), good, frame);
    [
        ("the first frame", vec![], text("bare").wrongly_masked()),
        (
            "a frame after good ones",
            vec![text("good"), binary("good")],
            text("bare").wrongly_masked(),
        ),
        (
            "a continuation",
            vec![text("go").and_more()],
            rest("od").wrongly_masked(),
        ),
        ("an empty frame", vec![], binary("").wrongly_masked()),
        ("a ping", vec![], ping("ping").wrongly_masked()),
        ("a close", vec![], frame(CLOSE, []).wrongly_masked()),
    ]
    .map(of)
    .to_vec()
}
