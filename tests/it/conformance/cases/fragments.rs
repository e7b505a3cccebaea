//! 5: messages in several frames, and what may come between these.

use super::{Case, header, legal, raw_close};
use crate::support::frames::{Frame, binary, close, ping, pong, rest, text};

pub(super) fn cases() -> Vec<Case> {
    [whole_control(), in_order(), out_of_order()].concat()
}

/// RFC 6455 §5.5: control frames must not be fragmented.
fn whole_control() -> Vec<Case> {
    let in_message = || vec![text("fragment 1").and_more()];
    vec![
        header("5.1 a ping in two frames", vec![], ping("pi").and_more()),
        header("5.2 a pong in two frames", vec![], pong("po").and_more()),
        header(
            "5.2 a close in two frames",
            vec![],
            close(1000, "").and_more(),
        ),
        header(
            "5.2 an empty close in two",
            vec![],
            raw_close("").and_more(),
        ),
        header(
            "5.2 a ping in two frames inside a message",
            in_message(),
            ping("pi").and_more(),
        ),
    ]
}

fn more(payload: &str) -> Frame {
    rest(payload).and_more()
}

fn in_order() -> Vec<Case> {
    let first = || text("fragment 1, ").and_more();
    let last = || rest("fragment 2");
    let hundred = (0..100).map(|n| match n {
        0 => binary([0]).and_more(),
        99 => rest([99]),
        n => rest([n]).and_more(),
    });
    vec![
        legal("5.3 a text in two frames", vec![first(), last()]),
        legal(
            "5.4 a binary in three frames",
            vec![binary([1]).and_more(), rest([2]).and_more(), rest([3])],
        ),
        legal("5.5 in a hundred frames", hundred.collect()),
        legal(
            "5.6 a ping between two frames",
            vec![first(), ping("between"), last()],
        ),
        legal(
            "5.7 pings and pongs between frames",
            vec![
                first(),
                ping("1"),
                pong("2"),
                more("and "),
                ping("3"),
                last(),
            ],
        ),
        legal(
            "5.8 empty frames",
            vec![text("").and_more(), more(""), rest("")],
        ),
        legal(
            "5.8 one frame of many is not empty",
            vec![text("").and_more(), more("all of it"), rest("")],
        ),
        legal(
            "5.19 two messages in fragments, one after the other",
            vec![first(), last(), binary([1]).and_more(), rest([2])],
        ),
        // The message never ends, and need not.
        legal(
            "5.20 a close inside a message",
            vec![first(), close(1001, "")],
        ),
    ]
}

fn out_of_order() -> Vec<Case> {
    let begun = || vec![text("fragment 1").and_more()];
    let ended = || vec![text("fragment 1").and_more(), rest("fragment 2")];
    vec![
        header("5.9 a last fragment of nothing", vec![], rest("stray")),
        header("5.10 an empty one", vec![], rest("")),
        header("5.11 a middle fragment of nothing", vec![], more("stray")),
        header(
            "5.12 after a whole message",
            vec![text("whole")],
            rest("stray"),
        ),
        header("5.13 after a message's last one", ended(), rest("stray")),
        header(
            "5.14 after pings",
            vec![ping("1"), pong("2")],
            more("stray"),
        ),
        header("5.15 a text inside a message", begun(), text("whole")),
        header("5.16 a binary inside a message", begun(), binary([1])),
        header(
            "5.17 a first fragment inside a message",
            begun(),
            text("fragment 1").and_more(),
        ),
        header(
            "5.18 a text after a ping inside a message",
            vec![text("fragment 1").and_more(), ping("between")],
            text("fragment 2"),
        ),
    ]
}
