//! 3: reserved bits without an extension that gives them a meaning.

use super::{Case, header};
use crate::support::frames::{binary, close, ping, pong, rest, text};

pub(super) fn cases() -> Vec<Case> {
    (1..=7).flat_map(of).collect()
}

fn of(bits: u8) -> Vec<Case> {
    let good = || vec![text("good")];
    let begun = vec![text("go").and_more()];
    let named = |name: &str| format!("3.{bits} RSV {bits:03b} on {name}");
    vec![
        header(named("a text"), vec![], text("bits").rsv(bits)),
        header(
            named("a text after a good one"),
            good(),
            text("bits").rsv(bits),
        ),
        header(named("an empty binary"), good(), binary("").rsv(bits)),
        header(
            named("a first fragment"),
            vec![],
            text("bi").and_more().rsv(bits),
        ),
        header(named("a continuation"), begun, rest("od").rsv(bits)),
        header(named("a ping"), good(), ping("bits").rsv(bits)),
        header(named("a pong"), good(), pong("bits").rsv(bits)),
        header(named("a close"), good(), close(1000, "bits").rsv(bits)),
    ]
}
