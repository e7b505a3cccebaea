//! 2: Ping and Pong.

use super::{Case, header, legal};
use crate::support::frames::{ping, pong, text};

pub(super) fn cases() -> Vec<Case> {
    let longest = [b'p'; 125];
    let mut cases = vec![
        legal("2.1 a ping without payload", vec![ping("")]),
        legal("2.2 a ping with text", vec![ping("Hello, world!")]),
        legal("2.3 a ping with bytes", vec![ping([0, 0xff, 0xfe, 0xc0])]),
        legal("2.4 the longest ping", vec![ping(longest)]),
        header("2.5 a ping of 126 bytes", vec![], ping([b'p'; 126])),
        header("2.5 a pong of 126 bytes", vec![], pong([b'p'; 126])),
        header("2.5 a ping of 64 KiB", vec![], ping(vec![b'p'; 65_536])),
        legal("2.6 an unsolicited pong", vec![pong("")]),
        legal(
            "2.7 an unsolicited pong with payload",
            vec![pong("unasked")],
        ),
        legal(
            "2.8 a pong, then a ping",
            vec![pong("unasked"), ping("asked")],
        ),
        legal(
            "2.9 pings between messages",
            vec![ping("1"), text("one"), ping("2"), text("two"), pong("3")],
        ),
    ];
    let many = (0..10).map(|n| ping(format!("ping {n}"))).collect();
    cases.push(legal("2.10 ten pings in a row", many));
    // What a pong of the gateway's own could be taken for, and is not.
    let alike = vec![pong("tway12345678"), pong("tway"), ping("tway12345678")];
    cases.push(legal("2.11 pongs like those of a gateway", alike));
    cases
}
