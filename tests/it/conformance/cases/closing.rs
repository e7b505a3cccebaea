//! 7: Close, its codes and reasons, and what comes behind it.

use super::{Case, after_close, header, legal, payload, raw_close};
use crate::support::frames::{binary, close, ping, pong, rest, text};

const SENT: [u16; 18] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3003, 3999, 4000,
    4500, 4999,
];
const NEVER_SENT: [u16; 14] = [
    0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535,
];

pub(super) fn cases() -> Vec<Case> {
    [orderly(), codes(), malformed(), behind()].concat()
}

fn orderly() -> Vec<Case> {
    vec![
        legal("7.1 nothing but a close", vec![raw_close("")]),
        legal(
            "7.1 a message, then a close",
            vec![text("bye"), close(1000, "")],
        ),
        legal("7.3 a close with a code", vec![close(1000, "")]),
        legal("7.3 and with a reason", vec![close(1000, "all is said")]),
        legal(
            "7.3 a reason in words of others",
            vec![close(1000, "schön, 再见")],
        ),
        legal("7.3 the longest reason", vec![close(1000, "*".repeat(123))]),
    ]
}

fn codes() -> Vec<Case> {
    let sent = |code: u16| legal(format!("7.7 code {code}"), vec![close(code, "because")]);
    let never = |code: u16| {
        let good = vec![text("good")];
        payload(format!("7.9 code {code}"), good, close(code, ""), 1002)
    };
    let with_reason = |code: u16| {
        let name = format!("7.9 code {code} with a reason");
        payload(name, vec![], close(code, "because"), 1002)
    };
    let sent = SENT.into_iter().map(sent);
    let never = NEVER_SENT
        .into_iter()
        .flat_map(|c| [never(c), with_reason(c)]);
    sent.chain(never).collect()
}

fn malformed() -> Vec<Case> {
    let long = vec![b'*'; 124];
    vec![
        header("7.3 half a code", vec![text("good")], raw_close([3])),
        header("7.3 a reason too long", vec![], close(1000, long)),
        payload(
            "7.5 a reason that is no text",
            vec![],
            close(1000, b"\xff!"),
            1007,
        ),
        payload(
            "7.5 a reason cut off",
            vec![],
            close(1000, b"bye \xe2\x82"),
            1007,
        ),
        payload(
            "7.5 a surrogate in it",
            vec![],
            close(1000, b"\xed\xa0\x80"),
            1007,
        ),
    ]
}

fn behind() -> Vec<Case> {
    let good = || vec![text("good"), close(1000, "")];
    vec![
        after_close("7.1 a text behind a close", good(), text("late")),
        after_close("7.1 a binary behind a close", good(), binary([1])),
        after_close("7.1 a close behind a close", good(), close(1001, "")),
        after_close(
            "7.1 the rest of a message behind a close",
            vec![text("go").and_more(), close(1000, "")],
            rest("od"),
        ),
        // RFC 6455 §5.5.1 speaks of data; these are none, and nobody has to answer them.
        legal(
            "7.1 a ping behind a close",
            [good(), vec![ping("late")]].concat(),
        ),
        legal(
            "7.1 a pong behind a close",
            [good(), vec![pong("late")]].concat(),
        ),
    ]
}
