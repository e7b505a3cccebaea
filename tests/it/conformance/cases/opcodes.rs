//! 4: opcodes that mean nothing.

use super::{Case, header};
use crate::support::frames::{frame, ping, text};

const RESERVED: [u8; 10] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

pub(super) fn cases() -> Vec<Case> {
    RESERVED.into_iter().flat_map(of).collect()
}

fn of(opcode: u8) -> Vec<Case> {
    let named = |name: &str| format!("4.{opcode} opcode {opcode} {name}");
    vec![
        header(named("without payload"), vec![], frame(opcode, "")),
        header(named("with payload"), vec![], frame(opcode, "reserved")),
        header(
            named("after a message and a ping"),
            vec![text("good"), ping("good")],
            frame(opcode, "reserved"),
        ),
        header(
            named("inside a message"),
            vec![text("go").and_more()],
            frame(opcode, "reserved").and_more(),
        ),
    ]
}
