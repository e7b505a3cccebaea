//! What a splice came to, as the records tell it: in numbers, names and texts.
//!
//! Knows no streams, and not where the log is.

use crate::observe::course::{End, Frames, Parting, Passed, Pings, Totals};
use crate::splice::{Breach, Heard, Outcome, Pinged, SpliceEnd, Tally, Told};
use crate::wire::ws::close::CloseCode;

/// What has passed until now.
pub(super) fn totals<E>(outcome: &Outcome<E>) -> Totals {
    let (client, backend) = (outcome.client.as_ref(), outcome.backend.as_ref());
    Totals {
        duration: outcome.duration,
        to_backend: Passed {
            bytes: outcome.to_backend,
            stall: outcome.stalled.to_backend,
            ..passed(client)
        },
        to_client: Passed {
            bytes: outcome.to_client,
            stall: outcome.stalled.to_client,
            ..passed(backend)
        },
        client_pings: client.and_then(|heard| heard.pinged).map(pings),
        backend_pings: backend.and_then(|heard| heard.pinged).map(pings),
    }
}

/// How it ended.
pub(super) fn end(outcome: &Outcome) -> End {
    End {
        by: outcome.end.by(),
        why: outcome.end.why(),
        detail: detail(&outcome.end),
        client: outcome.client.as_ref().map(parting).unwrap_or_default(),
        backend: outcome.backend.as_ref().map(parting).unwrap_or_default(),
    }
}

/// What the word for an end leaves open.
fn detail(end: &SpliceEnd) -> String {
    match end {
        SpliceEnd::Breach(_, Breach::Rule(violation)) => violation.to_string(),
        SpliceEnd::Lost(_, kind) => kind.to_string(),
        SpliceEnd::Breach(_, Breach::FrameBytes | Breach::MessageBytes | Breach::Rate)
        | SpliceEnd::Closed(_)
        | SpliceEnd::Gone(_)
        | SpliceEnd::Truncated(_)
        | SpliceEnd::Silent(_)
        | SpliceEnd::Idle
        | SpliceEnd::Age
        | SpliceEnd::Cut => String::new(),
    }
}

fn passed(heard: Option<&Heard>) -> Passed {
    let Some(Heard { tally, .. }) = heard else {
        return Passed::default();
    };
    Passed {
        messages: tally.messages,
        message_bytes_max: tally.message_bytes_max,
        frames: frames(tally),
        ..Passed::default()
    }
}

fn frames(tally: &Tally) -> Vec<Frames> {
    let others = tally.others();
    let data = [
        ("text", tally.text),
        ("binary", tally.binary),
        ("continuation", others.continuation),
    ];
    let control = [
        ("ping", others.ping),
        ("pong", others.pong),
        ("close", others.close),
        ("reserved", others.reserved),
    ];
    let data = data.map(|(kind, data)| (kind, data.frames, data.bytes));
    let control = control.map(|(kind, few)| (kind, few.frames.into(), few.bytes.into()));
    let all = data.into_iter().chain(control);
    all.map(|(kind, count, bytes)| Frames { kind, count, bytes })
        .collect()
}

fn pings(pinged: Pinged) -> Pings {
    let trips = pinged.round_trips;
    Pings {
        count: trips.count,
        min: trips.min,
        max: trips.max,
        last: trips.last,
    }
}

/// A Close without a code is 1005, no Close is 1006 (RFC 6455 §7.1.5).
fn parting(heard: &Heard) -> Parting {
    let (code, reason) = match &heard.close {
        Some(close) => (close.code, close.reason.clone()),
        None if heard.tally.others().close.frames > 0 => {
            (CloseCode::NO_STATUS_RECEIVED, String::new())
        }
        None => (CloseCode::ABNORMAL_CLOSURE, String::new()),
    };
    Parting {
        code: code.0,
        reason,
        told: match heard.told {
            Told::Passed => "passed".to_owned(),
            Told::Own(code) => format!("own {}", code.0),
            Told::Cut => "cut".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ws::close::Close;

    fn heard(close: Option<(u16, &str)>, closes: u32, told: Told) -> Heard {
        let mut tally = Tally::default();
        tally.others_mut().close.frames = closes;
        Heard {
            tally,
            close: close.map(|(code, reason)| Close {
                code: CloseCode(code),
                reason: reason.to_owned(),
            }),
            told,
            pinged: None,
        }
    }

    #[test]
    fn a_side_is_told_by_its_code_even_where_it_said_none() {
        let own = Told::Own(CloseCode::GOING_AWAY);
        for (heard, code, reason, told) in [
            (
                heard(Some((4001, "bye")), 1, Told::Passed),
                4001,
                "bye",
                "passed",
            ),
            (heard(None, 1, own), 1005, "", "own 1001"),
            (heard(None, 0, Told::Cut), 1006, "", "cut"),
        ] {
            let expected = Parting {
                code,
                reason: reason.to_owned(),
                told: told.to_owned(),
            };
            assert_eq!(parting(&heard), expected);
        }
    }

    #[test]
    fn frames_are_told_in_one_order() {
        let mut tally = Tally::default();
        tally.text.frames = 2;
        tally.text.bytes = 9;
        tally.others_mut().reserved.frames = 1;
        let told: Vec<_> = frames(&tally)
            .iter()
            .map(|f| (f.kind, f.count, f.bytes))
            .collect();
        let none = |kind| (kind, 0, 0);
        let expected = [
            ("text", 2, 9),
            none("binary"),
            none("continuation"),
            none("ping"),
            none("pong"),
            none("close"),
            ("reserved", 1, 0),
        ];
        assert_eq!(told, expected);
    }
}
