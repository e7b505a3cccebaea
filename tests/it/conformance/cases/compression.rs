//! 12, 13: permessage-deflate was agreed on, so RSV1 means something, though not everywhere
//! (RFC 7692 §6). Nobody here inflates: what is compressed is compared as it is.

use super::{Case, header, legal, payload};
use crate::support::frames::{Frame, binary, close, ping, rest, text};

/// "Hello", compressed (RFC 7692 §7.2.3.1): it is no UTF-8, and need not be.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const RSV1: u8 = 4;

pub(super) fn cases() -> Vec<Case> {
    [agreed(), misplaced()]
        .concat()
        .into_iter()
        .map(Case::deflated)
        .collect()
}

fn hello() -> Frame {
    text(HELLO).rsv(RSV1)
}

fn agreed() -> Vec<Case> {
    let begin = || text(&HELLO[..3]).rsv(RSV1).and_more();
    vec![
        legal("12.1 a compressed text", vec![hello()]),
        legal("12.2 a compressed binary", vec![binary(HELLO).rsv(RSV1)]),
        legal("12.3 in two frames", vec![begin(), rest(&HELLO[3..])]),
        legal(
            "12.4 a ping between them",
            vec![begin(), ping("plain"), rest(&HELLO[3..])],
        ),
        legal(
            "12.5 compressed and plain in turn",
            vec![
                hello(),
                text("plain"),
                hello(),
                binary([0xff]),
                text("größer"),
            ],
        ),
        legal("12.6 nothing, compressed", vec![text([0]).rsv(RSV1)]),
        payload(
            "12.7 a plain text is held to UTF-8",
            vec![hello()],
            text(HELLO),
            1007,
        ),
        payload(
            "12.7 and its second frame",
            vec![hello(), text("pl").and_more()],
            rest(b"\xff"),
            1007,
        ),
    ]
}

/// RFC 7692 §6: on the first frame of a message, and on no control frame.
fn misplaced() -> Vec<Case> {
    let begun = |frame: Frame| vec![frame.and_more()];
    vec![
        header(
            "13.1 on a continuation",
            begun(hello()),
            rest("x").rsv(RSV1),
        ),
        header(
            "13.1 of a plain text",
            begun(text("x")),
            rest("x").rsv(RSV1),
        ),
        header("13.2 on a ping", vec![hello()], ping("x").rsv(RSV1)),
        header("13.2 on a close", vec![hello()], close(1000, "").rsv(RSV1)),
        header("13.3 RSV2 on a text", vec![], text(HELLO).rsv(2)),
        header("13.3 RSV3 on a binary", vec![], binary(HELLO).rsv(1)),
        header("13.3 RSV1 and RSV2", vec![], text(HELLO).rsv(6)),
    ]
}
